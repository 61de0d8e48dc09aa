//! What a reload changes: two [`Settings`] compared, as a [`Plan`]. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::settings::{BotSettings, Room, ScriptSettings, ScriptUse, Settings};

/// What must happen to get from one configuration to the next.
///
/// A bot stands in several of the three lists of changes when several things changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Bots that are new.
    pub added: Vec<String>,
    /// Bots that go.
    pub removed: Vec<String>,
    /// Bots whose connection must end and begin anew.
    pub reconnect: Vec<Change>,
    /// Bots whose scripts start afresh while the connection stays.
    pub rescript: Vec<Change>,
    /// Bots that change something else without losing anything.
    pub reconfigure: Vec<Change>,
    /// Bots that nothing happens to.
    pub unchanged: usize,
    /// Whether the login pace changed.
    pub login: bool,
    /// Whether webhooks are heard elsewhere, or no longer.
    pub webhooks: bool,
    /// Whether the logging changed.
    pub log: bool,
    /// Keys that only a restart of the process can change: `storage`, `durability`.
    pub restart: Vec<&'static str>,
}

/// One bot and the keys that changed, as they are written in the file: `limits.turn`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The bot's name.
    pub bot: String,
    /// What changed, sorted.
    pub keys: Vec<String>,
}

impl Plan {
    /// Whether nothing changes at all.
    pub fn is_empty(&self) -> bool {
        self.touched().is_empty() && !self.login && !self.webhooks && !self.log && self.restart.is_empty()
    }

    /// The names of all bots that something happens to.
    pub fn touched(&self) -> BTreeSet<&str> {
        let changes = [&self.reconnect, &self.rescript, &self.reconfigure];
        let names = self.added.iter().chain(&self.removed).map(String::as_str);
        names.chain(changes.into_iter().flatten().map(|change| change.bot.as_str())).collect()
    }
}

/// The steps from one configuration to the next.
///
/// Changes inside script files are not seen here: whoever compiles them compares versions.
pub fn diff(old: &Settings, new: &Settings) -> Plan {
    let before: BTreeMap<&str, &BotSettings> = old.bots.iter().map(|bot| (bot.name.as_str(), bot)).collect();
    let after: BTreeMap<&str, &BotSettings> = new.bots.iter().map(|bot| (bot.name.as_str(), bot)).collect();
    let mut plan = Plan {
        removed: before
            .keys()
            .filter(|name| !after.contains_key(*name))
            .map(|name| name.to_string())
            .collect(),
        login: old.login != new.login,
        webhooks: old.webhooks != new.webhooks,
        log: old.log != new.log,
        ..Plan::default()
    };
    for (name, bot) in after {
        let Some(was) = before.get(name) else {
            plan.added.push(name.to_owned());
            continue;
        };
        let lists = [
            (connection_changes((was, old), (bot, new)), &mut plan.reconnect),
            (script_changes((was, old), (bot, new)), &mut plan.rescript),
            (other_changes(was, bot), &mut plan.reconfigure),
        ];
        let mut touched = false;
        for (keys, list) in lists {
            if !keys.is_empty() {
                touched = true;
                list.push(Change { bot: name.to_owned(), keys });
            }
        }
        plan.unchanged += usize::from(!touched);
    }
    if old.storage != new.storage {
        plan.restart.push("storage");
    }
    if old.durability != new.durability {
        plan.restart.push("durability");
    }
    plan
}

/// The keys of the pairs that differ.
fn differing(pairs: &[(&str, bool)]) -> Vec<String> {
    pairs.iter().filter(|(_, same)| !same).map(|(key, _)| (*key).to_owned()).collect()
}

fn connection_changes(
    (old, before): (&BotSettings, &Settings),
    (new, after): (&BotSettings, &Settings),
) -> Vec<String> {
    let component = |bot: &BotSettings, settings: &Settings| {
        let name = bot.component.as_ref()?;
        let found = settings.components.iter().find(|component| component.name == *name)?;
        Some((found.domain.clone(), found.server.clone(), found.secret.clone(), found.insecure))
    };
    differing(&[
        ("anonymous", old.anonymous == new.anonymous),
        ("channel_binding", old.channel_binding == new.channel_binding),
        ("connect", old.connect == new.connect),
        ("component", old.component == new.component && component(old, before) == component(new, after)),
        ("jid", old.jid == new.jid),
        ("lang", old.lang == new.lang),
        ("password", old.password == new.password),
        ("resource", old.resource == new.resource),
        ("server", old.server == new.server),
        ("tls", old.tls == new.tls),
    ])
}

fn other_changes(old: &BotSettings, new: &BotSettings) -> Vec<String> {
    let same_rooms = old.rooms.len() == new.rooms.len() && old.rooms.iter().zip(&new.rooms).all(same_room);
    differing(&[
        ("accept", old.accept == new.accept),
        ("admins", old.admins == new.admins),
        ("bookmarks", old.bookmarks == new.bookmarks),
        ("invites", old.invites == new.invites),
        ("labels", old.labels == new.labels),
        ("limits.message", old.limits.message == new.limits.message),
        ("limits.queue", old.limits.queue == new.limits.queue),
        ("limits.send", old.limits.send == new.limits.send),
        ("menu", old.menu == new.menu),
        ("paused", old.paused == new.paused),
        ("presence", old.presence == new.presence),
        ("profile", old.profile == new.profile),
        ("roles", old.roles == new.roles),
        ("rooms", same_rooms),
        ("schedules", old.schedules == new.schedules),
        ("unreadable", old.unreadable == new.unreadable),
    ])
}

