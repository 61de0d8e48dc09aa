//! Dates and times on the wire: XEP-0082, and the stamp of XEP-0091 that old servers still send.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::Offset;

/// Why a text is no date or time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateTimeError {
    /// It has another form than XEP-0082 §3 prescribes.
    Form,
    /// It has the form, and there is no such day, hour or offset.
    Range,
}

/// Reads a DateTime, XEP-0082 §3.2: `CCYY-MM-DDThh:mm:ss[.sss]` and a zone, which must be there.
/// A leap second becomes the second after it; digits below the nanosecond are dropped.
pub fn parse(text: &str) -> Result<Timestamp, DateTimeError> {
    let (date, rest) = text.split_once('T').ok_or(DateTimeError::Form)?;
    let (time, zone) = split_zone(rest);
    instant(parse_date(date)?, time, zone.ok_or(DateTimeError::Form)?)
}

/// Reads a Date, XEP-0082 §3.1: `CCYY-MM-DD`.
pub fn parse_date(text: &str) -> Result<Date, DateTimeError> {
    let mut reader = Reader(text);
    let year = reader.number(4)?;
    reader.literal('-')?;
    let month = reader.number(2)?;
    reader.literal('-')?;
    let day = reader.number(2)?;
    reader.end()?;
    date(year, month, day)
}

/// Reads a Time, XEP-0082 §3.3: `hh:mm:ss[.sss]`, brought to UTC where it has a zone. Without a
/// date it runs around the clock.
pub fn parse_time(text: &str) -> Result<Time, DateTimeError> {
    let (time, zone) = split_zone(text);
    let seconds = zone.map_or(Ok(0), offset)?;
    let (time, leap) = parse_clock(time)?;
    let seconds = jiff::SignedDuration::from_secs(i64::from(leap) - i64::from(seconds));
    Ok(time.wrapping_add(seconds))
}

/// Reads the stamp of XEP-0091 §3: `CCYYMMDDThh:mm:ss`, always UTC.
pub fn parse_legacy(text: &str) -> Result<Timestamp, DateTimeError> {
    let (day, time) = text.split_once('T').ok_or(DateTimeError::Form)?;
    let mut reader = Reader(day);
    let (year, month, day) = (reader.number(4)?, reader.number(2)?, reader.number(2)?);
    reader.end()?;
    if time.len() != "hh:mm:ss".len() {
        return Err(DateTimeError::Form);
    }
    instant(date(year, month, day)?, time, "Z")
}

/// Writes a DateTime in UTC, to the second or, where there is a fraction, to the millisecond.
pub fn print(at: Timestamp) -> String {
    let civil = Offset::UTC.to_datetime(at);
    let mut text = format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
        civil.year(),
        civil.month(),
        civil.day(),
        civil.hour(),
        civil.minute(),
        civil.second()
    );
    if civil.millisecond() > 0 {
        text.push_str(&format!(".{:03}", civil.millisecond()));
    }
    text.push('Z');
    text
}

fn instant(date: Date, time: &str, zone: &str) -> Result<Timestamp, DateTimeError> {
    let (time, leap) = parse_clock(time)?;
    let offset = Offset::from_seconds(offset(zone)?).map_err(|_| DateTimeError::Range)?;
    let at = offset.to_timestamp(DateTime::from_parts(date, time)).map_err(|_| DateTimeError::Range)?;
    at.checked_add(jiff::SignedDuration::from_secs(i64::from(leap))).map_err(|_| DateTimeError::Range)
}

/// `hh:mm:ss` and a fraction; the second value is 1 for a leap second, which the clock shows as 59.
fn parse_clock(text: &str) -> Result<(Time, i8), DateTimeError> {
    let mut reader = Reader(text);
    let hour = reader.number(2)?;
    reader.literal(':')?;
    let minute = reader.number(2)?;
    reader.literal(':')?;
    let second = reader.number(2)?;
    let nanosecond = reader.fraction()?;
    reader.end()?;
    let (second, leap) = if second == 60 { (59, 1) } else { (second, 0) };
    let time = Time::new(small(hour)?, small(minute)?, small(second)?, nanosecond);
    Ok((time.map_err(|_| DateTimeError::Range)?, leap))
}

