//! The terminal chat of the demo: one line, one message.

use std::rc::Rc;

use rustyline::error::ReadlineError;
use rustyline::{Config, DefaultEditor, ExternalPrinter};
use tokio::sync::mpsc;

use crate::actor::message::Parting;
use crate::cli::Failure;
use crate::cli::demo::folder::DOMAIN;

use crate::action::{Action, OutgoingMessage};
use crate::event::Event;
use crate::ids::IdSource;
use crate::jid::Jid;
use crate::ops::person::{Heard, Person};
use crate::ops::service::{Service, random_seed};
use crate::printable::printable;
use crate::stanza::MessageKind;

const HELP: &str = "\
  TEXT           say it to the bot you are talking to
  /to BOT        talk to another bot
  /bots          who is here, and how they stand
  /help          this
  /quit          leave; the folder stays";

/// What the screen asks of the rest.
enum Wish {
    Say(Jid, String),
    Bots,
    Quit,
}

/// Starts the chat: the terminal on a thread of its own, everything else as local tasks.
pub fn start(ann: Person, service: Rc<Service>, stop: mpsc::Sender<Parting>) -> Result<(), Failure> {
    let Person { actions, mut hears } = ann;
    let mut ids = IdSource::new(random_seed().map_err(|error| Failure::new(error.to_string()))?);
    let names: Vec<String> = service.settings().bots.iter().map(|bot| bot.name.clone()).collect();
    let Some(first) = names.iter().find(|name| *name == "greeter").or(names.first()).cloned() else {
        return Err(Failure::new("bots.yaml has no bot to talk to"));
    };
    let mut editor = DefaultEditor::with_config(Config::builder().auto_add_history(true).build())
        .map_err(|error| Failure::new(format!("no line editor: {error}")))?;
    let mut printer =
        editor.create_external_printer().map_err(|error| Failure::new(format!("no terminal: {error}")))?;
    let (wishes, mut wished) = mpsc::unbounded_channel();
    println!("\n  You are ann@{DOMAIN}, talking to {first}.   /help  /to BOT  /bots  /quit\n");
    std::thread::Builder::new()
        .name("terminal".to_owned())
        .spawn(move || read_lines(&mut editor, first, &names, &wishes))
        .map_err(|error| Failure::new(format!("no thread: {error}")))?;
    tokio::task::spawn_local(async move {
        loop {
            let text = tokio::select! {
                heard = hears.recv() => match heard {
                    Some(Heard::Event(Event::Message(message))) => {
                        format!("{}  {}\n", printable(&message.nick), safe(&message.text))
                    }
                    Some(Heard::Event(Event::Bounce(bounce))) => format!("· it came back: {}\n", safe(&bounce.error.to_string())),
                    Some(Heard::Event(_)) => continue,
                    Some(Heard::Gone(detail)) => format!("· the chat is offline: {}\n", safe(&detail)),
                    None => return,
                },
                wish = wished.recv() => match wish {
                    Some(Wish::Say(to, text)) => {
                        if actions.send(message(to, text, ids.next_id())).await.is_ok() {
                            continue;
                        }
                        "· not sent: the chat is offline\n".to_owned()
                    }
                    Some(Wish::Bots) => service.status().await.to_text(),
                    Some(Wish::Quit) | None => {
                        // Full: the end is already on its way.
                        let _ = stop.try_send(Parting::Final);
                        return;
                    }
                },
            };
            if printer.print(text).is_err() {
                return;
            }
        }
    });
    Ok(())
}

fn message(to: Jid, text: String, id: String) -> Action {
    Action::Message(OutgoingMessage {
        to,
        kind: MessageKind::Chat,
        id,
        text,
        subject: None,
        lang: None,
        thread: None,
        payloads: Vec::new(),
    })
}

/// Messages keep their line breaks and lose whatever could move the cursor.
fn safe(text: &str) -> String {
    text.lines().map(printable).collect::<Vec<_>>().join("\n    ")
}

fn read_lines(
    editor: &mut DefaultEditor,
    first: String,
    names: &[String],
    wishes: &mpsc::UnboundedSender<Wish>,
) {
    let mut bot = first;
    loop {
        let wish = match editor.readline(&format!("ann → {bot}  ")) {
            Ok(line) => match wish(line.trim(), &mut bot, names) {
                Some(wish) => wish,
                None => continue,
            },
            Err(ReadlineError::Eof | ReadlineError::Interrupted) => Wish::Quit,
            Err(error) => {
                eprintln!("the terminal is gone: {error}");
                Wish::Quit
            }
        };
        let ends = matches!(wish, Wish::Quit);
        if wishes.send(wish).is_err() || ends {
            return;
        }
    }
}

fn wish(line: &str, bot: &mut String, names: &[String]) -> Option<Wish> {
    match line.split_once(' ').unwrap_or((line, "")) {
        ("", _) => None,
        ("/quit" | "/q", _) => Some(Wish::Quit),
        ("/bots", _) => Some(Wish::Bots),
        ("/help", _) => {
            println!("{HELP}");
            None
        }
        ("/to", name) if names.iter().any(|known| known == name.trim()) => {
            *bot = name.trim().to_owned();
            None
        }
        ("/to", name) => {
            let few: Vec<&str> = names.iter().map(String::as_str).take(12).collect();
            println!("  no bot `{}`; there are {}", name.trim(), few.join(", "));
            None
        }
        (word, _) if word.starts_with('/') => {
            println!("  unknown command `{word}`; /help lists them");
            None
        }
        _ => match Jid::parse(&format!("{bot}@{DOMAIN}")) {
            Ok(to) => Some(Wish::Say(to, line.to_owned())),
            Err(error) => {
                println!("  `{bot}` has no address here: {error}");
                None
            }
        },
    }
}
