//! What scripts do with the web: `secrets`, `webhooks`, and the grants `http`, `webhooks` and `secrets`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::config::bot::check_name;
use crate::config::decode::Decoder;
use crate::config::schema::{Section, Shape, key};
use crate::config::secrets::Secrets;
use crate::config::settings::Webhooks;
use crate::config::yaml::{Kind, Node};
use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::hosts::HostPattern;
use crate::secret::Password;

/// The secrets of the file.
#[derive(Default)]
pub struct Known {
    /// Those that could be read.
    pub values: BTreeMap<String, Password>,
    /// All that are named: granting one that could not be read is no second problem.
    names: BTreeSet<String>,
    /// Whether somebody listens for webhooks.
    pub listening: bool,
}

impl Known {
    /// Reads the map `secrets`.
    pub fn read(&mut self, decoder: &mut Decoder, secrets: &mut Secrets<'_>, node: &Node) {
        for entry in decoder.named(node, "secrets").unwrap_or_default() {
            let place = decoder.key_place(entry);
            check_name(decoder, &entry.key, &place, "a secret");
            self.names.insert(entry.key.clone());
            if let Some(value) = secrets.read(decoder, &entry.value, "a secret") {
                self.values.insert(entry.key.clone(), value);
            }
        }
    }

    /// The secrets that a script is granted.
    pub fn granted(&self, decoder: &mut Decoder, node: &Node) -> BTreeMap<String, Password> {
        let mut granted = BTreeMap::new();
        for item in decoder.list(node, "names of secrets").unwrap_or_default() {
            let Some(name) = decoder.text(item, "the name of a secret").map(str::to_owned) else { continue };
            if let Some(value) = self.values.get(&name) {
                granted.insert(name, value.clone());
            } else if !self.names.contains(&name) {
                let hint = did_you_mean(&name, self.names.iter().map(String::as_str)).unwrap_or_else(|| {
                    format!("declare it at the top of the file: `secrets: {{ {name}: {{ env: NAME }} }}`")
                });
                let message = format!("no secret is named `{name}`");
                let found = Diagnostic::error("config::unknown_secret", message).hint(hint);
                decoder.report(found, item, "unknown secret");
            }
        }
        granted
    }

    /// The webhooks that a script is granted, and whether each may be open to everybody.
    pub fn webhooks(&self, decoder: &mut Decoder, node: &Node) -> BTreeMap<String, bool> {
        let mut granted = BTreeMap::new();
        for item in decoder.list(node, "webhooks").unwrap_or_default() {
            let (name, open) = match &item.kind {
                Kind::Map(_) => {
                    decoder.map(item, "webhook_grant");
                    let Some(name) = item.get("name") else {
                        let found = Diagnostic::error("config::missing", "a webhook has no `name`");
                        decoder.report(found, item, "which one?");
                        continue;
                    };
                    let words = [("none", true), ("signed", false)];
                    let auth = item.get("auth").and_then(|it| decoder.choice(&it.value, "`auth`", &words));
                    (&name.value, auth.unwrap_or(false))
                }
                _ => (item, false),
            };
            let Some(text) = decoder.text(name, "the name of a webhook").map(str::to_owned) else { continue };
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
            if text.is_empty() || text.len() > 64 || !text.bytes().all(fits) {
                let found = Diagnostic::error("config::webhook", format!("`{text}` is no name of a webhook"));
                decoder.report(found.hint("use a-z, 0-9, `_` and `-`"), name, "not a name");
                continue;
            }
            if granted.insert(text.clone(), open).is_some() {
                let found = Diagnostic::error("config::webhook", format!("`{text}` is granted twice"));
                decoder.report(found, name, "again here");
            }
        }
        if !granted.is_empty() && !self.listening {
            let found = Diagnostic::warning("config::webhook", "nobody listens for webhooks");
            let hint = "say where at the top of the file: `webhooks: { listen: 127.0.0.1:8085 }`";
            decoder.report(found.hint(hint), node, "granted in vain");
        }
        granted
    }
}

