//! Cron lines and time zones: `0 9 * * MON-FRI` in `Europe/Oslo`, and when that is next.

use std::fmt;
use std::sync::{Arc, LazyLock};

use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::diagnostic::did_you_mean;

/// When something recurs, by the wall clock of a time zone. Clones share it.
#[derive(Clone)]
pub struct Cron {
    line: Arc<str>,
    zone: TimeZone,
    pattern: Arc<croner::Cron>,
}

/// A cron line of the configuration: it raises `timer:EMIT` in the scripts of a bot.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// When.
    pub cron: Cron,
    /// The name of the event, without `timer:`.
    pub emit: String,
    /// Whether the last slot that was missed while the program was down is made up for.
    pub catch_up: bool,
}

/// Why a cron line or the name of a zone means nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// What is wrong, with the text in backticks.
    pub message: String,
    /// How it would be right.
    pub hint: Option<String>,
}

/// The longest cron line.
const LONGEST: usize = 200;
/// The parts of a cron line.
const FIELDS: [&str; 5] = ["minute", "hour", "day of month", "month", "day of week"];
/// Words that stand for a whole line.
const NICKNAMES: [&str; 6] = ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@hourly"];

static PARSER: LazyLock<CronParser> =
    LazyLock::new(|| CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build());

impl Cron {
    /// Reads a line of five fields, or a nickname such as `@daily`.
    ///
    /// # Errors
    /// Where it means nothing, and where it would never come due.
    pub fn parse(line: &str, zone: TimeZone) -> Result<Self, Unreadable> {
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        let wrong = |message: String| Unreadable { message, hint: Some(SHAPE.to_owned()) };
        if line.len() > LONGEST {
            return Err(wrong(format!("a cron line has at most {LONGEST} characters")));
        }
        let pattern = match line.strip_prefix('@') {
            Some(_) if !NICKNAMES.contains(&line.to_ascii_lowercase().as_str()) => {
                let message = format!("`{line}` is no cron line");
                let hint = did_you_mean(&line, NICKNAMES).or_else(|| Some(SHAPE.to_owned()));
                return Err(Unreadable { message, hint });
            }
            Some(_) => PARSER.parse(&line).map_err(|why| wrong(format!("`{line}`: {}", words(&why))))?,
            None => fields(&line)?,
        };
        let cron = Self { line: line.as_str().into(), zone, pattern: Arc::new(pattern) };
        if cron.next(BEGIN).is_none() {
            let message = format!("`{line}` never comes due");
            let hint = Some("no month has such a day".to_owned());
            return Err(Unreadable { message, hint });
        }
        Ok(cron)
    }

    /// The line as it was written, with single spaces.
    pub fn line(&self) -> &str {
        &self.line
    }

    /// The zone by whose wall clock it goes.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The first slot after that moment. Where the clock is set forward, a line with one fixed time in the hour that
    /// is skipped comes due at its end; where it is set back, that line comes due once. Lines that recur within the day
    /// follow the wall clock: they skip with it and repeat with it.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let found = self.pattern.find_next_occurrence(&after.to_zoned(self.zone.clone()), false).ok()?;
        let found = found.timestamp();
        // Time must go on, whatever a library makes of an odd zone.
        (found > after).then_some(found)
    }

    /// The last slot up to that moment.
    pub fn last(&self, until: Timestamp) -> Option<Timestamp> {
        let found = self.pattern.find_previous_occurrence(&until.to_zoned(self.zone.clone()), true).ok()?;
        let found = found.timestamp();
        (found <= until).then_some(found)
    }
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        self.line == other.line && self.zone == other.zone
    }
}

impl fmt::Debug for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cron({} {})", self.line, self.zone.iana_name().unwrap_or("UTC"))
    }
}

/// The time zone of that name, such as `Europe/Oslo`.
///
/// # Errors
/// Where there is none.
pub fn zone(name: &str) -> Result<TimeZone, Unreadable> {
    if name == "UTC" {
        return Ok(TimeZone::UTC);
    }
    TimeZone::get(name).map_err(|_| {
        let names: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
        // `Oslo` is meant as `Europe/Oslo`.
        let city =
            |full: &&String| full.rsplit('/').next().is_some_and(|city| city.eq_ignore_ascii_case(name));
        let near = match names.iter().find(city) {
            Some(full) => Some(format!("did you mean `{full}`?")),
            None => did_you_mean(name, names.iter().map(String::as_str)),
        };
        let hint = near.unwrap_or_else(|| "write it like `Europe/Oslo`, or `UTC`".to_owned());
        Unreadable { message: format!("there is no time zone `{name}`"), hint: Some(hint) }
    })
}

/// A line of five fields. Each is looked at by itself first, so that the wrong one can be named.
fn fields(line: &str) -> Result<croner::Cron, Unreadable> {
    let wrong = |message: String| Unreadable { message, hint: Some(SHAPE.to_owned()) };
    let parts: Vec<&str> = line.split(' ').filter(|part| !part.is_empty()).collect();
    if parts.len() != FIELDS.len() {
        let count = parts.len();
        let fields = if count == 1 { "field" } else { "fields" };
        return Err(wrong(format!("`{line}` has {count} {fields}, a cron line has five")));
    }
    for (at, part) in parts.iter().enumerate() {
        let mut alone = ["*"; 5];
        alone[at] = part;
        if let Err(why) = PARSER.parse(&alone.join(" ")) {
            let why = match why {
                CronError::ComponentError(_) => format!(": {}", words(&why)),
                // The characters it does not like are not always those that were written.
                _ => String::new(),
            };
            return Err(wrong(format!("`{part}` is no {}{why}", FIELDS[at])));
        }
    }
    PARSER.parse(line).map_err(|why| wrong(format!("`{line}`: {}", words(&why))))
}

