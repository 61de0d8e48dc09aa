//! The format of `*.chat`: a conversation as people would write it down. `docs/testing.md` is its reference.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use regex::Regex;
use serde_json::Value;

use crate::config::units;
use crate::diagnostic::{Diagnostic, Place, Source};
use crate::script::testing::chosen::Choice;

/// Bytes of one transcript.
pub const LONGEST: usize = 1 << 20;

/// One file.
#[derive(Clone, Debug)]
pub struct Transcript {
    /// Its text.
    pub source: Arc<Source>,
    /// What stands before the first section.
    pub header: Header,
    /// The conversations.
    pub sections: Vec<Section>,
}

/// What holds for all sections of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Header {
    /// Scripts as they are written, with where.
    pub scripts: Vec<(String, Range<usize>)>,
    /// The bot: a name of bots.yaml, a name for this file, or an address.
    pub bot: Option<(String, Range<usize>)>,
    /// Rooms that the bot is in, beside those in which something is said.
    pub rooms: Vec<String>,
    /// What the clock shows first.
    pub now: Option<jiff::Zoned>,
    /// Values for options of the scripts.
    pub config: BTreeMap<String, Value>,
    /// From what chance follows.
    pub seed: Option<u64>,
    /// Sections go on where the one before has ended.
    pub keep: bool,
}

/// One conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// Its name.
    pub name: String,
    /// Its line.
    pub line: usize,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Its first line.
    pub line: usize,
    /// The line behind its last one.
    pub end: usize,
    /// What.
    pub what: What,
}

/// What happens.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A stage direction.
    Do(Direction),
    /// The bot must say this: here, or to somebody.
    Expect {
        /// To whom, where it is neither here nor to who spoke last.
        to: Option<String>,
        /// The words, with patterns in them.
        text: String,
    },
    /// What follows happens in this room, or between two.
    Place(Option<String>),
    /// Somebody says something.
    Says {
        /// Who.
        who: String,
        /// What.
        text: String,
    },
}

/// A stage direction.
#[derive(Clone, Debug, PartialEq)]
pub enum Direction {
    /// `* as admin [ann]`
    As {
        /// Which role.
        role: String,
        /// Who gets it; whoever speaks next where it is open.
        who: Option<String>,
    },
    /// `* crash`
    Crash,
    /// `* http GET https://… → 200 body`
    Http {
        /// The method.
        method: String,
        /// The address; `*` at its end stands for any rest.
        url: String,
        /// The answer's status.
        status: u16,
        /// The answer's body.
        body: String,
        /// The body is the content of this file.
        file: Option<String>,
    },
    /// `* join bob`
    Join(String),
    /// `* kick 333`
    Kick(u16),
    /// `* leave bob`
    Leave(String),
    /// `* link down`, `* link up`
    Link(bool),
    /// `* menu ann`, `* open ann roll`, `* fill ann sides=6`, `* press ann complete`
    Menu {
        /// Who does it.
        who: String,
        /// What.
        choice: Choice,
    },
    /// `* start`
    Start,
    /// `* +15m`
    Wait(std::time::Duration),
}

impl Section {
    /// The rooms in which something happens.
    pub fn rooms(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().filter_map(|step| match &step.what {
            What::Place(room) => room.as_deref(),
            What::Do(_) | What::Expect { .. } | What::Says { .. } => None,
        })
    }
}

impl std::fmt::Display for Direction {
    /// As it is written behind the star.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::As { role, who } => write!(f, "as {role} {}", who.as_deref().unwrap_or_default()),
            Self::Crash => f.write_str("crash"),
            Self::Http { method, url, status, .. } => write!(f, "http {method} {url} → {status}"),
            Self::Join(who) => write!(f, "join {who}"),
            Self::Kick(code) => write!(f, "kick {code}"),
            Self::Leave(who) => write!(f, "leave {who}"),
            Self::Link(up) => f.write_str(if *up { "link up" } else { "link down" }),
            Self::Menu { who, choice } => f.write_str(choice.written(who).trim_end()),
            Self::Start => f.write_str("start"),
            Self::Wait(span) => f.write_str(&written(*span)),
        }
    }
}

