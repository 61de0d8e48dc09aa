//! Commands: `roll <dice:word> [times:int=1]`, the arguments people type, usage and help.

use jiff::Zoned;
use rhai::{Dynamic, Map};

use crate::jid::{BareJid, Jid};
use crate::script::api::time::Time;
use crate::script::span::{parse_span, parse_when};

/// What a command begins with.
pub(super) const PREFIX: char = '!';

/// The name of a command and the arguments it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CommandSpec {
    pub name: String,
    pub arguments: Vec<Argument>,
}

/// One argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Argument {
    pub name: String,
    pub kind: ArgumentKind,
    /// Whether it may be left out.
    pub optional: bool,
    /// Its value where it is left out, as typed.
    pub default: Option<String>,
}

/// What an argument may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ArgumentKind {
    Bool,
    Choice(Vec<String>),
    Float,
    Int,
    Jid,
    Rest,
    Room,
    Span,
    User,
    When,
    Word,
}

impl CommandSpec {
    /// Reads a declaration.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (name, mut rest) = match text.split_once(char::is_whitespace) {
            Some((name, rest)) => (name, rest.trim_start()),
            None => (text, ""),
        };
        if !is_name(name) {
            return Err(format!("`{name}` is no name for a command: use letters, digits, `-` and `_`"));
        }
        let mut arguments: Vec<Argument> = Vec::new();
        while !rest.is_empty() {
            let close = match rest.chars().next() {
                Some('<') => '>',
                Some('[') => ']',
                _ => return Err(format!("expected `<name:type>` or `[name:type]`, found `{rest}`")),
            };
            let end = rest.find(close).ok_or_else(|| format!("`{rest}` lacks its `{close}`"))?;
            let argument = Argument::parse(&rest[1..end], close == ']')?;
            if let Some(last) = arguments.last() {
                if last.kind == ArgumentKind::Rest {
                    return Err(format!("nothing can follow `{}`, which takes the rest", last.name));
                }
                if last.optional && !argument.optional {
                    return Err(format!(
                        "`{}` must be given, so it cannot follow the optional `{}`",
                        argument.name, last.name
                    ));
                }
            }
            if arguments.iter().any(|other| other.name == argument.name) {
                return Err(format!("two arguments are called `{}`", argument.name));
            }
            arguments.push(argument);
            rest = rest[end + 1..].trim_start();
        }
        Ok(Self { name: name.to_owned(), arguments })
    }

    /// How it is typed.
    pub(super) fn usage(&self) -> String {
        let mut usage = format!("{PREFIX}{}", self.name);
        for argument in &self.arguments {
            let name = match &argument.kind {
                ArgumentKind::Choice(choices) => choices.join("|"),
                _ => argument.name.clone(),
            };
            usage.push_str(&if argument.optional { format!(" [{name}]") } else { format!(" <{name}>") });
        }
        usage
    }

    /// The arguments in `text` as an object map; those left out without default are `()`.
    ///
    /// # Errors
    /// What the person who typed it should know.
    pub(super) fn read(&self, text: &str, now: &Zoned) -> Result<Map, String> {
        let mut rest = text.trim();
        let mut map = Map::new();
        for argument in &self.arguments {
            let typed = match argument.kind {
                ArgumentKind::Rest => Some(std::mem::take(&mut rest)).filter(|typed| !typed.is_empty()),
                _ => next_word(&mut rest),
            };
            let value = argument.read_or(typed.or(argument.default.as_deref()), now)?;
            map.insert(argument.name.as_str().into(), value);
        }
        if rest.is_empty() { Ok(map) } else { Err(format!("`{rest}` is too much")) }
    }

    /// The same where `value` gives each argument by its name.
    ///
    /// # Errors
    /// What the person who filled it in should know.
    pub(super) fn fill<'a>(
        &'a self,
        value: impl Fn(&str) -> Option<&'a str>,
        now: &Zoned,
    ) -> Result<Map, String> {
        let mut map = Map::new();
        for argument in &self.arguments {
            let given = value(&argument.name).or(argument.default.as_deref());
            map.insert(argument.name.as_str().into(), argument.read_or(given, now)?);
        }
        Ok(map)
    }
}

