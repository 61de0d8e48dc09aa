//! The options of `sim`.

use std::collections::BTreeMap;
use std::time::Instant;

use rhai::{Array, Dynamic, Map};
use serde_json::Value;

use crate::script::error::{Kind, Thrown, nearest};
use crate::script::testing::stage::Opening;
use crate::script::values;

/// What `sim` takes.
pub(super) const OPTIONS: &[&str] = &[
    "admins", "bot", "config", "jid", "now", "roles", "rooms", "scripts", "secrets", "seed", "strict",
    "webhooks",
];

/// What a world is to be made of.
pub(super) struct Wanted {
    pub opening: Opening,
    /// Rooms that the bot is in from the beginning.
    pub rooms: Vec<String>,
    pub strict: bool,
}

/// Reads the arguments of `sim`.
pub(super) fn read(script: &str, options: &Map, deadline: Instant) -> Result<Wanted, Thrown> {
    let opening = Opening {
        scripts: (!script.is_empty()).then(|| script.to_owned()).into_iter().collect(),
        bot: None,
        config: BTreeMap::new(),
        seed: None,
        now: None,
        roles: BTreeMap::new(),
        webhooks: Vec::new(),
        secrets: BTreeMap::new(),
        deadline,
    };
    let mut wanted = Wanted { opening, rooms: Vec::new(), strict: true };
    for (name, value) in options {
        wanted.option(name, value)?;
    }
    Ok(wanted)
}

impl Wanted {
    fn option(&mut self, name: &str, value: &Dynamic) -> Result<(), Thrown> {
        let opening = &mut self.opening;
        match name {
            "admins" => drop(opening.roles.insert("admin".to_owned(), texts(name, value)?)),
            "bot" | "jid" => opening.bot = Some(text(name, value)?),
            "config" => opening.config = json_map(name, value)?,
            "now" => opening.now = Some(text(name, value)?),
            "roles" => {
                for (role, people) in map(name, value)? {
                    opening.roles.entry(role.to_string()).or_default().extend(texts(name, &people)?);
                }
            }
            "rooms" => self.rooms = texts(name, value)?,
            "scripts" => opening.scripts.extend(texts(name, value)?),
            "secrets" => {
                for (secret, value) in map(name, value)? {
                    opening.secrets.insert(secret.to_string(), text(name, &value)?);
                }
            }
            "seed" => {
                let seed = value.as_int().ok().and_then(|seed| u64::try_from(seed).ok());
                opening.seed = Some(seed.ok_or_else(|| wrong(name, "a whole number from 0"))?);
            }
            "strict" => self.strict = value.as_bool().map_err(|_| wrong(name, "`true` or `false`"))?,
            "webhooks" => opening.webhooks = texts(name, value)?,
            unknown => {
                let near = nearest(unknown, OPTIONS.iter().copied());
                let hint = match near {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("it has {}", OPTIONS.join(", ")),
                };
                let message = format!("`sim` has no option `{unknown}`");
                return Err(Thrown::new(Kind::Runtime, message).hint(hint));
            }
        }
        Ok(())
    }
}

fn wrong(name: &str, kind: &str) -> Thrown {
    Thrown::new(Kind::Runtime, format!("the option `{name}` of `sim` is {kind}"))
}

pub(super) fn text(name: &str, value: &Dynamic) -> Result<String, Thrown> {
    value.as_immutable_string_ref().map(|text| text.to_string()).map_err(|_| wrong(name, "a text"))
}

fn texts(name: &str, value: &Dynamic) -> Result<Vec<String>, Thrown> {
    if value.is_string() {
        return Ok(vec![text(name, value)?]);
    }
    let items: Array = value
        .read_lock::<Array>()
        .map(|items| items.clone())
        .ok_or_else(|| wrong(name, "a list of texts"))?;
    items.iter().map(|item| text(name, item)).collect()
}

fn map(name: &str, value: &Dynamic) -> Result<Map, Thrown> {
    value.read_lock::<Map>().map(|map| map.clone()).ok_or_else(|| wrong(name, "a map"))
}

fn json_map(name: &str, value: &Dynamic) -> Result<BTreeMap<String, Value>, Thrown> {
    let pairs = map(name, value)?.into_iter().map(|(key, value)| {
        let value = values::to_json(&value).map_err(|why| Thrown::new(Kind::Runtime, why))?;
        Ok((key.to_string(), value))
    });
    pairs.collect()
}