/// The hosts that a script is granted.
pub fn hosts(decoder: &mut Decoder, node: &Node) -> Vec<HostPattern> {
    let mut granted = Vec::new();
    for item in decoder.list(node, "hosts").unwrap_or_default() {
        let Some(host) = decoder.text(item, "a host").map(str::to_owned) else { continue };
        match HostPattern::parse(&host) {
            Some(pattern) => granted.push(pattern),
            None => {
                let hint = "write `api.example.net`, `*.example.net` or `127.0.0.1:8080`, without a path, and with `http://` only for requests without encryption";
                let found = Diagnostic::error("config::host", format!("`{host}` is no host"));
                decoder.report(found.hint(hint), item, "not a host");
            }
        }
    }
    granted
}

/// Reads the map `webhooks`.
pub fn listener(decoder: &mut Decoder, node: &Node) -> Option<Webhooks> {
    if !decoder.map(node, "webhooks") || node.entries().is_empty() {
        return None;
    }
    let behind_proxy = node.get("behind_proxy").and_then(|it| decoder.boolean(&it.value, "`behind_proxy`"));
    let behind_proxy = behind_proxy.unwrap_or_default();
    let Some(listen) = node.get("listen") else {
        let found = Diagnostic::error("config::missing", "`webhooks` has no `listen`");
        decoder.report(found.hint("write `listen: 127.0.0.1:8085`"), node, "at which address?");
        return None;
    };
    let given = decoder.host_port(&listen.value, "`listen`")?;
    let address = match given.host.as_str() {
        "localhost" => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        host => host.parse().ok(),
    };
    let Some(address) = address else {
        let found = Diagnostic::error("config::listen", format!("`{}` is no IP address", given.host));
        decoder.report(found.hint("write `127.0.0.1:8085`"), &listen.value, "not an address");
        return None;
    };
    if !address.is_loopback() && !behind_proxy {
        let message =
            format!("`{address}` can be reached from other machines, and webhooks speak plain HTTP");
        let hint = "listen at `127.0.0.1:8085`, with a proxy in front that speaks TLS; if the proxy is another machine, add `behind_proxy: true`";
        decoder.report(
            Diagnostic::error("config::listen", message).hint(hint),
            &listen.value,
            "not without a proxy",
        );
        return None;
    }
    Some(Webhooks { listen: SocketAddr::new(address, given.port), behind_proxy })
}

/// What a script is granted.
pub const PERMISSIONS: Section = Section {
    name: "permissions",
    place: "scripts.NAME.permissions",
    meaning: "What a script is granted.",
    keys: &[
        key(
            "http",
            Shape::List(&Shape::Text),
            "",
            "Hosts it may ask over HTTP: `api.example.net`, `*.example.net`. Other ports than 443 are named, as in `a.example:8443`; plain HTTP too, as in `http://a.example`. Private addresses only as themselves: `127.0.0.1:8443`.",
        ),
        key(
            "webhooks",
            Shape::List(&Shape::Either(&[Shape::Text, Shape::Section("webhook_grant")])),
            "",
            "Webhooks it may declare: names, which stand in the path `/hooks/BOT/NAME`.",
        ),
        key("secrets", Shape::List(&Shape::Text), "", "Names under `secrets` that it may use."),
        key(
            "shared",
            Shape::Boolean,
            "false",
            "Whether it may use `shared::`, the store all bots have in common.",
        ),
        key("bots", Shape::List(&Shape::Text), "", "Bots it may talk to with `peer::tell`; `*` means all."),
    ],
    later: &[],
};

/// A webhook with more than its name.
pub const WEBHOOK_GRANT: Section = Section {
    name: "webhook_grant",
    place: "scripts.NAME.permissions.webhooks[]",
    meaning: "A webhook with more than its name.",
    keys: &[
        key("name", Shape::Text, "", "Its name. Required."),
        key(
            "auth",
            Shape::Choice(&["signed", "none"]),
            "signed",
            "With `none` the script may let everybody call it, by `auth: \"none\"`.",
        ),
    ],
    later: &[],
};

