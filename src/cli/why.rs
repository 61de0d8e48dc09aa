//! `rhapsode why`: what became of an event, handler by handler.

use clap::Args;
use serde_json::Value;

use crate::cli::{Common, Failure, talk};
use crate::ops::control::{Answer, Request};

/// Arguments of `why`.
#[derive(Args)]
pub struct Why {
    /// A bot, the id of an event as the log has it, or the id of a message that came or went
    #[arg(value_name = "ID|BOT")]
    about: String,
    /// Show up to so many events, the last ones
    #[arg(long, default_value_t = 5, value_name = "N")]
    last: usize,
    /// Only events of a kind, such as `message`, `timer`, `every` or `webhook`, or of one with its name: `timer:tea`
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Print JSON: one event a line
    #[arg(long, conflicts_with = "as_test")]
    json: bool,
    /// Print the messages as a section of a conversation for `rhapsode test`; needs `log: { bodies: true }`
    #[arg(long)]
    as_test: bool,
}

/// Runs the command.
pub fn run(command: Why, common: &Common) -> Result<(), Failure> {
    let request =
        Request::Why { about: command.about.clone(), kind: command.kind.clone(), last: command.last };
    let explained = match talk::ask(common, &request)? {
        Answer::Why { events } => events,
        answer => return talk::print(answer),
    };
    if command.as_test {
        print!("{}", section(&command.about, explained.iter().map(|event| &event.trace))?);
        return Ok(());
    }
    for (at, event) in explained.iter().enumerate() {
        if command.json {
            println!("{}", event.trace);
        } else {
            let gap = if at > 0 { "\n" } else { "" };
            println!("{gap}{}", event.text.trim_end());
        }
    }
    Ok(())
}

/// The messages among the events as a conversation.
fn section<'a>(about: &str, events: impl Iterator<Item = &'a Value>) -> Result<String, Failure> {
    let title: String = about.chars().filter(|c| !c.is_control()).take(60).collect();
    let mut text = format!("== {title}\n");
    let mut place = None;
    let mut any = false;
    for event in events.filter(|event| event["kind"] == "message") {
        let Some(said) = event["text"].as_str() else {
            return Err(Failure::with_hint(
                "the texts of messages are not kept, so they make no test",
                "set `log: { bodies: true }` in bots.yaml, and let it happen again",
            ));
        };
        let room = event["room"].as_str();
        if room != place
            && let Some(room) = room
        {
            text.push_str(&format!("[{room}]\n"));
        }
        place = room;
        any = true;
        text.push_str(&line(event["nick"].as_str().unwrap_or_default(), said));
        for sent in event["sent"].as_array().into_iter().flatten() {
            text.push_str(&line("bot", &pattern(sent["text"].as_str().unwrap_or_default())));
        }
    }
    if any {
        Ok(text)
    } else {
        Err(Failure::new(format!("there is no message among the events of `{about}`")))
    }
}

#[cfg(feature = "demo")]
use crate::sim::transcript::quoted as pattern;

/// Without the simulation there is nobody to run the conversation here; words stand for themselves.
#[cfg(not(feature = "demo"))]
fn pattern(said: &str) -> String {
    said.to_owned()
}

/// A line of talk; further lines are indented.
fn line(who: &str, said: &str) -> String {
    format!("{}: {}\n", name(who), said.replace('\n', "\n    "))
}

/// A nick as the format takes it.
fn name(nick: &str) -> String {
    let name: String =
        nick.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).take(40).collect();
    if name.is_empty() { "somebody".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn messages_become_a_conversation() {
        let event = json!({
            "kind": "message", "nick": "Ann B", "text": "!roll\n2", "room": null, "sent": [{ "text": "2 /x/" }],
        });
        let text = section("a1b2", [&event].into_iter()).expect("texts are there");
        let shown = pattern("2 /x/");
        assert_eq!(text, format!("== a1b2\nAnnB: !roll\n    2\nbot: {shown}\n"));
    }

    #[test]
    fn without_texts_there_is_no_test() {
        let event = json!({ "kind": "message", "nick": "ann", "text": null, "sent": [] });
        assert!(section("a1b2", [&event].into_iter()).is_err());
        assert!(section("a1b2", [&json!({ "kind": "presence" })].into_iter()).is_err());
    }
}
