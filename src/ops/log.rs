//! Log lines on stderr: for people on a terminal, JSON elsewhere. Every field is made safe to print.

use std::fmt::{self, Write as _};
use std::io::IsTerminal;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::reload;

use crate::config::settings::{Log, LogFormat};
use crate::printable::printable;

/// Changes the level of a running process.
pub struct Levels {
    filter: reload::Handle<EnvFilter, tracing_subscriber::Registry>,
}

/// Installs the subscriber of this process; once. `louder` is the sum of `-v` minus `-q`.
pub fn install(log: &Log, louder: i8) -> Levels {
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::util::SubscriberInitExt;

    let (filter, handle) = reload::Layer::new(filter(&log.level, louder));
    let json = match log.format {
        LogFormat::Auto => !std::io::stderr().is_terminal(),
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let lines = tracing_subscriber::fmt::layer().event_format(Lines { json }).with_writer(std::io::stderr);
    // A second installation (tests in one process) leaves the first in place.
    drop(tracing_subscriber::registry().with(filter).with(lines).try_init());
    Levels { filter: handle }
}

impl Levels {
    /// Takes over a changed level.
    pub fn set(&self, log: &Log) {
        // Only fails when the subscriber is gone, and with it every log line.
        drop(self.filter.reload(filter(&log.level, 0)));
    }
}

fn filter(level: &str, louder: i8) -> EnvFilter {
    const STEPS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let level = match STEPS.iter().position(|step| *step == level) {
        Some(at) => STEPS[(at as i8).saturating_add(louder).clamp(0, 5) as usize],
        None => level,
    };
    // Other libraries speak only when something is wrong. A refused certificate is told by the account, in words.
    const NEIGHBOURS: &str = "warn,rustls_platform_verifier=off";
    let directives =
        if level.contains(['=', ',']) { level.to_owned() } else { format!("{NEIGHBOURS},rhapsode={level}") };
    EnvFilter::try_new(&directives).unwrap_or_else(|_| EnvFilter::new("info"))
}

struct Lines {
    json: bool,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let stamp = jiff::Timestamp::now();
        let level = *event.metadata().level();
        if self.json {
            return writeln!(writer, "{}", fields.to_json(stamp, level));
        }
        let time = jiff::Zoned::new(stamp, jiff::tz::TimeZone::system());
        write!(writer, "{} {level:<5} {}", time.strftime("%H:%M:%S"), line_safe(&fields.message))?;
        for (name, value) in &fields.rest {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            write!(writer, "  {name}={}", line_safe(&text))?;
        }
        writeln!(writer)
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    rest: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        if field.name() == "message" {
            self.message = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        } else if value.as_str() != Some("") {
            self.rest.insert(field.name().to_owned(), value);
        }
    }

    fn to_json(&self, stamp: jiff::Timestamp, level: Level) -> Value {
        let mut line = Map::new();
        line.insert("timestamp".to_owned(), stamp.to_string().into());
        line.insert("level".to_owned(), level.to_string().to_lowercase().into());
        line.insert("message".to_owned(), self.message.clone().into());
        for (name, value) in &self.rest {
            line.insert(name.clone(), value.clone());
        }
        Value::Object(line)
    }
}

impl Visit for Fields {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = write!(text, "{value:?}");
        self.put(field, text.into());
    }
}

/// Safe to print: a line break of our own longer messages is followed by an indent, so that no field can
/// look like a line of its own.
fn line_safe(text: &str) -> String {
    text.lines().map(printable).collect::<Vec<_>>().join("\n    ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_cannot_forge_a_line_or_colour_the_terminal() {
        let text = line_safe("nick\r\u{1b}[31m\u{202e}gnp\nINFO forged");
        assert!(!text.contains(['\r', '\u{1b}', '\u{202e}']));
        assert!(
            text.contains("\n    INFO forged"),
            "a further line is indented, so it is no line of its own"
        );
    }

    #[test]
    fn json_lines_have_the_promised_fields() {
        let fields = Fields {
            message: "online\nforged".to_owned(),
            rest: Map::from_iter([("bot".to_owned(), "echo".into())]),
        };
        let line = fields.to_json(jiff::Timestamp::UNIX_EPOCH, Level::INFO).to_string();
        assert!(!line.contains('\n'));
        let back: Value = serde_json::from_str(&line).expect("a line is one JSON object");
        assert_eq!((&back["level"], &back["bot"]), (&Value::from("info"), &Value::from("echo")));
        assert!(back["timestamp"].is_string() && back["message"].is_string());
    }
}
