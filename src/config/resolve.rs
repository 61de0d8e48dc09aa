//! The whole file: layers merged, bots and accounts collected, names and addresses compared.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::accounts::{self, Accounts, Row};
use crate::config::bot::{Reader, check_name, normalised};
use crate::config::components;
use crate::config::decode::{Decoder, listed};
use crate::config::scripts::Scripts;
use crate::config::secrets::Secrets;
use crate::config::settings::{
    BotSettings, ComponentSettings, Durability, LOG_LEVELS, Log, LogFormat, Login, Rate, ScriptSettings,
    Settings, Webhooks,
};
use crate::config::web;
use crate::config::yaml::{Entry, Kind, Node};
use crate::config::{Inspection, Surroundings};
use crate::diagnostic::{Diagnostic, Place, did_you_mean};
use crate::jid::BareJid;

/// Checks a parsed file and turns it into settings.
pub fn resolve(file: &Path, root: &Node, decoder: Decoder, surroundings: &Surroundings<'_>) -> Inspection {
    let folder = file.parent().unwrap_or(Path::new("")).to_owned();
    let reader = Reader {
        decoder,
        secrets: Secrets::new(&folder, surroundings),
        scripts: Scripts::new(&folder),
        folder: folder.clone(),
    };
    let mut whole = Whole {
        reader,
        defaults: Node::empty(),
        templates: Vec::new(),
        components: Vec::new(),
        bots: Vec::new(),
        names: BTreeMap::new(),
        addresses: BTreeMap::new(),
    };
    let rest = whole.read(root, surroundings);
    let mut diagnostics = whole.reader.decoder.problems;
    let main = &whole.reader.decoder.source.name;
    diagnostics.sort_by_cached_key(|found| match found.place() {
        Some(place) => (place.source.name != *main, place.source.name.clone(), place.span.start),
        None => (false, String::new(), 0),
    });
    let scripts: BTreeMap<String, ScriptSettings> = whole.reader.scripts.known;
    let bots = whole.names.len();
    let shown = scripts.values().cloned().collect();
    let storage_folder = rest.storage.clone();
    let settings = (!diagnostics.iter().any(Diagnostic::is_error)).then(|| {
        let mut bots = whole.bots;
        let mut components = whole.components;
        components.sort_by(|left, right| left.name.cmp(&right.name));
        bots.sort_by(|left, right| left.name.cmp(&right.name));
        let Rest { storage, durability, webhooks, login, log } = rest;
        Settings {
            file: file.to_owned(),
            storage,
            durability,
            components,
            bots,
            scripts,
            webhooks,
            login,
            log,
        }
    });
    Inspection { settings, scripts: shown, storage: Some(storage_folder), bots, diagnostics }
}

/// What is known while the file is read.
struct Whole<'a> {
    reader: Reader<'a>,
    defaults: Node,
    templates: Vec<Entry>,
    components: Vec<ComponentSettings>,
    bots: Vec<BotSettings>,
    names: BTreeMap<String, Place>,
    addresses: BTreeMap<BareJid, Place>,
}

/// The keys besides bots and scripts.
struct Rest {
    storage: PathBuf,
    durability: Durability,
    webhooks: Option<Webhooks>,
    login: Login,
    log: Log,
}

