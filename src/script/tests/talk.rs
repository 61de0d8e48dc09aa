//! Conversations: questions, confirmations, cooldowns, who may, what is heard.

use std::sync::Arc;
use std::time::Duration;

use super::{Player, Rig, jid, message, now, patient, plain, script};
use crate::event::room::Identity;
use crate::event::{Contact, Event, Message, RosterChange, SubscriptionState};
use crate::script::data::Memory;
use crate::script::error::Kind;
use crate::script::inspect::inspect;
use crate::script::{Limits, ScriptUse};
use crate::stanza::MessageKind;

const ANN: &str = "ann@example.org/phone";
const BOB: &str = "bob@example.org/pc";

fn says(bot: &mut Player, from: &str, text: &str) -> Vec<String> {
    bot.give(message(from, text))
}

/// Room talk of an occupant, whom the room gives that identity.
fn in_room(nick: &str, who: &str, text: &str) -> Event {
    let from = jid(&format!("team@rooms.example.org/{nick}"));
    let room = from.to_bare();
    Event::Message(Box::new(Message {
        kind: MessageKind::Groupchat,
        room: Some(room.clone()),
        place: room.into(),
        who: who.to_owned(),
        identity: if who == from.as_str() { Identity::Nick } else { Identity::Occupant },
        nick: nick.to_owned(),
        ..plain(from.as_str(), text)
    }))
}

