//! Addresses and the profiles that prepare them.

use rhapsode::jid::Jid;
use rhapsode::jid::escape::{escape, unescape};
use rhapsode::jid::prepare::{nickname, opaque, username};
use serde_json::Value;

use crate::folder::{cases, text};

#[test]
fn addresses_split_and_prepare_as_elsewhere() {
    for case in cases("jid.json").into_iter().flatten() {
        // Stringprep, RFC 6122, where it differs from RFC 7622.
        if case["profile"] == "rfc6122" {
            continue;
        }
        let (id, address) = (text(&case, "id"), text(&case, "jid"));
        let jid = Jid::parse(address);
        assert_eq!(Some(jid.is_ok()), case["valid"].as_bool(), "{id} {address:?}: {jid:?}");
        if let Ok(jid) = jid {
            assert_eq!(jid.local(), case["local"].as_str(), "{id} {address:?}");
            assert_eq!(Some(jid.domain()), case["domain"].as_str(), "{id} {address:?}");
            assert_eq!(jid.resource(), case["resource"].as_str(), "{id} {address:?}");
            assert_eq!(Jid::parse(jid.as_str()), Ok(jid), "{id} {address:?}");
        }
    }
}

#[test]
fn names_are_escaped_as_elsewhere() {
    for case in cases("jid_escape.json").into_iter().flatten() {
        let (id, plain, escaped) = (text(&case, "id"), text(&case, "unescaped"), text(&case, "escaped"));
        let direction = case["direction"].as_str();
        if direction != Some("unescape") {
            assert_eq!(escape(plain), escaped, "{id}");
        }
        if direction != Some("escape") {
            assert_eq!(unescape(escaped), plain, "{id}");
        }
    }
}

#[test]
fn profiles_enforce_as_elsewhere() {
    for case in cases("precis.json").into_iter().flatten() {
        let (id, input) = (text(&case, "id"), text(&case, "input"));
        let output = match text(&case, "profile") {
            // The class alone is not used here; OpaqueString adds no rule that these cases meet.
            "FreeformClass" | "OpaqueString" => opaque(input),
            "Nickname" => nickname(input),
            "UsernameCaseMapped" => username(input),
            // No part of an address: localparts ignore case.
            "UsernameCasePreserved" => continue,
            other => panic!("{id}: unknown profile {other}"),
        };
        let expected = if case["error"] == Value::Null { Some(text(&case, "output")) } else { None };
        assert_eq!(output.as_deref(), expected, "{id} {input:?}");
    }
}