/// A span as it is written: `+1h30m`.
pub fn written(span: std::time::Duration) -> String {
    let mut rest = span.as_secs();
    let mut text = String::from("+");
    for (unit, seconds) in [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)] {
        if rest >= seconds || (seconds == 1 && text == "+") {
            text.push_str(&format!("{}{unit}", rest / seconds));
            rest %= seconds;
        }
    }
    text
}

/// Reads a file; everything that is wrong comes back at once.
///
/// # Errors
/// What is wrong, with places.
pub fn parse(source: &Arc<Source>) -> Result<Transcript, Vec<Diagnostic>> {
    let mut reader = Reader { source, header: Header::default(), sections: Vec::new(), problems: Vec::new() };
    if source.text.len() > LONGEST {
        return Err(vec![Diagnostic::error(
            "chat::size",
            format!("the file is longer than {LONGEST} bytes"),
        )]);
    }
    let lines = lines(&source.text);
    let mut at = 0;
    while at < lines.len() {
        let mut end = at + 1;
        let (start, first) = lines[at];
        // A line that is indented belongs to the one before.
        while end < lines.len() && is_continuation(lines[end].1) {
            end += 1;
        }
        let more: Vec<&str> = lines[at + 1..end].iter().map(|(_, line)| *line).collect();
        reader.line(at + 1, end + 1, start, first, &more);
        at = end;
    }
    if reader.problems.is_empty() {
        Ok(Transcript { source: Arc::clone(source), header: reader.header, sections: reader.sections })
    } else {
        Err(reader.problems)
    }
}

fn lines(text: &str) -> Vec<(usize, &str)> {
    let mut start = 0;
    text.split('\n')
        .map(|line| {
            let at = start;
            start += line.len() + 1;
            (at, line.strip_suffix('\r').unwrap_or(line))
        })
        .collect()
}

fn is_continuation(line: &str) -> bool {
    line.starts_with([' ', '\t']) && !line.trim().is_empty()
}

struct Reader<'a> {
    source: &'a Arc<Source>,
    header: Header,
    sections: Vec<Section>,
    problems: Vec<Diagnostic>,
}

