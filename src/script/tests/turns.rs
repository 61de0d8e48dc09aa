//! One event is one turn.

use std::time::Duration;

use serde_json::json;

use super::{Rig, compiled, configured, message, now, patient, plain, script, sent, texts};
use crate::action::Action;
use crate::event::{Answer, Class, Event, SubscriptionVerb};
use crate::script::ScriptUse;
use crate::script::error::Kind;
use crate::script::inspect::inspect;
use crate::stanza::MessageKind;
use crate::xml::Element;

#[test]
fn a_message_is_answered_with_an_id_that_follows_from_its_key() {
    let rig = Rig::new();
    let source = r#"on("message", |m| { m.reply(`you said: ${m.text}`); m.reply("twice"); });"#;
    let mut bot = rig.bot(source);
    let first = sent(&bot.handle_event(message("ann@example.org/phone", "hello")).actions);
    assert_eq!(first[0].text, "you said: hello");
    assert_eq!(first[0].to.as_str(), "ann@example.org/phone");
    assert_eq!(first[0].id.len(), 20);
    assert_ne!(first[0].id, first[1].id);

    let again = Rig::new();
    let mut bot = again.bot(source);
    assert_eq!(sent(&bot.handle_event(message("ann@example.org/phone", "hello")).actions), first);
    let next = sent(&bot.handle_event(message("ann@example.org/phone", "hello")).actions);
    assert_ne!(next[0].id, first[0].id);
}

#[test]
fn a_turn_sees_its_own_writes_and_later_turns_see_them_too() {
    let rig = Rig::new();
    let mut bot = rig.bot(
        r#"on("message", |m| {
            let n = store::incr("n");
            store::set("a/" + n, m.text);
            if n == 2 { store::del("a/1"); }
            m.reply(`${n} ${store::get("a/" + n)} ${store::keys("a/")} ${store::get("none", "-")} ${store::once("x")}`);
        });"#,
    );
    assert_eq!(bot.ask("p"), ["1 p [\"a/1\"] - true"]);
    assert_eq!(bot.ask("q"), ["2 q [\"a/2\"] - false"]);
}

#[test]
fn a_turn_that_fails_leaves_nothing_behind_and_says_where() {
    let rig = Rig::new();
    let mut bot = rig.bot(
        "fn deeper(m) {\n    m.replly(\"x\");\n}\non(\"message\", |m| {\n    if m.text == \"count\" { m.reply(store::get(\"n\", 0)); m.reply(timer::list().len()); return; }\n    store::incr(\"n\");\n    timer::at(\"1h\", \"t\");\n    m.reply(\"lost\");\n    deeper(m);\n});",
    );
    let failure = bot.fail(message("ann@example.org", "break"));
    assert_eq!((failure.file.as_str(), failure.line, failure.column), ("scripts/main.rhai", 2, 7));
    assert_eq!(failure.kind, Kind::Runtime);
    assert!(failure.message.contains("replly"), "{failure}");
    assert_eq!(failure.hint.as_deref(), Some("did you mean `reply`?"));
    assert_eq!(failure.event.as_deref(), Some("message"));
    assert_eq!(failure.chain[0].function, "deeper");
    assert_eq!(failure.chain[0].line, 9);
    assert_eq!(bot.ask("count"), ["0", "0"]);
}

