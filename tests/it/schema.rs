//! The JSON Schema of `bots.yaml` as a validator of others reads it: editors show what it says.

use std::fs;
use std::path::{Path, PathBuf};

use boon::{Compiler, Draft, SchemaIndex, Schemas};
use rhapsode::config::options::{ScriptOption, json_schema_with};
use rhapsode::config::{self, Surroundings};
use rhapsode::diagnostic::Diagnostic;
use serde_json::{Value, json};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn the_schema_is_one_of_draft_seven() {
    let mut schemas = Schemas::new();
    let mut compiler = Compiler::new();
    compiler.set_default_draft(Draft::V7);
    let schema = json_schema_with(&[]);
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
    compiler
        .add_resource("meta.json", json!({ "$ref": "http://json-schema.org/draft-07/schema#" }))
        .expect("JSON");
    let meta = compiler.compile("meta.json", &mut schemas).expect("the schema of schemas");
    if let Err(error) = schemas.validate(&schema, meta) {
        panic!("{error:#}");
    }
}

#[test]
fn the_shipped_file_fits() {
    let editor = Editor::new(&[]);
    for file in ["bots.yaml", "tests/check/project/bots.yaml"] {
        let text = fs::read_to_string(Path::new(ROOT).join(file)).expect("the file");
        assert_eq!(editor.complaint(&text), None, "{file}");
    }
}

#[test]
fn what_the_program_reads_fits_and_the_other_way_round() {
    let editor = Editor::new(&[]);
    let project = Project::new("good");
    let mut told = Vec::new();
    for (name, text) in GOOD {
        told.extend(editor.complaint(text).map(|complaint| format!("{name}: {complaint}")));
        let errors = project.read(text).into_iter().filter(Diagnostic::is_error);
        told.extend(errors.map(|error| format!("{name}: {error:?}")));
    }
    assert!(told.is_empty(), "{}", told.join("\n"));
    assert!(GOOD.len() >= 12, "{}", GOOD.len());
}

#[test]
fn what_the_program_refuses_for_its_shape_does_not_fit() {
    let editor = Editor::new(&[]);
    let project = Project::new("bad");
    for (place, text) in BAD {
        let told = editor.complaint(text).unwrap_or_else(|| panic!("the schema takes this:\n{text}"));
        assert!(told.contains(place), "`{place}` is not where it is told:\n{text}\n{told}");
        assert!(project.read(text).iter().any(Diagnostic::is_error), "the program takes this:\n{text}");
    }
}

#[test]
fn options_of_scripts_are_known_by_name_and_type() {
    let option = |name: &str, default: Value| ScriptOption {
        name: name.to_owned(),
        default,
        help: "what it is for".to_owned(),
    };
    let editor = Editor::new(&[option("greeting", json!("hi")), option("most", json!(3))]);
    let with = |config: &str| format!("{HEAD}    config: {config}\n");
    assert_eq!(editor.complaint(&with("{ greeting: hello, most: 5 }")), None);
    for config in ["{ greeting: [hello] }", "{ most: many }"] {
        assert!(editor.complaint(&with(config)).is_some(), "{config}");
    }
}

/// What an editor does with the schema.
struct Editor(Schemas, SchemaIndex);

impl Editor {
    fn new(options: &[ScriptOption]) -> Self {
        let mut schemas = Schemas::new();
        let mut compiler = Compiler::new();
        compiler.set_default_draft(Draft::V7);
        compiler.add_resource("bots.json", json_schema_with(options)).expect("JSON");
        let index = compiler.compile("bots.json", &mut schemas).unwrap_or_else(|error| panic!("{error:#}"));
        Self(schemas, index)
    }

    /// What it underlines in a file, with the places.
    fn complaint(&self, text: &str) -> Option<String> {
        let mut yaml: serde_yaml::Value =
            serde_yaml::from_str(text).unwrap_or_else(|error| panic!("{error}:\n{text}"));
        yaml.apply_merge().expect("maps are merged");
        let value = serde_json::to_value(yaml).expect("keys are texts");
        self.0.validate(&value, self.1).err().map(|error| format!("{error:#}"))
    }
}

/// A folder that the files of the examples refer to.
struct Project(PathBuf);

impl Project {
    fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("schema").join(name);
        fs::create_dir_all(folder.join("scripts")).expect("a folder");
        fs::write(folder.join("scripts/echo.rhai"), "on(\"message\", |m| m.reply(m.text));\n")
            .expect("a script");
        fs::write(folder.join("ca.pem"), "").expect("a file");
        fs::write(folder.join("shops.csv"), "name\none\ntwo\n").expect("a file");
        Self(folder)
    }

    /// What the program has to say of a file.
    fn read(&self, text: &str) -> Vec<Diagnostic> {
        let file = self.0.join("bots.yaml");
        fs::write(&file, text).expect("a file");
        let var = |_: &str| Some("pencil".to_owned());
        config::inspect(&file, &Surroundings { var: &var, run_commands: false }).diagnostics
    }
}

/// One bot; more keys of it may follow.
const HEAD: &str = "version: 1
bots:
  echo:
    jid: echo@example.org
    password: { env: PW }
    scripts: [scripts/echo.rhai]
";

