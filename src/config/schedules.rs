//! What a bot does by the clock, and which other bots it may talk to: `timezone`, `schedules`, `permissions: { bots }`.

use jiff::tz::TimeZone;

use crate::config::decode::Decoder;
use crate::config::yaml::Node;
use crate::cron::{self, Cron, Schedule, Unreadable};
use crate::diagnostic::Diagnostic;

/// The most lines of `schedules`.
const MOST: usize = 100;
/// The longest name of a timer, in bytes.
const LONGEST_NAME: usize = 256;

/// A time zone by name; UTC where the problem was told.
pub fn timezone(decoder: &mut Decoder, node: &Node) -> TimeZone {
    let Some(name) = decoder.text(node, "`timezone`") else { return TimeZone::UTC };
    match cron::zone(name) {
        Ok(zone) => zone,
        Err(Unreadable { message, hint }) => {
            let found = Diagnostic::error("config::timezone", message).hint_if(hint);
            decoder.report(found, node, "not a time zone");
            TimeZone::UTC
        }
    }
}

/// The list `schedules`; lines without a zone of their own go by `zone`.
pub fn schedules(decoder: &mut Decoder, node: &Node, zone: &TimeZone) -> Vec<Schedule> {
    let items = decoder.list(node, "schedules").unwrap_or_default();
    if items.len() > MOST {
        let found = Diagnostic::error("config::count", format!("more than {MOST} schedules"));
        decoder.report(found, node, "too many");
    }
    items.iter().take(MOST).filter_map(|item| schedule(decoder, item, zone)).collect()
}

fn schedule(decoder: &mut Decoder, node: &Node, zone: &TimeZone) -> Option<Schedule> {
    if !decoder.map(node, "schedule") {
        return None;
    }
    let own = node.get("timezone").map(|it| timezone(decoder, &it.value));
    let line = required(decoder, node, "cron").and_then(|it| {
        let line = decoder.text(it, "`cron`")?.to_owned();
        match Cron::parse(&line, own.unwrap_or_else(|| zone.clone())) {
            Ok(cron) => Some(cron),
            Err(Unreadable { message, hint }) => {
                decoder.report(
                    Diagnostic::error("config::cron", message).hint_if(hint),
                    it,
                    "not a cron line",
                );
                None
            }
        }
    });
    let emit = required(decoder, node, "emit").and_then(|it| {
        let name = decoder.text(it, "`emit`")?.to_owned();
        let fine = !name.is_empty() && name.len() <= LONGEST_NAME && !name.starts_with("timer:");
        if !fine {
            let found = Diagnostic::error("config::name", format!("`{name}` is no name of a timer"));
            let hint = "scripts hear `emit: morning` as `on(\"timer:morning\", |t| ...)`";
            decoder.report(found.hint(hint), it, "not a name");
        }
        fine.then_some(name)
    });
    let catch_up = node.get("catch_up").and_then(|it| decoder.boolean(&it.value, "`catch_up`"));
    Some(Schedule { cron: line?, emit: emit?, catch_up: catch_up.unwrap_or_default() })
}

fn required<'a>(decoder: &mut Decoder, node: &'a Node, key: &str) -> Option<&'a Node> {
    let found = node.get(key).map(|entry| &entry.value);
    if found.is_none() {
        let found = Diagnostic::error("config::missing", format!("a schedule has no `{key}`"));
        let hint = "write `{ cron: \"0 9 * * MON-FRI\", emit: morning }`";
        decoder.report(found.hint(hint), node, "incomplete");
    }
    found
}

/// Names of bots that may be talked to; `*` means all.
pub fn bots(decoder: &mut Decoder, node: &Node) -> Vec<String> {
    let mut names = Vec::new();
    for item in decoder.list(node, "bots").unwrap_or_default() {
        let Some(name) = decoder.text(item, "a bot") else { continue };
        names.push(name.to_owned());
    }
    names
}
