//! What belongs together by name: timers and answers with their handlers, hosts and bots with permissions.

use std::collections::{BTreeMap, BTreeSet};

use rhai::{Expr, FnCallExpr, Ident, Position};

use crate::diagnostic::{Diagnostic, Place, nearest};
use crate::script::check::types::Type;
use crate::script::check::walk::Walk;
use crate::script::check::{literal, word};

/// Keys and values of a map that is written out.
type MapOf = [(Ident, Expr)];

/// What a script does by names that are written out.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Names of timers that are set.
    pub timers_set: BTreeMap<String, Place>,
    /// Whether a timer is set by a name that is made when it runs.
    pub timers_open: bool,
    /// Handlers of `timer:NAME`.
    pub timers_handled: BTreeMap<String, Place>,
    /// Names under which answers are asked for.
    pub answers_asked: BTreeMap<String, Place>,
    /// Whether an answer is asked for by a name that is made when it runs.
    pub answers_open: bool,
    /// Handlers of `answer:NAME`.
    pub answers_handled: BTreeMap<String, Place>,
    /// Whether a handler is declared by a name that is made when it runs.
    pub handlers_open: bool,
    /// Addresses that are asked over HTTP.
    pub urls: BTreeMap<String, Place>,
    /// Whether an address is made when it runs.
    pub urls_open: bool,
    /// The first use of `shared::`.
    pub shared: Option<Place>,
    /// Bots that are told something.
    pub bots: BTreeMap<String, Place>,
    /// Whether a bot is told something by a name that is made when it runs.
    pub bots_open: bool,
    /// Names of secrets.
    pub secrets: BTreeMap<String, Place>,
    /// Whether a secret is named when it runs.
    pub secrets_open: bool,
    /// Words that may name a secret in a map of options.
    pub secrets_meant: BTreeSet<String>,
    /// Names of webhooks.
    pub webhooks: BTreeMap<String, Place>,
    /// Whether a webhook is declared by a name that is made when it runs.
    pub webhooks_open: bool,
}

impl Facts {
    /// Takes in what a module does.
    pub(super) fn merge(&mut self, other: Facts) {
        self.timers_set.extend(other.timers_set);
        self.timers_open |= other.timers_open;
        self.timers_handled.extend(other.timers_handled);
        self.answers_asked.extend(other.answers_asked);
        self.answers_open |= other.answers_open;
        self.answers_handled.extend(other.answers_handled);
        self.handlers_open |= other.handlers_open;
        self.urls.extend(other.urls);
        self.urls_open |= other.urls_open;
        self.shared = self.shared.take().or(other.shared);
        self.bots.extend(other.bots);
        self.bots_open |= other.bots_open;
        self.secrets.extend(other.secrets);
        self.secrets_open |= other.secrets_open;
        self.secrets_meant.extend(other.secrets_meant);
        self.webhooks.extend(other.webhooks);
        self.webhooks_open |= other.webhooks_open;
    }

    /// Whether it tells a bot of that name something, or may do so; `*` is any.
    pub fn tells(&self, bot: &str) -> bool {
        self.bots_open || if bot == "*" { !self.bots.is_empty() } else { self.bots.contains_key(bot) }
    }

    /// Whether it names that secret, or may do so.
    pub fn names_secret(&self, name: &str) -> bool {
        self.secrets_open || self.secrets.contains_key(name) || self.secrets_meant.contains(name)
    }

    /// Timers and questions that lead nowhere.
    pub(super) fn unanswered(&self) -> Vec<Diagnostic> {
        if self.handlers_open {
            return Vec::new();
        }
        let lost =
            |asked: &BTreeMap<String, Place>, handled: &BTreeMap<String, Place>, family: &str, what: &str| {
                let missing = asked.iter().filter(|(name, _)| !handled.contains_key(*name));
                let found = missing.map(|(name, place)| {
                    let hint = match nearest(name, handled.keys().map(String::as_str)) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => format!("add `on(\"{family}:{name}\", |e| {{ … }});`"),
                    };
                    Diagnostic::error("script::no_handler", format!("{what} `{name}` comes to no handler"))
                        .at(place.clone(), format!("nothing handles `{family}:{name}`"))
                        .hint(hint)
                });
                found.collect::<Vec<_>>()
            };
        let mut found = lost(&self.timers_set, &self.timers_handled, "timer", "the timer");
        found.extend(lost(&self.answers_asked, &self.answers_handled, "answer", "the answer"));
        found
    }

    /// Handlers of what never happens, given the timers that `bots.yaml` raises.
    pub fn idle(&self, schedules: &[&str]) -> Vec<Diagnostic> {
        let idle = |handled: &BTreeMap<String, Place>,
                    asked: &BTreeMap<String, Place>,
                    open: bool,
                    hint: &str,
                    extra: &[&str]| {
            let never = handled
                .iter()
                .filter(|(name, _)| !open && !asked.contains_key(*name) && !extra.contains(&name.as_str()));
            let found = never.map(|(name, place)| {
                let near = nearest(name, asked.keys().map(String::as_str).chain(extra.iter().copied()));
                let hint = match near {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => hint.replace("NAME", name),
                };
                Diagnostic::warning("script::idle_handler", "this handler is never called")
                    .at(place.clone(), "nothing leads here")
                    .hint(hint)
            });
            found.collect::<Vec<_>>()
        };
        let timer = "set it with `timer::at(when, \"NAME\")`, or raise it with `schedules` of the bot";
        let answer = "ask for it by that name";
        let mut found = idle(&self.timers_handled, &self.timers_set, self.timers_open, timer, schedules);
        found.extend(idle(&self.answers_handled, &self.answers_asked, self.answers_open, answer, &[]));
        found
    }
}