impl Reader<'_> {
    fn line(&mut self, line: usize, end: usize, start: usize, first: &str, more: &[&str]) {
        let whole = start..start + first.len();
        let trimmed = first.trim();
        if is_continuation(first) {
            let message = "an indented line goes on with the one before, and there is none";
            return self.problem("chat::line", message, whole, "write it without the spaces in front");
        }
        if trimmed.is_empty() || trimmed.starts_with('#') {
            return;
        }
        if let Some(name) = trimmed.strip_prefix("==") {
            let name = name.trim().trim_end_matches("==").trim().to_owned();
            self.sections.push(Section { name, line, steps: Vec::new() });
            return;
        }
        if self.sections.is_empty() {
            return self.header(whole, trimmed);
        }
        let what = match self.step(&whole, trimmed, more) {
            Ok(what) => what,
            Err((message, hint)) => return self.problem("chat::line", &message, whole, &hint),
        };
        let step = Step { line, end, what };
        if let Some(section) = self.sections.last_mut() {
            section.steps.push(step);
        }
    }

    fn problem(&mut self, name: &'static str, message: &str, span: Range<usize>, hint: &str) {
        let place = Place::new(self.source, span);
        self.problems.push(Diagnostic::error(name, message).at(place, "").hint(hint));
    }

    fn header(&mut self, span: Range<usize>, text: &str) {
        let Some((key, value)) = text.split_once(':') else {
            let message = "this is no line of a header";
            return self.problem("chat::header", message, span, "a conversation begins with `== its name`");
        };
        let value = value.trim();
        let begin = span.end - text.len() + text.find(value).unwrap_or(0);
        let inner = begin..begin + value.len();
        match key.trim() {
            "bot" => self.header.bot = Some((value.to_owned(), inner)),
            "script" => {
                let scripts = value.split(',').map(str::trim).filter(|script| !script.is_empty());
                self.header.scripts.extend(scripts.map(|script| (script.to_owned(), inner.clone())));
            }
            "rooms" => {
                let rooms = value.split(',').map(str::trim).filter(|room| !room.is_empty());
                match rooms.clone().find(|room| !room.contains('@')) {
                    Some(room) => self.problem(
                        "chat::header",
                        &format!("`{room}` is no room"),
                        inner,
                        "write `rooms: team@rooms.example.org`",
                    ),
                    None => self.header.rooms.extend(rooms.map(str::to_owned)),
                }
            }
            "now" => match moment(value) {
                Some(now) => self.header.now = Some(now),
                None => self.problem(
                    "chat::header",
                    &format!("`{value}` is no moment"),
                    inner,
                    "write `2026-11-23T08:59:00[Europe/Oslo]` or `2026-11-23T08:59:00Z`",
                ),
            },
            "seed" => match value.parse() {
                Ok(seed) => self.header.seed = Some(seed),
                Err(_) => self.problem("chat::header", "a seed is a whole number", inner, "write `seed: 42`"),
            },
            "keep" => self.header.keep = !matches!(value, "no" | "false"),
            "config" => match value.split_once('=') {
                Some((name, text)) => {
                    let value = serde_json::from_str(text.trim());
                    let value = value.unwrap_or_else(|_| Value::from(text.trim()));
                    self.header.config.insert(name.trim().to_owned(), value);
                }
                None => self.problem(
                    "chat::header",
                    "an option has a value",
                    inner,
                    "write `config: name = value`",
                ),
            },
            other => {
                let known = ["bot", "config", "keep", "now", "rooms", "script", "seed"];
                let near = known.iter().find(|known| strsim::levenshtein(known, other) <= 2);
                let hint = match near {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "a header has script, bot, rooms, now, config, seed and keep; talk comes behind `== its name`".to_owned(),
                };
                self.problem("chat::header", &format!("no key `{other}` in a header"), span, &hint);
            }
        }
    }

    fn step(&mut self, _: &Range<usize>, text: &str, more: &[&str]) -> Result<What, (String, String)> {
        if let Some(direction) = text.strip_prefix('*') {
            return direction_of(direction.trim(), more).map(What::Do);
        }
        if let Some(place) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let room = Some(place.trim()).filter(|place| !matches!(*place, "" | "direct"));
            if room.is_some_and(|room| !room.contains('@')) {
                return Err((
                    format!("`{place}` is no room"),
                    "write `[team@rooms.example.org]`, and `[]` to come back".to_owned(),
                ));
            }
            return Ok(What::Place(room.map(str::to_owned)));
        }
        let wrong = || {
            (
                "this is neither talk nor a direction".to_owned(),
                "write `ann: hi`, `bot: Hello!`, `* +5m`, or `[room@host]`".to_owned(),
            )
        };
        let (who, said) = text.split_once(':').ok_or_else(wrong)?;
        let who = who.trim();
        let text = joined(said.trim(), more);
        if who == "bot" {
            return Ok(What::Expect { to: None, text });
        }
        if let Some(to) = who.strip_prefix("bot → ").or(who.strip_prefix("bot -> ")) {
            return Ok(What::Expect { to: Some(to.trim().to_owned()), text });
        }
        if who.is_empty() || who.contains(char::is_whitespace) {
            return Err(wrong());
        }
        Ok(What::Says { who: who.to_owned(), text })
    }
}

/// The lines of one text; the indentation of the first further line is taken off all of them.
fn joined(first: &str, more: &[&str]) -> String {
    let depth = more.first().map_or(0, |line| line.len() - line.trim_start().len());
    let mut text = first.to_owned();
    for line in more {
        let own = line.len() - line.trim_start().len();
        text.push('\n');
        text.push_str(&line[own.min(depth)..]);
    }
    // A text that begins on the second line.
    if first.is_empty() { text.trim_start_matches('\n').to_owned() } else { text }
}

