//! XEP-0115: Entity Capabilities. A hash in presence stands for the answer to service discovery.

use std::collections::{BTreeMap, VecDeque};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::Digest;

use super::{Extension, Xep, data_forms, disco};
use crate::xml::Element;

/// Namespace.
pub const NS: &str = "http://jabber.org/protocol/caps";

/// Names the program in our own presence.
const NODE: &str = env!("CARGO_PKG_REPOSITORY");

/// The extension.
pub struct Capabilities;

/// What a presence says of its sender's capabilities.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Caps {
    /// Hash function, such as `sha-1`.
    pub hash: String,
    /// The program.
    pub node: String,
    /// Verification string.
    pub ver: String,
}

/// Why an answer must not be hashed, XEP-0115 §5.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IllFormed {
    /// The same feature twice.
    Feature,
    /// A form whose type has two values, or two forms of one type.
    Form,
    /// The same identity twice.
    Identity,
}

/// Hash functions that are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// `sha-1`, which nearly everybody uses.
    Sha1,
    /// `sha-256`
    Sha256,
    /// `sha-512`
    Sha512,
}

/// Answers whose hash was checked, for as many entities as share them.
#[derive(Debug, Default)]
pub struct Cache {
    known: BTreeMap<Caps, disco::Info>,
    order: VecDeque<Caps>,
}

/// Most answers that are kept.
const CACHE: usize = 200;

/// Longest hash or node that is taken from a presence, in bytes.
const LONGEST: usize = 256;

impl Extension for Capabilities {
    fn xep(&self) -> Xep {
        let scope = "sent with presence; others' are asked on demand and kept only where the hash fits";
        Xep { number: 115, name: "Entity Capabilities", version: "1.6.0", scope }
    }

    fn namespaces(&self) -> &'static [&'static str] {
        &[NS]
    }

    fn features(&self) -> &'static [&'static str] {
        &[NS]
    }
}

impl Caps {
    /// Reads the `<c/>` among the children of a presence.
    pub fn read(payloads: &[Element]) -> Option<Self> {
        let c = payloads.iter().find(|payload| payload.is("c", NS))?;
        let attr = |name| c.attr(name).filter(|text| text.len() <= LONGEST).map(str::to_owned);
        Some(Self { hash: attr("hash")?, node: attr("node")?, ver: attr("ver")? })
    }

    /// The node to ask for.
    pub fn query_node(&self) -> String {
        format!("{}#{}", self.node, self.ver)
    }

    /// Whether `info` is what the hash stands for. An unknown hash function verifies nothing.
    pub fn verify(&self, info: &disco::Info) -> bool {
        Hash::parse(&self.hash).is_some_and(|hash| ver(info, hash).as_deref() == Ok(self.ver.as_str()))
    }
}

impl Hash {
    /// By the name it has in presence.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "sha-1" => Some(Self::Sha1),
            "sha-256" => Some(Self::Sha256),
            "sha-512" => Some(Self::Sha512),
            _ => None,
        }
    }
}

impl Cache {
    /// The answer that these capabilities stand for, where it was checked.
    pub fn find(&self, caps: &Caps) -> Option<&disco::Info> {
        self.known.get(caps)
    }

    /// Keeps `info` if its hash fits; says whether it did.
    pub fn insert(&mut self, caps: Caps, info: disco::Info) -> bool {
        if !caps.verify(&info) {
            return false;
        }
        if self.known.insert(caps.clone(), info).is_none() {
            self.order.push_back(caps);
        }
        while self.order.len() > CACHE {
            if let Some(oldest) = self.order.pop_front() {
                self.known.remove(&oldest);
            }
        }
        true
    }
}

/// The `<c/>` of our own presence.
pub fn element(ver: &str) -> Element {
    Element::new("c", NS).with_attr("hash", "sha-1").with_attr("node", NODE).with_attr("ver", ver)
}

/// The node that others ask for when they want to know what `ver` stands for.
pub fn own_node(ver: &str) -> String {
    format!("{NODE}#{ver}")
}

