//! One bot: its merged keys to [`BotSettings`].

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::tz::TimeZone;
use serde_json::{Map, Value};
use url::Url;

use crate::config::decode::Decoder;
use crate::config::limits::{self, DEFAULT_LIMITS};
use crate::config::password_file::PasswordFile;
use crate::config::profile;
use crate::config::schedules;
use crate::config::scripts::{Scripts, grants};
use crate::config::secrets::Secrets;
use crate::config::settings::{
    Accept, Bookmarks, BotSettings, ChannelBinding, Connect, Grants, HostPort, Invites, Limits, Presence,
    Profile, Resource, Room, ScriptUse, Show, Tls, TlsMode,
};
use crate::config::yaml::{Entry, Kind, Node};
use crate::cron::Schedule;
use crate::diagnostic::{Diagnostic, Place};
use crate::jid::BareJid;
use crate::secret::Password;

/// What reading a bot needs besides its keys.
pub struct Reader<'a> {
    /// Typed values and problems.
    pub decoder: Decoder,
    /// Passwords.
    pub secrets: Secrets<'a>,
    /// Scripts by name and path.
    pub scripts: Scripts,
    /// Where relative paths start.
    pub folder: PathBuf,
}

/// A bot whose keys were read, with or without those it must have.
pub struct Partial {
    /// Its address and where it stands.
    pub jid: Option<(BareJid, Place)>,
    password: Option<Password>,
    password_file: Option<PasswordFile>,
    /// Whether it logs in as nobody.
    pub anonymous: bool,
    channel_binding: ChannelBinding,
    /// The component it stands behind, and where that is written.
    pub component: Option<(String, Place)>,
    server: Option<HostPort>,
    connect: Connect,
    tls: Tls,
    resource: Resource,
    scripts: Vec<ScriptUse>,
    config: Map<String, Value>,
    rooms: Vec<Room>,
    accept: Accept,
    invites: Invites,
    unreadable: Option<String>,
    admins: Vec<BareJid>,
    roles: BTreeMap<String, Vec<BareJid>>,
    limits: Limits,
    presence: Presence,
    bookmarks: Bookmarks,
    profile: Profile,
    lang: String,
    menu: bool,
    timezone: TimeZone,
    schedules: Vec<Schedule>,
    labels: BTreeMap<String, String>,
    paused: Option<String>,
}

impl Partial {
    /// The bot, if it has an address and a password.
    pub fn finish(self, name: &str, place: Place) -> Option<BotSettings> {
        Some(BotSettings {
            name: name.to_owned(),
            jid: self.jid?.0,
            password: match &self.component {
                Some(_) => Password::new(String::new()),
                None if self.anonymous => Password::new(String::new()),
                None => self.password?,
            },
            password_file: self.password_file,
            anonymous: self.anonymous,
            channel_binding: self.channel_binding,
            component: self.component.map(|(name, _)| name),
            server: self.server,
            connect: self.connect,
            tls: self.tls,
            resource: self.resource,
            scripts: self.scripts,
            config: self.config,
            rooms: self.rooms,
            accept: self.accept,
            invites: self.invites,
            unreadable: self.unreadable,
            admins: self.admins,
            roles: self.roles,
            limits: self.limits,
            presence: self.presence,
            bookmarks: self.bookmarks,
            profile: self.profile,
            lang: self.lang,
            menu: self.menu,
            timezone: self.timezone,
            schedules: self.schedules,
            labels: self.labels,
            paused: self.paused,
            place,
        })
    }
}

