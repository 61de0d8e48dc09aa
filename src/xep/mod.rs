//! The extensions: one file each, one line each in [`EXTENSIONS`].
//!
//! An extension answers requests of its namespace and turns what it knows in a message into an
//! event. It keeps no state: what it needs to know of the account comes with the call.

use jiff::Timestamp;

use crate::event::Event;
use crate::jid::{BareJid, Jid};
use crate::stanza::message::Message;
use crate::stanza::{Head, StanzaError};
use crate::xml::Element;

pub mod adhoc;
pub mod archive;
pub mod avatar;
pub mod bind2;
pub mod blocking;
pub mod bookmarks;
pub mod caps;
pub mod carbons;
pub mod chat_states;
pub mod correction;
pub mod data_forms;
pub mod delay;
pub mod direct_invite;
pub mod disco;
pub mod displayed_markers;
pub mod encryption;
pub mod entity_time;
pub mod fallback;
pub mod fast;
pub mod file_metadata;
pub mod file_sharing;
pub mod hints;
pub mod last_activity;
pub mod moderation;
pub mod muc;
pub mod nickname;
pub mod occupant_id;
pub mod oob;
pub mod ping;
pub mod pubsub;
pub mod reactions;
pub mod receipts;
pub mod references;
pub mod registration;
pub mod replies;
pub mod retraction;
pub mod sasl2;
pub mod self_ping;
pub mod spoilers;
pub mod stanza_ids;
pub mod styling;
pub mod upload;
pub mod vcard;
pub mod vcard_avatar;
pub mod version;

/// Every extension, by number. Service discovery, `docs/xeps.md` and the session read this table.
pub const EXTENSIONS: &[&dyn Extension] = &[
    &data_forms::DataForms,
    &last_activity::LastActivity,
    &disco::Discovery,
    &muc::Rooms,
    &adhoc::AdHoc,
    &vcard::VCard,
    &pubsub::Pubsub,
    &oob::OutOfBand,
    &registration::Registration,
    &avatar::Avatar,
    &chat_states::ChatStates,
    &version::SoftwareVersion,
    &caps::Capabilities,
    &vcard_avatar::VCardAvatar,
    &nickname::Nickname,
    &receipts::Receipts,
    &blocking::Blocking,
    &ping::Ping,
    &entity_time::EntityTime,
    &delay::Delay,
    &direct_invite::DirectInvites,
    &carbons::Carbons,
    &correction::Correction,
    &archive::Archive,
    &displayed_markers::DisplayedMarkers,
    &hints::Hints,
    &stanza_ids::StanzaIds,
    &upload::Upload,
    &references::References,
    &encryption::Encryption,
    &spoilers::Spoilers,
    &bind2::Bind2,
    &sasl2::Sasl2,
    &styling::Styling,
    &bookmarks::Bookmarks,
    &self_ping::SelfPing,
    &occupant_id::OccupantIds,
    &retraction::Retraction,
    &moderation::Moderation,
    &fallback::Fallback,
    &reactions::Reactions,
    &file_metadata::FileMetadata,
    &file_sharing::FileSharing,
    &replies::Replies,
    &fast::Fast,
];

/// Specifications about the connection and the stream, which are followed elsewhere.
const BELOW: &[Xep] = &[
    Xep {
        number: 156,
        name: "Discovering Alternative XMPP Connection Methods",
        version: "1.4.0",
        scope: "`connect: websocket` or `auto`: host-meta over verified HTTPS; only `wss:` links are believed, and DNS is not asked",
    },
    Xep {
        number: 198,
        name: "Stream Management",
        version: "1.6.3",
        scope: "acknowledgements, and sessions that outlive connections and processes, as long and where the server says",
    },
    Xep {
        number: 368,
        name: "SRV records for XMPP over TLS",
        version: "1.1.0",
        scope: "both kinds of records in one order; `tls: direct` takes direct TLS alone",
    },
];

/// Which specification an extension follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Xep {
    /// Number in the XSF's series.
    pub number: u16,
    /// Title.
    pub name: &'static str,
    /// Version of the text that was followed.
    pub version: &'static str,
    /// What of it is done here, in one line.
    pub scope: &'static str,
}

/// One XEP that is carried in stanzas.
pub trait Extension: Sync {
    /// The specification.
    fn xep(&self) -> Xep;

    /// Namespaces it reads or writes.
    fn namespaces(&self) -> &'static [&'static str];

    /// Features it adds to the answer of service discovery.
    fn features(&self) -> &'static [&'static str] {
        &[]
    }

    /// Answers a request, or leaves it to others.
    fn on_request(&self, _request: &Request<'_>, _account: &Account<'_>) -> Option<Answer> {
        None
    }

    /// What a live or delayed one-to-one message says beside its text. Not asked for carbons,
    /// room talk, errors and the archive.
    fn on_message(&self, _message: &Message, _from: &Jid) -> Option<Event> {
        None
    }

    /// Whether the extension has made use of this child of a message, so that scripts need not see it.
    fn consumes(&self, _payload: &Element) -> bool {
        false
    }
}

/// A request to the account.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Addresses and id.
    pub head: &'a Head,
    /// Whether it is a `set`.
    pub set: bool,
    /// Its one child.
    pub payload: &'a Element,
}

/// Result with an optional payload, or the error that refuses the request.
pub type Answer = Result<Option<Element>, StanzaError>;