impl Whole<'_> {
    fn read(&mut self, root: &Node, surroundings: &Surroundings<'_>) -> Rest {
        self.reader.decoder.map(root, "");
        if let Some(version) = root.get("version") {
            self.check_version(&version.value);
        }
        let webhooks = root.get("webhooks").and_then(|it| {
            // A listener with a mistake of its own is told of once.
            self.reader.scripts.web.listening = true;
            web::listener(&mut self.reader.decoder, &it.value)
        });
        if let Some(secrets) = root.get("secrets") {
            let Reader { decoder, secrets: reader, scripts, .. } = &mut self.reader;
            scripts.web.read(decoder, reader, &secrets.value);
        }
        if let Some(scripts) = root.get("scripts") {
            self.reader.scripts.declare_all(&mut self.reader.decoder, &scripts.value);
        }
        self.read_layers(root);
        let components = root.get("components").map(|it| it.value.clone());
        let components = components.iter().flat_map(Node::entries).collect::<Vec<_>>();
        if let Some(node) = root.get("components") {
            self.reader.decoder.named(&node.value, "components");
        }
        for entry in &components {
            self.components.extend(components::read(&mut self.reader, entry));
        }
        if let Some(bots) = root.get("bots") {
            for entry in self.reader.decoder.named(&bots.value, "bots").unwrap_or_default() {
                self.read_bot(entry);
            }
        }
        if let Some(files) = root.get("accounts_files") {
            for item in self.reader.decoder.list(&files.value, "accounts files").unwrap_or_default() {
                self.read_accounts(item);
            }
        }
        for entry in &components {
            self.read_addresses(entry);
        }
        if self.names.is_empty() && !self.reader.decoder.problems.iter().any(Diagnostic::is_error) {
            let found = Diagnostic::warning("config::no_bots", "no bot is configured");
            let hint = "add one: `bots: { echo: { jid: echo@example.org, password: { env: PW }, scripts: [echo.rhai] } }`";
            self.reader.decoder.report(found.hint(hint), root, "");
        }
        Rest { webhooks, ..self.read_rest(root, surroundings) }
    }

    fn check_version(&mut self, node: &Node) {
        let decoder = &mut self.reader.decoder;
        let Some(version) = decoder.integer(node, "`version`", i64::MIN..=i64::MAX) else { return };
        if version != 1 {
            let found =
                Diagnostic::error("config::version", format!("version {version} of the format is not known"));
            decoder.report(found.hint("this program reads version 1"), node, "unknown version");
        }
    }

    /// `defaults` and `templates`, which are also checked where no bot uses them.
    fn read_layers(&mut self, root: &Node) {
        self.reader.secrets.form_only = true;
        if let Some(defaults) = root.get("defaults") {
            self.defaults = normalised(defaults.value.clone());
            self.check_layer(&defaults.value, "`defaults`");
        }
        if let Some(templates) = root.get("templates") {
            let entries = self.reader.decoder.named(&templates.value, "templates").unwrap_or_default();
            for entry in entries {
                let place = self.reader.decoder.key_place(entry);
                check_name(&mut self.reader.decoder, &entry.key, &place, "a template");
                self.check_layer(&entry.value, "a template");
            }
            let layer = |entry: &Entry| Entry { value: normalised(entry.value.clone()), ..entry.clone() };
            self.templates = entries.iter().map(layer).collect();
        }
        self.reader.secrets.form_only = false;
    }

    fn check_layer(&mut self, node: &Node, of: &str) {
        if let Some(entry) = node.get("template") {
            let found = Diagnostic::error("config::template", format!("{of} cannot start from a template"));
            let found = found.at(self.reader.decoder.key_place(entry), "not here");
            self.reader.decoder.note(found.hint("only bots and accounts files name one"));
        }
        self.reader.partial(&normalised(without_placeholders(node)));
    }

    fn read_bot(&mut self, entry: &Entry) {
        let name = &entry.key;
        let place = self.reader.decoder.key_place(entry);
        check_name(&mut self.reader.decoder, name, &place, "a bot");
        self.names.insert(name.clone(), place.clone());
        let mut node = self.defaults.clone();
        if let Some(template) = entry.value.get("template") {
            let columns = ["name".to_owned()];
            let cell = |column: &str| (column == "name").then(|| name.clone());
            node = self.with_template(node, &template.value, &columns, &cell);
        }
        let own = normalised(entry.value.clone());
        if !matches!(own.kind, Kind::Map(_) | Kind::Null) {
            self.reader.decoder.map(&own, "bot");
            return;
        }
        self.finish(name, place, &node.overlaid(&own, REPLACED));
    }

    fn with_template(
        &mut self,
        below: Node,
        name: &Node,
        columns: &[String],
        cell: &dyn Fn(&str) -> Option<String>,
    ) -> Node {
        let Some(wanted) = self.reader.decoder.text(name, "`template`") else { return below };
        let Some(template) = self.templates.iter().find(|it| it.key == wanted) else {
            let names: Vec<&str> = self.templates.iter().map(|it| it.key.as_str()).collect();
            let hint =
                did_you_mean(wanted, names.iter().copied()).unwrap_or_else(|| match names.as_slice() {
                    [] => "declare it under `templates`".to_owned(),
                    names => format!("there are {}", listed(names)),
                });
            let found =
                Diagnostic::error("config::unknown_template", format!("no template is named `{wanted}`"));
            self.reader.decoder.report(found.hint(hint), name, "unknown template");
            return below;
        };
        let value = template.value.clone();
        let filled = accounts::substituted(&mut self.reader.decoder, &value, columns, cell);
        below.overlaid(&filled, REPLACED)
    }

    /// Reads the merged keys of a bot and keeps it if it is whole.
    fn finish(&mut self, name: &str, place: Place, node: &Node) {
        let partial = self.reader.partial(node);
        if let Some((component, at)) = partial.component.clone() {
            self.check_component(&component, &at, partial.jid.as_ref().map(|(jid, _)| jid));
        }
        if partial.anonymous {
            self.check_anonymous(name, &place, node, partial.jid.as_ref());
        }
        for key in ["jid", "password"] {
            let needed = key == "jid" || (node.get("component").is_none() && !partial.anonymous);
            if node.get(key).is_none() && needed {
                let hint = match key {
                    "jid" => "write `jid: name@example.org`",
                    _ => "write `password: { env: NAME }`, or another origin",
                };
                let found =
                    Diagnostic::error("config::missing", format!("bot `{name}` has no `{key}`")).hint(hint);
                self.reader.decoder.note(found.at(place.clone(), "this bot"));
            }
        }
        // Of those who log in as nobody, many may do so at one domain.
        if let Some((jid, at)) = partial.jid.as_ref().filter(|_| !partial.anonymous) {
            match self.addresses.get(jid) {
                Some(first) => {
                    let found =
                        Diagnostic::error("config::duplicate_address", format!("duplicate address {jid}"));
                    let hint = "one account is one bot: give it several scripts instead";
                    let found = found.hint(hint).at(at.clone(), "again here").at(first.clone(), "first here");
                    self.reader.decoder.note(found);
                }
                None => drop(self.addresses.insert(jid.clone(), at.clone())),
            }
        }
        self.bots.extend(partial.finish(name, place));
    }

    /// Who logs in as nobody names a domain and has nothing to prove.
    fn check_anonymous(&mut self, name: &str, place: &Place, node: &Node, jid: Option<&(BareJid, Place)>) {
        for key in ["component", "password"] {
            if let Some(entry) = node.get(key) {
                let message = format!("bot `{name}` is anonymous and has a `{key}`");
                let found = Diagnostic::error("config::anonymous", message);
                let found = found.hint(format!("take out `{key}` or `anonymous`"));
                let at =
                    if entry.value.from_row { place.clone() } else { self.reader.decoder.key_place(entry) };
                self.reader.decoder.note(found.at(at, "not with `anonymous: true`"));
            }
        }
        if let Some((jid, at)) = jid.filter(|(jid, _)| jid.local().is_some()) {
            let found = Diagnostic::error("config::anonymous", "an anonymous bot has no account of its own");
            let hint = format!("write the domain: `jid: {}`", jid.domain());
            self.reader.decoder.note(found.hint(hint).at(at.clone(), "the server makes up the account"));
        }
    }

    fn read_accounts(&mut self, item: &Node) {
        let decoder = &mut self.reader.decoder;
        if !decoder.map(item, "accounts_file") {
            return;
        }
        let Some(file) = item.get("file") else {
            let found = Diagnostic::error("config::missing", "an accounts file has no `file`");
            decoder.report(found, item, "which file?");
            return;
        };
        let plain = |node: &Node| node.get("password").is_some_and(|it| it.value.get("plain").is_some());
        let blank = plain(item) || self.templates.iter().any(|template| plain(&template.value));
        let Some(accounts) = accounts::read(decoder, &file.value, &self.reader.folder, blank) else { return };
        if item.get("jid").is_none() && !self.template_has(item, "jid") {
            let found = Diagnostic::error("config::missing", "these accounts have no `jid`");
            let hint = "write `jid: \"{name}@example.org\"`";
            self.reader.decoder.report(found.hint(hint), item, "no address");
            if let Some(template) = item.get("template") {
                // Only to tell whether it exists and fits the columns.
                drop(self.with_template(Node::empty(), &template.value, &accounts.columns, &|_| {
                    Some(String::new())
                }));
            }
            return;
        }
        for row in &accounts.rows {
            self.read_row(item, &accounts, row);
        }
        self.reader.decoder.row = None;
    }

    fn template_has(&self, item: &Node, key: &str) -> bool {
        let name = item.get("template").map(|it| &it.value.kind);
        let Some(Kind::Scalar { text, .. }) = name else { return false };
        self.templates.iter().any(|template| template.key == *text && template.value.get(key).is_some())
    }

    fn read_row(&mut self, item: &Node, accounts: &Accounts, row: &Row) {
        let columns = &accounts.columns;
        let name = row.cell(columns, "name").unwrap_or_default().to_owned();
        self.reader.decoder.row = Some(row.place.clone());
        if !check_name(&mut self.reader.decoder, &name, &row.place, "a bot") {
            // The address is made of the name: its problems would be the same one again.
            return;
        }
        if let Some(first) = self.names.get(&name) {
            let found = Diagnostic::error("config::duplicate_key", format!("two bots are named `{name}`"));
            let found = found.at(row.place.clone(), "again here").at(first.clone(), "first here");
            self.reader.decoder.note(found);
            return;
        }
        self.names.insert(name.clone(), row.place.clone());
        let cell = |column: &str| row.cell(columns, column).map(str::to_owned);
        let mut node = self.defaults.clone();
        if let Some(template) = item.get("template") {
            node = self.with_template(node, &template.value, columns, &cell);
        }
        let mut own: Vec<Entry> = Vec::new();
        let mut used = vec!["name".to_owned()];
        for key in ["jid", "password"] {
            if let Some(entry) = item.get(key) {
                used.extend(accounts::placeholders(&entry.value));
                let value = accounts::substituted(&mut self.reader.decoder, &entry.value, columns, &cell);
                own.push(Entry { value, ..entry.clone() });
            }
        }
        own.push(config_entry(columns, row, &used));
        let own = Node { span: item.span.clone(), kind: Kind::Map(own), from_row: false };
        self.finish(&name, row.place.clone(), &node.overlaid(&own, REPLACED));
    }

    /// The bots that a component's `addresses` stand for.
    fn read_addresses(&mut self, component: &Entry) {
        let Some(addresses) = component.value.get("addresses") else { return };
        let Some(domain) =
            self.components.iter().find(|it| it.name == component.key).map(|it| it.domain.clone())
        else {
            return;
        };
        // Anything else was told when the component was read.
        let Kind::List(items) = &addresses.value.kind else { return };
        for item in items {
            for (name, place) in components::localparts(&mut self.reader, item) {
                self.read_address(component, domain.domain(), name, place, item);
            }
        }
    }

    fn read_address(&mut self, component: &Entry, domain: &str, name: String, place: Place, item: &Node) {
        if !check_name(&mut self.reader.decoder, &name, &place, "a bot") {
            return;
        }
        if let Some(first) = self.names.get(&name) {
            let found = Diagnostic::error("config::duplicate_key", format!("two bots are named `{name}`"));
            let found = found.at(place, "again here").at(first.clone(), "first here");
            return self.reader.decoder.note(found);
        }
        self.names.insert(name.clone(), place.clone());
        let mut node = self.defaults.clone();
        if let Some(template) = component.value.get("template") {
            let columns = ["name".to_owned()];
            let cell = |column: &str| (column == "name").then(|| name.clone());
            node = self.with_template(node, &template.value, &columns, &cell);
        }
        let own = [("jid", format!("{name}@{domain}")), ("component", component.key.clone())];
        let entry = |(key, text): (&str, String)| {
            let kind = Kind::Scalar { text, plain: false };
            let value = Node { span: item.span.clone(), kind, from_row: false };
            Entry { key: key.to_owned(), key_span: item.span.clone(), value }
        };
        let kind = Kind::Map(own.into_iter().map(entry).collect());
        let own = Node { span: item.span.clone(), kind, from_row: false };
        self.finish(&name, place, &node.overlaid(&own, REPLACED));
    }

    /// The component of a bot exists, and the bot's address is at its domain.
    fn check_component(&mut self, name: &str, at: &Place, jid: Option<&BareJid>) {
        let Some(component) = self.components.iter().find(|it| it.name == name) else {
            let names: Vec<&str> = self.components.iter().map(|it| it.name.as_str()).collect();
            let hint = did_you_mean(name, names.iter().copied())
                .unwrap_or_else(|| "declare it under `components`".to_owned());
            let message = format!("no component is named `{name}`");
            let found = Diagnostic::error("config::unknown_component", message).hint(hint);
            return self.reader.decoder.note(found.at(at.clone(), "unknown component"));
        };
        if let Some(jid) = jid.filter(|jid| jid.domain() != component.domain.domain()) {
            let message = format!("{jid} is not at the domain of component `{name}`");
            let found = Diagnostic::error("config::component_domain", message);
            let hint = format!("its addresses end in `@{}`", component.domain);
            self.reader.decoder.note(found.hint(hint).at(at.clone(), "this component"));
        }
    }

    fn read_rest(&mut self, root: &Node, surroundings: &Surroundings<'_>) -> Rest {
        let folder = self.reader.folder.clone();
        let decoder = &mut self.reader.decoder;
        let value = |key: &str| root.get(key).map(|entry| &entry.value);
        let storage = match value("storage").map(|it| decoder.text(it, "`storage`")) {
            Some(path) => folder.join(path.unwrap_or("data")),
            // systemd names several folders with colons between them; the first is the main one.
            None => match (surroundings.var)("STATE_DIRECTORY").filter(|path| !path.is_empty()) {
                Some(paths) => PathBuf::from(paths.split(':').next().unwrap_or_default()),
                None => folder.join("data"),
            },
        };
        let words = [("full", Durability::Full), ("relaxed", Durability::Relaxed)];
        let durability = value("durability").and_then(|it| decoder.choice(it, "`durability`", &words));
        if let Some(admin) = value("admin").filter(|it| decoder.map(it, "admin"))
            && let Some(socket) = admin.get("socket")
        {
            decoder.choice(&socket.value, "`socket`", &[("auto", ())]);
        }
        let login = value("login").map(|it| login(decoder, it)).unwrap_or(DEFAULT_LOGIN);
        let log = value("log").map(|it| log(decoder, it)).unwrap_or_else(default_log);
        Rest { storage, durability: durability.unwrap_or_default(), webhooks: None, login, log }
    }
}

