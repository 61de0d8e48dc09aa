//! Spans of time and moments as people write them: `15m`, `1h30m`, `17:30`, `tomorrow 9:00`.

use std::time::Duration;

use jiff::civil::{Date, DateTime, Time};
use jiff::{Timestamp, Zoned};

/// The longest span taken: ten years.
const LONGEST: Duration = Duration::from_secs(3650 * 86_400);

/// Reads `500ms`, `10s`, `15m`, `2h`, `1d`, `1w` and sums of them, such as `1h30m`. At most ten years.
pub(super) fn parse_span(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let milliseconds = match &rest[..unit] {
            "ms" => 1,
            "s" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 604_800_000,
            _ => return None,
        };
        total = total.checked_add(Duration::from_millis(number.checked_mul(milliseconds)?))?;
        rest = &rest[unit..];
    }
    (total <= LONGEST).then_some(total)
}

/// The span in at most two units, such as `1h 30m`.
pub(super) fn show_span(span: Duration) -> String {
    let seconds = span.as_secs();
    let units = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];
    let mut left = seconds;
    let mut parts = Vec::new();
    for (unit, size) in units {
        if left >= size && parts.len() < 2 {
            parts.push(format!("{}{unit}", left / size));
            left %= size;
        }
    }
    if parts.is_empty() { format!("{}ms", span.subsec_millis()) } else { parts.join(" ") }
}

/// Reads a moment: a span from now, `17:30` (the next one), `tomorrow [9:00]`, `2026-12-24 [18:00]`, or RFC 3339.
/// Days and times of day are those of the zone of `now`. One that summer time skips is taken as later by what it skips,
/// one that comes twice as the first.
pub(super) fn parse_when(text: &str, now: &Zoned) -> Option<Timestamp> {
    let text = text.trim();
    if let Some(span) = parse_span(text.strip_prefix("in ").unwrap_or(text)) {
        return now.timestamp().checked_add(span).ok();
    }
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(moment);
    }
    let today = now.date();
    let here =
        |moment: DateTime| moment.to_zoned(now.time_zone().clone()).ok().map(|zoned| zoned.timestamp());
    if let Some(time) = time_of_day(text) {
        let moment = here(today.to_datetime(time))?;
        return if moment > now.timestamp() {
            Some(moment)
        } else {
            here(today.tomorrow().ok()?.to_datetime(time))
        };
    }
    let (day, time) = text.split_once([' ', 'T']).unwrap_or((text, "0:00"));
    let day = match day {
        "today" => today,
        "tomorrow" => today.tomorrow().ok()?,
        day => day.parse::<Date>().ok()?,
    };
    here(day.to_datetime(time_of_day(time)?))
}

fn time_of_day(text: &str) -> Option<Time> {
    let (hour, minute) = text.trim().split_once(':')?;
    let digits = |part: &str| part.len() <= 2 && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(hour) || !digits(minute) || minute.len() != 2 {
        return None;
    }
    Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_with_their_units() {
        let seconds = |text| parse_span(text).map(|span| span.as_secs_f64());
        assert_eq!(seconds("15m"), Some(900.0));
        assert_eq!(seconds("1h30m"), Some(5400.0));
        assert_eq!(seconds("500ms"), Some(0.5));
        assert_eq!(seconds("2w"), Some(1_209_600.0));
        for wrong in ["", "15", "m", "5 m", "5y", "-5m", "99999999999999999999s", "4000d"] {
            assert_eq!(parse_span(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn spans_are_shown_in_two_units() {
        let show = |seconds| show_span(Duration::from_secs(seconds));
        assert_eq!([show(5400), show(45), show(90_061)], ["1h 30m", "45s", "1d 1h"]);
        assert_eq!(show_span(Duration::from_millis(20)), "20ms");
    }

    #[test]
    fn moments_are_read_from_now_on() {
        let now: Zoned = "2026-03-01T12:00:00[UTC]".parse().expect("a stamp");
        let when = |text| parse_when(text, &now).map(|moment| moment.to_string());
        assert_eq!(when("10m").as_deref(), Some("2026-03-01T12:10:00Z"));
        assert_eq!(when("in 10m").as_deref(), Some("2026-03-01T12:10:00Z"));
        assert_eq!(when("17:30").as_deref(), Some("2026-03-01T17:30:00Z"));
        assert_eq!(when("9:00").as_deref(), Some("2026-03-02T09:00:00Z"));
        assert_eq!(when("tomorrow").as_deref(), Some("2026-03-02T00:00:00Z"));
        assert_eq!(when("2026-12-24 18:00").as_deref(), Some("2026-12-24T18:00:00Z"));
        assert_eq!(when("2026-12-24T18:00:00+01:00").as_deref(), Some("2026-12-24T17:00:00Z"));
        for wrong in ["soon", "25:00", "7:5", "2026-13-01", "tomorrow noon"] {
            assert_eq!(when(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn days_and_times_of_day_are_those_of_the_zone() {
        let when = |text, now: &str| {
            let now: Zoned = format!("{now}[Europe/Oslo]").parse().expect("a stamp");
            parse_when(text, &now).map(|moment| moment.to_string())
        };
        assert_eq!(when("17:30", "2026-03-01T12:00:00").as_deref(), Some("2026-03-01T16:30:00Z"));
        assert_eq!(when("today", "2026-07-01T01:00:00").as_deref(), Some("2026-06-30T22:00:00Z"));
        // The night between has only 23 hours.
        assert_eq!(when("9:00", "2026-03-28T12:00:00").as_deref(), Some("2026-03-29T07:00:00Z"));
        // 2:30 is skipped, and comes twice in October.
        assert_eq!(when("2026-03-29 2:30", "2026-03-28T12:00:00").as_deref(), Some("2026-03-29T01:30:00Z"));
        assert_eq!(when("2026-10-25 2:30", "2026-03-28T12:00:00").as_deref(), Some("2026-10-25T00:30:00Z"));
    }
}
