//! What the static checks of all scripts say, and what one script and its bot have to say to each other.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::config::settings::{self, BotSettings};
use crate::diagnostic::{Diagnostic, Place, Source};
use crate::hosts::{Refused, permitted};
use crate::ops::scripts::Library;
use crate::script::ScriptUse;
use crate::script::check::{Checked, check};
use crate::script::inspect::Inspected;

/// The findings of every script, by its name in the configuration.
pub struct Findings(BTreeMap<String, Checked>);

impl Findings {
    /// Looks through every script that compiles.
    pub fn of(library: &Library) -> Self {
        let one = |(name, compiled): (&String, &crate::script::loader::Compiled)| {
            let text = std::fs::read_to_string(compiled.path()).ok()?;
            Some((name.clone(), check(compiled.path(), &text)))
        };
        Self(library.iter().filter_map(one).collect())
    }

    /// The mistakes, each once: scripts may share modules.
    pub fn diagnostics(&self) -> Vec<Diagnostic> {
        let mut all: Vec<Diagnostic> = Vec::new();
        for found in self.0.values().flat_map(|checked| &checked.diagnostics) {
            if !all.contains(found) {
                all.push(found.clone());
            }
        }
        all
    }

    /// Whether that line of that file is known to be wrong.
    pub fn covers(&self, file: &str, line: usize) -> bool {
        self.0.values().any(|checked| checked.covers(file, line))
    }

    /// What a script asks for and its bot does not give, and handlers that nothing of the bot reaches.
    pub fn with(&self, script: &ScriptUse, bot: &BotSettings) -> Vec<Diagnostic> {
        let Some(Checked { facts, .. }) = self.0.get(&script.name) else { return Vec::new() };
        let schedules: Vec<&str> = bot.schedules.iter().map(|schedule| schedule.emit.as_str()).collect();
        let mut found = facts.idle(&schedules);
        found.extend(self.missing(script).iter().map(Missing::diagnostic));
        found
    }

    /// What a script asks for and is not granted.
    pub fn missing(&self, script: &ScriptUse) -> Vec<Missing> {
        let Some(Checked { facts, .. }) = self.0.get(&script.name) else { return Vec::new() };
        let granted = &script.permissions;
        let missing = |permission: &'static str, value: &str, place: &Place| Missing {
            script: script.name.clone(),
            permission,
            value: value.to_owned(),
            place: place.clone(),
        };
        let mut found = Vec::new();
        if let Some(place) = facts.shared.as_ref().filter(|_| !granted.shared) {
            found.push(missing("shared", "true", place));
        }
        for (name, place) in &facts.bots {
            if !granted.bots.iter().any(|granted| granted == name || granted == "*") {
                found.push(missing("bots", name, place));
            }
        }
        for (url, place) in &facts.urls {
            if let Err(Refused::Host { entry } | Refused::Plain { entry }) = permitted(url, &granted.http) {
                found.push(missing("http", &entry, place));
            }
        }
        for (name, place) in facts.webhooks.iter().filter(|(name, _)| !granted.webhooks.contains_key(*name)) {
            found.push(missing("webhooks", name, place));
        }
        for (name, place) in facts.secrets.iter().filter(|(name, _)| !granted.secrets.contains_key(*name)) {
            found.push(missing("secrets", name, place));
        }
        found
    }

    /// What a script is granted and has no use for. What stands at a bot is for all its scripts: see
    /// [`Findings::tells`].
    pub fn unused_grants(&self, script: &ScriptUse, used: &settings::ScriptUse) -> Vec<Diagnostic> {
        let Some(Checked { facts, .. }) = self.0.get(&script.name) else { return Vec::new() };
        let granted = &script.permissions;
        let mut unused = Vec::new();
        if granted.shared && facts.shared.is_none() {
            unused.push(("shared", String::new(), "`shared: true`".to_owned()));
        }
        for pattern in granted.http.iter().filter(|_| !facts.urls_open) {
            let used = facts.urls.keys().any(|url| permitted(url, std::slice::from_ref(pattern)).is_ok());
            if !used {
                unused.push(("http", pattern.as_str().to_owned(), format!("host `{}`", pattern.as_str())));
            }
        }
        for name in
            granted.webhooks.keys().filter(|name| !facts.webhooks_open && !facts.webhooks.contains_key(*name))
        {
            unused.push(("webhooks", name.clone(), format!("webhook `{name}`")));
        }
        for name in granted.secrets.keys().filter(|name| !facts.names_secret(name)) {
            unused.push(("secrets", name.clone(), format!("secret `{name}`")));
        }
        for (_, name) in used.grants.keys().filter(|(key, name)| key == "bots" && !facts.tells(name)) {
            unused.push(("bots", name.clone(), format!("to tell {} anything", whom(name))));
        }
        let warn = |(key, name, what): (&str, String, String)| {
            let found = Diagnostic::warning(
                "script::unused_grant",
                format!("`{}` is granted {what} and never uses it", script.name),
            );
            let found = match used.grants.get(&(key.to_owned(), name)) {
                Some(place) => found.at(place.clone(), "granted here"),
                None => found.at(used.place.clone(), "used here"),
            };
            found.hint("take it out of `permissions` of the script in bots.yaml")
        };
        unused.into_iter().map(warn).collect()
    }

    /// Whether a script tells the bot of that name something, or may do so; `*` is any.
    pub fn tells(&self, script: &str, bot: &str) -> bool {
        self.0.get(script).is_none_or(|Checked { facts, .. }| facts.tells(bot))
    }
}