/// Verification string of an answer, XEP-0115 §5.1.
pub fn ver(info: &disco::Info, hash: Hash) -> Result<String, IllFormed> {
    let text = hashed_text(info)?;
    Ok(match hash {
        Hash::Sha1 => STANDARD.encode(sha1::Sha1::digest(text.as_bytes())),
        Hash::Sha256 => STANDARD.encode(sha2::Sha256::digest(text.as_bytes())),
        Hash::Sha512 => STANDARD.encode(sha2::Sha512::digest(text.as_bytes())),
    })
}

/// The text that is hashed. Everything is sorted by its octets *before* the `<` is appended:
/// `activity` comes before `activity+notify`, although `+` comes before `<`.
fn hashed_text(info: &disco::Info) -> Result<String, IllFormed> {
    let mut text = String::new();
    for disco::Identity { category, kind, lang, name } in sorted(&info.identities, IllFormed::Identity)? {
        for part in [category, "/", kind, "/", lang, "/", name] {
            push_escaped(&mut text, part);
        }
        text.push('<');
    }
    for feature in sorted(&info.features, IllFormed::Feature)? {
        push_escaped(&mut text, feature);
        text.push('<');
    }
    for (form_type, form) in sorted_forms(info)? {
        push_escaped(&mut text, form_type);
        text.push('<');
        push_fields(&mut text, form);
    }
    Ok(text)
}

fn push_fields(text: &mut String, form: &data_forms::Form) {
    let named = |field: &'_ &data_forms::Field| field.var.as_deref().is_some_and(|var| var != "FORM_TYPE");
    let mut fields: Vec<&data_forms::Field> = form.fields.iter().filter(named).collect();
    fields.sort_by(|a, b| a.var.cmp(&b.var));
    for field in fields {
        push_escaped(text, field.var.as_deref().unwrap_or_default());
        text.push('<');
        let mut values: Vec<&str> = field.values.iter().map(String::as_str).collect();
        values.sort_unstable();
        for value in values {
            push_escaped(text, value);
            text.push('<');
        }
    }
}

/// Forms with their types, by type. A form without a hidden `FORM_TYPE` does not count, §5.4 (3.6).
fn sorted_forms(info: &disco::Info) -> Result<Vec<(&str, &data_forms::Form)>, IllFormed> {
    let mut forms = Vec::new();
    for form in &info.forms {
        let Some(field) = form.form_type() else { continue };
        let Some(first) = field.values.first() else { continue };
        if field.values.iter().any(|value| value != first) {
            return Err(IllFormed::Form);
        }
        forms.push((first.as_str(), form));
    }
    forms.sort_by_key(|(form_type, _)| *form_type);
    if forms.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err(IllFormed::Form);
    }
    Ok(forms)
}

fn sorted<T: Ord>(list: &[T], twice: IllFormed) -> Result<Vec<&T>, IllFormed> {
    let mut list: Vec<&T> = list.iter().collect();
    list.sort_unstable();
    if list.windows(2).any(|pair| pair[0] == pair[1]) { Err(twice) } else { Ok(list) }
}