/// Reads `2026-11-23T08:59:00[Europe/Oslo]`, `2026-11-23 08:59 UTC`-like forms without zone are UTC.
pub fn moment(text: &str) -> Option<jiff::Zoned> {
    if let Ok(zoned) = text.parse::<jiff::Zoned>() {
        return Some(zoned);
    }
    if let Ok(stamp) = text.parse::<jiff::Timestamp>() {
        return Some(stamp.to_zoned(jiff::tz::TimeZone::UTC));
    }
    text.parse::<jiff::civil::DateTime>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()
}

fn direction_of(text: &str, more: &[&str]) -> Result<Direction, (String, String)> {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let rest = rest.trim();
    let wrong = |hint: &str| Err((format!("`* {text}` is no direction"), hint.to_owned()));
    if let Some(span) = text.strip_prefix('+') {
        let sum: Option<std::time::Duration> = span_of(span.trim());
        return match sum {
            Some(span) => Ok(Direction::Wait(span)),
            None => wrong("write a span of time: `* +90s`, `* +15m`, `* +1d2h`"),
        };
    }
    match (word, rest) {
        ("crash", "") => Ok(Direction::Crash),
        ("start", "") => Ok(Direction::Start),
        ("link", "down") => Ok(Direction::Link(false)),
        ("link", "up") => Ok(Direction::Link(true)),
        ("link", _) => wrong("write `* link down` or `* link up`"),
        ("join", who) if !who.is_empty() => Ok(Direction::Join(who.to_owned())),
        ("leave", who) if !who.is_empty() => Ok(Direction::Leave(who.to_owned())),
        ("kick", code) => match code.parse() {
            Ok(code @ (301 | 307 | 321 | 322 | 332 | 333)) => Ok(Direction::Kick(code)),
            _ => wrong("a kick has one of the codes 301, 307, 321, 322, 332 and 333: `* kick 333`"),
        },
        ("as", role) if !role.is_empty() => {
            let (role, who) = role.split_once(char::is_whitespace).unwrap_or((role, ""));
            let who = Some(who.trim()).filter(|who| !who.is_empty()).map(str::to_owned);
            Ok(Direction::As { role: role.to_owned(), who })
        }
        ("menu" | "open" | "fill" | "press", _) => {
            let whole = joined(rest, more);
            match Choice::parse(word, &whole) {
                Some(Ok((who, choice))) => Ok(Direction::Menu { who, choice }),
                Some(Err(hint)) => wrong(hint),
                None => wrong("there are menu, open, fill and press"),
            }
        }
        ("http", request) => http_of(request, more).ok_or_else(|| {
            (
                format!("`* {text}` is no recorded answer"),
                "write `* http GET https://api.example.net/x* → 200 the body`, or `→ 200 @file`".to_owned(),
            )
        }),
        _ => {
            let known = [
                "+5m", "as", "crash", "fill", "http", "join", "kick", "leave", "link", "menu", "open",
                "press", "start",
            ];
            let near = known.iter().find(|known| strsim::levenshtein(known, word) <= 2);
            match near {
                Some(near) => wrong(&format!("did you mean `* {near}`?")),
                None => wrong(
                    "there are +SPAN, as, crash, http, join, kick, leave, link, start, menu, open, fill and press",
                ),
            }
        }
    }
}

/// `1d2h`: a sum of amounts.
pub fn span_of(text: &str) -> Option<std::time::Duration> {
    let mut total = std::time::Duration::ZERO;
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let unit = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |unit| digits + unit);
        total = total.checked_add(units::duration(&rest[..unit]).ok()?)?;
        rest = &rest[unit..];
    }
    Some(total)
}

