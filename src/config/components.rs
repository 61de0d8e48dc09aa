//! `components`: external components (XEP-0114) and the addresses that run behind each.

use std::net::IpAddr;

use super::schema::{Section, Shape, key};
use crate::config::bot::Reader;
use crate::config::settings::ComponentSettings;
use crate::config::yaml::{Entry, Node};
use crate::diagnostic::{Diagnostic, Place};

/// `component`.
pub const COMPONENT: Section = Section {
    name: "component",
    place: "components.NAME",
    meaning: "An external component (XEP-0114) of a server that you run: any number of addresses over one stream.",
    keys: &[
        key("domain", Shape::Text, "", "The domain it serves. Required."),
        key("server", Shape::HostPort, "", "Where the server listens for components. Required."),
        key("secret", Shape::Section("secret"), "", "Where its secret comes from. Required."),
        key(
            "insecure_network",
            Shape::Boolean,
            "false",
            "Lets it connect to another machine, with everything in the clear: XEP-0114 has no TLS.",
        ),
        key("template", Shape::Text, "", "The template that the bots of `addresses` start from."),
        key(
            "addresses",
            Shape::List(&Shape::Text),
            "",
            "Localparts; each becomes a bot of that name. `shop-{001..250}` stands for 250 of them.",
        ),
    ],
    later: &[],
};

/// Most addresses that one range may stand for.
const MOST: u64 = 100_000;

/// Reads what a component is; its addresses come later.
pub fn read(reader: &mut Reader<'_>, entry: &Entry) -> Option<ComponentSettings> {
    let node = &entry.value;
    let place = reader.decoder.key_place(entry);
    crate::config::bot::check_name(&mut reader.decoder, &entry.key, &place, "a component");
    if !reader.decoder.map(node, "component") {
        return None;
    }
    for key in ["domain", "server", "secret"] {
        if node.get(key).is_none() {
            let message = format!("component `{}` has no `{key}`", entry.key);
            let found = Diagnostic::error("config::missing", message).at(place.clone(), "this component");
            reader.decoder.note(found);
        }
    }
    let value = |key: &str| node.get(key).map(|entry| &entry.value);
    let domain = value("domain").and_then(|it| domain(reader, it));
    let server = value("server").and_then(|it| reader.decoder.host_port(it, "`server`"));
    let secret = value("secret").and_then(|it| reader.secrets.read(&mut reader.decoder, it, "the secret"));
    let insecure = value("insecure_network").and_then(|it| reader.decoder.boolean(it, "`insecure_network`"));
    if let Some(template) = value("template") {
        reader.decoder.text(template, "`template`");
    }
    if let Some(addresses) = value("addresses") {
        reader.decoder.list(addresses, "localparts");
    }
    let (server, insecure) = (server?, insecure.unwrap_or_default());
    if !insecure && !is_loopback(&server.host) {
        let message =
            format!("`{}` may be another machine, and a component's stream is not encrypted", server.host);
        let hint = "connect to 127.0.0.1 or [::1], through a tunnel where the server is elsewhere; `insecure_network: true` allows it all the same";
        let found = Diagnostic::error("config::insecure_component", message).hint(hint);
        if let Some(at) = value("server") {
            reader.decoder.report(found, at, "not this machine");
        }
    }
    Some(ComponentSettings {
        name: entry.key.clone(),
        domain: domain?,
        server,
        secret: secret?,
        insecure,
        place,
    })
}

fn domain(reader: &mut Reader<'_>, node: &Node) -> Option<crate::jid::BareJid> {
    let address = reader.decoder.address(node, "`domain`", false)?;
    if address.local().is_none() {
        return Some(address);
    }
    let found = Diagnostic::error("config::address", "a component serves a domain, not an account");
    reader.decoder.report(found.hint(format!("write `{}`", address.domain())), node, "not a domain");
    None
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The localparts that an entry of `addresses` stands for; each with the place of the entry.
pub fn localparts(reader: &mut Reader<'_>, node: &Node) -> Vec<(String, Place)> {
    let Some(text) = reader.decoder.text(node, "an address").map(str::to_owned) else { return Vec::new() };
    let place = reader.decoder.place(node);
    match expanded(&text) {
        Ok(names) => names.into_iter().map(|name| (name, place.clone())).collect(),
        Err(message) => {
            let found = Diagnostic::error("config::component_addresses", message);
            let hint = "a range is `name-{1..250}` or, with zeros, `name-{001..250}`";
            reader.decoder.report(found.hint(hint), node, "not understood");
            Vec::new()
        }
    }
}

/// `shop-{08..10}` is `shop-08`, `shop-09`, `shop-10`; a text without braces is itself.
fn expanded(text: &str) -> Result<Vec<String>, String> {
    if text.contains('@') {
        return Err(format!("`{text}` is more than a localpart: the domain is the component's"));
    }
    let Some((before, rest)) = text.split_once('{') else { return Ok(vec![text.to_owned()]) };
    let Some((range, behind)) = rest.split_once('}') else { return Err(format!("`{text}` has no `}}`")) };
    let number = |digits: &str| {
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<u64>().ok().filter(|_| plain)
    };
    let (first, last) = range.split_once("..").ok_or_else(|| format!("`{{{range}}}` is no range"))?;
    let (Some(from), Some(to)) = (number(first), number(last)) else {
        return Err(format!("`{{{range}}}` is no range of numbers"));
    };
    if from > to || to - from >= MOST || behind.contains('{') {
        return Err(format!("`{{{range}}}` runs backwards or stands for more than {MOST} addresses"));
    }
    let width = if first.starts_with('0') { first.len() } else { 0 };
    Ok((from..=to).map(|number| format!("{before}{number:0width$}{behind}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_keep_their_zeros() {
        let names = |text| expanded(text).expect("a range");
        assert_eq!(names("shop-{08..10}"), ["shop-08", "shop-09", "shop-10"]);
        assert_eq!(names("a{9..10}b"), ["a9b", "a10b"]);
        assert_eq!(names("echo"), ["echo"]);
        assert_eq!(names("shop-{001..250}").len(), 250);
    }

    #[test]
    fn what_is_no_range_is_told() {
        for text in [
            "a{1..",
            "a{1}",
            "a{x..y}",
            "a{2..1}",
            "a{1..100001}",
            "a{1..2}{1..2}",
            "a@b",
            "a{-1..2}",
            "a{+1..2}",
        ] {
            assert!(expanded(text).is_err(), "{text}");
        }
    }
}