/// A `<` in a value must not look like the end of one, §5.1.
fn push_escaped(text: &mut String, part: &str) {
    for (i, piece) in part.split('<').enumerate() {
        if i > 0 {
            text.push_str("&lt;");
        }
        text.push_str(piece);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_simple_example_of_the_specification_hashes_as_printed() {
        // XEP-0115 §5.2
        assert_eq!(ver(&exodus(), Hash::Sha1).as_deref(), Ok("QgayPKawpkPSDYmwT/WM94uAlu0="));
    }

    #[test]
    fn the_complex_example_of_the_specification_hashes_as_printed() {
        // XEP-0115 §5.3
        let identity = |lang: &str, name: &str| disco::Identity {
            category: "client".to_owned(),
            kind: "pc".to_owned(),
            lang: lang.to_owned(),
            name: name.to_owned(),
        };
        let field = |var: &str, kind: Option<data_forms::FieldKind>, values: &[&str]| data_forms::Field {
            var: Some(var.to_owned()),
            kind,
            values: values.iter().map(|value| (*value).to_owned()).collect(),
            ..data_forms::Field::default()
        };
        let form = data_forms::Form {
            fields: vec![
                field("FORM_TYPE", Some(data_forms::FieldKind::Hidden), &["urn:xmpp:dataforms:softwareinfo"]),
                field("ip_version", None, &["ipv4", "ipv6"]),
                field("os", None, &["Mac"]),
                field("os_version", None, &["10.5.1"]),
                field("software", None, &["Psi"]),
                field("software_version", None, &["0.11"]),
            ],
            ..data_forms::Form::new(data_forms::FormKind::Result)
        };
        let info = disco::Info {
            identities: vec![identity("en", "Psi 0.11"), identity("el", "Ψ 0.11")],
            forms: vec![form],
            ..exodus()
        };
        assert_eq!(ver(&info, Hash::Sha1).as_deref(), Ok("q07IKJEyjvHSyhy//CH0CxmKi8w="));
    }

    #[test]
    fn names_are_sorted_before_the_separator_is_appended() {
        let info = features(&["a+notify", "a"]);
        assert_eq!(hashed_text(&info).as_deref(), Ok("a<a+notify<"));
    }

    #[test]
    fn ill_formed_answers_are_not_hashed() {
        assert_eq!(ver(&features(&["a", "b", "a"]), Hash::Sha1), Err(IllFormed::Feature));
        let mut twins = exodus();
        twins.identities.push(twins.identities[0].clone());
        assert_eq!(ver(&twins, Hash::Sha1), Err(IllFormed::Identity));
        let form = |values: &[&str]| data_forms::Form {
            fields: vec![data_forms::Field {
                values: values.iter().map(|value| (*value).to_owned()).collect(),
                ..data_forms::Field::new("FORM_TYPE", data_forms::FieldKind::Hidden)
            }],
            ..data_forms::Form::new(data_forms::FormKind::Result)
        };
        for forms in [vec![form(&["a", "b"])], vec![form(&["a"]), form(&["a"])]] {
            assert_eq!(ver(&disco::Info { forms, ..exodus() }, Hash::Sha1), Err(IllFormed::Form));
        }
    }

    #[test]
    fn s21_a_wrong_hash_is_never_kept() {
        let mut cache = Cache::default();
        let caps =
            |hash: &str, ver: &str| Caps { hash: hash.to_owned(), node: "n".to_owned(), ver: ver.to_owned() };
        let right = caps("sha-1", "QgayPKawpkPSDYmwT/WM94uAlu0=");
        assert!(!cache.insert(right.clone(), features(&["poison"])));
        assert!(!cache.insert(caps("md5", "x"), exodus()));
        assert!(!cache.insert(caps("sha-256", &right.ver), exodus()));
        assert_eq!(cache.find(&right), None);
        assert!(cache.insert(right.clone(), exodus()));
        assert_eq!(cache.find(&right), Some(&exodus()));
    }

    #[test]
    fn s21_a_separator_inside_a_value_does_not_split_it() {
        let two = ver(&features(&["a", "b"]), Hash::Sha1);
        assert_ne!(ver(&features(&["a<b"]), Hash::Sha1), two);
        assert_eq!(hashed_text(&features(&["a<b"])).as_deref(), Ok("a&lt;b<"));
    }

    #[test]
    fn s21_the_cache_is_bounded() {
        let mut cache = Cache::default();
        for n in 0..2 * CACHE {
            let info = features(&[&n.to_string()]);
            let ver = ver(&info, Hash::Sha1).expect("well formed");
            assert!(cache.insert(Caps { hash: "sha-1".to_owned(), node: "n".to_owned(), ver }, info));
        }
        assert_eq!((cache.known.len(), cache.order.len()), (CACHE, CACHE));
    }

    fn exodus() -> disco::Info {
        let mut info = features(&[
            "http://jabber.org/protocol/disco#info",
            "http://jabber.org/protocol/disco#items",
            "http://jabber.org/protocol/muc",
            "http://jabber.org/protocol/caps",
        ]);
        info.identities.push(disco::Identity {
            category: "client".to_owned(),
            kind: "pc".to_owned(),
            lang: String::new(),
            name: "Exodus 0.9.1".to_owned(),
        });
        info
    }

    fn features(list: &[&str]) -> disco::Info {
        disco::Info { features: list.iter().map(|f| (*f).to_owned()).collect(), ..disco::Info::default() }
    }
}
