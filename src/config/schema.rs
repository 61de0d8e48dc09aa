//! The keys of `bots.yaml`: one table for decoding, the reference page and the JSON Schema.

mod parts;

use serde_json::{Map, Value, json};

use crate::config::web;

/// A map of the file and the keys it may have.
#[derive(Debug)]
pub struct Section {
    /// How [`Shape::Section`] refers to it; empty for the whole file.
    pub name: &'static str,
    /// Where such a map stands, for headings and messages: `bots.NAME`.
    pub place: &'static str,
    /// A sentence about it.
    pub meaning: &'static str,
    /// Its keys in the order of the reference page.
    pub keys: &'static [Key],
    /// Keys that a later version brings: refused with that reason.
    pub later: &'static [&'static str],
}

/// One key.
#[derive(Debug)]
pub struct Key {
    /// As it is written.
    pub name: &'static str,
    /// What its value looks like.
    pub shape: Shape,
    /// What holds without it; empty where there is nothing to say.
    pub default: &'static str,
    /// A sentence.
    pub meaning: &'static str,
}

/// What a value looks like.
#[derive(Debug)]
pub enum Shape {
    /// `local@domain`.
    Address,
    /// `true` or `false`.
    Boolean,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A plain number or with `k`, `M`.
    Count,
    /// `5m`, `1h30m`.
    Duration,
    /// One of several shapes.
    Either(&'static [Shape]),
    /// Any YAML; scripts read it.
    Free,
    /// `host:port`.
    HostPort,
    /// A whole number in this range.
    Integer(i64, i64),
    /// A list; replaced as a whole by a later layer.
    List(&'static Shape),
    /// A map from names to this.
    Named(&'static Shape),
    /// A path, relative to the folder of the file.
    Path,
    /// `2/s`, `30/m` or `none`.
    Rate,
    /// A map of this section.
    Section(&'static str),
    /// `4MiB`.
    Size,
    /// Any text.
    Text,
}

/// The section of a name; every name used in [`SECTIONS`] exists, as a test makes sure.
pub fn section(name: &str) -> &'static Section {
    SECTIONS.iter().find(|section| section.name == name).unwrap_or(&SECTIONS[0])
}

impl Section {
    /// The names of its keys.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.keys.iter().map(|key| key.name)
    }
}

pub(super) const fn key(
    name: &'static str,
    shape: Shape,
    default: &'static str,
    meaning: &'static str,
) -> Key {
    Key { name, shape, default, meaning }
}

/// All maps of the file.
pub const SECTIONS: &[Section] = &[
    Section {
        name: "",
        place: "bots.yaml",
        meaning: "The whole file. Keys that begin with `x-` are ignored: a place for anchors.",
        keys: &[
            key("version", Shape::Integer(1, 1), "1", "The version of this format."),
            key(
                "storage",
                Shape::Path,
                "`$STATE_DIRECTORY`, else `./data`",
                "Folder of the store: script data, timers, unsent messages, resume state. One process at a time.",
            ),
            key(
                "durability",
                Shape::Choice(&["full", "relaxed"]),
                "full",
                "What a commit survives: power loss, or with `relaxed` only the end of the process.",
            ),
            key(
                "defaults",
                Shape::Section("bot"),
                "",
                "What every bot starts from. Order: built in, `defaults`, template, bot. Maps merge, lists replace.",
            ),
            key(
                "scripts",
                Shape::Named(&Shape::Either(&[Shape::Path, Shape::Section("script")])),
                "",
                "Scripts by name: a path, or a map with what the script may do.",
            ),
            key(
                "bots",
                Shape::Named(&Shape::Section("bot")),
                "",
                "Accounts by name; the name stands in logs, on the command line and in metrics.",
            ),
            key(
                "templates",
                Shape::Named(&Shape::Section("bot")),
                "",
                "Like `defaults`, by name. `{name}` is the bot's name, other `{column}`s come from an accounts file; `{{name}}` stays as text.",
            ),
            key(
                "accounts_files",
                Shape::List(&Shape::Section("accounts_file")),
                "",
                "Many accounts from CSV files, one line each.",
            ),
            key(
                "secrets",
                Shape::Named(&Shape::Section("secret")),
                "",
                "Secrets of scripts by name. A script that is granted one uses it and never reads it.",
            ),
            key("webhooks", Shape::Section("webhooks"), "", "Where webhooks are heard."),
            key("login", Shape::Section("login"), "", "How fast accounts log in."),
            key("log", Shape::Section("log"), "", "What is logged."),
            key("admin", Shape::Section("admin"), "", "How the running process is controlled."),
        ],
        later: &["components", "metrics", "alerts", "notify", "include"],
    },
    Section {
        name: "bot",
        place: "bots.NAME",
        meaning: "One account. `defaults` and each of `templates` take the same keys, without `template`.",
        keys: &[
            key("jid", Shape::Address, "", "Its address. Required."),
            key("password", Shape::Section("secret"), "", "Where its password comes from. Required."),
            key("template", Shape::Text, "", "The template it starts from."),
            key(
                "server",
                Shape::HostPort,
                "from DNS",
                "Where to connect instead of asking DNS for SRV records.",
            ),
            key(
                "tls",
                Shape::Either(&[Shape::Choice(&["starttls", "direct"]), Shape::Section("tls")]),
                "starttls",
                "How the connection is secured; a word is short for `mode`. There is no way to turn it off.",
            ),
            key(
                "resource",
                Shape::Text,
                "auto",
                "Resourcepart to ask for; `auto` makes one per bot and keeps it over restarts.",
            ),
            key(
                "scripts",
                Shape::List(&Shape::Either(&[Shape::Text, Shape::Section("use")])),
                "",
                "Its scripts: names, or paths ending in `.rhai`, which declare the script.",
            ),
            key("config", Shape::Named(&Shape::Free), "", "What all its scripts see as `config`."),
            key(
                "rooms",
                Shape::List(&Shape::Either(&[Shape::Address, Shape::Section("room")])),
                "",
                "Rooms it joins and stays in.",
            ),
            key(
                "accept",
                Shape::Either(&[
                    Shape::Choice(&["none", "domain", "roster", "all"]),
                    Shape::List(&Shape::Address),
                ]),
                "none",
                "Whose subscription requests are granted without asking the scripts.",
            ),
            key(
                "invites",
                Shape::Either(&[
                    Shape::Choice(&["none", "admin", "domain", "roster", "all"]),
                    Shape::List(&Shape::Text),
                ]),
                "none",
                "Whose invitations into rooms it follows: a word, or a list of words and addresses. Scripts are told of all invitations.",
            ),
            key("admins", Shape::List(&Shape::Address), "", "Who may give it orders."),
            key(
                "roles",
                Shape::Named(&Shape::List(&Shape::Text)),
                "",
                "Groups of people for `allow` of commands: `staff: [ann@example.org, example.net]`. A domain stands for everybody there. The role `admin` is `admins`.",
            ),
            key("limits", Shape::Section("limits"), "", "What it may use up."),
            key("presence", Shape::Section("presence"), "", "How it shows itself."),
            key(
                "permissions",
                Shape::Section("bot_permissions"),
                "",
                "What all its scripts are granted. Further grants to scripts stand at `scripts`.",
            ),
            key(
                "timezone",
                Shape::Text,
                "UTC",
                "By whose wall clock its scripts tell the time and its schedules go: `Europe/Oslo`.",
            ),
            key(
                "schedules",
                Shape::List(&Shape::Section("schedule")),
                "",
                "What it does by the clock: each line raises `timer:EMIT` in all its scripts that handle it.",
            ),
            key("labels", Shape::Named(&Shape::Text), "", "Words for `status` and filters."),
            key("lang", Shape::Text, "en", "Language of its streams."),
            key(
                "paused",
                Shape::Either(&[Shape::Boolean, Shape::Text]),
                "false",
                "Keeps it offline; a text is the reason `status` shows.",
            ),
        ],
        later: &[],
    },
    Section {
        name: "script",
        place: "scripts.NAME",
        meaning: "A script and what it may do.",
        keys: &[
            key("file", Shape::Path, "", "The script. Required."),
            key(
                "permissions",
                Shape::Section("permissions"),
                "",
                "What it is granted; nothing without this.",
            ),
            key(
                "limits",
                Shape::Section("script_limits"),
                "",
                "Limits of one turn that hold instead of the bot's.",
            ),
        ],
        later: &[],
    },
    web::PERMISSIONS,
    web::WEBHOOK_GRANT,
    Section {
        name: "bot_permissions",
        place: "bots.NAME.permissions",
        meaning: "What all scripts of a bot are granted.",
        keys: &[key(
            "bots",
            Shape::List(&Shape::Text),
            "",
            "Bots they may talk to with `peer::tell`; `*` means all.",
        )],
        later: &["http"],
    },
    Section {
        name: "schedule",
        place: "bots.NAME.schedules[]",
        meaning: "A line of a cron table. Slots that were missed while the program was down are left out.",
        keys: &[
            key(
                "cron",
                Shape::Text,
                "",
                "Minute, hour, day of month, month and day of week: `0 9 * * MON-FRI`. Required.",
            ),
            key("timezone", Shape::Text, "the bot's", "By whose wall clock: `Europe/Oslo`."),
            key("emit", Shape::Text, "", "`morning` raises the event `timer:morning`. Required."),
            key(
                "catch_up",
                Shape::Boolean,
                "false",
                "Whether the last slot that was missed while the program was down is made up for, late.",
            ),
        ],
        later: &[],
    },
    Section {
        name: "script_limits",
        place: "scripts.NAME.limits",
        meaning: "Limits for every bot that uses the script.",
        keys: &[
            key("turn", Shape::Duration, "the bot's", "Wall clock per event, 1ms to 1m."),
            key("operations", Shape::Count, "the bot's", "Steps of the script per event, 1k to 1000M."),
            key("memory", Shape::Size, "the bot's", "What the values of the script may hold, 64KiB to 1GiB."),
            key("store", Shape::Size, "the bot's", "What the script may store for one bot, 64KiB to 1GiB."),
            key("actions", Shape::Count, "the bot's", "Messages, presence and requests per event, 1 to 10k."),
            key(
                "writes",
                Shape::Count,
                "the bot's",
                "Values, timers and words to bots written per event, 1 to 100k.",
            ),
            key(
                "timers",
                Shape::Count,
                "the bot's",
                "Timers of `timer::at` that may wait for one bot, 1 to 1M.",
            ),
        ],
        later: &[],
    },
    Section {
        name: "use",
        place: "bots.NAME.scripts[]",
        meaning: "A script with what it sees as `config` for this bot.",
        keys: &[
            key("use", Shape::Text, "", "The script's name or path. Required."),
            key("config", Shape::Named(&Shape::Free), "", "Keys that hold instead of the bot's own."),
        ],
        later: &[],
    },
    Section {
        name: "limits",
        place: "bots.NAME.limits",
        meaning: "What a bot may use up.",
        keys: &[
            key("turn", Shape::Duration, "50ms", "Wall clock per event, 1ms to 1m."),
            key("operations", Shape::Count, "200k", "Steps of a script per event, 1k to 1000M."),
            key("memory", Shape::Size, "4MiB", "What the values of a script may hold, 64KiB to 1GiB."),
            key("store", Shape::Size, "16MiB", "What a script may store, 64KiB to 1GiB."),
            key(
                "actions",
                Shape::Count,
                "200",
                "Messages, presence and requests of a script per event, 1 to 10k.",
            ),
            key(
                "writes",
                Shape::Count,
                "1k",
                "Values, timers and words to bots that a script writes per event, 1 to 100k.",
            ),
            key("timers", Shape::Count, "10k", "Timers of `timer::at` of a script that may wait, 1 to 1M."),
            key("send", Shape::Section("send"), "", "How fast it may send."),
            key("queue", Shape::Count, "1000", "Events that may wait, 1 to 1M."),
        ],
        later: &[],
    },
    Section {
        name: "send",
        place: "bots.NAME.limits.send",
        meaning: "A token bucket for what a bot sends.",
        keys: &[
            key("rate", Shape::Rate, "2/s", "Stanzas in the long run; `none` switches the limit off."),
            key("burst", Shape::Count, "10", "Stanzas that may go at once, 1 to 10k."),
        ],
        later: &[],
    },
    Section {
        name: "tls",
        place: "bots.NAME.tls",
        meaning: "How a connection is secured. Certificates are always checked.",
        keys: &[
            key(
                "mode",
                Shape::Choice(&["starttls", "direct"]),
                "starttls",
                "When TLS begins where `server` is given: after STARTTLS, or with the first byte.",
            ),
            key("ca", Shape::Path, "", "PEM file of authorities trusted besides those of the system."),
        ],
        later: &["pin"],
    },
    parts::ROOM,
    parts::PRESENCE,
    Section {
        name: "secret",
        place: "password",
        meaning: "Where a secret comes from: exactly one of these keys. It is read again on reload.",
        keys: &[
            key("env", Shape::Text, "", "An environment variable."),
            key(
                "file",
                Shape::Path,
                "",
                "A file with the secret as its only line; others should not be able to read it.",
            ),
            key(
                "command",
                Shape::List(&Shape::Text),
                "",
                "A program with its arguments, never a shell line. The first line it prints is the secret; it has 10 s.",
            ),
            key("credential", Shape::Text, "", "A systemd credential: a file in `$CREDENTIALS_DIRECTORY`."),
            key("plain", Shape::Text, "", "The secret itself. `check` warns about it every time."),
        ],
        later: &[],
    },
    Section {
        name: "accounts_file",
        place: "accounts_files[]",
        meaning: "A CSV file of accounts. The first line names the columns; `name` must be one. Columns that `jid` and `password` don't use become `config` of the bot.",
        keys: &[
            key("file", Shape::Path, "", "The CSV file. Required."),
            key("template", Shape::Text, "", "The template all its bots start from."),
            key("jid", Shape::Text, "", "The address, with `{column}`s. Required."),
            key(
                "password",
                Shape::Section("secret"),
                "",
                "Where each password comes from, with `{column}`s. Required unless the template has one.",
            ),
        ],
        later: &[],
    },
    web::WEBHOOKS,
    Section {
        name: "login",
        place: "login",
        meaning: "How fast accounts log in. Resumed sessions don't count.",
        keys: &[
            key("pace", Shape::Rate, "10/s", "Logins per server host; `none` switches the limit off."),
            key("jitter", Shape::Duration, "30s", "Time over which reconnects spread, up to 1h."),
        ],
        later: &[],
    },
    Section {
        name: "log",
        place: "log",
        meaning: "What is logged, and how.",
        keys: &[
            key(
                "format",
                Shape::Choice(&["auto", "text", "json"]),
                "auto",
                "`auto` is text on a terminal and JSON elsewhere.",
            ),
            key(
                "level",
                Shape::Text,
                "info",
                "`off`, `error`, `warn`, `info`, `debug` or `trace`, also per module: `info,rhapsode::net=debug`.",
            ),
            key("bodies", Shape::Boolean, "false", "Whether message bodies may appear, at level `trace`."),
        ],
        later: &[],
    },
    Section {
        name: "admin",
        place: "admin",
        meaning: "How the running process is controlled.",
        keys: &[key(
            "socket",
            Shape::Choice(&["auto"]),
            "auto",
            "The control socket: beside the store, for its owner only.",
        )],
        later: &["http"],
    },
];

/// The reference of all keys as Markdown.
pub fn reference_markdown() -> String {
    let mut page = String::from(PREFACE);
    for section in SECTIONS.iter().filter(|section| !section.keys.is_empty()) {
        page.push_str(&format!("\n## `{}`\n\n{}\n\n", section.place, section.meaning));
        page.push_str("| key | value | default | meaning |\n|---|---|---|---|\n");
        for key in section.keys {
            let value = key.shape.words().replace('|', "\\|");
            page.push_str(&format!("| `{}` | {value} | {} | {} |\n", key.name, key.default, key.meaning));
        }
    }
    page
}

const PREFACE: &str = "# Configuration\n\n\
<!-- Made from the table in src/config/schema.rs; a test keeps both the same. -->\n\n\
All keys of `bots.yaml`. Unknown keys, keys given twice and wrong types are errors. Durations (`50ms`, `5m`, `1h30m`), \
rates (`2/s`, `30/m`) and sizes (`64KiB`, `4MiB`) carry their unit. Only `true` and `false` are booleans: `no` is a word. \
There is no `${VAR}`. Relative paths start at the folder of the file. Maps merge from layer to layer, lists are replaced.\n";

impl Shape {
    /// A few words for the reference page.
    pub fn words(&self) -> String {
        match self {
            Self::Address => "address".to_owned(),
            Self::Boolean => "`true` or `false`".to_owned(),
            Self::Choice(words) => {
                words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
            }
            Self::Count => "count (`1000`, `200k`)".to_owned(),
            Self::Duration => "duration".to_owned(),
            Self::Either(shapes) => shapes.iter().map(Self::words).collect::<Vec<_>>().join(", or "),
            Self::Free => "anything".to_owned(),
            Self::HostPort => "`host:port`".to_owned(),
            Self::Integer(from, to) if from == to => format!("`{from}`"),
            Self::Integer(from, to) => format!("{from} to {to}"),
            Self::List(of) => format!("list of {}", of.words()),
            Self::Named(of) => format!("map of {}", of.words()),
            Self::Path => "path".to_owned(),
            Self::Rate => "rate or `none`".to_owned(),
            Self::Section(name) if section(name).keys.is_empty() => "`{}`".to_owned(),
            Self::Section(name) => format!("[`{}`](#{})", section(name).place, anchor(section(name).place)),
            Self::Size => "size".to_owned(),
            Self::Text => "text".to_owned(),
        }
    }

    /// The JSON Schema (draft 7) of the shape.
    fn schema(&self) -> Value {
        match self {
            Self::Address => json!({ "type": "string", "pattern": "@" }),
            Self::Boolean => json!({ "type": "boolean" }),
            Self::Choice(words) => json!({ "enum": words }),
            Self::Count => json!({ "type": ["integer", "string"], "pattern": "^[0-9]+[kM]?$", "minimum": 0 }),
            Self::Duration => json!({ "type": "string", "pattern": "^([0-9]+(ms|s|m|h|d))+$" }),
            Self::Either(shapes) => json!({ "anyOf": shapes.iter().map(Self::schema).collect::<Vec<_>>() }),
            Self::Free => json!({}),
            Self::HostPort => json!({ "type": "string", "pattern": ":[0-9]+$" }),
            Self::Integer(from, to) => json!({ "type": "integer", "minimum": from, "maximum": to }),
            Self::List(of) => json!({ "type": ["array", "null"], "items": of.schema() }),
            Self::Named(of) => json!({ "type": ["object", "null"], "additionalProperties": of.schema() }),
            Self::Rate => {
                json!({ "type": "string", "pattern": "^([0-9]+/([0-9]+(ms|s|m|h|d)|s|m|h|d)+|none)$" })
            }
            Self::Section(name) => json!({ "$ref": format!("#/definitions/{name}") }),
            Self::Size => json!({ "type": "string", "pattern": "^[0-9]+ ?([kKMG]?B|[KMG]iB)$" }),
            Self::Path | Self::Text => json!({ "type": ["string", "number", "boolean"] }),
        }
    }
}

/// How Markdown links to a heading.
fn anchor(heading: &str) -> String {
    heading.to_lowercase().chars().filter(|c| c.is_alphanumeric() || *c == '_' || *c == '-').collect()
}

/// The JSON Schema of `bots.yaml` for editors, draft 7.
pub fn json_schema() -> Value {
    let mut schema = object(section(""), &json!({ "^x-": {} }));
    let mut definitions: Map<String, Value> =
        SECTIONS[1..].iter().map(|section| (section.name.to_owned(), object(section, &json!({})))).collect();
    schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    schema["title"] = json!("Rhapsode bots.yaml");
    for bound in ["minProperties", "maxProperties"] {
        definitions["secret"][bound] = json!(1);
    }
    schema["definitions"] = Value::Object(definitions);
    schema
}

fn object(section: &Section, patterns: &Value) -> Value {
    let mut properties = Map::new();
    for key in section.keys {
        let described = match key.shape.schema() {
            // In draft 7 nothing beside `$ref` counts, so the description goes around it.
            reference if reference.get("$ref").is_some() => {
                json!({ "anyOf": [reference, { "type": "null" }] })
            }
            schema => schema,
        };
        let mut described = described;
        described["description"] = json!(key.meaning);
        properties.insert(key.name.to_owned(), described);
    }
    json!({
        "type": "object",
        "description": section.meaning,
        "properties": properties,
        "patternProperties": patterns,
        "additionalProperties": false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_section_named_in_the_table_exists() {
        fn walk(shape: &Shape) {
            match shape {
                Shape::Section(name) => assert!(SECTIONS.iter().any(|it| it.name == *name), "{name}"),
                Shape::Either(shapes) => shapes.iter().for_each(walk),
                Shape::List(of) | Shape::Named(of) => walk(of),
                _ => {}
            }
        }
        SECTIONS.iter().flat_map(|section| section.keys).for_each(|key| walk(&key.shape));
    }

    #[test]
    fn every_section_and_key_is_named_once_and_explained() {
        for (index, section) in SECTIONS.iter().enumerate() {
            assert!(SECTIONS[..index].iter().all(|it| it.name != section.name), "{}", section.name);
            for (index, key) in section.keys.iter().enumerate() {
                assert!(key.meaning.ends_with('.'), "{}.{}", section.place, key.name);
                assert!(section.keys[..index].iter().all(|it| it.name != key.name), "{}", key.name);
                assert!(!section.later.contains(&key.name), "{}", key.name);
            }
        }
    }

    #[test]
    fn the_reference_page_is_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
        let page = reference_markdown();
        if std::env::var_os("RHAPSODE_BLESS").is_some() {
            std::fs::write(path, &page).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap();
        assert!(
            written == page,
            "docs/configuration.md is not what the table says; run with RHAPSODE_BLESS=1"
        );
    }

    #[test]
    fn the_json_schema_knows_every_key() {
        let schema = json_schema();
        for section in &SECTIONS[1..] {
            let known = schema["definitions"][section.name]["properties"].as_object().unwrap();
            assert_eq!(known.len(), section.keys.len());
        }
        assert_eq!(schema["properties"].as_object().unwrap().len(), SECTIONS[0].keys.len());
    }
}