const GOOD: &[(&str, &str)] = &[
    (
        "the least",
        "version: 1\nbots: { a: { jid: a@example.org, password: { env: PW }, scripts: [scripts/echo.rhai] } }\n",
    ),
    ("one bot", HEAD),
    (
        "limits and rates",
        "version: 1
durability: relaxed
storage: ./data
login: { pace: 10/s, jitter: 30s }
bots:
  a:
    jid: a@example.org
    password: { env: PW }
    scripts: [scripts/echo.rhai]
    limits: { turn: 50ms, operations: 200k, memory: 4MiB, send: { rate: 2/s, burst: 10 }, queue: 1000 }
  b:
    jid: b@example.org
    password: { env: PW }
    limits: { send: { rate: none } }
",
    ),
    (
        "every sort of password",
        "version: 1
bots:
  a: { jid: a@example.org, password: { env: PW } }
  b: { jid: b@example.org, password: { plain: pencil } }
  c: { jid: c@example.org, password: { command: [/bin/cat, c] } }
",
    ),
    (
        "servers",
        "version: 1
bots:
  a:
    jid: a@example.org
    password: { env: PW }
    server: 127.0.0.1:5222
    tls: { mode: direct }
    channel_binding: require
    resource: auto
  b: { jid: example.org, anonymous: true }
",
    ),
    (
        "rooms",
        "version: 1
bots:
  a:
    jid: a@example.org
    password: { env: PW }
    rooms: [team@rooms.example.org, { jid: lobby@rooms.example.org, nick: Helper, password: { env: LOBBY } }]
    accept: domain
    admins: [ops@example.org]
    roles: { staff: [ann@example.org, example.net] }
",
    ),
    (
        "scripts with permissions",
        "version: 1
webhooks: { listen: 127.0.0.1:8085 }
secrets: { key: { env: KEY } }
scripts:
  short: scripts/echo.rhai
  long:
    file: scripts/echo.rhai
    permissions:
      http: [api.example.net, '*.feeds.example']
      webhooks: [deploy, { name: ping, auth: none }]
      secrets: [key]
      shared: true
      bots: [b, '*']
    limits: { turn: 200ms }
bots:
  a: { jid: a@example.org, password: { env: PW }, scripts: [short, { use: long, config: { language: no } }] }
  b: { jid: b@example.org, password: { env: PW } }
",
    ),
    (
        "schedules",
        "version: 1
bots:
  a:
    jid: a@example.org
    password: { env: PW }
    timezone: Europe/Oslo
    schedules: [{ cron: '0 9 * * MON-FRI', emit: morning }]
",
    ),
    (
        "defaults and templates",
        "version: 1
defaults: { accept: roster, lang: de, config: { greeting: hallo } }
templates: { shop: { scripts: [scripts/echo.rhai], presence: { show: away, status: closed } } }
bots:
  a: { template: shop, jid: a@example.org, password: { env: PW } }
",
    ),
    (
        "accounts in a file",
        "version: 1
templates: { shop: { scripts: [scripts/echo.rhai] } }
accounts_files: [{ file: shops.csv, template: shop, jid: '{name}@shops.example.org', password: { env: PW } }]
",
    ),
    (
        "anchors",
        "version: 1
x-common: &common { accept: all, menu: false }
bots:
  a: { <<: *common, jid: a@example.org, password: { env: PW } }
",
    ),
    (
        "the log",
        "version: 1
log: { format: auto, level: info, bodies: false }
bots: { a: { jid: a@example.org, password: { env: PW }, labels: { team: support } } }
",
    ),
    (
        "a component",
        "version: 1
components: { bots: { domain: bots.example.org, server: 127.0.0.1:5347, secret: { env: PW } } }
bots: { a: { jid: a@bots.example.org, component: bots } }
",
    ),
];

/// Where the schema must complain, and of what.
const BAD: &[(&str, &str)] = &[
    ("/bots/a/jid", "version: 1\nbots: { a: { jid: a@example.org/home, password: { env: PW } } }\n"),
    ("/version", "version: 2\nbots: {}\n"),
    ("durabilty", "version: 1\ndurabilty: full\n"),
    ("/durability", "version: 1\ndurability: half\n"),
    ("/bots/a", "version: 1\nbots: { a: [1, 2] }\n"),
    ("resorce", "version: 1\nbots: { a: { jid: a@example.org, password: { env: PW }, resorce: x } }\n"),
    (
        "/bots/a/limits/turn",
        "version: 1\nbots: { a: { jid: a@example.org, password: { env: PW }, limits: { turn: 50 } } }\n",
    ),
    (
        "/bots/a/limits/memory",
        "version: 1\nbots: { a: { jid: a@example.org, password: { env: PW }, limits: { memory: much } } }\n",
    ),
    (
        "/bots/a/tls/mode",
        "version: 1\nbots: { a: { jid: a@example.org, password: { env: PW }, tls: { mode: off } } }\n",
    ),
    ("/bots/a/menu", "version: 1\nbots: { a: { jid: a@example.org, password: { env: PW }, menu: 'yes' } }\n"),
    (
        "/scripts/s/permissions",
        "version: 1\nscripts: { s: { file: scripts/echo.rhai, permissions: { htttp: [a.example] } } }\n",
    ),
    (
        "/bots/a/rooms/0",
        "version: 1\nbots: { a: { jid: a@example.org, password: { env: PW }, rooms: [{ jid: r@x.example, nik: b }] } }\n",
    ),
];
