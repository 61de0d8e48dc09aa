//! Every function has an example, every example runs, and the reference is what the tables say.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::{Rig, jid, message, plain, script};
use crate::event::room::{
    Affiliation, Departure, Invite, Lost, Occupant, Role, RoomChange, RoomEvent, RoomView, RoomsView,
};
use crate::event::{
    Bounce, ChatState, Class, Event, FileLink, Presence, Remark, RemarkKind, RosterChange, SubscriptionVerb,
    Timer,
};
use crate::script::api::{AREAS, reference_markdown};
use crate::script::inspect::inspect;
use crate::stanza::{ErrorKind, MessageKind, PresenceKind, Show, StanzaError};

#[test]
fn every_example_runs_and_uses_what_it_shows() {
    let rig = Rig::new();
    for area in AREAS {
        for function in area.functions {
            let signature = function.signature;
            assert!(!function.about.is_empty(), "{signature}");
            assert!(function.example.contains(function.name()), "the example of {signature} does not use it");
            // A name of its own: what one example asks, another cannot answer.
            let name = signature.replace(|c: char| !c.is_alphanumeric(), "-");
            let mut uses = script("main", function.example);
            uses.permissions.shared = true;
            uses.permissions.bots = vec!["*".to_owned()];
            // The examples of `peer::` talk to it.
            let helper = rig.bot("");
            let mut bot = rig.add(&name, vec![uses]);
            bot.handle.show_rooms(den());
            for event in events().into_iter().chain(room_events()) {
                let turned = bot.try_event(event);
                assert!(turned.failures.is_empty(), "{signature}: {}", turned.failures[0]);
            }
            bot.handle.remove();
            helper.handle.remove();
        }
    }
}

#[test]
fn every_event_has_an_example_that_runs() {
    for (event, _) in crate::script::declare::EVENTS {
        assert!(crate::script::api::example_of(event).is_some(), "no example handles `{event}`");
    }
}

#[test]
fn every_registered_function_is_in_the_tables() {
    let documented: BTreeSet<(Option<&str>, &str)> =
        AREAS.iter().flat_map(|area| area.functions.iter().map(|f| (area.module, f.name()))).collect();
    for (area, registered) in AREAS.iter().zip(crate::script::api::modules()) {
        let signatures = registered.module.gen_fn_signatures_with_mapper(|text| text.into());
        for signature in signatures {
            let name = signature.split(['(', ' ']).next().unwrap_or_default().trim_start_matches("get$");
            let operator = !name.starts_with(|c: char| c.is_alphabetic());
            if operator || name.is_empty() || ["to_string", "to_debug", "index$get$"].contains(&name) {
                continue;
            }
            assert!(
                documented.contains(&(area.module, name)),
                "`{signature}` of {} is not documented",
                area.title
            );
        }
    }
}

#[test]
fn the_reference_in_the_docs_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/script-api.md");
    if std::env::var_os("RHAPSODE_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder");
        std::fs::write(&path, reference_markdown()).expect("the page is written");
    }
    let found = std::fs::read_to_string(&path).expect("docs/script-api.md");
    assert!(
        found == reference_markdown(),
        "docs/script-api.md is stale: run this test with RHAPSODE_BLESS=1"
    );
}

#[test]
fn the_shipped_scripts_load_and_call_only_what_exists() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).expect("scripts/") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "rhai") {
            continue;
        }
        let source = std::fs::read_to_string(&path).expect("readable");
        let compiled =
            crate::script::loader::compile("shipped", &path, &source).unwrap_or_else(|f| panic!("{f}"));
        let uses = crate::script::ScriptUse { compiled, config: json!({}), ..script("shipped", "") };
        inspect(&uses, super::now()).unwrap_or_else(|failure| panic!("{failure}"));
        count += 1;
    }
    assert!(count >= 4, "only {count} scripts in {}", folder.display());
}

#[test]
fn the_shipped_scripts_do_what_they_say() {
    let rig = Rig::new();
    let load = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(format!("{name}.rhai"));
        script(name, &std::fs::read_to_string(path).expect("a shipped script"))
    };
    assert_eq!(rig.add("echo", vec![load("echo")]).ask("hello"), ["hello"]);

    let mut greeter = rig.add("greeter", vec![load("greeter")]);
    assert_eq!(greeter.ask("hi").len(), 1);
    assert!(greeter.ask("hi again").is_empty(), "it greets once a day");

    let mut dice = rig.add("dice", vec![load("dice")]);
    let rolled = dice.ask("!roll 2d6");
    assert!(rolled[0].starts_with("2d6: "), "{rolled:?}");
    assert_eq!(dice.ask("!roll banana").len(), 1);

    let mut reminder = rig.add("reminder", vec![load("reminder")]);
    assert_eq!(reminder.ask("!remind 10m tea"), ["#1, due 2026-03-01 12:10 UTC"]);
    assert!(reminder.ask("!reminders")[0].contains("tea"));
    rig.advance(Duration::from_secs(601));
    reminder.told.wait_texts(|said| said.iter().any(|text| text == "ann: tea"));
    assert_eq!(reminder.ask("!reminders"), ["None."]);
}