/// Bots that each bot grants to all its scripts, by where that stands: what stands at `defaults` or a template is there for
/// all bots that begin with it.
#[derive(Default)]
pub struct BotGrants(BTreeMap<(String, usize, String), (Place, bool)>);

impl BotGrants {
    /// Looks whether a script of the bot uses what the bot grants.
    pub fn note(&mut self, bot: &BotSettings, findings: &Findings) {
        let Some(first) = bot.scripts.first() else { return };
        for ((_, name), place) in first.bot_grants.iter().filter(|((key, _), _)| key == "bots") {
            let at = (place.source.name.clone(), place.span.start, name.clone());
            let (_, used) = self.0.entry(at).or_insert_with(|| (place.clone(), false));
            *used = *used || bot.scripts.iter().any(|script| findings.tells(&script.script, name));
        }
    }

    /// What nobody uses.
    pub fn unused(self) -> Vec<Diagnostic> {
        let unused = self.0.into_iter().filter(|(_, (_, used))| !used);
        let warn = |((_, _, name), (place, _)): ((String, usize, String), (Place, bool))| {
            let message = format!("scripts may tell {} something, and none does", whom(&name));
            Diagnostic::warning("script::unused_grant", message)
                .at(place, "granted here")
                .hint("take it out of `permissions` of the bot in bots.yaml")
        };
        unused.map(warn).collect()
    }
}

fn whom(name: &str) -> String {
    if name == "*" { "all bots".to_owned() } else { format!("bot `{name}`") }
}

/// Something that a script uses and is not granted.
pub struct Missing {
    /// The script's name in the configuration.
    pub script: String,
    /// The key below `permissions`.
    pub permission: &'static str,
    /// What has to stand there, or in the list there.
    pub value: String,
    /// Where the script uses it.
    pub place: Place,
}

impl Missing {
    /// The mistake with its place.
    fn diagnostic(&self) -> Diagnostic {
        let Self { script, permission, value, place } = self;
        let (what, key) = match *permission {
            "shared" => ("`shared::`".to_owned(), "shared: true".to_owned()),
            "bots" => (format!("to tell bot `{value}` anything"), format!("bots: [{value}]")),
            "webhooks" => (format!("the webhook `{value}`"), format!("webhooks: [{value}]")),
            "secrets" => (format!("the secret `{value}`"), format!("secrets: [{value}]")),
            _hosts => (format!("`{value}`"), format!("http: [\"{value}\"]")),
        };
        Diagnostic::error("script::not_granted", format!("`{script}` is not granted {what}"))
            .at(place.clone(), "not granted")
            .hint(format!("add `{key}` to `permissions` of the script in bots.yaml"))
    }
}

/// Commands of one bot that two of its scripts answer to: only the first is ever called.
pub fn hidden_commands(scripts: &[(&ScriptUse, &Inspected)]) -> Vec<Diagnostic> {
    let mut taken: BTreeMap<&str, (&str, Place)> = BTreeMap::new();
    let mut found = Vec::new();
    let mut told = BTreeSet::new();
    for (script, inspected) in scripts {
        let file = script.compiled.path();
        let source =
            Source::new(file.display().to_string(), std::fs::read_to_string(file).unwrap_or_default());
        for command in &inspected.commands {
            let place = line(&source, command.line);
            for name in &command.names {
                match taken.get(name.as_str()) {
                    Some((other, first)) if *other != script.name => {
                        if !told.insert((name, &script.name)) {
                            continue;
                        }
                        let message = format!("the command `{name}` is hidden by that of script `{other}`");
                        found.push(
                            Diagnostic::warning("script::hidden_command", message)
                                .at(place.clone(), "never called")
                                .at(first.clone(), "comes first")
                                .hint("give one of them another name, or name the scripts in another order"),
                        );
                    }
                    Some(_) => {}
                    None => drop(taken.insert(name, (&script.name, place.clone()))),
                }
            }
        }
    }
    found
}

/// The text of a line, without its indentation.
fn line(source: &std::sync::Arc<Source>, line: usize) -> Place {
    let start = source.offset(line, 1);
    let text = source.text[start..].split('\n').next().unwrap_or_default();
    let indent = text.len() - text.trim_start().len();
    Place::new(source, start + indent..start + text.trim_end().len().max(indent))
}
