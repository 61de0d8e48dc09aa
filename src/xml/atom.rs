//! Names and namespaces that almost every stanza carries, kept once in the program.
//!
//! They are the vocabulary of RFC 6120, RFC 6121 and the common extensions; a word
//! that is missing here only costs an allocation.

use super::element::Atom;

/// The local name of an element or attribute.
pub(super) fn name(text: &str) -> Atom {
    match known(NAMES, &NAME_SLOTS, text) {
        Some(known) => Atom::Borrowed(known),
        None => Atom::Owned(text.to_owned()),
    }
}

/// A namespace.
pub(super) fn namespace(text: String) -> Atom {
    match known(NAMESPACES, &NAMESPACE_SLOTS, &text) {
        Some(known) => Atom::Borrowed(known),
        None => Atom::Owned(text),
    }
}

/// Looks a word up: its slot and those after it, up to a free one.
fn known(words: &'static [&'static str], slots: &[u16; SLOTS], text: &str) -> Option<&'static str> {
    if text.is_empty() {
        return Some("");
    }
    let mut slot = first_slot(text.as_bytes());
    while let Some(&word) = words.get(usize::from(slots[slot])) {
        if word == text {
            return Some(word);
        }
        slot = (slot + 1) % SLOTS;
    }
    None
}

/// Where a word belongs: its length and four of its bytes tell most words apart.
const fn first_slot(word: &[u8]) -> usize {
    let last = word.len() - 1;
    let mut hash = word.len();
    hash = hash * 31 + word[0] as usize;
    hash = hash * 31 + word[last / 2] as usize;
    hash = hash * 31 + word[last - last / 4] as usize;
    hash = hash * 31 + word[last] as usize;
    (hash ^ hash >> 10) % SLOTS
}

/// A table with open addressing, made while compiling; `FREE` is an index of no word.
const fn slots(words: &[&str]) -> [u16; SLOTS] {
    assert!(words.len() < SLOTS / 2, "a crowded table is slow, a full one would never end");
    let mut slots = [FREE; SLOTS];
    let mut index = 0;
    while index < words.len() {
        let mut slot = first_slot(words[index].as_bytes());
        while slots[slot] != FREE {
            slot = (slot + 1) % SLOTS;
        }
        slots[slot] = index as u16;
        index += 1;
    }
    slots
}

const SLOTS: usize = 1024;
const FREE: u16 = u16::MAX;
static NAME_SLOTS: [u16; SLOTS] = slots(NAMES);
static NAMESPACE_SLOTS: [u16; SLOTS] = slots(NAMESPACES);

/// Sorted by length, then by text.
#[rustfmt::skip]
const NAMES: &[&str] = &[
    "a", "c", "h", "p", "r", "x", "by", "id", "iq", "os", "to", "add", "ask", "end", "fin", "get", "jid",
    "key", "max", "put", "rid", "set", "sub", "tzo", "uri", "url", "utc", "var", "ver", "algo", "auth",
    "bind", "body", "code", "data", "from", "gone", "hash", "html", "item", "lang", "last", "name", "next",
    "nick", "node", "note", "open", "ping", "prev", "role", "sent", "show", "size", "slot", "span", "text",
    "time", "type", "wait", "abort", "actor", "after", "begin", "close", "count", "delay", "email", "error",
    "event", "field", "first", "group", "index", "items", "label", "photo", "query", "reply", "since",
    "stamp", "start", "store", "title", "value", "xmlns", "action", "active", "before", "binval", "cancel",
    "device", "enable", "failed", "header", "inline", "invite", "method", "modify", "option", "paused",
    "preset", "previd", "pubsub", "reason", "remove", "result", "resume", "status", "stream", "thread",
    "actions", "command", "decline", "destroy", "enabled", "failure", "feature", "history", "message",
    "no-copy", "private", "proceed", "publish", "queryid", "replace", "request", "resumed", "retract",
    "seconds", "session", "storage", "subject", "success", "upgrade", "version", "apply-to", "autojoin",
    "category", "complete", "conflict", "continue", "fallback", "features", "filename", "identity",
    "inactive", "initiate", "location", "markable", "maxchars", "no-store", "optional", "password",
    "presence", "priority", "reaction", "received", "redirect", "register", "required", "resource",
    "response", "software", "starttls", "username", "challenge", "composing", "displayed", "encrypted",
    "forbidden", "forwarded", "mechanism", "moderated", "origin-id", "reactions", "reference", "sessionid",
    "stanza-id", "subscribe", "conference", "maxstanzas", "mechanisms", "subscriber", "user-agent",
    "affiliation", "bad-request", "not-allowed", "occupant-id", "retry-after", "unsubscribe",
    "access-model", "content-type", "instructions", "subscription", "jid-malformed", "authentication",
    "item-not-found", "not-acceptable", "not-authorized", "additional-data", "channel-binding",
    "policy-violation", "no-permanent-store", "unexpected-request", "resource-constraint",
    "service-unavailable", "undefined-condition", "sasl-channel-binding", "internal-server-error",
    "recipient-unavailable", "registration-required", "remote-server-timeout", "subscription-required",
    "feature-not-implemented", "remote-server-not-found", "authorization-identifier",
];