fn http_of(text: &str, more: &[&str]) -> Option<Direction> {
    let (request, answer) = text.split_once('→').or_else(|| text.split_once("->"))?;
    let (method, url) = request.trim().split_once(char::is_whitespace)?;
    let answer = answer.trim();
    let (status, body) = answer.split_once(char::is_whitespace).unwrap_or((answer, ""));
    let status = status.parse().ok().filter(|status| (100..=599).contains(status))?;
    let body = joined(body.trim(), more);
    let file = body.strip_prefix('@').map(|file| file.trim().to_owned());
    let body = if file.is_some() { String::new() } else { body };
    Some(Direction::Http { method: method.to_uppercase(), url: url.trim().to_owned(), status, body, file })
}

/// Whether the bot's words are what is written: `…` stands for any text, `/…/` for a regular expression.
///
/// # Errors
/// A regular expression is none.
pub fn fits(pattern: &str, said: &str) -> Result<bool, regex::Error> {
    Ok(regex_of(pattern)?.is_match(said.trim_end()))
}

fn regex_of(pattern: &str) -> Result<Regex, regex::Error> {
    let mut regex = String::from("(?s)^");
    let mut literal = String::new();
    let mut rest = pattern.trim_end();
    let mut before = None;
    while let Some(c) = rest.chars().next() {
        if let Some(escaped) = rest.strip_prefix('\\').filter(|rest| rest.starts_with(['/', '…'])) {
            let c = escaped.chars().next().unwrap_or_default();
            literal.push(c);
            before = Some(c);
            rest = &escaped[c.len_utf8()..];
            continue;
        }
        if c == '…' {
            regex.push_str(&regex::escape(&std::mem::take(&mut literal)));
            regex.push_str(".*");
        } else if let Some(inner) = expression(rest, before) {
            regex.push_str(&regex::escape(&std::mem::take(&mut literal)));
            regex.push_str("(?-s:");
            regex.push_str(inner);
            regex.push(')');
            rest = &rest[inner.len() + 2..];
            before = Some('/');
            continue;
        } else {
            literal.push(c);
        }
        before = Some(c);
        rest = &rest[c.len_utf8()..];
    }
    regex.push_str(&regex::escape(&literal));
    regex.push('$');
    regex::RegexBuilder::new(&regex).size_limit(1 << 20).build()
}

/// The regular expression that begins here: a slash behind no word, up to one before no word. So `and/or` and
/// addresses are plain text.
fn expression(rest: &str, before: Option<char>) -> Option<&str> {
    let opens = before.is_none_or(|c| c.is_whitespace() || "([{\"'`#=".contains(c));
    let inner = rest.strip_prefix('/').filter(|_| opens)?;
    if inner.starts_with(['/', ' ']) {
        return None;
    }
    let mut escaped = false;
    for (at, c) in inner.char_indices() {
        match c {
            '\n' => return None,
            '/' if !escaped => {
                let after = inner[at + 1..].chars().next();
                if after.is_none_or(|c| !c.is_alphanumeric() && c != '/' && c != '_') {
                    return Some(&inner[..at]).filter(|inner| !inner.is_empty());
                }
            }
            _ => {}
        }
        escaped = c == '\\' && !escaped;
    }
    None
}