fn login(decoder: &mut Decoder, node: &Node) -> Login {
    let mut login = DEFAULT_LOGIN;
    if decoder.map(node, "login") {
        if let Some(pace) = node.get("pace").and_then(|it| decoder.rate(&it.value, "`pace`")) {
            login.pace = pace;
        }
        let range = Duration::ZERO..=Duration::from_secs(3_600);
        if let Some(jitter) = node.get("jitter").and_then(|it| decoder.duration(&it.value, "`jitter`", range))
        {
            login.jitter = jitter;
        }
    }
    login
}

fn log(decoder: &mut Decoder, node: &Node) -> Log {
    let mut log = default_log();
    if decoder.map(node, "log") {
        let words = [("auto", LogFormat::Auto), ("text", LogFormat::Text), ("json", LogFormat::Json)];
        let format = node.get("format").and_then(|it| decoder.choice(&it.value, "`format`", &words));
        log.format = format.unwrap_or_default();
        if let Some(level) = node.get("level").and_then(|it| level(decoder, &it.value)) {
            log.level = level;
        }
        log.bodies =
            node.get("bodies").and_then(|it| decoder.boolean(&it.value, "`bodies`")).unwrap_or_default();
    }
    log
}

/// A level, or several with the module each is for.
fn level(decoder: &mut Decoder, node: &Node) -> Option<String> {
    let text = decoder.text(node, "`level`")?;
    for part in text.split(',') {
        let level = part.rsplit('=').next().unwrap_or_default().trim();
        if !LOG_LEVELS.contains(&level) {
            let hint = did_you_mean(level, LOG_LEVELS)
                .unwrap_or_else(|| format!("there are {}", listed(&LOG_LEVELS)));
            let found = Diagnostic::error("config::choice", format!("`{level}` is no log level")).hint(hint);
            decoder.report(found, node, "unknown level");
            return None;
        }
    }
    Some(text.to_owned())
}