fn same_room((old, new): (&Room, &Room)) -> bool {
    old.jid == new.jid && old.nick == new.nick && old.password == new.password && old.create == new.create
}

/// What the scripts of a bot would notice; a changed order of the list counts, because events go
/// through the scripts in that order.
fn script_changes(
    (was, old): (&BotSettings, &Settings),
    (bot, new): (&BotSettings, &Settings),
) -> Vec<String> {
    let mut keys = BTreeSet::new();
    let names = |scripts: &[ScriptUse]| scripts.iter().map(|it| it.script.clone()).collect::<Vec<_>>();
    if names(&was.scripts) != names(&bot.scripts) {
        keys.insert("scripts".to_owned());
    }
    let earlier: BTreeMap<&str, &ScriptUse> = was.scripts.iter().map(|it| (it.script.as_str(), it)).collect();
    if was.timezone != bot.timezone {
        keys.insert("timezone".to_owned());
    }
    for entry in &bot.scripts {
        let Some(earlier) = earlier.get(entry.script.as_str()) else { continue };
        for key in entry.config.keys().chain(earlier.config.keys()) {
            if entry.config.get(key) != earlier.config.get(key) {
                keys.insert(format!("config.{key}"));
            }
        }
        if entry.permissions.bots != earlier.permissions.bots {
            keys.insert("permissions.bots".to_owned());
        }
        let (then, now) = (earlier.limits, entry.limits);
        keys.extend(differing(&[
            ("limits.turn", then.turn == now.turn),
            ("limits.operations", then.operations == now.operations),
            ("limits.memory", then.memory == now.memory),
            ("limits.store", then.store == now.store),
            ("limits.actions", then.actions == now.actions),
            ("limits.writes", then.writes == now.writes),
            ("limits.timers", then.timers == now.timers),
        ]));
        let declared = |settings: &Settings| settings.scripts.get(&entry.script).cloned();
        if !same_script(declared(old), declared(new)) {
            keys.insert(format!("scripts.{}", entry.script));
        }
    }
    keys.into_iter().collect()
}

fn same_script(old: Option<ScriptSettings>, new: Option<ScriptSettings>) -> bool {
    match (old, new) {
        (Some(old), Some(new)) => old.file == new.file && old.permissions == new.permissions,
        (old, new) => old.is_none() && new.is_none(),
    }
}

