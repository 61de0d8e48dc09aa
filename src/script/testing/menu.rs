//! The bot's commands in tests, as the menu of a person's client has them.

use rhai::{Array, Dynamic, EvalAltResult, Map, Module};

use crate::script::api::{Area, Function};
use crate::script::error::{Kind, Thrown};
use crate::script::host::set;
use crate::script::memory;
use crate::script::testing::chosen::{Answer, BUTTONS, Choice, Page};
use crate::script::testing::opening::text;
use crate::script::testing::people::Person;
use crate::script::testing::playing::{self, known};

type Checked<T> = Result<T, Box<EvalAltResult>>;

/// What only files that end in `.test.rhai` can call.
pub const AREA: Area = Area {
    title: "Tests: the menu",
    module: None,
    about: "The bot's commands as a person's client shows them (XEP-0050). A page is a map: `node`, `status` (\"executing\", \"completed\", \"canceled\" or \"refused\"), `note` and `note_type`, `title`, `text`, `fields` (each with `name`, `label`, `type`, `required`, `value`, `options`), `actions` (the buttons) and `execute` (the one that is pressed where none is named), `refused` (why), and `shown`, which is all of it as `bot:` lines of transcripts have it. What the bot sends beside is expected as ever.",
    objects: &[("user", "Person")],
    functions: &[
        Function::new(
            "user.menu() -> array",
            "The commands that the bot offers them: `node` and `name` of each.",
            MENU,
        ),
        Function::new("user.opens(command: string) -> map", "Begins a command. Gives its first page.", MENU),
        Function::new(
            "user.fills(values: map)",
            "Fills fields of the form that is open, by name or label: texts, numbers, `true` and `false`.",
            MENU,
        ),
        Function::new(
            "user.presses() -> map",
            "Sends the form with the button that is pressed where none is named. Gives the next page.",
            MENU,
        ),
        Function::new(
            "user.presses(button: string) -> map",
            "The same with this button: `next`, `prev`, `complete`, `cancel` or `execute`.",
            r#"test("cancelled", || { let t = sim("dice.rhai"); let ann = t.user("ann"); ann.opens("roll"); expect_eq(ann.presses("cancel").status, "canceled"); });"#,
        ),
    ],
    register,
};

const MENU: &str = r#"test("from the menu", || {
    let t = sim("dice.rhai", #{ seed: 1 });
    let ann = t.user("ann");
    assert(ann.menu().some(|it| it.node == "roll"));
    let page = ann.opens("roll");
    expect_eq(page.fields[0].name, "dice");
    ann.fills(#{ dice: "1d1" });
    let done = ann.presses();
    expect_eq(done.status, "completed");
    assert(done.note.contains("1d1"));
    t.expect_none();
});"#;

fn register(module: &mut Module) {
    set(module, "menu", |who: &mut Person| -> Checked<Array> {
        match choose(who, Choice::List)? {
            Answer::Commands(all) => Ok(all.into_iter().map(command).collect()),
            refused => playing::act(|playing| Err(playing.fail(refused.to_string(), Vec::new(), None))),
        }
    });
    set(module, "opens", |who: &mut Person, node: &str| -> Checked<Map> {
        choose(who, Choice::Open(node.trim_start_matches('!').to_owned())).map(page)
    });
    set(module, "fills", |who: &mut Person, values: Map| -> Checked<()> {
        for (field, value) in &values {
            let value = match value.as_bool() {
                Ok(yes) => yes.to_string(),
                Err(_) if value.is_int() || value.is_float() => value.to_string(),
                Err(_) => text(field, value)?,
            };
            choose(who, Choice::Fill { field: field.to_string(), value })?;
        }
        Ok(())
    });
    set(module, "presses", |who: &mut Person| choose(who, Choice::Press(None)).map(page));
    set(module, "presses", |who: &mut Person, button: &str| -> Checked<Map> {
        if !BUTTONS.contains(&button) {
            let thrown = Thrown::new(Kind::Runtime, "there is no such button");
            return Err(thrown.hint(format!("there are {}", BUTTONS.join(", "))).into());
        }
        choose(who, Choice::Press(Some(button.to_owned()))).map(page)
    });
}

/// Does it, and remembers it.
fn choose(who: &Person, choice: Choice) -> Checked<Answer> {
    playing::act(|playing| {
        playing.note(format!("* {}", choice.written(&who.jid)));
        let world = known(playing, who.sim)?;
        // The world is none of the script's memory.
        memory::uncounted(|| {
            let answer = world.stage.choose(&who.jid, &choice);
            world.collect();
            answer.map_err(|why| Thrown::new(Kind::Runtime, why))
        })
    })
}

fn command((node, name): (String, String)) -> Dynamic {
    let mut map = Map::new();
    map.insert("node".into(), node.into());
    map.insert("name".into(), name.into());
    map.into()
}

/// An answer as tests hold it.
fn page(answer: Answer) -> Map {
    let mut map = Map::new();
    map.insert("shown".into(), answer.to_string().into());
    match answer {
        Answer::Page(page) => fill(&mut map, &page),
        Answer::Refused { node, condition } => {
            map.insert("node".into(), node.into());
            map.insert("status".into(), "refused".into());
            map.insert("refused".into(), condition.into());
        }
        // What a step is answered with is one of the two above.
        Answer::Commands(_) | Answer::Filled => {}
    }
    map
}

fn fill(map: &mut Map, page: &Page) {
    let texts = |all: &[String]| -> Array { all.iter().map(|text| text.as_str().into()).collect() };
    map.insert("node".into(), page.node.as_str().into());
    map.insert("status".into(), page.status.as_str().into());
    let (kind, note) = page.note.clone().unwrap_or_default();
    map.insert("note".into(), note.into());
    map.insert("note_type".into(), kind.into());
    map.insert("actions".into(), texts(&page.actions).into());
    map.insert("execute".into(), page.execute.clone().unwrap_or_default().into());
    let Some(form) = &page.form else {
        map.insert("fields".into(), Array::new().into());
        return;
    };
    map.insert("title".into(), form.title.clone().unwrap_or_default().into());
    map.insert("text".into(), form.instructions.join("\n").into());
    let fields = form.fields.iter().map(|field| {
        let mut map = Map::new();
        map.insert("name".into(), field.var.clone().unwrap_or_default().into());
        map.insert("label".into(), field.label.clone().unwrap_or_default().into());
        map.insert("type".into(), field.kind().as_str().into());
        map.insert("required".into(), field.required.into());
        map.insert("value".into(), field.values.join("\n").into());
        let options: Vec<String> = field.options.iter().map(|option| option.value.clone()).collect();
        map.insert("options".into(), texts(&options).into());
        Dynamic::from(map)
    });
    map.insert("fields".into(), fields.collect::<Array>().into());
}