/// The columns that neither the address nor the password uses, as `config` of the bot.
fn config_entry(columns: &[String], row: &Row, used: &[String]) -> Entry {
    let values = columns.iter().zip(&row.cells).filter(|(column, _)| !used.contains(column));
    let entry = |(column, cell): (&String, &String)| {
        let kind = Kind::Scalar { text: cell.clone(), plain: false };
        Entry { key: column.clone(), key_span: 0..0, value: Node { span: 0..0, kind, from_row: true } }
    };
    let kind = Kind::Map(values.map(entry).collect());
    Entry { key: "config".to_owned(), key_span: 0..0, value: Node { span: 0..0, kind, from_row: true } }
}

/// A layer without the values that only a column completes.
fn without_placeholders(node: &Node) -> Node {
    let keep =
        |node: &Node| !matches!(node.kind, Kind::Scalar { .. }) || accounts::placeholders(node).is_empty();
    let kind = match &node.kind {
        Kind::List(items) => {
            Kind::List(items.iter().filter(|it| keep(it)).map(without_placeholders).collect())
        }
        Kind::Map(entries) => {
            let entry = |entry: &Entry| Entry { value: without_placeholders(&entry.value), ..entry.clone() };
            Kind::Map(entries.iter().filter(|it| keep(&it.value)).map(entry).collect())
        }
        kind @ (Kind::Null | Kind::Scalar { .. }) => kind.clone(),
    };
    Node { span: node.span.clone(), kind, from_row: node.from_row }
}

fn default_log() -> Log {
    Log { format: LogFormat::Auto, level: "info".to_owned(), bodies: false }
}

const DEFAULT_LOGIN: Login =
    Login { pace: Some(Rate { count: 10, per: Duration::from_secs(1) }), jitter: Duration::from_secs(30) };

/// Maps that a layer replaces as a whole: half of one origin and half of another mean nothing.
const REPLACED: &[&str] = &["password"];