/// Sorted by length, then by text.
#[rustfmt::skip]
const NAMESPACES: &[&str] = &[
    "vcard-temp", "jabber:x:oob", "jabber:client", "jabber:server", "jabber:x:data", "urn:xmpp:caps",
    "urn:xmpp:ping", "urn:xmpp:sm:3", "urn:xmpp:time", "jabber:iq:auth", "jabber:iq:last", "jabber:x:delay",
    "urn:xmpp:csi:0", "urn:xmpp:delay", "urn:xmpp:eme:0", "urn:xmpp:hints", "urn:xmpp:mam:2",
    "urn:xmpp:sid:0", "urn:xmpp:bind:0", "urn:xmpp:sasl:2", "jabber:iq:roster", "urn:xmpp:reply:0",
    "jabber:iq:private", "jabber:iq:version", "storage:bookmarks", "urn:xmpp:blocking", "urn:xmpp:hashes:2",
    "urn:xmpp:receipts", "jabber:iq:register", "urn:xmpp:carbons:2", "urn:xmpp:forward:0",
    "urn:xmpp:sasl-cb:0", "urn:xmpp:styling:0", "jabber:x:conference", "urn:xmpp:fallback:0",
    "vcard-temp:x:update", "urn:xmpp:avatar:data", "urn:xmpp:bookmarks:1", "urn:xmpp:reactions:0",
    "urn:xmpp:reference:0", "urn:xmpp:http:upload:0", "urn:xmpp:occupant-id:0", "urn:xmpp:chat-markers:0",
    "urn:xmpp:avatar:metadata", "urn:xmpp:message-correct:0", "urn:xmpp:message-retract:1",
    "urn:xmpp:features:rosterver", "urn:xmpp:message-moderate:1", "http://www.w3.org/1999/xhtml",
    "http://jabber.org/protocol/muc", "http://jabber.org/protocol/rsm", "urn:xmpp:features:pre-approval",
    "http://jabber.org/protocol/caps", "http://jabber.org/protocol/mood", "http://jabber.org/protocol/nick",
    "http://jabber.org/protocol/tune", "urn:ietf:params:xml:ns:xmpp-tls",
    "http://etherx.jabber.org/streams", "urn:ietf:params:xml:ns:xmpp-bind",
    "urn:ietf:params:xml:ns:xmpp-sasl", "http://jabber.org/protocol/geoloc",
    "http://jabber.org/protocol/pubsub", "http://jabber.org/features/iq-auth",
    "http://jabber.org/protocol/address", "http://jabber.org/features/compress",
    "http://jabber.org/protocol/commands", "http://jabber.org/protocol/muc#user",
    "http://jabber.org/protocol/xhtml-im", "urn:ietf:params:xml:ns:xmpp-framing",
    "urn:ietf:params:xml:ns:xmpp-session", "urn:ietf:params:xml:ns:xmpp-stanzas",
    "urn:ietf:params:xml:ns:xmpp-streams", "http://jabber.org/protocol/muc#admin",
    "http://jabber.org/protocol/muc#owner", "http://www.w3.org/XML/1998/namespace",
    "http://jabber.org/protocol/chatstates", "http://jabber.org/protocol/disco#info",
    "http://jabber.org/features/iq-register", "http://jabber.org/protocol/disco#items",
    "http://jabber.org/protocol/pubsub#event", "http://jabber.org/protocol/pubsub#owner",
    "http://jabber.org/protocol/pubsub#errors",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted_and_without_repeats() {
        for table in [NAMES, NAMESPACES] {
            for pair in table.windows(2) {
                assert!((pair[0].len(), pair[0]) < (pair[1].len(), pair[1]), "{pair:?}");
            }
        }
    }

    #[test]
    fn few_words_share_a_slot() {
        for (words, slots) in [(NAMES, &NAME_SLOTS), (NAMESPACES, &NAMESPACE_SLOTS)] {
            let steps = |word: &str| {
                let mut slot = first_slot(word.as_bytes());
                let mut steps = 0;
                while words[usize::from(slots[slot])] != word {
                    slot = (slot + 1) % SLOTS;
                    steps += 1;
                }
                steps
            };
            let total: usize = words.iter().map(|word| steps(word)).sum();
            assert!(total < words.len() / 2, "{total} steps for {} words", words.len());
        }
    }

    #[test]
    fn every_known_word_is_found_and_borrowed() {
        for word in NAMES {
            assert!(matches!(name(word), Atom::Borrowed(found) if found == *word), "{word}");
        }
        for word in NAMESPACES {
            assert!(
                matches!(namespace((*word).to_owned()), Atom::Borrowed(found) if found == *word),
                "{word}"
            );
        }
    }

    #[test]
    fn an_unknown_word_is_owned_unchanged() {
        assert_eq!(name("zebra"), Atom::Owned("zebra".to_owned()));
        assert_eq!(namespace("urn:x".to_owned()), Atom::Owned("urn:x".to_owned()));
    }
}