impl Argument {
    fn parse(text: &str, optional: bool) -> Result<Self, String> {
        let (declared, default) = match text.split_once('=') {
            Some((declared, default)) => (declared, Some(default.trim().to_owned())),
            None => (text, None),
        };
        let (name, kind) = declared.split_once(':').unwrap_or((declared, "word"));
        let (name, kind) = (name.trim(), kind.trim());
        if !is_name(name) || name.contains('-') {
            return Err(format!("`{name}` is no name for an argument: use letters, digits and `_`"));
        }
        if default.is_some() && !optional {
            return Err(format!("`{name}` has a default, so it is written `[{text}]`"));
        }
        let kind = ArgumentKind::parse(kind)?;
        Ok(Self { name: name.to_owned(), kind, optional, default })
    }

    /// The value of what was given, nothing where it may be left out.
    fn read_or(&self, given: Option<&str>, now: &Zoned) -> Result<Dynamic, String> {
        match given {
            Some(given) => self.read(given, now),
            None if self.optional => Ok(Dynamic::UNIT),
            None => Err(format!("`{}` is missing", self.name)),
        }
    }

    fn read(&self, typed: &str, now: &Zoned) -> Result<Dynamic, String> {
        let wrong = |what: &str| format!("`{}` is {what}, not `{typed}`", self.name);
        Ok(match &self.kind {
            ArgumentKind::Bool => match typed.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" => true.into(),
                "false" | "no" | "off" => false.into(),
                _ => return Err(wrong("yes or no")),
            },
            ArgumentKind::Choice(choices) => {
                match choices.iter().find(|choice| choice.eq_ignore_ascii_case(typed)) {
                    Some(choice) => choice.as_str().into(),
                    None => return Err(wrong(&format!("one of {}", choices.join(", ")))),
                }
            }
            ArgumentKind::Float => match typed.parse::<f64>() {
                Ok(number) if number.is_finite() => number.into(),
                _ => return Err(wrong("a number")),
            },
            ArgumentKind::Int => typed.parse::<i64>().map_err(|_| wrong("a whole number"))?.into(),
            ArgumentKind::Jid => Jid::parse(typed).map_err(|_| wrong("an address"))?.as_str().into(),
            ArgumentKind::Room | ArgumentKind::User => {
                let what = if self.kind == ArgumentKind::Room {
                    "the address of a room"
                } else {
                    "somebody's address"
                };
                BareJid::parse(typed)
                    .ok()
                    .filter(|jid| jid.local().is_some())
                    .ok_or_else(|| wrong(what))?
                    .as_str()
                    .into()
            }
            ArgumentKind::Rest | ArgumentKind::Word => typed.into(),
            ArgumentKind::Span => {
                let span = parse_span(typed).ok_or_else(|| wrong("a span such as 10m"))?;
                i64::try_from(span.as_secs()).map_err(|_| wrong("a shorter span"))?.into()
            }
            ArgumentKind::When => Dynamic::from(Time(
                parse_when(typed, now).ok_or_else(|| wrong("a time such as 10m or 17:30"))?,
            )),
        })
    }
}

impl ArgumentKind {
    fn parse(text: &str) -> Result<Self, String> {
        if let Some(choices) = text.strip_prefix("choice(").and_then(|rest| rest.strip_suffix(')')) {
            let choices: Vec<String> = choices.split('|').map(|choice| choice.trim().to_owned()).collect();
            return match choices.iter().any(String::is_empty) {
                true => Err(format!("`{text}` has an empty choice")),
                false => Ok(Self::Choice(choices)),
            };
        }
        Ok(match text {
            "bool" => Self::Bool,
            "float" => Self::Float,
            "int" => Self::Int,
            "jid" => Self::Jid,
            "rest" => Self::Rest,
            "room" => Self::Room,
            "span" => Self::Span,
            "user" => Self::User,
            "when" => Self::When,
            "word" => Self::Word,
            _ => {
                let known = "word int float bool jid room user span when choice(a|b) rest";
                return Err(format!("`{text}` is no type of argument: there are {known}"));
            }
        })
    }
}