impl Reader<'_> {
    /// Reads every key of a bot, of `defaults` or of a template.
    pub fn partial(&mut self, node: &Node) -> Partial {
        self.decoder.map(node, "bot");
        let value = |key: &str| node.get(key).map(|entry| &entry.value);
        let limits =
            value("limits").map(|it| limits::of_bot(&mut self.decoder, it)).unwrap_or(DEFAULT_LIMITS);
        let config = node.get("config");
        let timezone = value("timezone").map(|it| schedules::timezone(&mut self.decoder, it));
        let timezone = timezone.unwrap_or(TimeZone::UTC);
        let bots = value("permissions").map(|it| self.permissions(it)).unwrap_or_default();
        let bot_grants =
            Arc::new(value("permissions").map(|it| grants(&self.decoder, it)).unwrap_or_default());
        let anonymous = value("anonymous").and_then(|it| self.decoder.boolean(it, "`anonymous`"));
        let anonymous = anonymous.unwrap_or_default();
        Partial {
            jid: value("jid").and_then(|it| {
                let address = self.decoder.address(it, "`jid`", !anonymous)?;
                Some((address, self.decoder.origin(it)))
            }),
            password: value("password")
                .and_then(|it| self.secrets.read(&mut self.decoder, it, "the password")),
            password_file: value("password").and_then(|it| self.secrets.password_file(it)),
            anonymous,
            channel_binding: value("channel_binding").and_then(|it| self.binding(it)).unwrap_or_default(),
            component: value("component").and_then(|it| {
                let name = self.decoder.text(it, "`component`")?.to_owned();
                Some((name, self.decoder.origin(it)))
            }),
            server: value("server").and_then(|it| self.decoder.host_port(it, "`server`")),
            connect: value("connect").and_then(|it| self.connect(it)).unwrap_or_default(),
            tls: value("tls").map(|it| self.tls(it)).unwrap_or_default(),
            resource: value("resource").map(|it| self.resource(it)).unwrap_or_default(),
            scripts: value("scripts")
                .map(|it| self.uses(it, config, &limits, (&bots, &bot_grants)))
                .unwrap_or_default(),
            config: config.map(|it| self.config(&it.value)).unwrap_or_default(),
            rooms: value("rooms").map(|it| self.rooms(it)).unwrap_or_default(),
            accept: value("accept").map(|it| self.accept(it)).unwrap_or_default(),
            invites: value("invites").map(|it| self.invites(it)).unwrap_or_default(),
            unreadable: match value("unreadable") {
                Some(it) => self.unreadable(it),
                None => Some(UNREADABLE.to_owned()),
            },
            admins: value("admins").map(|it| self.addresses(it, "an admin")).unwrap_or_default(),
            roles: value("roles").map(|it| self.roles(it)).unwrap_or_default(),
            limits,
            presence: value("presence").map(|it| self.presence(it)).unwrap_or_default(),
            bookmarks: value("bookmarks").and_then(|it| self.bookmarks(it)).unwrap_or_default(),
            profile: value("profile")
                .map(|it| profile::profile(&mut self.decoder, it, &self.folder))
                .unwrap_or_default(),
            lang: value("lang").and_then(|it| self.lang(it)).unwrap_or_else(|| "en".to_owned()),
            menu: value("menu").and_then(|it| self.decoder.boolean(it, "`menu`")).unwrap_or(true),
            schedules: value("schedules")
                .map(|it| schedules::schedules(&mut self.decoder, it, &timezone))
                .unwrap_or_default(),
            timezone,
            labels: value("labels").map(|it| self.labels(it)).unwrap_or_default(),
            paused: value("paused").and_then(|it| self.paused(it)),
        }
    }

    /// Bots that all scripts of the bot may talk to.
    fn permissions(&mut self, node: &Node) -> Vec<String> {
        self.decoder.map(node, "bot_permissions");
        node.get("bots").map(|it| schedules::bots(&mut self.decoder, &it.value)).unwrap_or_default()
    }

    fn bookmarks(&mut self, node: &Node) -> Option<Bookmarks> {
        let words = [("ignore", Bookmarks::Ignore), ("join", Bookmarks::Join), ("keep", Bookmarks::Keep)];
        self.decoder.choice(node, "`bookmarks`", &words)
    }

    fn tls(&mut self, node: &Node) -> Tls {
        let mut tls = Tls::default();
        if !self.decoder.map(node, "tls") {
            return tls;
        }
        if let Some(mode) = node.get("mode") {
            tls.mode = self.tls_mode(&mode.value).unwrap_or_default();
        }
        tls.ca = node.get("ca").and_then(|it| self.existing(&it.value, "`ca`"));
        tls
    }

    fn tls_mode(&mut self, node: &Node) -> Option<TlsMode> {
        let text = self.decoder.text(node, "`tls`")?;
        if ["none", "off", "no", "false", "disabled", "optional", "plain", "insecure"].contains(&text) {
            let message = format!("`{text}` is no value of `tls`");
            let hint = "there is no way to switch TLS or its checks off; `ca` names an authority of your own";
            self.decoder.report(
                Diagnostic::error("config::choice", message).hint(hint),
                node,
                "unknown word",
            );
            return None;
        }
        self.decoder.choice(node, "`tls`", &[("starttls", TlsMode::StartTls), ("direct", TlsMode::Direct)])
    }

    /// A word or a `wss:` URL. `ws:` would send everything in the clear.
    fn connect(&mut self, node: &Node) -> Option<Connect> {
        let text = self.decoder.text(node, "`connect`")?;
        if !text.contains(':') {
            let words = [("tcp", Connect::Tcp), ("auto", Connect::Auto), ("websocket", Connect::WebSocket)];
            return self.decoder.choice(node, "`connect`", &words);
        }
        match Url::parse(text) {
            Ok(url)
                if url.scheme() == "wss"
                    && url.username().is_empty()
                    && url.password().is_none()
                    && url.fragment().is_none() =>
            {
                Some(Connect::Url(url))
            }
            Ok(_) | Err(_) => {
                let message = format!("`{}` is no address of a WebSocket", text.escape_debug());
                let hint =
                    "it looks like `wss://chat.example.org/xmpp-websocket`; without encryption there is none";
                self.decoder.report(
                    Diagnostic::error("config::choice", message).hint(hint),
                    node,
                    "not a `wss:` URL",
                );
                None
            }
        }
    }

    fn binding(&mut self, node: &Node) -> Option<ChannelBinding> {
        let words = [
            ("prefer", ChannelBinding::Prefer),
            ("require", ChannelBinding::Require),
            ("never", ChannelBinding::Never),
        ];
        self.decoder.choice(node, "`channel_binding`", &words)
    }

    /// The path of a file that exists.
    fn existing(&mut self, node: &Node, of: &str) -> Option<PathBuf> {
        let path = self.decoder.text(node, of)?;
        let file = self.folder.join(path);
        match file.metadata() {
            Ok(it) if it.is_file() => Some(file),
            Ok(_) | Err(_) => {
                let found = Diagnostic::error("config::file", format!("{path}: no such file"));
                self.decoder.report(found, node, "this file");
                None
            }
        }
    }

    fn resource(&mut self, node: &Node) -> Resource {
        match self.decoder.text(node, "`resource`") {
            None | Some("auto") => Resource::Auto,
            Some(text) => match BareJid::parse("a@b.example").and_then(|jid| jid.with_resource(text)) {
                Ok(full) => Resource::Fixed(full.resource_str().to_owned()),
                Err(error) => {
                    let found = Diagnostic::error("config::address", format!("`resource`: {error}"));
                    self.decoder.report(found, node, "not a resource");
                    Resource::Auto
                }
            },
        }
    }

    fn uses(
        &mut self,
        node: &Node,
        shared: Option<&Entry>,
        limits: &Limits,
        bots: (&[String], &Arc<Grants>),
    ) -> Vec<ScriptUse> {
        let mut uses: Vec<ScriptUse> = Vec::new();
        for item in self.decoder.list(node, "scripts").unwrap_or_default() {
            let (name_node, own) = match &item.kind {
                Kind::Map(_) => {
                    self.decoder.map(item, "use");
                    let Some(name) = item.get("use") else {
                        let found = Diagnostic::error("config::missing", "this entry has no `use`");
                        self.decoder.report(found.hint("write `use: SCRIPT`"), item, "which script?");
                        continue;
                    };
                    (&name.value, item.get("config"))
                }
                Kind::Null | Kind::Scalar { .. } | Kind::List(_) => (item, None),
            };
            let Some(name) = self.scripts.used(&mut self.decoder, name_node) else { continue };
            let place = self.decoder.origin(name_node);
            if let Some(first) = uses.iter().find(|it| it.script == name) {
                let found =
                    Diagnostic::error("config::duplicate_script", format!("script `{name}` is used twice"));
                self.decoder.note(found.at(place, "again here").at(first.place.clone(), "first here"));
                continue;
            }
            uses.push(self.script_use(name, place, [shared, own], limits, bots));
        }
        uses
    }

    /// A script with both levels of its `config`; the entry's own keys win.
    fn script_use(
        &mut self,
        name: String,
        place: Place,
        levels: [Option<&Entry>; 2],
        limits: &Limits,
        (bots, bot_grants): (&[String], &Arc<Grants>),
    ) -> ScriptUse {
        let mut config = Map::new();
        let mut places = BTreeMap::new();
        for level in levels.into_iter().flatten() {
            for entry in self.decoder.named(&level.value, "options").unwrap_or_default() {
                config.insert(entry.key.clone(), self.decoder.value(&entry.value));
                let from_row = self.decoder.row.clone().filter(|_| entry.value.from_row);
                places.insert(entry.key.clone(), from_row.unwrap_or_else(|| self.decoder.key_place(entry)));
            }
        }
        let script = self.scripts.known.get(&name);
        let mut permissions = script.map(|script| script.permissions.clone()).unwrap_or_default();
        permissions.bots.extend(bots.iter().cloned());
        let own = script.map(|script| script.limits).unwrap_or_default();
        let limits = own.over(limits.turn);
        let grants = script.map(|script| script.grants.clone()).unwrap_or_default();
        let bot_grants = bot_grants.clone();
        let places = Arc::new(places);
        ScriptUse { script: name, config, places, limits, permissions, place, grants, bot_grants }
    }

    fn config(&mut self, node: &Node) -> Map<String, Value> {
        let entries = self.decoder.named(node, "options").unwrap_or_default();
        self.decoder.values(entries)
    }

    fn rooms(&mut self, node: &Node) -> Vec<Room> {
        let mut rooms: Vec<(Room, Place)> = Vec::new();
        for item in self.decoder.list(node, "rooms").unwrap_or_default() {
            let Some((room, place)) = self.room(item) else { continue };
            match rooms.iter().find(|(other, _)| other.jid == room.jid) {
                Some((_, first)) => {
                    let message = format!("room `{}` is listed twice", room.jid);
                    let found = Diagnostic::error("config::duplicate_room", message);
                    self.decoder.note(found.at(place, "again here").at(first.clone(), "first here"));
                }
                None => rooms.push((room, place)),
            }
        }
        rooms.into_iter().map(|(room, _)| room).collect()
    }

    fn room(&mut self, node: &Node) -> Option<(Room, Place)> {
        let place = self.decoder.origin(node);
        let Kind::Map(_) = node.kind else {
            let jid = self.decoder.address(node, "a room", true)?;
            return Some((Room { jid, nick: None, password: None, create: true }, place));
        };
        self.decoder.map(node, "room");
        let nick = node.get("nick").and_then(|it| self.nick(&it.value));
        let password = node
            .get("password")
            .and_then(|it| self.secrets.read(&mut self.decoder, &it.value, "the room's password"));
        let create = node.get("create").and_then(|it| self.decoder.boolean(&it.value, "`create`"));
        let Some(jid) = node.get("jid") else {
            let found = Diagnostic::error("config::missing", "a room has no `jid`");
            self.decoder.report(found, node, "which room?");
            return None;
        };
        let jid = self.decoder.address(&jid.value, "a room", true)?;
        Some((Room { jid, nick, password, create: create.unwrap_or(true) }, place))
    }

    /// XEP-0045 §7.2: the nick is the resourcepart of the occupant.
    fn nick(&mut self, node: &Node) -> Option<String> {
        let text = self.decoder.text(node, "`nick`")?;
        match BareJid::parse("a@b.example").and_then(|jid| jid.with_resource(text)) {
            Ok(full) => Some(full.resource_str().to_owned()),
            Err(error) => {
                let found = Diagnostic::error("config::address", format!("`nick`: {error}"));
                self.decoder.report(found, node, "not a nick");
                None
            }
        }
    }

    fn accept(&mut self, node: &Node) -> Accept {
        if let Kind::List(_) = node.kind {
            return Accept::List(self.addresses(node, "an address"));
        }
        if matches!(&node.kind, Kind::Scalar { text, .. } if text == "list") {
            let found = Diagnostic::error("config::choice", "`accept` needs the list itself");
            let hint = "write the addresses: `accept: [ann@example.org]`";
            self.decoder.report(found.hint(hint), node, "which addresses?");
            return Accept::None;
        }
        let words = [("none", 0), ("domain", 1), ("roster", 2), ("all", 3)];
        match self.decoder.choice(node, "`accept`", &words) {
            Some(1) => Accept::Domain,
            Some(2) => Accept::Roster,
            Some(3) => Accept::All,
            Some(_) | None => Accept::None,
        }
    }

    /// A word, or a list of words and addresses.
    fn invites(&mut self, node: &Node) -> Invites {
        let mut invites = Invites::default();
        let items = match &node.kind {
            Kind::List(items) => items.as_slice(),
            Kind::Null | Kind::Scalar { .. } | Kind::Map(_) => std::slice::from_ref(node),
        };
        let listed = matches!(node.kind, Kind::List(_));
        for item in items {
            if listed && matches!(&item.kind, Kind::Scalar { text, .. } if text.contains(['@', '.'])) {
                invites.from.extend(self.decoder.address(item, "an address", false));
                continue;
            }
            let words = [("none", 0), ("admin", 1), ("domain", 2), ("roster", 3), ("all", 4)];
            match self.decoder.choice(item, "`invites`", &words) {
                Some(1) => invites.admin = true,
                Some(2) => invites.domain = true,
                Some(3) => invites.roster = true,
                Some(4) => invites.all = true,
                Some(_) | None => {}
            }
        }
        invites
    }

    fn addresses(&mut self, node: &Node, of: &str) -> Vec<BareJid> {
        let items = self.decoder.list(node, "addresses").unwrap_or_default();
        items.iter().filter_map(|item| self.decoder.address(item, of, false)).collect()
    }

    /// Names for groups of people; those that mean something already are refused.
    fn roles(&mut self, node: &Node) -> BTreeMap<String, Vec<BareJid>> {
        let mut roles = BTreeMap::new();
        for entry in self.decoder.named(node, "roles").unwrap_or_default() {
            let place = self.decoder.key_place(entry);
            let hint = match entry.key.as_str() {
                "admin" => "list these people under `admins`",
                name if TAKEN_ROLES.contains(&name) => "rooms say who that is; take another name",
                name if !is_word(name) => "a role is a word of letters, digits, `-` and `_`",
                _ => {
                    roles.insert(entry.key.clone(), self.addresses(&entry.value, "a member of a role"));
                    continue;
                }
            };
            let found = Diagnostic::error("config::role", format!("`{}` cannot name a role", entry.key));
            self.decoder.note(found.hint(hint).at(place, "this name"));
        }
        roles
    }

    fn presence(&mut self, node: &Node) -> Presence {
        let mut presence = Presence::default();
        let decoder = &mut self.decoder;
        if decoder.map(node, "presence") {
            let words = [("away", Show::Away), ("chat", Show::Chat), ("dnd", Show::Dnd), ("xa", Show::Xa)];
            presence.show = node.get("show").and_then(|it| decoder.choice(&it.value, "`show`", &words));
            presence.status =
                node.get("status").and_then(|it| decoder.text(&it.value, "`status`").map(str::to_owned));
            let priority =
                node.get("priority").and_then(|it| decoder.integer(&it.value, "`priority`", -128..=127));
            // The range is that of the type.
            presence.priority = priority.unwrap_or_default() as i8;
        }
        presence
    }

    fn lang(&mut self, node: &Node) -> Option<String> {
        let text = self.decoder.text(node, "`lang`")?;
        let tag =
            |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|it| it.is_ascii_alphanumeric());
        if text.split('-').all(tag) {
            return Some(text.to_owned());
        }
        let message = format!("`{text}` is no language tag");
        let hint = "write it like `en`, `nb` or `pt-BR`";
        self.decoder.report(Diagnostic::error("config::lang", message).hint(hint), node, "not a language");
        None
    }

    fn labels(&mut self, node: &Node) -> BTreeMap<String, String> {
        let entries = self.decoder.named(node, "labels").unwrap_or_default();
        let label = |entry: &Entry| {
            let text = self.decoder.text(&entry.value, "a label")?;
            Some((entry.key.clone(), text.to_owned()))
        };
        entries.iter().filter_map(label).collect()
    }

    /// `true`, `false` or the reason.
    /// What is said about messages that cannot be read.
    fn unreadable(&mut self, node: &Node) -> Option<String> {
        match self.decoder.text(node, "`unreadable`")?.trim() {
            "off" | "false" | "no" | "none" => None,
            "on" | "true" | "yes" | "" => Some(UNREADABLE.to_owned()),
            text if text.len() > LONGEST_ANSWER => {
                let message = format!("`unreadable` has at most {LONGEST_ANSWER} bytes");
                self.decoder.report(Diagnostic::error("config::range", message), node, "too long");
                None
            }
            text => Some(text.to_owned()),
        }
    }

    fn paused(&mut self, node: &Node) -> Option<String> {
        match self.decoder.text(node, "`paused`")? {
            "true" => Some(String::new()),
            "false" => None,
            // A reason of that kind is a boolean of another format: better asked than guessed.
            "yes" | "no" | "on" | "off" => self.decoder.boolean(node, "`paused`").map(|_| String::new()),
            reason => Some(reason.to_owned()),
        }
    }
}