/// What an extension may know of the account it answers for.
#[derive(Clone, Copy, Debug)]
pub struct Account<'a> {
    /// The account's address.
    pub jid: &'a BareJid,
    /// What service discovery tells.
    pub info: &'a disco::Info,
    /// The node that stands for `info` in our presence, XEP-0115.
    pub caps_node: &'a str,
    /// Name and version of the software.
    pub software: (&'a str, &'a str),
    /// Seconds since the account last did something by itself.
    pub idle_s: u64,
    /// Now, for people.
    pub now: Timestamp,
    /// Whether the asker is the account itself or sees its presence: others learn no habits.
    pub trusted: bool,
}

impl Request<'_> {
    /// Whether it asks for `name` of namespace `ns`.
    pub fn is_get(&self, name: &str, ns: &str) -> bool {
        !self.set && self.payload.is(name, ns)
    }
}

/// All features of the table, sorted, each once.
pub fn features() -> Vec<String> {
    let mut all: Vec<String> =
        EXTENSIONS.iter().flat_map(|extension| extension.features()).map(|f| (*f).to_owned()).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// The first answer that an extension has; `None` where none knows the request.
pub fn answer(request: &Request<'_>, account: &Account<'_>) -> Option<Answer> {
    EXTENSIONS.iter().find_map(|extension| extension.on_request(request, account))
}

/// Whether requests of that namespace are answered here or not at all: scripts do not get them.
pub fn is_known(ns: &str) -> bool {
    [crate::ns::ROSTER, blocking::PRIVACY].contains(&ns)
        || EXTENSIONS.iter().any(|extension| extension.namespaces().contains(&ns))
}

/// Whether some extension has made use of this child of a message.
pub fn consumed(payload: &Element) -> bool {
    EXTENSIONS.iter().any(|extension| extension.consumes(payload))
}

/// All that is done, in stanzas and below them.
fn by_number() -> Vec<Xep> {
    let mut all: Vec<Xep> =
        EXTENSIONS.iter().map(|extension| extension.xep()).chain(BELOW.iter().copied()).collect();
    all.sort_by_key(|xep| xep.number);
    all
}

/// The table as Markdown, for `docs/xeps.md`.
pub fn table_markdown() -> String {
    let mut table = String::from("| XEP | name | version | what is done |\n|---|---|---|---|\n");
    for Xep { number, name, version, scope } in by_number() {
        let link = format!("[{number:04}](https://xmpp.org/extensions/xep-{number:04}.html)");
        table.push_str(&format!("| {link} | {name} | {version} | {scope} |\n"));
    }
    table
}

/// The table as a description of a project (DOAP, XEP-0453), for `docs/doap.xml`.
pub fn table_doap() -> String {
    let mut doap = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\" xmlns=\"http://usefulinc.com/ns/doap#\" \
         xmlns:xmpp=\"https://linkmauve.fr/ns/xmpp-doap#\">\n  <Project>\n    <name>Rhapsode</name>\n    \
         <shortdesc xml:lang=\"en\">A runtime for XMPP chat bots</shortdesc>\n    \
         <programming-language>Rust</programming-language>\n    \
         <implements rdf:resource=\"https://www.rfc-editor.org/info/rfc6120\"/>\n    \
         <implements rdf:resource=\"https://www.rfc-editor.org/info/rfc6121\"/>\n",
    );
    for Xep { number, version, scope, .. } in by_number() {
        let scope = scope.replace('&', "&amp;").replace('<', "&lt;");
        doap.push_str(&format!(
            "    <implements>\n      <xmpp:SupportedXep>\n        \
             <xmpp:xep rdf:resource=\"https://xmpp.org/extensions/xep-{number:04}.html\"/>\n        \
             <xmpp:version>{version}</xmpp:version>\n        <xmpp:note xml:lang=\"en\">{scope}</xmpp:note>\n      \
             </xmpp:SupportedXep>\n    </implements>\n"
        ));
    }
    doap.push_str("  </Project>\n</rdf:RDF>\n");
    doap
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_names_each_specification_once() {
        let numbers: Vec<u16> = EXTENSIONS.iter().map(|extension| extension.xep().number).collect();
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
    }

    #[test]
    fn every_file_of_the_folder_is_in_the_table() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/xep");
        let files = std::fs::read_dir(folder).expect("the sources are there");
        let is_file = |entry: &std::io::Result<std::fs::DirEntry>| {
            entry.as_ref().is_ok_and(|entry| entry.path().extension().is_some())
        };
        let files = files.filter(is_file).count() - 1;
        assert_eq!(EXTENSIONS.len(), files);
    }

    #[test]
    fn every_feature_comes_from_a_namespace_of_its_extension() {
        for extension in EXTENSIONS {
            for feature in extension.features() {
                let known = extension.namespaces().iter().any(|ns| feature.starts_with(ns));
                assert!(known, "{feature} of XEP-{:04}", extension.xep().number);
            }
        }
        assert!(features().windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn the_description_of_the_project_is_xml_with_every_extension() {
        let doap = table_doap();
        let root = doap.split_once("?>").map(|(_, root)| root.trim()).expect("a declaration");
        let project = crate::xml::parse(root).expect("XML");
        let text = crate::xml::writer::to_string(&project).expect("XML");
        assert_eq!(text.matches("</SupportedXep>").count(), EXTENSIONS.len() + BELOW.len());
    }

    #[test]
    fn the_printed_table_has_a_line_for_each() {
        let table = table_markdown();
        assert_eq!(table.lines().count(), EXTENSIONS.len() + BELOW.len() + 2);
        assert!(table.contains("| [0199](https://xmpp.org/extensions/xep-0199.html) | XMPP Ping |"));
    }
}