impl Plan {
    /// One line: `1 added, 2 bots restarted, 997 untouched`; only what is not zero, and `untouched`.
    pub fn summary(&self) -> String {
        let restarted: BTreeSet<&str> =
            self.reconnect.iter().chain(&self.rescript).map(|change| change.bot.as_str()).collect();
        let in_place =
            self.reconfigure.iter().filter(|change| !restarted.contains(change.bot.as_str())).count();
        let mut parts: Vec<String> = [
            (self.added.len(), "added"),
            (self.removed.len(), "removed"),
            (restarted.len(), "restarted"),
            (in_place, "changed in place"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
        parts.push(format!("{} untouched", self.unchanged));
        parts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Surroundings, inspect};

    #[test]
    fn the_same_file_changes_nothing() {
        let settings = settings("a: { jid: a@x.example, password: { env: A } }");
        let plan = diff(&settings, &settings);
        assert!(plan.is_empty());
        assert_eq!(plan.summary(), "1 untouched");
    }

    #[test]
    fn added_and_removed_bots_leave_others_alone() {
        let old = settings(
            "a: { jid: a@x.example, password: { env: A } }, b: { jid: b@x.example, password: { env: A } }",
        );
        let new = settings(
            "c: { jid: c@x.example, password: { env: A } }, b: { jid: b@x.example, password: { env: A } }",
        );
        let plan = diff(&old, &new);
        assert_eq!(
            (plan.added, plan.removed, plan.unchanged),
            (vec!["c".to_owned()], vec!["a".to_owned()], 1)
        );
        assert!(plan.reconnect.is_empty() && plan.rescript.is_empty() && plan.reconfigure.is_empty());
    }

    #[test]
    fn each_key_has_its_consequence() {
        for (key, reconnect, rescript, reconfigure) in [
            ("jid: b@x.example", vec!["jid"], vec![], vec![]),
            ("password: { env: B }", vec!["password"], vec![], vec![]),
            ("server: a.example:1", vec!["server"], vec![], vec![]),
            ("tls: direct", vec!["tls"], vec![], vec![]),
            ("connect: auto", vec!["connect"], vec![], vec![]),
            ("resource: desk", vec!["resource"], vec![], vec![]),
            ("lang: nb", vec!["lang"], vec![], vec![]),
            ("channel_binding: require", vec!["channel_binding"], vec![], vec![]),
            ("scripts: []", vec![], vec!["scripts"], vec![]),
            ("scripts: [scripts/help.rhai, scripts/echo.rhai]", vec![], vec!["scripts"], vec![]),
            ("config: { x: 1 }", vec![], vec!["config.x"], vec![]),
            ("limits: { turn: 1s }", vec![], vec!["limits.turn"], vec![]),
            ("limits: { store: 1MiB }", vec![], vec!["limits.store"], vec![]),
            ("limits: { actions: 5 }", vec![], vec!["limits.actions"], vec![]),
            ("limits: { writes: 5 }", vec![], vec!["limits.writes"], vec![]),
            ("limits: { timers: 5 }", vec![], vec!["limits.timers"], vec![]),
            ("limits: { queue: 5 }", vec![], vec![], vec!["limits.queue"]),
            ("limits: { message: 4KiB }", vec![], vec![], vec!["limits.message"]),
            ("unreadable: off", vec![], vec![], vec!["unreadable"]),
            ("limits: { send: { rate: none } }", vec![], vec![], vec!["limits.send"]),
            ("accept: all", vec![], vec![], vec!["accept"]),
            ("admins: [b@x.example]", vec![], vec![], vec!["admins"]),
            ("roles: { staff: [b@x.example] }", vec![], vec![], vec!["roles"]),
            ("rooms: [a@r.example]", vec![], vec![], vec!["rooms"]),
            ("presence: { show: dnd }", vec![], vec![], vec!["presence"]),
            ("menu: false", vec![], vec![], vec!["menu"]),
            ("paused: true", vec![], vec![], vec!["paused"]),
            ("labels: { a: b }", vec![], vec![], vec!["labels"]),
        ] {
            let name = key.split(':').next().unwrap();
            let base: Vec<&str> = [
                "jid: a@x.example",
                "password: { env: A }",
                "scripts: [scripts/echo.rhai, scripts/help.rhai]",
            ]
            .into_iter()
            .filter(|line| !line.starts_with(&format!("{name}:")))
            .collect();
            let old = settings(
                "a: { jid: a@x.example, password: { env: A }, scripts: [scripts/echo.rhai, scripts/help.rhai] }",
            );
            let new = settings(&format!("a: {{ {}, {key} }}", base.join(", ")));
            let plan = diff(&old, &new);
            let keys = |changes: &[Change]| changes.iter().flat_map(|it| it.keys.clone()).collect::<Vec<_>>();
            assert_eq!(keys(&plan.reconnect), reconnect, "{key}");
            assert_eq!(keys(&plan.rescript), rescript, "{key}");
            assert_eq!(keys(&plan.reconfigure), reconfigure, "{key}");
            assert_eq!(plan.unchanged, 0, "{key}");
        }
    }

    #[test]
    fn a_changed_declaration_restarts_the_scripts_that_use_it() {
        let bots = "bots: { a: { jid: a@x.example, password: { env: A }, scripts: [echo] }, b: { jid: b@x.example, password: { env: A } } }";
        let old = whole(&format!("scripts: {{ echo: scripts/echo.rhai }}\n{bots}"));
        let new = whole(&format!(
            "scripts: {{ echo: {{ file: scripts/echo.rhai, permissions: {{ http: [a.example] }} }} }}\n{bots}"
        ));
        let plan = diff(&old, &new);
        assert_eq!(plan.rescript, [Change { bot: "a".to_owned(), keys: vec!["scripts.echo".to_owned()] }]);
        assert_eq!(plan.unchanged, 1);
    }

    #[test]
    fn says_what_needs_a_restart_of_the_process() {
        let plan = diff(
            &whole("storage: a"),
            &whole("storage: b\ndurability: relaxed\nlogin: { pace: none }\nlog: { level: warn }"),
        );
        assert_eq!(plan.restart, ["storage", "durability"]);
        assert!(plan.login && plan.log && !plan.is_empty());
    }

    #[test]
    fn moved_lines_are_no_change() {
        let bot = "bots:\n  a: { jid: a@x.example, password: { env: A }, scripts: [scripts/echo.rhai] }\n";
        assert!(diff(&whole(bot), &whole(&format!("# a comment\n\n{bot}"))).is_empty());
    }

    fn settings(bots: &str) -> Settings {
        whole(&format!("bots: {{ {bots} }}"))
    }

    /// The settings of a file in a folder with two scripts.
    fn whole(text: &str) -> Settings {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/bad/scripts");
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("rhapsode-diff-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("bots.yaml");
        std::fs::write(&file, text.replace("scripts/", &format!("{}/", scripts.display()))).unwrap();
        let var = |name: &str| (name != "STATE_DIRECTORY").then(|| name.to_owned());
        let found = inspect(&file, &Surroundings { var: &var, run_commands: false });
        std::fs::remove_dir_all(&folder).unwrap();
        let mut settings = found.settings.unwrap_or_else(|| panic!("{:#?}", found.diagnostics));
        // Each call has a folder of its own; that alone is no change.
        settings.storage = settings.storage.strip_prefix(&folder).unwrap().to_owned();
        settings
    }

    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
}