/// Cuts off what follows the seconds: `Z`, `+hh:mm`, `-hh:mm`.
fn split_zone(text: &str) -> (&str, Option<&str>) {
    match text.find(['Z', '+', '-']) {
        Some(at) => (&text[..at], Some(&text[at..])),
        None => (text, None),
    }
}

/// Seconds east of UTC.
fn offset(zone: &str) -> Result<i32, DateTimeError> {
    let (sign, rest) = match zone.split_at_checked(1) {
        Some(("Z", "")) => return Ok(0),
        Some(("+", rest)) => (1, rest),
        Some(("-", rest)) => (-1, rest),
        Some(_) | None => return Err(DateTimeError::Form),
    };
    let mut reader = Reader(rest);
    let hours = reader.number(2)?;
    reader.literal(':')?;
    let minutes = reader.number(2)?;
    reader.end()?;
    if hours > 23 || minutes > 59 {
        return Err(DateTimeError::Range);
    }
    Ok(sign * i32::from(hours * 60 + minutes) * 60)
}

fn date(year: i16, month: i16, day: i16) -> Result<Date, DateTimeError> {
    Date::new(year, small(month)?, small(day)?).map_err(|_| DateTimeError::Range)
}

fn small(number: i16) -> Result<i8, DateTimeError> {
    i8::try_from(number).map_err(|_| DateTimeError::Range)
}

/// What is left to read.
struct Reader<'a>(&'a str);

impl Reader<'_> {
    /// Exactly so many digits, at most four.
    fn number(&mut self, digits: usize) -> Result<i16, DateTimeError> {
        let (number, rest) = self.0.split_at_checked(digits).ok_or(DateTimeError::Form)?;
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(DateTimeError::Form);
        }
        self.0 = rest;
        number.parse().map_err(|_| DateTimeError::Form)
    }

    fn literal(&mut self, expected: char) -> Result<(), DateTimeError> {
        self.0 = self.0.strip_prefix(expected).ok_or(DateTimeError::Form)?;
        Ok(())
    }

    /// Nanoseconds; none where no fraction stands.
    fn fraction(&mut self) -> Result<i32, DateTimeError> {
        let Some(digits) = self.0.strip_prefix('.') else { return Ok(0) };
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        let (digits, rest) = digits.split_at(end);
        if digits.is_empty() {
            return Err(DateTimeError::Form);
        }
        self.0 = rest;
        let nine = digits.bytes().chain(std::iter::repeat(b'0')).take(9);
        Ok(nine.fold(0, |number, digit| number * 10 + i32::from(digit - b'0')))
    }

    fn end(&self) -> Result<(), DateTimeError> {
        if self.0.is_empty() { Ok(()) } else { Err(DateTimeError::Form) }
    }
}

impl fmt::Display for DateTimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Form => "no date or time in the form of XEP-0082",
            Self::Range => "there is no such day, time or offset",
        })
    }
}

