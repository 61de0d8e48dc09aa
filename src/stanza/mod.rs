//! Stanzas, RFC 6120 §8 and RFC 6121: typed views of the three top-level elements.

pub mod error;
pub mod iq;
pub mod message;
pub mod presence;

pub use error::{ErrorKind, StanzaError};

use crate::jid::Jid;
use crate::ns;
use crate::xml::Element;

/// `type` of a message, RFC 6121 §5.2.2. `error` is never one of these: see [`StanzaError`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MessageKind {
    /// One-to-one conversation.
    Chat,
    /// A room.
    Groupchat,
    /// An alert that expects no reply.
    Headline,
    /// A single message; also what an unknown type means.
    #[default]
    Normal,
}

/// What a presence says beside the subscription verbs, RFC 6121 §4.7.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PresenceKind {
    /// No `type`.
    Available,
    /// `type='error'`
    Error,
    /// `type='unavailable'`
    Unavailable,
}

/// `<show/>`, RFC 6121 §4.7.2.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// Away for a short time.
    Away,
    /// Wants to chat.
    Chat,
    /// Do not disturb.
    Dnd,
    /// Away for long.
    Xa,
}

/// One stanza.
#[derive(Clone, Debug, PartialEq)]
pub enum Stanza {
    /// `<iq/>`
    Iq(iq::Iq),
    /// `<message/>`
    Message(message::Message),
    /// `<presence/>`
    Presence(presence::Presence),
}

/// The attributes that all stanzas share, RFC 6120 §8.1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Sender; absent where the account's own server speaks for the account.
    pub from: Option<Jid>,
    /// Recipient; absent means the account itself.
    pub to: Option<Jid>,
    /// Chosen by the sender.
    pub id: Option<String>,
    /// `xml:lang`, which holds for all texts that name no language themselves.
    pub lang: Option<String>,
}

/// A text in one language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// Its own `xml:lang`, else that of the stanza.
    pub lang: Option<String>,
    /// The text.
    pub text: String,
}

/// Why an element is no stanza that could be handled. The stream goes on.
#[derive(Clone, Debug, PartialEq)]
pub enum Malformed {
    /// A request that must be answered with this error, RFC 6120 §8.3.
    Answer { head: Box<Head>, error: StanzaError },
    /// Nothing that could be answered.
    Drop { why: &'static str },
}

impl Stanza {
    /// Reads a top-level element of the stream.
    ///
    /// Addresses are taken as servers send them. An address that cannot be read at all makes the
    /// stanza unusable: to take it as absent would make a stranger's stanza one of the account.
    pub fn parse(element: Element) -> Result<Self, Malformed> {
        if element.ns() != ns::CLIENT {
            return Err(Malformed::Drop { why: "another content namespace" });
        }
        let head = Head::parse(&element)?;
        match element.name() {
            "iq" => iq::Iq::parse(head, &element).map(Self::Iq),
            "message" => Ok(Self::Message(message::Message::parse(head, &element))),
            "presence" => presence::Presence::parse(head, &element).map(Self::Presence),
            _ => Err(Malformed::Drop { why: "no stanza" }),
        }
    }
}

impl Head {
    /// Reads the attributes of any stanza.
    pub fn parse(element: &Element) -> Result<Self, Malformed> {
        let address = |name, why| match element.attr(name) {
            Some(text) => Jid::from_wire(text).map(Some).map_err(|_| Malformed::Drop { why }),
            None => Ok(None),
        };
        Ok(Self {
            from: address("from", "an unreadable sender")?,
            to: address("to", "an unreadable recipient")?,
            id: element.attr("id").map(str::to_owned),
            lang: element.lang().filter(|lang| !lang.is_empty()).map(str::to_owned),
        })
    }

    /// The head of a reply: to the sender, with the same `id`. No `from`: the server writes it.
    #[must_use]
    pub fn reply(&self) -> Self {
        Self { from: None, to: self.from.clone(), id: self.id.clone(), lang: None }
    }

    /// An element `name` with these attributes; `kind` is its `type`.
    pub fn element(&self, name: &'static str, kind: Option<&str>) -> Element {
        Element::new(name, ns::CLIENT)
            .with_attr_opt("from", self.from.as_ref().map(Jid::as_str))
            .with_attr_opt("id", self.id.as_deref())
            .with_attr_opt("to", self.to.as_ref().map(Jid::as_str))
            .with_attr_opt("type", kind)
            .with_lang(self.lang.as_deref())
    }
}

impl MessageKind {
    /// As the `type` attribute has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Groupchat => "groupchat",
            Self::Headline => "headline",
            Self::Normal => "normal",
        }
    }
}

