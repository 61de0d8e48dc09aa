//! The keys of `bots.yaml`: one table for decoding, the reference page and the JSON Schema.

mod parts;
pub mod sections;

use serde_json::{Map, Value, json};

use crate::config::schema::sections::SECTIONS;

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
    /// The address of an account, or of a server that gives it one.
    Account,
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
            Self::Account | Self::Address => "address".to_owned(),
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
            Self::Account => json!({ "type": "string", "pattern": "^[^/\\s]+$" }),
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