impl std::error::Error for DateTimeError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::*;

    #[test]
    fn agrees_with_the_examples_of_xep_0082() {
        let moon = Ok("1969-07-21T02:56:15Z".parse().expect("a time"));
        assert_eq!(parse("1969-07-21T02:56:15Z"), moon);
        assert_eq!(parse("1969-07-20T21:56:15-05:00"), moon);
        assert_eq!(parse_date("1776-07-04"), Ok(Date::constant(1776, 7, 4)));
        assert_eq!(parse_time("16:00:00"), Ok(Time::constant(16, 0, 0, 0)));
        assert_eq!(parse_time("16:00:00Z"), Ok(Time::constant(16, 0, 0, 0)));
        assert_eq!(parse_time("16:00:00+07:00"), Ok(Time::constant(9, 0, 0, 0)));
        assert_eq!(parse_time("02:00:00+07:00"), Ok(Time::constant(19, 0, 0, 0)));
    }

    #[test]
    fn reads_fractions_of_any_length() {
        for (fraction, nanoseconds) in
            [("1", 100_000_000), ("123", 123_000_000), ("158200", 158_200_000), ("0000000019", 1)]
        {
            let at = parse(&format!("2022-08-14T14:46:32.{fraction}Z")).expect(fraction);
            assert_eq!(at.subsec_nanosecond(), nanoseconds);
        }
    }

    #[test]
    fn a_leap_second_is_the_second_after() {
        assert_eq!(parse("2015-06-30T23:59:60Z"), parse("2015-07-01T00:00:00Z"));
        assert_eq!(parse_time("23:59:60"), Ok(Time::MIN));
    }

    #[test]
    fn refuses_other_forms() {
        for text in [
            "",
            "hello world",
            "2017-07-11T18:31:34",
            "2017-07-11 18:31:34Z",
            "2017-07-11t18:31:34Z",
            "2017-07-11T18:31:34z",
            "2017-07-11T18:31:34+0200",
            "2017-07-11T18:31:34+02",
            "2017-07-11T18:31:34ZZ",
            "2017-07-11T18:31:34.Z",
            "2017-07-11T18:31Z",
            "2017-7-11T18:31:34Z",
            "17-07-11T18:31:34Z",
            "12017-07-11T18:31:34Z",
            "-2017-07-11T18:31:34Z",
            "2017-07-11T+8:31:34Z",
            "2017-07-11T18:31:34Z ",
            "2017-07-1\u{661}T18:31:34Z",
            "2017-07-11T1\u{e4}:31:34Z",
        ] {
            assert_eq!(parse(text), Err(DateTimeError::Form), "{text:?}");
        }
    }

    #[test]
    fn refuses_days_and_hours_that_do_not_exist() {
        for text in [
            "2017-02-29T00:00:00Z",
            "2017-13-01T00:00:00Z",
            "2017-00-01T00:00:00Z",
            "2017-01-32T00:00:00Z",
            "2017-01-01T24:00:00Z",
            "2017-01-01T23:60:00Z",
            "2017-01-01T23:59:61Z",
            "2017-01-01T00:00:00+24:00",
            "2017-01-01T00:00:00+23:60",
            "9999-12-31T23:59:59-23:00",
        ] {
            assert_eq!(parse(text), Err(DateTimeError::Range), "{text:?}");
        }
    }

    #[test]
    fn reads_the_stamp_of_xep_0091() {
        assert_eq!(parse_legacy("20020910T23:08:25"), parse("2002-09-10T23:08:25Z"));
        for text in [
            "2002T23:08:25",
            "130T23:08:25",
            "2002-09-10T23:08:25",
            "20020910T23:08:25Z",
            "20020910T23:08:25.5",
        ] {
            assert_eq!(parse_legacy(text), Err(DateTimeError::Form), "{text:?}");
        }
    }

    #[test]
    fn prints_seconds_or_milliseconds() {
        for (nanoseconds, expected) in [
            (0, "2002-09-10T23:08:25Z"),
            (120_000_000, "2002-09-10T23:08:25.120Z"),
            (999_999, "2002-09-10T23:08:25Z"),
        ] {
            let at = Timestamp::new(1_031_699_305, nanoseconds).expect("in range");
            assert_eq!(print(at), expected);
        }
    }

    proptest! {
        #[test]
        fn reads_what_it_prints(seconds in -62_167_219_200i64..253_402_207_200, milliseconds in 0..1000i32) {
            let at = Timestamp::new(seconds, 0).expect("in range")
                + jiff::SignedDuration::from_millis(i64::from(milliseconds));
            assert_eq!(parse(&print(at)), Ok(at));
        }

        #[test]
        fn no_text_is_a_panic(text in any::<String>(), near in "[0-9TZ:.+-]{0,30}") {
            for text in [text, near] {
                let read = [parse(&text).is_ok(), parse_date(&text).is_ok(), parse_legacy(&text).is_ok()];
                assert!(read.iter().filter(|read| **read).count() <= 1, "{text:?} is two things");
                // Anything goes, as long as it returns.
                let _ = parse_time(&text);
            }
        }
    }
}