impl Show {
    /// As `<show/>` has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Away => "away",
            Self::Chat => "chat",
            Self::Dnd => "dnd",
            Self::Xa => "xa",
        }
    }

    /// Reads the text of `<show/>`; anything else says nothing.
    pub fn parse(text: &str) -> Option<Self> {
        match text.trim() {
            "away" => Some(Self::Away),
            "chat" => Some(Self::Chat),
            "dnd" => Some(Self::Dnd),
            "xa" => Some(Self::Xa),
            _ => None,
        }
    }
}

/// The text whose language comes nearest to `wanted`: the same tag, a more special or more general
/// one of the same language (RFC 4647 §3.4), one without a language, the first.
pub fn best_language<'a>(texts: &'a [Text], wanted: &str) -> Option<&'a Text> {
    texts.iter().min_by_key(|text| distance(text.lang.as_deref(), wanted))
}

/// All children `name` of the stanza as texts. `xml:lang` of the stanza is inherited.
fn texts(element: &Element, name: &str, stanza_lang: Option<&str>) -> Vec<Text> {
    let lang =
        |child: &Element| child.lang().or(stanza_lang).filter(|lang| !lang.is_empty()).map(str::to_owned);
    element
        .children()
        .filter(|child| child.is(name, ns::CLIENT))
        .map(|child| Text { lang: lang(child), text: child.text() })
        .collect()
}

fn distance(lang: Option<&str>, wanted: &str) -> u8 {
    let primary = |tag: &str| tag.split('-').next().unwrap_or_default().to_ascii_lowercase();
    match lang {
        Some(lang) if lang.eq_ignore_ascii_case(wanted) => 0,
        Some(lang) if primary(lang) == primary(wanted) => 1,
        None => 2,
        Some(_) => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_odd_address_is_kept_and_an_impossible_one_drops_the_stanza() {
        let from = |text: &str| Stanza::parse(Element::new("message", ns::CLIENT).with_attr("from", text));
        assert!(matches!(from("a\u{a0}b@example.net/x y/z@q"), Ok(Stanza::Message(_))));
        // ejabberd 23.01 sends this one.
        assert_eq!(from("@@@"), Err(Malformed::Drop { why: "an unreadable sender" }));
        assert_eq!(from(""), Err(Malformed::Drop { why: "an unreadable sender" }));
    }

    #[test]
    fn only_the_three_stanzas_of_the_client_namespace_are_read() {
        let drop = |element| matches!(Stanza::parse(element), Err(Malformed::Drop { .. }));
        assert!(drop(Element::new("message", "jabber:server")));
        assert!(drop(Element::new("body", ns::CLIENT)));
        assert!(!drop(Element::new("presence", ns::CLIENT)));
    }

    #[test]
    fn p44_the_nearest_language_is_chosen() {
        let texts = |langs: &[&str]| -> Vec<Text> {
            let lang = |l: &&str| (!l.is_empty()).then(|| (*l).to_owned());
            langs.iter().map(|l| Text { lang: lang(l), text: (*l).to_owned() }).collect()
        };
        let best = |langs: &[&str], wanted| best_language(&texts(langs), wanted).map(|t| t.text.clone());
        assert_eq!(best(&["de", "en-GB", "en"], "en").as_deref(), Some("en"));
        assert_eq!(best(&["de", "en-GB"], "en").as_deref(), Some("en-GB"));
        assert_eq!(best(&["de", "EN"], "en-US").as_deref(), Some("EN"));
        assert_eq!(best(&["de", ""], "en").as_deref(), Some(""));
        assert_eq!(best(&["de", "fr"], "en").as_deref(), Some("de"));
        assert_eq!(best(&[], "en"), None);
    }

    #[test]
    fn a_reply_goes_to_the_sender_and_keeps_the_id() {
        let head = Head {
            from: Jid::parse("ann@example.org/x").ok(),
            to: Jid::parse("bot@example.org").ok(),
            id: Some("1".to_owned()),
            lang: Some("de".to_owned()),
        };
        let reply = head.reply();
        assert_eq!((reply.from, reply.to, reply.id.as_deref()), (None, head.from, Some("1")));
    }
}
