//! Commands as people choose them from a menu.

use std::time::Duration;

use super::{Player, Rig, jid, message, texts};
use crate::action::Action;
use crate::event::Event;
use crate::event::adhoc::{CommandAct, CommandAsk, CommandRequest, CommandStep};
use crate::stanza::StanzaError;
use crate::xep::adhoc::{self, NS};
use crate::xep::data_forms::{self, Field, FieldKind, Form, FormKind};
use crate::xml::{Element, writer};

const SOURCE: &str = r#"
    command("roll <sides:int> [times:int=1]", "Roll dice", |m, a| {
        m.typing();
        m.reply(`${m.nick} typed ${m.text}`);
        m.reply(`${a.times} of ${a.sides}`);
    });
    command("time", "What time it is", |m| m.reply("noon"));
    command("halt", #{ help: "Stop it", allow: ["admin"] }, |m| m.reply("stopped"));
    command("secret", #{ hidden: true }, |m| m.reply("psst"));
    command("here", #{ where: "room" }, |m| m.reply("here"));
    command("wipe <what:word>", #{ confirm: "Wipe it all?" }, |m, a| m.reply(`wiped ${a.what}`));
    command("boom", "Fail", |m| throw "no");
    command("quiet", #{ cooldown: "1m" }, |m| bot::send("bob@example.org", "psst"));
    command("long", "Say much", |m| { let s = "x"; s.pad(5000, "x"); m.reply(s); m.reply(s); m.reply("end"); });
    command("order", "Order", |m| m.ask("number", "Which number?"));
    on("answer:number", |m| m.reply(`number ${m.text}`));
"#;

const ANN: &str = "ann@example.org/pc";
const BOSS: &str = "boss@example.org/pc";

/// An answer, shortened for the eye.
#[derive(Debug, Default, PartialEq)]
struct Page {
    session: String,
    status: String,
    note: String,
    actions: Vec<String>,
    fields: Vec<String>,
    /// Texts that went as messages.
    said: Vec<String>,
}

#[test]
fn f2_the_menu_shows_what_the_asker_may_use() {
    let (_rig, mut bot) = bot();
    assert_eq!(menu(&mut bot, ANN), ["roll", "time", "wipe", "boom", "quiet", "long", "order"]);
    assert_eq!(menu(&mut bot, BOSS), ["roll", "time", "halt", "wipe", "boom", "quiet", "long", "order"]);
    let about = |bot: &mut Player, from: &str, node: &str| {
        ask(bot, from, CommandAsk::Info { node: node.to_owned() }).0.map(|it| it.is_some())
    };
    assert_eq!(about(&mut bot, BOSS, "halt"), Ok(true));
    assert_eq!(about(&mut bot, ANN, NS), Ok(true));
    for node in ["halt", "secret", "here", "nothing"] {
        let refused = about(&mut bot, ANN, node).expect_err("not told");
        assert_eq!(refused.condition, "item-not-found", "{node}");
    }
}

#[test]
fn f2_a_command_without_arguments_runs_at_once() {
    let (_rig, mut bot) = bot();
    let page = step(&mut bot, ANN, "time", None, CommandAct::Execute, &[]).expect("allowed");
    assert_eq!((page.status.as_str(), page.note.as_str()), ("completed", "info: noon"));
    assert_eq!((page.actions, page.said), (vec![], vec![]));
}

#[test]
fn f2_a_form_asks_for_the_arguments_and_mistakes_are_told_beside_it() {
    let (_rig, mut bot) = bot();
    let first = step(&mut bot, ANN, "roll", None, CommandAct::Execute, &[]).expect("allowed");
    assert_eq!((first.status.as_str(), first.note.as_str()), ("executing", ""));
    assert_eq!(
        (first.fields, first.actions),
        (vec!["sides".to_owned(), "times=1".to_owned()], vec!["complete".to_owned()])
    );
    assert_eq!(first.session.len(), 20);
    let id = Some(first.session.as_str());
    let wrong = step(&mut bot, ANN, "roll", id, CommandAct::Complete, &[("sides", "many")]).expect("told");
    assert_eq!(
        (wrong.status.as_str(), wrong.note.as_str()),
        ("executing", "error: `sides` is a whole number, not `many`")
    );
    assert_eq!(wrong.fields, ["sides=many", "times=1"]);
    let missing = step(&mut bot, ANN, "roll", id, CommandAct::Execute, &[("times", "2")]).expect("told");
    assert_eq!(missing.note, "error: `sides` is missing");
    let done = step(&mut bot, ANN, "roll", id, CommandAct::Execute, &[("sides", " 6 ")]).expect("done");
    assert_eq!((done.status.as_str(), done.note.as_str()), ("completed", "info: ann typed !roll 6\n1 of 6"));
    assert_eq!(done.said, [] as [&str; 0]);
    let again = step(&mut bot, ANN, "roll", id, CommandAct::Execute, &[("sides", "6")]).expect_err("over");
    assert_eq!(again, adhoc::bad_session());
}

#[test]
fn f2_what_is_to_be_confirmed_has_a_page_more_and_a_way_back() {
    let (_rig, mut bot) = bot();
    let first = step(&mut bot, ANN, "wipe", None, CommandAct::Execute, &[]).expect("allowed");
    assert_eq!(first.actions, ["next"]);
    let id = Some(first.session.as_str());
    let early = step(&mut bot, ANN, "wipe", id, CommandAct::Complete, &[("what", "all")]);
    assert_eq!(early, Err(adhoc::bad_action()));
    let second = step(&mut bot, ANN, "wipe", id, CommandAct::Next, &[("what", "all")]).expect("goes on");
    assert_eq!(
        (second.note.as_str(), second.actions),
        ("warn: Wipe it all?", vec!["prev".to_owned(), "complete".to_owned()])
    );
    let back = step(&mut bot, ANN, "wipe", id, CommandAct::Prev, &[]).expect("goes back");
    assert_eq!((back.fields, back.actions), (vec!["what=all".to_owned()], vec!["next".to_owned()]));
    step(&mut bot, ANN, "wipe", id, CommandAct::Execute, &[("what", "some")]).expect("goes on");
    let done = step(&mut bot, ANN, "wipe", id, CommandAct::Execute, &[]).expect("done");
    assert_eq!(done.note, "info: wiped some");
}

#[test]
fn f2_a_command_can_be_cancelled() {
    let (_rig, mut bot) = bot();
    let first = step(&mut bot, ANN, "wipe", None, CommandAct::Execute, &[]).expect("allowed");
    let id = Some(first.session.as_str());
    let ended = step(&mut bot, ANN, "wipe", id, CommandAct::Cancel, &[]).expect("ended");
    assert_eq!(ended.status, "canceled");
    let late = step(&mut bot, ANN, "wipe", id, CommandAct::Next, &[("what", "all")]);
    assert_eq!(late, Err(adhoc::bad_session()));
    let never = step(&mut bot, ANN, "wipe", None, CommandAct::Cancel, &[]);
    assert_eq!(never, Err(adhoc::bad_action()));
}

#[test]
fn s24_nobody_goes_on_with_what_another_has_begun() {
    let (_rig, mut bot) = bot();
    let first = step(&mut bot, ANN, "roll", None, CommandAct::Execute, &[]).expect("allowed");
    let id = Some(first.session.as_str());
    for thief in ["ann@example.org/phone", "eve@example.net/x", BOSS] {
        for act in [CommandAct::Complete, CommandAct::Cancel] {
            let got = step(&mut bot, thief, "roll", id, act, &[("sides", "6")]);
            assert_eq!(got, Err(adhoc::bad_session()), "{thief}");
        }
    }
    let other = step(&mut bot, ANN, "wipe", id, CommandAct::Next, &[("what", "all")]);
    assert_eq!(other, Err(adhoc::bad_session()), "of another command");
    assert!(step(&mut bot, ANN, "roll", id, CommandAct::Complete, &[("sides", "6")]).is_ok());
}

#[test]
fn s24_rights_are_looked_at_in_every_step() {
    let (_rig, mut bot) = bot();
    let refused = step(&mut bot, ANN, "halt", None, CommandAct::Execute, &[]).expect_err("not hers");
    assert_eq!(refused.condition, "forbidden");
    for node in ["secret", "here", "nothing"] {
        let refused = step(&mut bot, BOSS, node, None, CommandAct::Execute, &[]).expect_err("not there");
        assert_eq!(refused.condition, "item-not-found", "{node}");
    }
    let rig = Rig::new();
    let mut bot = rig.bot(r#"command("halt <why:rest>", #{ allow: ["admin"] }, |m, a| m.reply("stopped"));"#);
    let first = step(&mut bot, BOSS, "halt", None, CommandAct::Execute, &[]).expect("an admin");
    bot.handle.configure(Vec::new(), Default::default(), 10, Vec::new());
    let id = Some(first.session.as_str());
    let refused =
        step(&mut bot, BOSS, "halt", id, CommandAct::Complete, &[("why", "x")]).expect_err("no more");
    assert_eq!(refused.condition, "forbidden");
    bot.handle.configure(vec![jid("boss@example.org").to_bare()], Default::default(), 10, Vec::new());
    let late = step(&mut bot, BOSS, "halt", id, CommandAct::Complete, &[("why", "x")]);
    assert_eq!(late, Err(adhoc::bad_session()), "what was refused is over");
}

#[test]
fn f2_a_page_that_lies_too_long_has_expired() {
    let (rig, mut bot) = bot();
    let first = step(&mut bot, ANN, "roll", None, CommandAct::Execute, &[]).expect("allowed");
    rig.advance(Duration::from_secs(601));
    let late = step(&mut bot, ANN, "roll", Some(&first.session), CommandAct::Complete, &[("sides", "6")]);
    assert_eq!(late, Err(adhoc::expired()));
}

#[test]
fn f2_a_form_that_is_no_answer_is_refused() {
    let (_rig, mut bot) = bot();
    let first = step(&mut bot, ANN, "roll", None, CommandAct::Execute, &[]).expect("allowed");
    let with = |form: Option<Element>| CommandStep {
        node: "roll".to_owned(),
        session: Some(first.session.clone()),
        act: CommandAct::Complete,
        form,
    };
    let forms = [
        None,
        Some(Element::new("x", data_forms::NS)),
        Some(Form::new(FormKind::Form).to_element()),
        Some(Form::new(FormKind::Result).to_element()),
    ];
    for form in forms {
        let got = ask(&mut bot, ANN, CommandAsk::Step(with(form.clone()))).0;
        assert_eq!(got, Err(adhoc::bad_payload()), "{form:?}");
    }
    let mut two = Form::new(FormKind::Submit);
    two.fields.push(Field::new("sides", FieldKind::TextSingle).with_value("1").with_value("2"));
    let got = ask(&mut bot, ANN, CommandAsk::Step(with(Some(two.to_element())))).0;
    assert_eq!(page(got.expect("told"), Vec::new()).note, "error: `sides` takes one value");
    let long = "9".repeat(40_000);
    let got = step(&mut bot, ANN, "roll", Some(&first.session), CommandAct::Complete, &[("sides", &long)]);
    assert_eq!(got.expect("told").note, "error: that is too long");
}

#[test]
fn f2_a_failure_a_pause_and_a_silent_command_are_told() {
    let (_rig, mut bot) = bot();
    let request = CommandAsk::Step(CommandStep {
        node: "boom".to_owned(),
        session: None,
        act: CommandAct::Execute,
        form: None,
    });
    let (answer, failures) = ask_failing(&mut bot, ANN, request);
    assert_eq!(
        (page(answer.expect("told"), Vec::new()).note.as_str(), failures),
        ("error: The command failed.", 1)
    );
    let first = step(&mut bot, ANN, "quiet", None, CommandAct::Execute, &[]).expect("allowed");
    assert_eq!((first.note.as_str(), &first.said[..]), ("info: Done.", &["psst".to_owned()][..]));
    let second = step(&mut bot, ANN, "quiet", None, CommandAct::Execute, &[]).expect("told");
    assert_eq!(
        (second.note.as_str(), second.status.as_str()),
        ("error: Slow down: again in 1m.", "completed")
    );
}

#[test]
fn f2_replies_beyond_a_note_and_questions_go_as_messages() {
    let (_rig, mut bot) = bot();
    let page = step(&mut bot, ANN, "long", None, CommandAct::Execute, &[]).expect("allowed");
    assert_eq!(page.note.len(), "info: ".len() + 5000);
    assert_eq!(page.said.iter().map(String::len).collect::<Vec<_>>(), [5000, 3]);
    let page = step(&mut bot, ANN, "order", None, CommandAct::Execute, &[]).expect("allowed");
    assert_eq!(page.said, ["Which number?"]);
    assert_eq!(bot.give(message(ANN, "7")), ["number 7"]);
}

#[test]
fn f2_every_request_of_a_flood_is_answered() {
    let (_rig, mut bot) = bot();
    let mut refused = 0;
    for n in 0..100 {
        let from = format!("eve{n}@example.net/x");
        refused += usize::from(step(&mut bot, &from, "roll", None, CommandAct::Execute, &[]).is_err());
    }
    assert_eq!(refused, 36);
    // Those who ask for nothing to be kept are served all the same.
    assert!(step(&mut bot, ANN, "time", None, CommandAct::Execute, &[]).is_ok());
}

fn bot() -> (Rig, Player) {
    let rig = Rig::new();
    let bot = rig.bot(SOURCE);
    (rig, bot)
}

fn menu(bot: &mut Player, from: &str) -> Vec<String> {
    let (answer, _) = ask(bot, from, CommandAsk::Items);
    let query = answer.expect("told").expect("a query");
    query.children().filter_map(|item| item.attr("node")).map(str::to_owned).collect()
}

fn step(
    bot: &mut Player,
    from: &str,
    node: &str,
    session: Option<&str>,
    act: CommandAct,
    values: &[(&str, &str)],
) -> Result<Page, StanzaError> {
    let mut form = Form::new(FormKind::Submit);
    form.fields = values
        .iter()
        .map(|(var, value)| Field::new(*var, FieldKind::TextSingle).with_value(*value))
        .collect();
    let form = (!values.is_empty()).then(|| form.to_element());
    let step = CommandStep { node: node.to_owned(), session: session.map(str::to_owned), act, form };
    let (answer, said) = ask(bot, from, CommandAsk::Step(step));
    answer.map(|payload| page(payload, said))
}

type Answered = Result<Option<Element>, StanzaError>;

fn ask(bot: &mut Player, from: &str, ask: CommandAsk) -> (Answered, Vec<String>) {
    let request = CommandRequest { from: jid(from), id: "q".to_owned(), ask };
    let turned = bot.handle_event(Event::Command(Box::new(request)));
    (answer(&turned.actions, from), texts(&turned.actions))
}

fn ask_failing(bot: &mut Player, from: &str, ask: CommandAsk) -> (Answered, usize) {
    let request = CommandRequest { from: jid(from), id: "q".to_owned(), ask };
    let turned = bot.try_event(Event::Command(Box::new(request)));
    (answer(&turned.actions, from), turned.failures.len())
}

/// The one answer among the actions.
fn answer(actions: &[(i64, Action)], asker: &str) -> Answered {
    let mut answers = actions.iter().filter_map(|(_, action)| match action {
        Action::Answer { to, id, outcome } => {
            assert_eq!((to.as_str(), id.as_str()), (asker, "q"));
            Some(outcome.clone())
        }
        _ => None,
    });
    let first = answers.next().expect("an answer");
    assert!(answers.next().is_none(), "one answer");
    first
}

fn page(payload: Option<Element>, said: Vec<String>) -> Page {
    let command = payload.expect("a command");
    assert!(writer::to_string(&command).is_ok());
    let attr = |name: &str| command.attr(name).unwrap_or_default().to_owned();
    let note = command
        .child("note", NS)
        .map(|note| format!("{}: {}", note.attr("type").unwrap_or("?"), note.text()));
    let form = command.child("x", data_forms::NS).and_then(Form::parse).unwrap_or_default();
    let shown = |field: &Field| {
        let var = field.var.clone().unwrap_or_default();
        field.value().map_or_else(|| var.clone(), |value| format!("{var}={value}"))
    };
    Page {
        session: attr("sessionid"),
        status: attr("status"),
        note: note.unwrap_or_default(),
        actions: command
            .child("actions", NS)
            .map(|actions| actions.children().map(|act| act.name().to_owned()).collect())
            .unwrap_or_default(),
        fields: form.fields.iter().map(shown).collect(),
        said,
    }
}