fn events() -> Vec<Event> {
    let ann = jid("ann@example.org/phone");
    let subscription =
        |verb| Event::Subscription { verb, from: ann.to_bare(), text: Some("hello".to_owned()) };
    let error = StanzaError::new(ErrorKind::Cancel, "item-not-found");
    let timer = Timer {
        id: 900_000,
        script: "main".to_owned(),
        name: "tea".to_owned(),
        due: Timestamp::UNIX_EPOCH,
        late_s: 0,
        data: json!({ "to": "ann@example.org" }),
    };
    let headline = crate::event::Message {
        kind: MessageKind::Headline,
        class: Class::Live,
        ..plain("ann@example.org", "news")
    };
    vec![
        message("ann@example.org/phone", "hello there\nsecond line"),
        message("ann@example.org/phone", "!roll 6"),
        Event::Message(Box::new(headline)),
        Event::Presence(Box::new(Presence {
            from: ann.clone(),
            kind: PresenceKind::Available,
            show: Some(Show::Dnd),
            status: None,
            priority: -1,
        })),
        subscription(SubscriptionVerb::Subscribe),
        subscription(SubscriptionVerb::Unsubscribe),
        subscription(SubscriptionVerb::Subscribed),
        subscription(SubscriptionVerb::Unsubscribed),
        Event::Roster(RosterChange::Removed(ann.to_bare())),
        Event::Online { jid: jid("helper@example.org/x").to_full().expect("full"), resumed: false },
        Event::Offline { reason: "gone".to_owned(), retry_s: Some(5) },
        Event::Bounce(Bounce { from: Some(ann.clone()), id: None, error }),
        Event::Receipt { from: ann.clone(), id: "x".to_owned() },
        Event::ChatState { from: ann.clone(), state: ChatState::Composing },
        remark(RemarkKind::Reactions(vec!["👍".to_owned()])),
        remark(RemarkKind::Retracted),
        remark(RemarkKind::Displayed),
        Event::Message(Box::new(crate::event::Message {
            replaces: Some("m1".to_owned()),
            ..plain("ann@example.org/phone", "corrected")
        })),
        Event::File(FileLink {
            from: ann.clone(),
            place: ann,
            url: "https://example.org/a".to_owned(),
            description: None,
            name: Some("a.png".to_owned()),
            mime: Some("image/png".to_owned()),
            size: Some(42),
        }),
        Event::Request(Box::new(crate::event::Request {
            token: "t1".to_owned(),
            from: jid("ann@example.org/phone"),
            set: false,
            payload: crate::xml::Element::new("query", "urn:example:stock").with_attr("item", "tea"),
        })),
        Event::Timer(timer),
    ]
}

fn remark(what: RemarkKind) -> Event {
    let from = jid("ann@example.org/phone");
    Event::Remark(Box::new(Remark {
        place: from.clone(),
        from,
        room: None,
        nick: "ann".to_owned(),
        who: "ann@example.org".to_owned(),
        identity: crate::event::room::Identity::Real,
        about: "m1".to_owned(),
        what,
    }))
}

const DEN: &str = "den@rooms.example.org";

fn ann() -> Occupant {
    let (who, identity) =
        crate::event::room::identify(&jid(DEN).to_bare(), "ann", Some(&jid("ann@example.org")), None);
    Occupant {
        nick: "ann".to_owned(),
        role: Role::Moderator,
        affiliation: Affiliation::Owner,
        real_jid: Some(jid("ann@example.org")),
        occupant_id: None,
        who,
        identity,
        own: false,
    }
}

/// A room with `ann`, whom it shows.
fn den() -> Arc<RoomsView> {
    let view = RoomView {
        nick: "helper".to_owned(),
        joined: true,
        standing: "in".to_owned(),
        subject: None,
        occupants: Arc::new([("ann".to_owned(), Arc::new(ann()))].into()),
    };
    Arc::new([(jid(DEN).to_bare(), Arc::new(view))].into())
}

fn room_events() -> Vec<Event> {
    let room = jid(DEN).to_bare();
    let said = |text: &str| {
        Event::Message(Box::new(crate::event::Message {
            room: Some(room.clone()),
            place: room.clone().into(),
            kind: MessageKind::Groupchat,
            own_nick: Some("helper".to_owned()),
            role: Some(Role::Moderator),
            affiliation: Some(Affiliation::Owner),
            real_jid: Some(jid("ann@example.org")),
            nick: "ann".to_owned(),
            stanza_id: Some("s1".to_owned()),
            ..plain("den@rooms.example.org/ann", text)
        }))
    };
    let change = |change| Event::Room(Box::new(RoomEvent { room: room.clone(), change }));
    let occupant = ann();
    let lost = Lost { reason: "kicked".to_owned(), code: 307, retry_s: Some(5), venue: None };
    let left = RoomChange::Left { occupant: ann(), departure: Departure::Kicked, by: None, text: None };
    let role = RoomChange::Role {
        occupant: ann(),
        role: Role::Visitor,
        affiliation: Affiliation::None,
        by: Some("bob".to_owned()),
        text: None,
    };
    vec![
        said("helper: hello"),
        said("spam"),
        said("casino"),
        said("noise"),
        said("!quiet"),
        change(RoomChange::Entered { nick: "helper".to_owned(), created: true }),
        change(RoomChange::Joined(occupant)),
        change(left),
        change(RoomChange::Renamed { occupant: ann(), old: "anna".to_owned() }),
        change(role),
        change(RoomChange::Subject { text: "tea".to_owned(), nick: None }),
        change(RoomChange::Lost(lost)),
        Event::Invite(Box::new(Invite {
            room: room.clone(),
            from: Some(jid("boss@example.org/x")),
            direct: true,
            reason: None,
            password: None,
            accepted: false,
        })),
    ]
}