/// Where webhooks are heard.
pub const WEBHOOKS: Section = Section {
    name: "webhooks",
    place: "webhooks",
    meaning: "Where webhooks are heard, over plain HTTP: at `/hooks/BOT/NAME`. Without it nobody listens.",
    keys: &[
        key(
            "listen",
            Shape::HostPort,
            "",
            "Address and port, such as `127.0.0.1:8085`. Required. One that other machines can reach needs `behind_proxy`.",
        ),
        key(
            "behind_proxy",
            Shape::Boolean,
            "false",
            "Whether a proxy that speaks TLS stands in front, on another machine.",
        ),
    ],
    later: &[],
};

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Surroundings;
    use crate::config::yaml::parse;

    #[test]
    fn secrets_are_read_once_and_granted_by_name() {
        let (found, problems) = with("{ api_key: { env: A }, b: { env: NONE } }", |decoder, node, known| {
            let var = |name: &str| (name == "A").then(|| "pencil".to_owned());
            let surroundings = Surroundings { var: &var, run_commands: false };
            known.read(decoder, &mut Secrets::new(Path::new(""), &surroundings), node);
            let (_, grants, _) = parse("t", "[api_key, b, api_kee]");
            known.granted(decoder, &grants.unwrap())
        });
        assert_eq!(found.keys().collect::<Vec<_>>(), ["api_key"]);
        let messages: Vec<&str> = problems.iter().map(|it| it.message.as_str()).collect();
        assert_eq!(messages, ["environment variable `NONE` is not set", "no secret is named `api_kee`"]);
        assert_eq!(problems[1].hint.as_deref(), Some("did you mean `api_key`?"));
        assert!(!format!("{found:?}").contains("pencil"));
    }

    #[test]
    fn webhooks_are_granted_with_or_without_a_lock() {
        let (found, problems) = with("[deploy, { name: ping, auth: none }]", |decoder, node, known| {
            known.listening = true;
            known.webhooks(decoder, node)
        });
        assert_eq!(found, BTreeMap::from([("deploy".to_owned(), false), ("ping".to_owned(), true)]));
        assert!(problems.is_empty());
        for (text, name) in [
            ("[deploy]", "config::webhook"),
            ("[a/b]", "config::webhook"),
            ("[a, a]", "config::webhook"),
            ("[{ auth: none }]", "config::missing"),
            ("[{ name: a, auth: maybe }]", "config::choice"),
        ] {
            let (_, problems) = with(text, |decoder, node, known| known.webhooks(decoder, node));
            assert_eq!(problems[0].name, name, "{text}: {problems:?}");
        }
    }

    #[test]
    fn the_listener_stays_on_this_machine_unless_told() {
        let at = |text: &str| with(text, |decoder, node, _| listener(decoder, node));
        for text in ["{ listen: 127.0.0.1:8085 }", "{ listen: localhost:8085 }", "{ listen: '[::1]:8085' }"] {
            assert!(at(text).0.is_some_and(|found| found.listen.ip().is_loopback()), "{text}");
        }
        assert!(at("{ listen: 0.0.0.0:8085, behind_proxy: true }").0.is_some());
        for (text, part) in [
            ("{ listen: 0.0.0.0:8085 }", "other machines"),
            ("{ listen: 192.0.2.1:8085 }", "other machines"),
            ("{ listen: example.org:8085 }", "no IP address"),
            ("{ listen: 127.0.0.1 }", "host:port"),
            ("{ behind_proxy: true }", "no `listen`"),
            ("{ lsten: 127.0.0.1:1 }", "lsten"),
        ] {
            let (found, problems) = at(text);
            assert!(found.is_none() && problems[0].message.contains(part), "{text}: {problems:?}");
        }
        assert!(at("{}").0.is_none() && at("{}").1.is_empty());
    }

    fn with<T>(text: &str, read: impl FnOnce(&mut Decoder, &Node, &mut Known) -> T) -> (T, Vec<Diagnostic>) {
        let (source, root, _) = parse("t", text);
        let mut decoder = Decoder::new(source, Vec::new());
        let found = read(&mut decoder, &root.unwrap(), &mut Known::default());
        (found, decoder.problems)
    }
}