const ASKING: &str = r##"
    on("message", |m| m.reply(`talk: ${m.text}`));
    on("room", |m| m.reply(`room: ${m.text}`));
    command("order", "Order", |m, a| m.ask("number", "Which number?", #{ timeout: "10m", data: #{ who: m.nick } }));
    command("other", "Other", |m, a| m.reply("other"));
    on("answer:number", |m| {
        if m.text == "fail" { throw "no"; }
        if !m.text.matches(#"^\d+$"#) { return m.ask("number", "Digits only.", #{ data: m.data }); }
        m.reply(`${m.asked} ${m.text} for ${m.data.who}`);
    });
"##;

#[test]
fn an_answer_goes_to_its_handler_and_to_no_other() {
    let rig = Rig::new();
    let mut bot = rig.bot(ASKING);
    assert_eq!(says(&mut bot, ANN, "!order"), ["Which number?"]);
    assert_eq!(says(&mut bot, BOB, "12"), ["talk: 12"], "only the one who was asked");
    assert_eq!(says(&mut bot, "ann@example.org/laptop", "many"), ["Digits only."], "from any device");
    assert_eq!(says(&mut bot, ANN, "12"), ["number 12 for ann"]);
    assert_eq!(says(&mut bot, ANN, "12"), ["talk: 12"]);
}

#[test]
fn a_command_leaves_the_question_open_and_cancel_closes_it() {
    let rig = Rig::new();
    let mut bot = rig.bot(ASKING);
    assert_eq!(says(&mut bot, ANN, "!cancel"), ["There is no !cancel. Try !help."]);
    says(&mut bot, ANN, "!order");
    assert_eq!(says(&mut bot, ANN, "!other"), ["other"]);
    assert_eq!(says(&mut bot, ANN, "7"), ["number 7 for ann"]);
    says(&mut bot, ANN, "!order");
    assert_eq!(says(&mut bot, ANN, "!cancel"), ["Cancelled."]);
    assert_eq!(says(&mut bot, ANN, "7"), ["talk: 7"]);
}

#[test]
fn a_question_ends_with_its_time() {
    let rig = Rig::new();
    let mut bot = rig.bot(ASKING);
    says(&mut bot, ANN, "!order");
    rig.advance(Duration::from_secs(601));
    assert_eq!(says(&mut bot, ANN, "12"), ["talk: 12"]);
}

#[test]
fn the_end_of_a_question_may_be_told_and_only_of_the_one_that_is_open() {
    let source = r#"
        command("q", "", |m, a| m.ask("q", "Well?", #{ timeout: "10m", on_timeout: "Never mind." }));
        on("answer:q", |m| m.reply("thanks"));
        on("message", |m| m.reply(`talk, ${timer::list().len()} ${store::keys("").len()}`));
    "#;
    let rig = Rig::new();
    let mut bot = rig.bot(source);
    says(&mut bot, ANN, "!q");
    says(&mut bot, BOB, "!q");
    says(&mut bot, BOB, "!q");
    assert_eq!(says(&mut bot, "cat@example.org", "x"), ["talk, 0 0"], "nothing of it is the script's own");
    assert_eq!(says(&mut bot, BOB, "yes"), ["thanks"]);
    rig.advance(Duration::from_secs(601));
    bot.told.wait_texts(|said| said.iter().any(|text| text == "Never mind."));
    assert_eq!(says(&mut bot, ANN, "late"), ["talk, 0 0"]);
    let said = bot.told.wait_texts(|_| true);
    assert_eq!(said.iter().filter(|text| *text == "Never mind.").count(), 1, "{said:?}");
}

#[test]
fn a_failed_answer_leaves_the_question_open() {
    let rig = Rig::new();
    let mut bot = rig.bot(ASKING);
    says(&mut bot, ANN, "!order");
    assert_eq!(bot.fail(message(ANN, "fail")).message, "no");
    assert_eq!(says(&mut bot, ANN, "3"), ["number 3 for ann"]);
}

#[test]
fn a_question_of_a_failed_turn_was_never_asked() {
    let rig = Rig::new();
    let mut bot = rig.bot(
        r#"on("message", |m| if m.text == "go" { m.ask("x", "?"); throw "no"; } else { m.reply("talk"); });
           on("answer:x", |m| m.reply("answer"));"#,
    );
    assert_eq!(bot.fail(message(ANN, "go")).message, "no");
    assert_eq!(says(&mut bot, ANN, "y"), ["talk"]);
}

#[test]
fn questions_survive_the_end_of_the_pool_and_a_reload() {
    let shared = Arc::new(std::sync::Mutex::new(None::<Memory>));
    let rig = |shared: &Arc<std::sync::Mutex<Option<Memory>>>| {
        let shared = shared.clone();
        Rig::with(1, move |clock| {
            let mut kept = shared.lock().expect("the data");
            Arc::new(kept.get_or_insert_with(|| Memory::new(clock)).clone())
        })
    };
    let first = rig(&shared);
    let mut bot = first.bot(ASKING);
    says(&mut bot, ANN, "!order");
    drop((bot, first));
    let second = rig(&shared);
    let mut bot = second.bot(ASKING);
    bot.handle.swap(vec![script("main", &format!("{ASKING}\n// edited"))]);
    assert_eq!(says(&mut bot, ANN, "12"), ["number 12 for ann"]);
}

#[test]
fn a_question_whose_handler_is_gone_is_reported() {
    let rig = Rig::new();
    let mut bot = rig.bot(ASKING);
    says(&mut bot, ANN, "!order");
    bot.handle.swap(vec![script(
        "main",
        r#"on("message", |m| m.reply("talk")); on("answer:else", |m| m.reply("else"));"#,
    )]);
    let failure = bot.told.wait_failure();
    assert!(failure.message.contains("open question `number`"), "{failure}");
    let turned = bot.try_event(message(ANN, "12"));
    assert_eq!(super::texts(&turned.actions), ["talk"]);
    assert_eq!(turned.failures.len(), 1);
    assert_eq!(says(&mut bot, ANN, "12"), ["talk"]);
}

#[test]
fn two_people_in_one_room_do_not_mix_and_a_nick_takes_nothing_along() {
    let rig = Rig::new();
    let mut bot = rig.bot(ASKING);
    let ann = "team@rooms.example.org#id-ann";
    let bob = "team@rooms.example.org#id-bob";
    bot.give(in_room("ann", ann, "!order"));
    bot.give(in_room("bob", bob, "!order"));
    assert_eq!(bot.give(in_room("bob", bob, "2")), ["number 2 for bob"]);
    // Ann has left her nick to Bob.
    assert_eq!(bot.give(in_room("ann", bob, "5")), ["room: 5"]);
    assert_eq!(bot.give(in_room("annie", ann, "1")), ["number 1 for ann"]);
    says(&mut bot, ANN, "!order");
    assert_eq!(bot.give(in_room("ann", ann, "1")), ["room: 1"], "another place");
}

#[test]
fn choices_are_asked_for_until_one_is_made() {
    let rig = Rig::new();
    let mut bot = rig.bot(
        r#"command("buy", "", |m, a| m.ask("size", "Which?", #{ choices: ["Small", "Large", "Huge"] }));
           on("answer:size", |m| m.reply(`${m.text} (${m.raw_text})`));
           command("none", "", |m, a| m.ask("size", "Which?", #{ choices: [] }));
           command("typo", "", |m, a| m.ask("sice", "Which?"));"#,
    );
    says(&mut bot, ANN, "!buy");
    assert_eq!(says(&mut bot, ANN, "tiny"), ["Please answer Small, Large or Huge."]);
    assert_eq!(says(&mut bot, ANN, " large "), ["Large ( large )"]);
    assert!(bot.fail(message(ANN, "!none")).message.contains("`choices`"));
    assert_eq!(bot.fail(message(ANN, "!typo")).hint.as_deref(), Some("did you mean `size`?"));
}

#[test]
fn answers_of_questions_and_of_requests_share_their_event() {
    let rig = Rig::new();
    let mut bot = rig.bot(
        r#"on("message", |m| if m.text == "iq" { bot::iq("get", "example.org", "<ping xmlns='urn:xmpp:ping'/>", "x", 7); } else { m.ask("x", "?", #{ data: 8 }); });
           on("answer:x", |a| bot::send("ann@example.org", if type_of(a) == "Message" { `said ${a.data}` } else { `iq ${a.data}` }));"#,
    );
    let asked = bot.handle_event(message(ANN, "iq"));
    let token = asked.actions.iter().find_map(|(_, action)| match action {
        crate::action::Action::Request { token, .. } => Some(token.clone()),
        _ => None,
    });
    let answer = crate::event::Answer { token: token.expect("a request"), outcome: Ok(None) };
    assert_eq!(bot.give(Event::Answer(answer)), ["iq 7"]);
    says(&mut bot, ANN, "ask");
    assert_eq!(says(&mut bot, ANN, "y"), ["said 8"]);
}

#[test]
fn a_cooldown_is_each_persons_own_and_not_spent_on_failures() {
    let rig = Rig::new();
    let mut bot = rig.bot(
        r#"command("ping [how]", #{ cooldown: "1m", help: "Ping" }, |m, a| if a.how == "fail" { throw "no"; } else { m.reply("pong"); });"#,
    );
    assert_eq!(bot.fail(message(ANN, "!ping fail")).message, "no");
    assert_eq!(says(&mut bot, ANN, "!ping a b"), ["`b` is too much\nUsage: !ping [how]"]);
    assert_eq!(says(&mut bot, ANN, "!ping"), ["pong"]);
    rig.advance(Duration::from_secs(20));
    assert_eq!(says(&mut bot, "ann@example.org/laptop", "!ping"), ["Slow down: again in 40s."]);
    assert_eq!(says(&mut bot, BOB, "!ping"), ["pong"]);
    rig.advance(Duration::from_secs(40));
    assert_eq!(says(&mut bot, ANN, "!ping"), ["pong"]);
    assert_eq!(says(&mut bot, ANN, "!help ping"), ["!ping [how]  Ping\nOnce in 1m."]);
}

#[test]
fn another_nick_does_not_shorten_a_cooldown() {
    let rig = Rig::new();
    let mut bot = rig.bot(r#"command("ping", #{ cooldown: "1m" }, |m, a| m.reply("pong"));"#);
    assert_eq!(bot.give(in_room("ann", "id-1", "!ping")), ["pong"]);
    assert_eq!(bot.give(in_room("annie", "id-1", "!ping")), ["Slow down: again in 1m."]);
    assert_eq!(bot.give(in_room("bob", "id-2", "!ping")), ["pong"]);
    let nick_only = |nick: &str| in_room(nick, &format!("team@rooms.example.org/{nick}"), "!ping");
    assert_eq!(bot.give(nick_only("x")), ["pong"]);
    assert_eq!(bot.give(nick_only("y")), ["Slow down: again in 1m."]);
}

const WIPING: &str = r#"
    command("wipe <what:word> [at:when]", #{ confirm: true }, |m, a| m.reply(`wiped ${a.what} ${a.at}`));
    command("drop", #{ confirm: "Drop it all?" }, |m, a| m.reply("dropped"));
    on("message", |m| m.reply("talk"));
"#;

#[test]
fn a_command_runs_when_its_caller_says_yes() {
    let rig = Rig::new();
    let mut bot = rig.bot(WIPING);
    assert_eq!(says(&mut bot, ANN, "!wipe logs 10m"), ["Really !wipe logs 10m? Answer yes or no."]);
    assert_eq!(says(&mut bot, BOB, "yes"), ["talk"]);
    rig.advance(Duration::from_secs(60));
    assert_eq!(says(&mut bot, ANN, "perhaps"), ["Answer yes or no."]);
    assert_eq!(says(&mut bot, ANN, "Yes."), ["wiped logs 2026-03-01T12:10:00Z"], "as it was read then");
    assert_eq!(says(&mut bot, ANN, "yes"), ["talk"]);
    assert_eq!(says(&mut bot, ANN, "!drop"), ["Drop it all? Answer yes or no."]);
    assert_eq!(says(&mut bot, ANN, "no"), ["Cancelled."]);
    says(&mut bot, ANN, "!drop");
    rig.advance(Duration::from_secs(121));
    assert_eq!(says(&mut bot, ANN, "yes"), ["talk"]);
}

#[test]
fn a_confirmation_survives_a_restart_and_its_command_may_be_gone() {
    let kept = std::sync::Mutex::new(None::<Memory>);
    let rig = || {
        Rig::with(1, |clock| {
            Arc::new(kept.lock().expect("the data").get_or_insert_with(|| Memory::new(clock)).clone())
        })
    };
    let first = rig();
    says(&mut first.bot(WIPING), ANN, "!wipe logs");
    drop(first);
    let second = rig();
    let mut bot = second.bot(WIPING);
    assert_eq!(says(&mut bot, ANN, "yes"), ["wiped logs "]);
    says(&mut bot, ANN, "!drop");
    bot.handle.swap(vec![script("main", r#"command("keep", #{ confirm: true }, |m, a| m.reply("kept"));"#)]);
    assert_eq!(says(&mut bot, ANN, "yes"), ["There is no !drop any more."]);
}

#[test]
fn roles_are_of_addresses_and_never_of_nicks() {
    let rig = Rig::new();
    let mut bot =
        rig.bot(r#"command("teach", #{ allow: ["staff", "cat@example.org"] }, |m, a| m.reply("taught"));"#);
    assert_eq!(says(&mut bot, ANN, "!teach"), ["taught"]);
    assert_eq!(says(&mut bot, "anybody@example.net", "!teach"), ["taught"]);
    assert_eq!(says(&mut bot, "cat@example.org", "!teach"), ["taught"]);
    assert_eq!(says(&mut bot, BOB, "!teach"), ["You may not use !teach."]);
    let refused = ["You may not use !teach."];
    assert_eq!(
        bot.give(in_room("ann@example.org", "team@rooms.example.org/ann@example.org", "!teach")),
        refused
    );
    assert_eq!(bot.give(in_room("x", "ann@example.org", "!teach")), refused);
}

#[test]
fn help_tells_all_of_a_command() {
    let rig = Rig::new();
    let source = r#"
        command("roll <dice>", #{ help: "Roll dice", alias: ["r", "dice"], example: [["!roll 2d1", "You rolled 2"], ["!r 1d1", "You rolled 1"]] }, |m, a| m.reply("x"));
        command("flip", #{ example: ["!flip", "heads"] }, |m, a| m.reply("x"));"#;
    let mut bot = rig.bot(source);
    let expected = "!roll <dice>  Roll dice\nAlso: !r, !dice\nExample: !roll 2d1 → You rolled 2\nExample: !r 1d1 → You rolled 1";
    assert_eq!(says(&mut bot, ANN, "!help !dice"), [expected]);
    assert_eq!(says(&mut bot, ANN, "!help"), ["!roll <dice>  Roll dice\n!flip"]);
    let seen = inspect(&script("main", source), now()).expect("it loads");
    assert_eq!(seen.commands[1].examples, [("!flip".to_owned(), "heads".to_owned())]);
}

#[test]
fn commands_are_heard_behind_the_bots_name_in_rooms() {
    let rig = Rig::new();
    let mut bot = rig.bot(
        r#"command("ping", "", |m, a| m.reply("pong")); on("mention", |m| m.reply(`${m.text} | ${m.raw_text}`));"#,
    );
    assert_eq!(bot.give(in_room("ann", "id", "!ping")), ["pong"]);
    assert_eq!(bot.give(in_room("ann", "id", "Helper: !ping")), ["pong"]);
    assert_eq!(bot.give(in_room("ann", "id", "@helper, hello")), ["hello | @helper, hello"]);
    assert!(bot.give(in_room("ann", "id", "helpers: hello")).is_empty());
}

#[test]
fn what_is_heard_is_what_matches_where_it_listens() {
    let rig = Rig::new();
    let mut bot = rig.bot(
        r##"hear(#"(?i)\b(refund|money back)\b"#, |m, caps| m.reply(`${caps[1]} ${caps[0] == caps[1]} ${caps[5]}`));
            hear(#"hello (?<name>\w+)( there)?"#, #{ where: "any" }, |m, caps| m.reply(`${caps["name"]} ${caps[2]} ${caps.len()}`));
            hear("secret", #{ where: "direct" }, |m| m.reply("shh"));"##,
    );
    assert_eq!(says(&mut bot, ANN, "I want my Money Back"), ["Money Back true "]);
    assert_eq!(says(&mut bot, ANN, "hello bob, secret"), ["bob  3", "shh"]);
    assert!(says(&mut bot, ANN, "refunds").is_empty());
    assert!(bot.give(in_room("ann", "id", "a refund secret")).is_empty());
    assert_eq!(bot.give(in_room("ann", "id", "helper: a refund")), ["refund true "]);
    assert_eq!(bot.give(in_room("ann", "id", "hello eve there")), ["eve  there 3"]);
}

#[test]
fn priorities_count_across_hear_and_on() {
    let rig = Rig::new();
    let mut bot = rig.bot(
        r#"on("message", |m| m.reply("low")); on("message", #{ priority: 9 }, |m| m.reply("first"));
           hear("x", #{ priority: 5 }, |m, caps| { m.reply("heard"); m.stop(); });"#,
    );
    assert_eq!(says(&mut bot, ANN, "x"), ["first", "heard"]);
    assert_eq!(says(&mut bot, ANN, "y"), ["first", "low"]);
}

#[test]
fn handlers_may_be_for_some_rooms_only() {
    let rig = Rig::new();
    let mut bot = rig.bot(
        r#"on("room", #{ rooms: ["Team@rooms.example.org"] }, |m| m.reply("here"));
           on("room", #{ rooms: "else@rooms.example.org" }, |m| m.reply("there"));"#,
    );
    assert_eq!(bot.give(in_room("ann", "id", "hi")), ["here"]);
}

#[test]
fn wrong_options_are_refused_at_load() {
    for (source, why) in [
        (r#"hear("(", |m, caps| 0);"#, "unclosed group"),
        (r#"hear("(?=x)", |m, caps| 0);"#, "look-around"),
        (r#"hear("(a{1000}){1000}", |m, caps| 0);"#, "too large"),
        (r#"hear("a", #{ were: "any" }, |m, caps| 0);"#, "`were`"),
        (r#"hear("a", #{ where: "here" }, |m, caps| 0);"#, "`here`"),
        (r#"on("room", #{ rooms: [] }, |m| 0);"#, "`rooms` is empty"),
        (r#"on("room", #{ rooms: ["example.org"] }, |m| 0);"#, "no address of a room"),
        (r#"command("a", #{ cooldown: "soon" }, |m, a| 0);"#, "no span"),
        (r#"command("a", #{ cooldown: 0 }, |m, a| 0);"#, "one second"),
        (r#"command("a", #{ confirm: "" }, |m, a| 0);"#, "`confirm`"),
        (r#"command("a", #{ confirm: 1 }, |m, a| 0);"#, "`confirm`"),
        (r#"command("a", #{ example: "!a" }, |m, a| 0);"#, "`example`"),
        (r#"command("a", #{ example: [["!a"]] }, |m, a| 0);"#, "`example`"),
        (r#"command("a", #{ allow: "two words" }, |m, a| 0);"#, "names nobody"),
    ] {
        let failure = inspect(&script("main", source), now()).expect_err(source);
        assert_eq!((failure.kind, failure.line), (Kind::Declaration, 1), "{source}: {failure}");
        assert!(failure.message.contains(why), "{source}: {failure}");
    }
}

#[test]
fn a_long_text_is_heard_within_the_budget() {
    let rig = Rig::new();
    let source = r##"hear(#"(\w+\s)*(needle)?$"#, |m, caps| m.reply("heard")); hear("needle", |m| m.reply("found"));"##;
    let limits = Limits { operations: 1_000, memory: 512 * 1024, ..patient() };
    let uses = ScriptUse { limits, ..script("main", source) };
    let mut bot = rig.add("helper", vec![uses]);
    let text = format!("{}needle", "x".repeat(65_000));
    assert_eq!(says(&mut bot, ANN, &text), ["heard", "found"]);
}

#[test]
fn patterns_of_texts_find_and_replace_within_limits() {
    let rig = Rig::new();
    let mut bot = rig.bot(
        r##"on("message", |m| {
            let t = m.text;
            if t == "big" { let long = ""; long.pad(60000, 'x'); return m.reply(text::replace(long, "x", "12345")); }
            m.reply(`${text::find(t, #"\d+"#)} ${text::find(t, "zz")} ${text::replace(t, #"(?<a>\w)(\d)"#, "${a}-$2$$")} ${text::replace("abc", "", ".")} ${text::split("a, b,,c", ",")}`);
            let caps = text::captures(t, #"(?<word>[a-z])(\d)?"#);
            m.reply(`${caps} ${caps["word"]} ${caps[2]} ${text::captures(t, "zz")}`);
            caps["wurd"];
        });"##,
    );
    let failure = bot.fail(message(ANN, "a1 b2"));
    assert_eq!(failure.message, "the pattern has no group `wurd`");
    assert_eq!(bot.fail(message(ANN, "big")).kind, Kind::Size);
    let mut bot = rig.add("other", vec![script("main", r##"on("message", |m| m.reply(`${text::find(m.text, #"\d+"#)} ${text::replace(m.text, #"(?<a>\w)(\d)"#, "${a}-$2$$")} ${text::replace("abc", "", ".")} ${text::split("a, b,,c", ",")}`));"##)]);
    assert_eq!(says(&mut bot, ANN, "a1 b2"), ["1 a-1$ b-2$ .a.b.c. [\"a\", \"b\", \"c\"]"]);
}

#[test]
fn a_script_is_told_of_its_own_failures_once() {
    let rig = Rig::new();
    let mut bot = rig.bot(
        "on(\"message\", |m| { store::set(\"x\", 1); m.reply(\"lost\"); throw \"no\"; });\non(\"error\", |e| {\n    if e.message == \"no\" { bot::send(\"ops@example.org\", `${e.event} ${e.line} ${e.kind} ${e.file} ${store::get(\"x\")}`); }\n});",
    );
    let turned = bot.try_event(message(ANN, "hi"));
    assert_eq!(super::texts(&turned.actions), ["message 1 runtime scripts/main.rhai "]);
    assert_eq!((turned.failures.len(), turned.turns), (1, 2));

    let mut bot = rig.add(
        "looper",
        vec![script("main", r#"on("message", |m| throw "one"); on("error", |e| throw "two");"#)],
    );
    let turned = bot.try_event(message(ANN, "hi"));
    let said: Vec<&str> = turned.failures.iter().map(|failure| failure.message.as_str()).collect();
    assert_eq!(said, ["one", "two"]);
}

#[test]
fn the_contact_list_can_be_read() {
    let rig = Rig::new();
    let mut bot = rig.bot(
        r#"on("message", |m| { let c = bot::contact(m.who); m.reply(`${c.name} ${c.groups} ${c.state}`); });"#,
    );
    let ann = Contact {
        jid: jid("ann@example.org").to_bare(),
        name: Some("Ann".to_owned()),
        subscription: SubscriptionState::Both,
        ask: false,
        approved: false,
        groups: vec!["friends".to_owned()],
    };
    assert_eq!(says(&mut bot, ANN, "x"), [" [] "]);
    bot.give(Event::Roster(RosterChange::Loaded { items: vec![ann.clone()] }));
    assert_eq!(says(&mut bot, ANN, "x"), ["Ann [\"friends\"] both"]);
    let renamed = Contact { name: None, subscription: SubscriptionState::To, ..ann };
    bot.give(Event::Roster(RosterChange::Set(renamed)));
    assert_eq!(says(&mut bot, ANN, "x"), [" [\"friends\"] to"]);
    bot.give(Event::Roster(RosterChange::Removed(jid("ann@example.org").to_bare())));
    assert_eq!(says(&mut bot, ANN, "x"), [" [] "]);
}

/// The sample of the guide, as it is written there.
const HELPDESK: &str = r##"
const TEAM = option("team_room", "team@rooms.example", "where questions for people go");

command("faq [topic:rest]", "Look up an answer", |m, a| {
    if a.topic == () {
        let topics = store::keys("faq/").map(|k| k.sub_string(4));
        return m.reply("Topics: " + topics.join(", "));
    }
    let answer = store::get("faq/" + a.topic.to_lower());
    m.reply(answer ?? `Nothing on "${a.topic}". Try !human`);
});

command("learn <topic:word> <answer:rest>", #{ help: "Teach an answer", allow: ["staff"] }, |m, a| {
    store::set("faq/" + a.topic.to_lower(), a.answer);
    m.reply(`Learned "${a.topic}".`);
});

command("human", #{ help: "Ask a person", cooldown: "1m" }, |m, a| {
    m.ask("order_no", "What is your order number?", #{ timeout: "10m" });
});

on("answer:order_no", |m| {              // durable: found by name after a reload or restart
    let n = m.text;
    n.trim();
    if !n.matches(#"^\d+$"#) { return m.ask("order_no", "Digits only, please.", #{ timeout: "10m" }); }
    room(TEAM).say(`${m.from} asks about order ${n}`);
    m.reply("A person will write to you here.");
});

hear(#"(?i)\b(refund|money back)\b"#, |m, caps| {
    m.reply("About refunds: " + (store::get("faq/refund") ?? "ask !human"));
});
"##;

#[test]
fn the_helpdesk_of_the_guide_works() {
    let rig = Rig::new();
    let mut bot = rig.bot(HELPDESK);
    assert_eq!(says(&mut bot, BOB, "!learn refund Thirty days."), ["You may not use !learn."]);
    assert_eq!(says(&mut bot, BOB, "I want my money back"), ["About refunds: ask !human"]);
    assert_eq!(says(&mut bot, ANN, "!learn Refund Thirty days."), ["Learned \"Refund\"."]);
    assert_eq!(says(&mut bot, ANN, "!learn hours 9 to 17"), ["Learned \"hours\"."]);
    assert_eq!(says(&mut bot, BOB, "!faq"), ["Topics: hours, refund"]);
    assert_eq!(says(&mut bot, BOB, "!faq HOURS"), ["9 to 17"]);
    assert_eq!(says(&mut bot, BOB, "!faq dogs"), ["Nothing on \"dogs\". Try !human"]);
    assert_eq!(says(&mut bot, BOB, "a refund?"), ["About refunds: Thirty days."]);
    assert_eq!(says(&mut bot, BOB, "!human"), ["What is your order number?"]);
    assert_eq!(says(&mut bot, BOB, "!human"), ["Slow down: again in 1m."]);
    assert_eq!(says(&mut bot, BOB, "no refund yet"), ["Digits only, please."]);
    let handed_over = bot.handle_event(message(BOB, " 17 ")).actions;
    let said = super::sent(&handed_over);
    assert!(said.iter().any(|to| to.text == "A person will write to you here."), "{handed_over:?}");
    let for_team = format!("{handed_over:?}");
    assert!(for_team.contains("bob@example.org/pc asks about order 17"), "{for_team}");
    assert!(for_team.contains("team@rooms.example"), "{for_team}");
}
