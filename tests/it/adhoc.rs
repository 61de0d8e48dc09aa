//! Commands from a menu, between whole processes on the embedded server.

use std::time::Duration;

use rhapsode::action::{Action, RequestKind};
use rhapsode::event::{Event, RequestFailed};
use rhapsode::xep::{adhoc, disco};
use rhapsode::xml::{self, Element, writer};

use crate::support::person::Person;
use crate::support::world::World;

const BOT: &str = "helper@world.localhost/desk";
const SCRIPT: &str = r#"
command("roll <sides:int>", "Roll dice", |m, a| m.reply(`rolled ${a.sides}`));
command("halt", #{ help: "Stop it", allow: ["admin"] }, |m| m.reply("stopped"));
command("later", "Answer twice", |m| { m.reply("soon"); timer::after("1s", || m.reply("now")); });
"#;

#[test]
fn f2_a_menu_is_used_from_another_client_and_can_be_turned_off() {
    let mut world = World::new();
    world.script("helper", SCRIPT);
    let keys = "scripts: [scripts/helper.rhai]\nresource: desk\nadmins: [ann@world.localhost]";
    world.bot("helper", keys);
    let process = world.online();
    let (mut ann, mut bob) = (world.person("ann"), world.person("bob"));
    assert_eq!(menu(&mut ann), ["roll", "halt", "later"]);
    assert_eq!(menu(&mut bob), ["roll", "later"]);
    let form = step(&mut bob, "node='roll'", "").expect("a form");
    let session = form.attr("sessionid").expect("a session").to_owned();
    let sides = "<x xmlns='jabber:x:data' type='submit'><field var='sides'><value>6</value></field></x>";
    let goes_on = format!("node='roll' sessionid='{session}'");
    assert_eq!(step(&mut ann, &goes_on, sides).expect_err("not hers"), "bad-request");
    assert_eq!(note(&step(&mut bob, &goes_on, sides).expect("done")), "rolled 6");
    assert_eq!(step(&mut bob, "node='halt'", "").expect_err("not his"), "forbidden");
    assert_eq!(note(&step(&mut ann, "node='halt'", "").expect("hers")), "stopped");
    assert_eq!(note(&step(&mut ann, "node='later'", "").expect("done")), "soon");
    assert_eq!(ann.text("helper"), "now");

    world.bot("helper", &format!("{keys}\nmenu: false"));
    world.write();
    process.reloaded();
    assert_eq!(step(&mut ann, "node='halt'", "").expect_err("turned off"), "service-unavailable");
    assert_eq!(process.account("helper")["connects"], 1);
}

fn menu(person: &mut Person) -> Vec<String> {
    let query = Element::new("query", disco::ITEMS).with_attr("node", adhoc::NS);
    let query = ask(person, RequestKind::Get, query).expect("a list");
    query.children().filter_map(|item| item.attr("node")).map(str::to_owned).collect()
}

fn step(person: &mut Person, attributes: &str, inner: &str) -> Result<Element, String> {
    let command = format!("<command xmlns='{}' {attributes}>{inner}</command>", adhoc::NS);
    ask(person, RequestKind::Set, xml::parse(&command).expect("XML"))
}

fn ask(person: &mut Person, kind: RequestKind, payload: Element) -> Result<Element, String> {
    let token = writer::to_string(&payload).expect("XML");
    let to = Some(BOT.parse().expect("an address"));
    let timeout = Duration::from_secs(20);
    person.act(Action::Request { token: token.clone(), to, kind, payload, timeout });
    person.hear("an answer", |event| match event {
        Event::Answer(answer) if answer.token == token => Some(match answer.outcome {
            Ok(payload) => Ok(payload.expect("a payload")),
            Err(RequestFailed::Error(error)) => Err(error.condition.into_owned()),
            Err(other) => panic!("{other:?}"),
        }),
        _ => None,
    })
}

fn note(command: &Element) -> String {
    assert_eq!(command.attr("status"), Some("completed"));
    command.child_text("note", adhoc::NS).unwrap_or_default()
}