#[test]
fn one_script_that_fails_does_not_stop_the_others() {
    let rig = Rig::new();
    let mut bot = rig.add(
        "helper",
        vec![
            script("bad", r#"on("message", |m| throw "no");"#),
            script("good", r#"on("message", |m| m.reply("yes"));"#),
        ],
    );
    let turned = bot.try_event(message("ann@example.org", "hi"));
    assert_eq!(texts(&turned.actions), ["yes"]);
    assert_eq!((turned.failures.len(), turned.turns), (1, 2));
    assert_eq!(turned.failures[0].message, "no");
}

#[test]
fn constants_settings_and_functions_are_seen_where_the_guide_says() {
    let rig = Rig::new();
    let source = r#"
        const MAX = option("max", 10, "how many");
        option("room", "team@rooms.example.org", "where");
        fn inside() { `${global::MAX} ${config.room}` }
        let calls = 0;
        on("message", |m| { calls += 1; m.reply(`${MAX} ${config.max} ${inside()} ${calls} ${global::LATE}`); });
        const LATE = "late";
    "#;
    let mut bot = rig.add("helper", vec![configured(source, json!({ "max": 5 }))]);
    assert_eq!(bot.ask("hi"), ["5 5 5 team@rooms.example.org 1 late"]);
    assert_eq!(bot.ask("hi"), ["5 5 5 team@rooms.example.org 2 late"]);
}

#[test]
fn settings_of_the_wrong_type_or_name_park_the_script() {
    let source = r#"option("max_len", 400, "longest");"#;
    let load = |config| {
        let uses = ScriptUse { config, ..script("main", source) };
        inspect(&uses, now()).expect_err("refused")
    };
    let failure = load(json!({ "max_len": "many" }));
    assert_eq!((failure.kind, failure.line), (Kind::Config, 1));
    assert!(failure.message.contains("is a int") || failure.message.contains("is an int"), "{failure}");
    let failure = load(json!({ "max_len": 3, "max_lem": 4 }));
    assert_eq!(failure.hint.as_deref(), Some("did you mean `max_len`?"));
}

#[test]
fn declarations_belong_to_the_top_level_and_effects_to_handlers() {
    let rig = Rig::new();
    let mut bot = rig.bot(r#"on("message", |m| on("message", |m| m.reply("never")));"#);
    assert_eq!(bot.fail(message("ann@example.org", "x")).kind, Kind::Declaration);
    for source in [
        r#"bot::send("ann@example.org", "at load");"#,
        r#"store::set("k", 1);"#,
        r#"on("mesage", |m| m.reply("x"));"#,
        r#"on("message", |m, n, o| m.reply("x"));"#,
        r#"on("message", #{ priorty: 1 }, |m| m.reply("x"));"#,
        "let x = 1; if x == 1 { return; } x = 2;",
    ] {
        let failure = inspect(&script("main", source), now()).expect_err(source);
        assert_eq!(failure.kind, Kind::Declaration, "{failure}");
    }
}

#[test]
fn handlers_run_by_priority_and_can_stop_the_event() {
    let rig = Rig::new();
    let mut bot = rig.add(
        "helper",
        vec![
            script("a", r#"on("message", |m| m.reply("low")); on("message", #{ priority: 5 }, |m| { m.reply("high"); if m.text == "stop" { m.stop(); } });"#),
            script("b", r#"on("message", |m| m.reply("other"));"#),
        ],
    );
    assert_eq!(bot.ask("go"), ["high", "low", "other"]);
    assert_eq!(bot.ask("stop"), ["high"]);
}

#[test]
fn own_old_and_copied_messages_are_only_for_those_who_ask() {
    let rig = Rig::new();
    let mut bot = rig.bot(
        r#"on("message", |m| m.reply("live"));
           on("message", #{ delayed: true, carbons: true, own: true }, |m| m.reply("all"));"#,
    );
    let mut of = |class, from| {
        let given = crate::event::Message { class, ..plain(from, "x") };
        bot.give(Event::Message(Box::new(given)))
    };
    assert_eq!(of(Class::Live, "ann@example.org"), ["live", "all"]);
    assert_eq!(of(Class::Delayed, "ann@example.org"), ["live", "all"]);
    assert_eq!(of(Class::History, "ann@example.org"), ["all"]);
    assert_eq!(of(Class::Carbon { sent: true }, "helper@example.org/pc"), ["all"]);
    assert_eq!(of(Class::Live, "helper@example.org/pc"), ["all"]);
}

#[test]
fn rooms_have_their_own_events() {
    let rig = Rig::new();
    let mut bot = rig.bot(
        r#"on("message", |m| m.reply("direct")); on("room", |m| m.reply("room")); on("mention", |m| m.reply("mention")); on("pm", |m| m.reply("pm"));"#,
    );
    let mut of = |kind, text: &str| {
        let room = super::jid("team@rooms.example.org").to_bare();
        let given = crate::event::Message {
            kind,
            room: Some(room.clone()),
            place: room.into(),
            ..plain("team@rooms.example.org/ann", text)
        };
        sent(&bot.handle_event(Event::Message(Box::new(given))).actions)
    };
    let talk = of(MessageKind::Groupchat, "hello all");
    assert_eq!((talk.len(), talk[0].text.as_str(), talk[0].kind), (1, "room", MessageKind::Groupchat));
    assert_eq!(of(MessageKind::Groupchat, "helper: hello").len(), 2);
    assert_eq!(of(MessageKind::Chat, "psst")[0].text, "pm");
}

#[test]
fn timers_survive_in_the_store_and_come_once() {
    let rig = Rig::new();
    let mut bot = rig.bot(
        r#"on("message", |m| {
            if m.text == "cancel" { let t = timer::list("tea")[0]; m.reply(`${timer::cancel(t.id)} ${timer::cancel(t.id)}`); return; }
            let id = timer::at(m.text, "tea", #{ to: m.place });
            m.reply(`${timer::find(id).name} ${timer::list().len()}`);
        });
        on("timer:tea", |t| bot::send(t.data.to, `tea ${t.late_s} ${time::show(t.due)}`));"#,
    );
    assert_eq!(bot.ask("10m"), ["tea 1"]);
    assert_eq!(bot.ask("20m"), ["tea 2"]);
    rig.advance(Duration::from_secs(660));
    let said = bot.told.wait_texts(|said| said.iter().any(|text| text.starts_with("tea 60 ")));
    assert_eq!(said.last().map(String::as_str), Some("tea 60 2026-03-01 12:10 UTC"));
    assert_eq!(bot.ask("cancel"), ["true false"]);
    rig.advance(Duration::from_secs(3600));
    assert_eq!(bot.ask("1h"), ["tea 1"]);
    let said = bot.told.wait_texts(|_| true);
    assert_eq!(said.iter().filter(|text| text.starts_with("tea 60")).count(), 1);
}

#[test]
fn repetitions_and_delays_follow_the_clock() {
    let rig = Rig::new();
    let mut bot = rig.bot(
        r#"let n = 0;
        every("1m", || { n += 1; bot::send("ann@example.org", `tick ${n}`); });
        on("message", |m| {
            timer::after("5s", || m.reply("after"));
            let gone = timer::after("5s", || m.reply("never"));
            timer::cancel(gone);
        });"#,
    );
    bot.ask("go");
    rig.advance(Duration::from_secs(6));
    bot.told.wait_texts(|said| said == ["after"]);
    rig.advance(Duration::from_secs(60));
    bot.told.wait_texts(|said| said.contains(&"tick 1".to_owned()));
    rig.advance(Duration::from_secs(600));
    bot.told.wait_texts(|said| said.contains(&"tick 2".to_owned()));
    // A long sleep is made up for once, not ten times.
    bot.ask("go");
    assert!(!bot.told.wait_texts(|_| true).contains(&"tick 3".to_owned()));
}

#[test]
fn requests_come_back_to_the_closure_or_by_name() {
    let rig = Rig::new();
    let mut bot = rig.bot(
        r#"on("message", |m| {
            bot::iq("get", m.from, "<ping xmlns='urn:xmpp:ping'/>", |a| m.reply(`closure ${a.ok} ${a.error}`));
            bot::iq("get", m.from, "<query xmlns='jabber:iq:version'/>", "version", #{ to: m.place });
        });
        on("answer:version", |a| bot::send(a.data.to, `name ${a.ok} ${a.xml.child("name").text}`));"#,
    );
    let turned = bot.handle_event(message("ann@example.org/pc", "ask"));
    let tokens: Vec<String> = turned
        .actions
        .iter()
        .filter_map(|(_, action)| match action {
            Action::Request { token, .. } => Some(token.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(tokens.len(), 2);
    let failed = Answer { token: tokens[0].clone(), outcome: Err(crate::event::RequestFailed::Timeout) };
    assert_eq!(bot.give(Event::Answer(failed.clone())), ["closure false timeout"]);
    assert!(bot.give(Event::Answer(failed)).is_empty(), "an answer is told once");
    let name = Element::new("name", "jabber:iq:version").with_text("client");
    let payload = Element::new("query", "jabber:iq:version").with_child(name);
    let answered = Answer { token: tokens[1].clone(), outcome: Ok(Some(payload)) };
    assert_eq!(bot.give(Event::Answer(answered)), ["name true client"]);
}

#[test]
fn subscriptions_are_answered_and_other_actions_queued() {
    let rig = Rig::new();
    let mut bot = rig.bot(
        r#"on("subscribe", |c| { c.approve(); bot::contact(c.from).subscribe(); bot::status("away", "out"); });"#,
    );
    let from = super::jid("ann@example.org").to_bare();
    let event = Event::Subscription { verb: SubscriptionVerb::Subscribe, from: from.clone(), text: None };
    let actions: Vec<Action> =
        bot.handle_event(event).actions.into_iter().map(|(_, action)| action).collect();
    assert_eq!(actions[0], Action::Subscription { to: from.clone(), verb: SubscriptionVerb::Subscribed });
    assert_eq!(actions[1], Action::Subscription { to: from, verb: SubscriptionVerb::Subscribe });
    assert!(matches!(&actions[2], Action::Presence { status: Some(text), .. } if text == "out"));
}

#[test]
fn imports_stay_in_the_folder_and_change_the_version() {
    let folder = std::env::temp_dir().join(format!("rhapsode-imports-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("lib")).expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).expect("a file");
    write("lib/words.rhai", "fn shout(t) { t.to_upper() + \"!\" }");
    let main = folder.join("main.rhai");
    let source = "import \"lib/words\" as words;\non(\"message\", |m| m.reply(words::shout(m.text)));";
    let first = crate::script::loader::compile("main", &main, source).expect("compiles");
    assert_eq!(first.imports(), [folder.join("lib/words.rhai")]);
    let rig = Rig::new();
    let uses = ScriptUse { compiled: first.clone(), ..script("main", "") };
    assert_eq!(rig.add("helper", vec![uses]).ask("hi"), ["HI!"]);

    write("lib/words.rhai", "fn shout(t) { t + \"?\" }");
    let second = crate::script::loader::compile("main", &main, source).expect("compiles");
    assert_ne!(first.version(), second.version());

    write("lib/broken.rhai", "fn x( {");
    for (name, kind) in [
        ("lib/broken", Kind::Compile),
        ("../secret", Kind::Import),
        ("/etc/passwd", Kind::Import),
        ("none", Kind::Import),
    ] {
        let source = format!("import \"{name}\" as x;");
        let failure = crate::script::loader::compile("main", &main, &source).expect_err(name);
        assert_eq!(failure.kind, kind, "{failure}");
    }
    std::fs::remove_dir_all(&folder).expect("the folder goes");
}

#[test]
fn inspecting_lists_declarations() {
    let source = "option(\"n\", 3, \"how many\");\ncommand(\"roll <d:word>\", \"Roll\", |m, a| m.reply(a.d));\nevery(\"15m\", || {});\non(\"message\", |m| {\n    m.repply(\"x\");\n    store::gett(\"y\");\n    m.text.to_upper();\n});";
    let seen = inspect(&ScriptUse { limits: patient(), ..script("main", source) }, now()).expect("loads");
    assert_eq!(seen.events, [("message".to_owned(), 4)]);
    assert_eq!((seen.commands[0].usage.as_str(), seen.commands[0].line), ("!roll <d>", 2));
    assert_eq!((seen.options[0].name.as_str(), seen.every[0].1), ("n", 3));
}

#[test]
fn compile_errors_have_a_place_and_words() {
    let wrong = |source: &str| {
        crate::script::loader::compile("main", std::path::Path::new("m.rhai"), source).expect_err(source)
    };
    let failure = wrong("on(\"message\", |m| {\n    let x = ;\n});");
    assert_eq!((failure.kind, failure.line), (Kind::Compile, 2));
    let failure = wrong("on(\"message\", |m| m.reply(greting));");
    assert_eq!(failure.kind, Kind::Compile);
    assert!(failure.message.contains("greting"), "{failure}");
    assert_eq!(wrong("eval(\"1\")").kind, Kind::Compile);
    assert_eq!(wrong(&format!("// {}", "x".repeat(200_000))).kind, Kind::Size);
    assert_eq!(compiled("let x = 1;").version(), compiled("let x = 1;").version());
}

#[test]
fn what_the_store_would_refuse_fails_in_its_turn() {
    let rig = Rig::new();
    // A line feed takes two bytes as JSON.
    let source = r#"on("message", |m| {
        let s = ""; s.pad(if m.text == "large" { 40000 } else { 30000 }, '\n');
        if m.text == "timer" { s += s; timer::at("1h", "t", s); }
        try { store::set("k", s); } catch { m.reply("refused"); return; }
        m.reply("kept");
    });"#;
    let mut bot = rig.bot(source);
    assert_eq!(bot.ask("small"), ["kept"]);
    assert_eq!(bot.ask("large"), ["refused"]);
    assert!(bot.fail(super::message("ann@example.org", "timer")).message.contains("timer `t`"));
}