/// The words as a pattern that fits them and nothing else.
pub fn quoted(said: &str) -> String {
    let mut text = String::new();
    for (at, c) in said.char_indices() {
        let opens = c == '/' && expression(&said[at..], said[..at].chars().next_back()).is_some();
        if opens || c == '…' {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

/// A line of talk; further lines are indented.
pub fn said(who: &str, text: &str) -> String {
    let mut lines = text.split('\n');
    let mut written = format!("{who}: {}", lines.next().unwrap_or_default());
    for line in lines {
        written.push_str("\n    ");
        written.push_str(line);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_of_the_documentation_is_read() {
        let transcript = read(
            "script: help.rhai\nconfig: team = x@y\nnow:    2026-11-23T08:59:00[Europe/Oslo]\n\n== greets\nann: hi\nbot: Hello,\n    ann!\n\n\
             == rooms\n[team@rooms.example.org]\n* +2m\n[]\n* http GET https://x/* → 503\n* as admin\nbot → bob: x\n",
        );
        assert_eq!(transcript.header.scripts[0].0, "help.rhai");
        assert_eq!(transcript.header.config["team"], "x@y");
        assert!(transcript.header.now.is_some());
        let steps: Vec<&What> =
            transcript.sections.iter().flat_map(|s| s.steps.iter().map(|s| &s.what)).collect();
        assert_eq!(steps.len(), 8);
        assert_eq!(*steps[1], What::Expect { to: None, text: "Hello,\nann!".to_owned() });
        assert_eq!(*steps[2], What::Place(Some("team@rooms.example.org".to_owned())));
        assert_eq!(*steps[3], What::Do(Direction::Wait(std::time::Duration::from_secs(120))));
        assert_eq!(*steps[4], What::Place(None));
        assert!(matches!(steps[5], What::Do(Direction::Http { status: 503, .. })));
        assert_eq!(*steps[7], What::Expect { to: Some("bob".to_owned()), text: "x".to_owned() });
    }

    #[test]
    fn every_mistake_is_told_at_once_with_its_place() {
        let source = Source::new(
            "x.chat",
            "scrpt: a\nseed: x\nhello\nrooms: den\n== s\nno talk\n* crsh\n* link sideways\n* kick 7\n[room]\n* +soon\n",
        );
        let problems = parse(&source).expect_err("all of it is wrong");
        let told: Vec<String> = problems
            .iter()
            .map(|problem| {
                format!("{} {}", problem.place().map_or(0, |place| place.position().0), problem.message)
            })
            .collect();
        assert_eq!(
            told,
            [
                "1 no key `scrpt` in a header",
                "2 a seed is a whole number",
                "3 this is no line of a header",
                "4 `den` is no room",
                "6 this is neither talk nor a direction",
                "7 `* crsh` is no direction",
                "8 `* link sideways` is no direction",
                "9 `* kick 7` is no direction",
                "10 `room` is no room",
                "11 `* +soon` is no direction",
            ]
        );
        assert!(problems.iter().all(|problem| problem.hint.is_some()));
    }

    #[test]
    fn patterns_fit_what_they_should() {
        for (pattern, said, fit) in [
            ("Hello", "Hello", true),
            ("Hello", "Hello!", false),
            ("…later…", "try again later, please", true),
            (r"#1, due /\d\d:\d\d/", "#1, due 09:10", true),
            (r"#1, due /\d\d:\d\d/", "#1, due 9:10", false),
            ("tea (due /.*/; I was away)", "tea (due 09:10; I was away)", true),
            ("see https://a.example/b/c", "see https://a.example/b/c", true),
            ("and/or", "and/or", true),
            ("/etc/passwd", "/etc/passwd", true),
            ("a.b", "axb", false),
            (r"\/x/", "/x/", true),
            ("one\n…", "one\ntwo\nthree", true),
        ] {
            assert_eq!(fits(pattern, said).expect("a pattern"), fit, "{pattern} {said}");
        }
        assert!(fits("/(/", "x").is_err());
    }

    #[test]
    fn quoted_words_fit_themselves_alone() {
        for said in ["plain", "/x/ and …", "see https://a/b/", "a\n b", r"\d /\d/ x"] {
            assert!(fits(&quoted(said), said).expect("a pattern"), "{said}");
        }
        assert!(!fits(&quoted("…"), "x").expect("a pattern"));
    }

    #[test]
    fn spans_are_sums() {
        assert_eq!(span_of("1d2h"), Some(std::time::Duration::from_secs(26 * 3600)));
        assert_eq!(span_of("90s"), Some(std::time::Duration::from_secs(90)));
        assert_eq!(span_of("1"), None);
        assert_eq!(span_of(""), None);
    }

    fn read(text: &str) -> Transcript {
        parse(&Source::new("x.chat", text)).expect("a transcript")
    }
}