/// The name and the rest of a message that is a command.
pub(super) fn split(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start().strip_prefix(PREFIX)?;
    let (name, rest) = match text.split_once(char::is_whitespace) {
        Some((name, rest)) => (name, rest.trim()),
        None => (text.trim_end(), ""),
    };
    is_name(name).then_some((name, rest))
}

/// Takes one word off the front: what stands between spaces, or between double quotes.
fn next_word<'a>(rest: &mut &'a str) -> Option<&'a str> {
    if rest.is_empty() {
        return None;
    }
    let (word, after) = match rest.strip_prefix('"').and_then(|quoted| quoted.split_once('"')) {
        Some(parts) => parts,
        None => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
    };
    *rest = after.trim_start();
    Some(word)
}

fn is_name(text: &str) -> bool {
    let mut characters = text.chars();
    characters.next().is_some_and(char::is_alphabetic)
        && characters.all(|c| c.is_alphanumeric() || c == '-' || c == '_')
        && text.len() <= 64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(spec: &str, typed: &str) -> Result<String, String> {
        let now: Zoned = "2026-03-01T12:00:00[UTC]".parse().expect("a stamp");
        let map = CommandSpec::parse(spec)?.read(typed, &now)?;
        let pairs = map.iter().map(|(name, value)| match value.read_lock::<Time>() {
            Some(time) => format!("{name}={}", *time),
            None => format!("{name}={value:?}"),
        });
        Ok(pairs.collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn arguments_are_read_by_their_types() {
        let cases = [
            ("roll <dice:word> [times:int=1]", "2d6", "dice=\"2d6\" times=1"),
            ("roll <dice:word> [times:int=1]", "2d6 3", "dice=\"2d6\" times=3"),
            (
                "say <where:room> <what:rest>",
                "Team@rooms.example hi  there",
                "what=\"hi  there\" where=\"team@rooms.example\"",
            ),
            ("f <x:float> <on:bool>", "1.5 yes", "on=true x=1.5"),
            ("c <way:choice(left|right)>", "LEFT", "way=\"left\""),
            ("s <span:span>", "1h30m", "span=5400"),
            ("w <at:when>", "17:30", "at=2026-03-01T17:30:00Z"),
            ("q <a> <b>", "\"two words\" x", "a=\"two words\" b=\"x\""),
            ("faq [topic:rest]", "", "topic=()"),
        ];
        for (spec, typed, expected) in cases {
            assert_eq!(read(spec, typed).as_deref(), Ok(expected), "{spec}: {typed}");
        }
    }

    #[test]
    fn people_are_told_what_is_wrong() {
        let cases = [
            ("roll <dice:word>", "", "`dice` is missing"),
            ("n <n:int>", "many", "`n` is a whole number, not `many`"),
            ("n <n:int>", "1 2", "`2` is too much"),
            ("u <u:user>", "example.org", "`u` is somebody's address, not `example.org`"),
            ("c <way:choice(left|right)>", "up", "`way` is one of left, right, not `up`"),
        ];
        for (spec, typed, expected) in cases {
            assert_eq!(read(spec, typed), Err(expected.to_owned()), "{spec}: {typed}");
        }
    }

    #[test]
    fn wrong_declarations_are_refused() {
        for spec in
            ["", "2x", "a b", "a <b", "a <b:blob>", "a <b:rest> <c>", "a [b] <c>", "a <b=1>", "a <b> <b>"]
        {
            assert!(CommandSpec::parse(spec).is_err(), "{spec}");
        }
    }

    #[test]
    fn usage_shows_what_must_be_given() {
        let spec = CommandSpec::parse("roll <dice:word> [way:choice(up|down)=up]").expect("valid");
        assert_eq!(spec.usage(), "!roll <dice> [up|down]");
    }

    #[test]
    fn only_a_name_behind_the_prefix_is_a_command() {
        assert_eq!(split("!roll 2d6"), Some(("roll", "2d6")));
        assert_eq!(split("  !help"), Some(("help", "")));
        for text in ["roll", "!", "!!!", "! roll", "!?", "!3"] {
            assert_eq!(split(text), None, "{text}");
        }
    }
}