/// What the parser says, in our manner.
fn words(why: &CronError) -> String {
    let text = match why {
        CronError::InvalidPattern(text)
        | CronError::IllegalCharacters(text)
        | CronError::ComponentError(text) => text.clone(),
        CronError::EmptyPattern
        | CronError::InvalidDate
        | CronError::InvalidTime
        | CronError::TimeSearchLimitExceeded => why.to_string(),
    };
    let text = text.trim_end_matches('.');
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

const SHAPE: &str =
    "write minute, hour, day of month, month and day of week: `0 9 * * MON-FRI` is nine o'clock on workdays";

/// Whatever has not come due between then and the year 5000 never does.
const BEGIN: Timestamp = Timestamp::UNIX_EPOCH;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_follow_the_wall_clock_of_the_zone() {
        assert_eq!(
            slots("0 9 * * MON-FRI", "Europe/Oslo", "2026-03-26T12:00:00Z", 3),
            ["2026-03-27T08:00:00Z", "2026-03-30T07:00:00Z", "2026-03-31T07:00:00Z"]
        );
        assert_eq!(slots("@daily", "UTC", "2026-03-26T00:00:00Z", 1), ["2026-03-27T00:00:00Z"]);
        assert_eq!(slots("30 8 1 jan,jul *", "UTC", "2026-03-26T00:00:00Z", 1), ["2026-07-01T08:30:00Z"]);
    }

    #[test]
    fn a_fixed_time_in_the_skipped_hour_comes_due_at_its_end() {
        // Oslo has no 2:30 on 29 March 2026.
        assert_eq!(
            slots("30 2 * * *", "Europe/Oslo", "2026-03-28T12:00:00Z", 2),
            ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]
        );
    }

    #[test]
    fn a_fixed_time_in_the_doubled_hour_comes_due_once() {
        // Oslo has 2:30 twice on 25 October 2026.
        assert_eq!(
            slots("30 2 * * *", "Europe/Oslo", "2026-10-24T12:00:00Z", 2),
            ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]
        );
    }

    #[test]
    fn what_recurs_within_the_day_skips_and_repeats_with_the_clock() {
        let spring = slots("*/30 * * * *", "Europe/Oslo", "2026-03-29T00:15:00Z", 3);
        assert_eq!(spring, ["2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"]);
        let autumn = slots("*/30 * * * *", "Europe/Oslo", "2026-10-25T00:15:00Z", 4);
        let every =
            ["2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:00:00Z"];
        assert_eq!(autumn, every);
    }

    #[test]
    fn the_last_slot_is_the_one_before_the_next() {
        let cron = cron("0 9 * * *", "Europe/Oslo");
        let at = |text: &str| text.parse::<Timestamp>().expect("a stamp");
        assert_eq!(cron.last(at("2026-03-26T12:00:00Z")), Some(at("2026-03-26T08:00:00Z")));
        assert_eq!(cron.last(at("2026-03-26T08:00:00Z")), Some(at("2026-03-26T08:00:00Z")));
        assert_eq!(cron.last(at("2026-03-26T07:59:59.5Z")), Some(at("2026-03-25T08:00:00Z")));
    }

    #[test]
    fn a_line_that_means_nothing_is_refused_with_its_field() {
        let why = |line: &str| Cron::parse(line, TimeZone::UTC).expect_err(line);
        assert!(why("61 9 * * *").message.starts_with("`61` is no minute: "), "{:?}", why("61 9 * * *"));
        assert_eq!(why("0 9 * * MONDAI").message, "`MONDAI` is no day of week");
        assert_eq!(why("0 9 * *").message, "`0 9 * *` has 4 fields, a cron line has five");
        assert_eq!(why("0 0 9 * * *").message, "`0 0 9 * * *` has 6 fields, a cron line has five");
        assert_eq!(why("").message, "`` has 0 fields, a cron line has five");
        assert_eq!(why("@dayly").hint.as_deref(), Some("did you mean `@daily`?"));
        assert_eq!(why("0 0 30 2 *").message, "`0 0 30 2 *` never comes due");
        assert!(why(&"1,".repeat(200)).message.contains("at most 200"));
    }

    #[test]
    fn an_unknown_zone_is_refused_with_the_nearest() {
        assert!(zone("Europe/Oslo").is_ok() && zone("UTC").is_ok());
        assert_eq!(zone("Oslo").expect_err("no zone").hint.as_deref(), Some("did you mean `Europe/Oslo`?"));
        assert_eq!(
            zone("Europe/Olso").expect_err("no zone").hint.as_deref(),
            Some("did you mean `Europe/Oslo`?")
        );
        assert!(zone("../etc/passwd").is_err() && zone("").is_err());
    }

    fn slots(line: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
        let cron = cron(line, zone);
        let mut at: Timestamp = after.parse().expect("a stamp");
        let mut found = Vec::new();
        for _ in 0..count {
            at = cron.next(at).expect("it comes due");
            found.push(at.to_string());
        }
        found
    }

    fn cron(line: &str, name: &str) -> Cron {
        Cron::parse(line, zone(name).expect("a zone")).expect("a cron line")
    }
}