/// What is said about messages that cannot be read, where nothing else is written.
const UNREADABLE: &str =
    "I cannot read encrypted messages. Please switch encryption off in this chat and write again.";

/// Bytes of what is said instead.
const LONGEST_ANSWER: usize = 1_000;

/// What `allow` of a command takes from the room a message comes from.
const TAKEN_ROLES: &[&str] = &["member", "moderator", "outcast", "owner", "participant", "visitor"];

fn is_word(name: &str) -> bool {
    name.starts_with(char::is_alphabetic)
        && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'))
}

/// `tls: direct` as `tls: { mode: direct }`, so that layers merge.
pub fn normalised(mut node: Node) -> Node {
    let Kind::Map(entries) = &mut node.kind else { return node };
    for entry in entries.iter_mut().filter(|entry| entry.key == "tls") {
        if matches!(entry.value.kind, Kind::Scalar { .. }) {
            let span = entry.value.span.clone();
            let mode = Entry { key: "mode".to_owned(), key_span: span.clone(), value: entry.value.clone() };
            entry.value = Node { span, kind: Kind::Map(vec![mode]), from_row: entry.value.from_row };
        }
    }
    node
}

/// Tells a name that could not be typed on the command line or would look like a pattern; whether
/// it is fine.
pub fn check_name(decoder: &mut Decoder, name: &str, place: &Place, what: &str) -> bool {
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    let begins = name.starts_with(char::is_alphanumeric);
    let fine = begins && name.chars().all(allowed) && name.len() <= 128;
    if !fine {
        let message = format!("`{name}` is no name for {what}");
        let hint = "up to 128 letters, digits, `.`, `-` and `_`, beginning with a letter or digit";
        decoder.note(Diagnostic::error("config::name", message).hint(hint).at(place.clone(), "not a name"));
    }
    fine
}
