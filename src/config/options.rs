//! The settings of scripts as part of the JSON Schema of `bots.yaml`.

use serde_json::{Map, Value, json};

use crate::config::schema::json_schema;

/// A setting that a script declares with `option`.
#[derive(Clone, Debug, PartialEq)]
pub struct ScriptOption {
    /// Its name under `config`.
    pub name: String,
    /// Its value where none is given; its type is that of every value, none for nothing.
    pub default: Value,
    /// Its help text.
    pub help: String,
}

/// The same with the settings of the scripts of a project.
pub fn json_schema_with(options: &[ScriptOption]) -> Value {
    let mut schema = json_schema();
    let properties: Map<String, Value> =
        options.iter().map(|option| (option.name.clone(), option.schema())).collect();
    if !properties.is_empty() {
        for section in ["bot", "use"] {
            schema["definitions"][section]["properties"]["config"]["properties"] =
                Value::Object(properties.clone());
        }
    }
    schema
}

impl ScriptOption {
    fn schema(&self) -> Value {
        let kind = match &self.default {
            Value::Null => return json!({ "description": self.help }),
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_f64() => "number",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        json!({ "type": kind, "description": self.help, "default": self.default })
    }
}
