//! Namespaces of RFC 6120 and RFC 6121. Those of a XEP live in its own file under `xep`.

/// RFC 7395 §3.3: what opens and closes a stream over WebSocket.
pub const FRAMING: &str = "urn:ietf:params:xml:ns:xmpp-framing";
/// Content namespace of a client stream, RFC 6120 §4.8.2.
pub const CLIENT: &str = "jabber:client";
/// Content namespace of a component's stream, XEP-0114.
pub const COMPONENT: &str = "jabber:component:accept";
/// The stream element and its features, RFC 6120 §4.8.1.
pub const STREAM: &str = "http://etherx.jabber.org/streams";
/// Conditions of stream errors, RFC 6120 §4.9.2.
pub const STREAM_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-streams";
/// Conditions of stanza errors, RFC 6120 §8.3.2.
pub const STANZA_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";
/// STARTTLS, RFC 6120 §5.
pub const TLS: &str = "urn:ietf:params:xml:ns:xmpp-tls";
/// SASL, RFC 6120 §6.
pub const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
/// SASL2, XEP-0388.
pub const SASL2: &str = "urn:xmpp:sasl:2";
/// SASL channel-binding types, XEP-0440.
pub const SASL_CB: &str = "urn:xmpp:sasl-cb:0";
/// Resource binding, RFC 6120 §7.
pub const BIND: &str = "urn:ietf:params:xml:ns:xmpp-bind";
/// Bind 2, XEP-0386.
pub const BIND2: &str = "urn:xmpp:bind:0";
/// FAST, XEP-0484.
pub const FAST: &str = "urn:xmpp:fast:0";
/// Session establishment of RFC 3921, kept alive by servers that still ask for it.
pub const SESSION: &str = "urn:ietf:params:xml:ns:xmpp-session";
/// Roster, RFC 6121 §2.
pub const ROSTER: &str = "jabber:iq:roster";
/// Stream feature: roster versioning, RFC 6121 §2.6.
pub const ROSTER_VERSIONING: &str = "urn:xmpp:features:rosterver";
/// Stream feature: subscription pre-approval, RFC 6121 §3.4.
pub const PRE_APPROVAL: &str = "urn:xmpp:features:pre-approval";
/// Stream management, XEP-0198.
pub const SM: &str = "urn:xmpp:sm:3";
/// The namespace bound to the prefix `xml`, Namespaces in XML §3.
pub const XML: &str = "http://www.w3.org/XML/1998/namespace";
/// The namespace of namespace declarations, Namespaces in XML §3.
pub const XMLNS: &str = "http://www.w3.org/2000/xmlns/";
/// What a room tells its occupants, XEP-0045: the mark of a private message in one.
pub const MUC_USER: &str = "http://jabber.org/protocol/muc#user";
/// What an administrator asks of a room, XEP-0045.
pub const MUC_ADMIN: &str = "http://jabber.org/protocol/muc#admin";
