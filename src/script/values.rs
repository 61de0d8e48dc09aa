//! Script values to JSON and back: what a script may store, and what it is told.

use rhai::{Dynamic, Map};
use serde_json::{Number, Value};

use crate::script::api::time::Time;

/// How deep a stored value may nest.
pub(super) const DEPTH: usize = 32;
/// Bytes of a value as JSON in memory: more than any of its users takes.
const LARGEST: usize = 2 * 1024 * 1024;

/// The value as JSON.
///
/// # Errors
/// In words, where the value holds something that cannot be stored: a function, an event, a float that is no
/// number, more than 32 levels, or more than 2 MiB.
pub(super) fn to_json(value: &Dynamic) -> Result<Value, String> {
    convert(value, DEPTH, &mut { LARGEST })
}

/// `left` is how many bytes may still be taken: values share their parts, JSON does not.
fn convert(value: &Dynamic, depth: usize, left: &mut usize) -> Result<Value, String> {
    let mut take = |bytes: usize| {
        *left = left.checked_sub(bytes).ok_or("the value takes more than 2 MiB")?;
        Ok::<(), String>(())
    };
    take(32)?;
    let depth = depth.checked_sub(1).ok_or("the value nests more than 32 levels deep")?;
    if value.is_unit() {
        return Ok(Value::Null);
    }
    if let Ok(flag) = value.as_bool() {
        return Ok(Value::Bool(flag));
    }
    if let Ok(number) = value.as_int() {
        return Ok(Value::from(number));
    }
    if let Ok(number) = value.as_float() {
        return Number::from_f64(number)
            .map(Value::Number)
            .ok_or_else(|| format!("`{number}` cannot be stored"));
    }
    if let Ok(text) = value.as_immutable_string_ref() {
        take(text.len())?;
        return Ok(Value::String(text.to_string()));
    }
    if let Ok(character) = value.as_char() {
        return Ok(Value::String(character.to_string()));
    }
    if let Ok(array) = value.as_array_ref() {
        return array
            .iter()
            .map(|item| convert(item, depth, left))
            .collect::<Result<Vec<_>, _>>()
            .map(Value::Array);
    }
    if let Ok(map) = value.as_map_ref() {
        let pairs = map.iter().map(|(key, item)| {
            *left = left.checked_sub(key.len() + 48).ok_or("the value takes more than 2 MiB")?;
            Ok((key.to_string(), convert(item, depth, left)?))
        });
        return pairs.collect::<Result<serde_json::Map<_, _>, String>>().map(Value::Object);
    }
    if let Some(time) = value.read_lock::<Time>() {
        return Ok(Value::String(time.to_string()));
    }
    Err(format!("a {} cannot be stored", kind(value)))
}

/// Levels of a JSON value. Its parser takes no more than 128.
pub(super) fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(pairs) => 1 + pairs.values().map(depth).max().unwrap_or(0),
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => 1,
    }
}

/// JSON as a script value. Numbers that fit no 64-bit integer become floats.
pub(super) fn from_json(value: &Value) -> Dynamic {
    match value {
        Value::Null => Dynamic::UNIT,
        Value::Bool(flag) => (*flag).into(),
        Value::Number(number) => match number.as_i64() {
            Some(number) => number.into(),
            None => number.as_f64().unwrap_or(f64::MAX).into(),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => Dynamic::from_array(items.iter().map(from_json).collect()),
        Value::Object(pairs) => {
            let map: Map = pairs.iter().map(|(key, item)| (key.as_str().into(), from_json(item))).collect();
            Dynamic::from_map(map)
        }
    }
}

/// About how many bytes the value takes, without its own allocation overhead.
pub(super) fn weight(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 16,
        Value::String(text) => 32 + text.len(),
        Value::Array(items) => 32 + items.iter().map(weight).sum::<usize>(),
        Value::Object(pairs) => {
            32 + pairs.iter().map(|(key, item)| 48 + key.len() + weight(item)).sum::<usize>()
        }
    }
}

/// How many bytes the value takes as JSON, which is how the store keeps it and counts it.
pub(super) fn written(value: &Value) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // Neither counting nor a JSON value can fail; if one did, nothing of that size may be stored.
    serde_json::to_writer(&mut count, value).map_or(usize::MAX, |()| count.0)
}

/// What an author calls the type of a value.
pub(super) fn kind(value: &Dynamic) -> &'static str {
    match value.type_name() {
        "()" => "nothing",
        "i64" => "int",
        "f64" => "float",
        "bool" => "bool",
        "char" => "character",
        "array" => "array",
        "map" => "map",
        "Fn" => "function",
        "string" => "string",
        name if name.ends_with("Time") => "time",
        _ => "host object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_stored_comes_back_as_it_was() {
        let text = r#"{"a":[1,2.5,"x",true,null],"b":{"c":-3}}"#;
        let value: Value = serde_json::from_str(text).expect("valid JSON");
        assert_eq!(to_json(&from_json(&value)), Ok(value));
    }

    #[test]
    fn functions_and_deep_nests_are_refused() {
        let function = Dynamic::from(rhai::FnPtr::new("f").expect("a name"));
        assert_eq!(to_json(&function), Err("a function cannot be stored".to_owned()));
        let deep = (0..40).fold(Dynamic::UNIT, |inner, _| Dynamic::from_array(vec![inner]));
        assert!(to_json(&deep).is_err_and(|why| why.contains("32")));
    }
}