/// A call without a dot.
pub(super) fn function(walk: &mut Walk<'_>, call: &FnCallExpr, position: Position) {
    let module = if call.namespace.is_empty() { "" } else { call.namespace.root() };
    let text = |index: usize| match call.args.get(index) {
        Some(Expr::StringConstant(text, at)) => Some((text.to_string(), literal(walk.source, *at))),
        _ => None,
    };
    match (module, call.name.as_str()) {
        ("", "on") => match text(0) {
            Some((event, place)) => match event.split_once(':') {
                Some(("timer", name)) => drop(walk.facts.timers_handled.insert(name.to_owned(), place)),
                Some(("answer", name)) => drop(walk.facts.answers_handled.insert(name.to_owned(), place)),
                _ => {}
            },
            None => walk.facts.handlers_open = true,
        },
        ("timer", "at") => match text(1) {
            Some((name, place)) => drop(walk.facts.timers_set.insert(name, place)),
            None => walk.facts.timers_open = true,
        },
        ("bot", "iq") if call.args.len() == 5 => match text(3) {
            Some((name, place)) => drop(walk.facts.answers_asked.insert(name, place)),
            None => walk.facts.answers_open = true,
        },
        ("", "webhook") => {
            if let Some((name, place)) = text(0) {
                walk.facts.webhooks.insert(name, place);
            } else {
                walk.facts.webhooks_open = true;
            }
        }
        ("shared", _) => {
            let place = word(walk.source, position);
            walk.facts.shared.get_or_insert(place);
        }
        ("peer", "tell") => match text(0) {
            Some((name, place)) => drop(walk.facts.bots.insert(name, place)),
            None => walk.facts.bots_open = true,
        },
        ("secret", _) => match text(0) {
            Some((name, place)) => drop(walk.facts.secrets.insert(name, place)),
            None => walk.facts.secrets_open = true,
        },
        ("http", method) => {
            match text(usize::from(method == "request")) {
                Some((url, place)) => drop(walk.facts.urls.insert(url, place)),
                None => walk.facts.urls_open = true,
            }
            // By name and data instead of a function.
            let by_name = call.args.len() == if method == "get" { 4 } else { 5 };
            match call.args.len().checked_sub(2).and_then(text).filter(|_| by_name) {
                Some((name, place)) => drop(walk.facts.answers_asked.insert(name, place)),
                None => walk.facts.answers_open |= by_name,
            }
        }
        _ => {}
    }
}

/// A map: the options of `webhook` and `http::` name a secret, alone or in a map of its own.
pub(super) fn map(walk: &mut Walk<'_>, map: &MapOf) {
    let Some(value) = value_of(map, "secret") else { return };
    let name = match value {
        Expr::Map(inner, _) => value_of(&inner.0, "name"),
        other => Some(other),
    };
    match name {
        Some(Expr::StringConstant(name, _)) => drop(walk.facts.secrets_meant.insert(name.to_string())),
        Some(_) | None => walk.facts.secrets_open = true,
    }
}

fn value_of<'a>(map: &'a MapOf, key: &str) -> Option<&'a Expr> {
    map.iter().find(|(name, _)| name.name == key).map(|(_, value)| value)
}

/// A call behind a dot.
pub(super) fn method(walk: &mut Walk<'_>, _receiver: &Type, call: &FnCallExpr, _position: Position) {
    if call.name != "ask" || call.args.len() < 2 {
        return;
    }
    match call.args.first() {
        Some(Expr::StringConstant(name, at)) => {
            let place = literal(walk.source, *at);
            walk.facts.answers_asked.insert(name.to_string(), place);
        }
        _ => walk.facts.answers_open = true,
    }
}
