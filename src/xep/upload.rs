//! XEP-0363: HTTP File Upload. Where a file may be put, and where it is found afterwards.

use super::disco::Info;
use super::{Extension, Xep};
use crate::xml::Element;

/// Namespace of services, requests and slots.
pub const NS: &str = "urn:xmpp:http:upload:0";

/// Headers that a service may ask for, XEP-0363 §5.
const HEADERS: &[&str] = &["authorization", "cookie", "expires"];
/// Longest address or value of a header that is taken, in bytes.
const LONGEST: usize = 8_192;

/// The extension.
pub struct Upload;

/// Where a file goes. Nothing in it was asked for yet: whoever connects checks the host.
#[derive(Clone, PartialEq, Eq)]
pub struct Slot {
    /// The `https` address to put the file at.
    pub put: String,
    /// Where it is found when it has been put.
    pub get: String,
    /// Headers that go with it, names in lower case. Values are secret.
    pub headers: Vec<(String, String)>,
}

impl Extension for Upload {
    fn xep(&self) -> Xep {
        let scope = "scripts may upload files to the server's service; slots are `https` only, redirects are not followed";
        Xep { number: 363, name: "HTTP File Upload", version: "1.2.0", scope }
    }

    fn namespaces(&self) -> &'static [&'static str] {
        &[NS]
    }
}

impl Slot {
    /// Reads the `<slot/>` of an answer; `None` where an address is missing, too long or not `https`. Headers other
    /// than the three that are allowed are left out, and newlines are cut from their values.
    pub fn parse(slot: &Element) -> Option<Self> {
        if !slot.is("slot", NS) {
            return None;
        }
        let url = |name| {
            let url = slot.child(name, NS)?.attr("url")?.trim();
            let secure = url.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"));
            (secure && url.len() <= LONGEST && !url.contains(char::is_control)).then(|| url.to_owned())
        };
        let put = slot.child("put", NS)?.children().filter(|child| child.is("header", NS));
        let headers = put.filter_map(header).take(HEADERS.len() * 4).collect();
        Some(Self { put: url("put")?, get: url("get")?, headers })
    }
}

impl std::fmt::Debug for Slot {
    /// Values of headers are left out: they are secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        let mut shown = f.debug_struct("Slot");
        shown.field("put", &self.put).field("get", &self.get).field("headers", &names).finish()
    }
}

fn header(element: &Element) -> Option<(String, String)> {
    let name = element.attr("name")?.trim().to_ascii_lowercase();
    let value: String = element.text().chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    HEADERS.contains(&name.as_str()).then_some((name, value))
}

/// Asks for a slot.
pub fn request(name: &str, size: u64, mime: Option<&str>) -> Element {
    Element::new("request", NS)
        .with_attr("filename", name)
        .with_attr("size", size.to_string())
        .with_attr_opt("content-type", mime)
}

/// Whether an entity takes files, and of how many bytes at most, where it says so.
pub fn service(info: &Info) -> Option<Option<u64>> {
    if !info.features.iter().any(|feature| feature == NS) {
        return None;
    }
    // ejabberd sends a form for each namespace it speaks.
    let form = info.forms.iter().find(|form| form.is_about(NS));
    let most = form.and_then(|form| form.field("max-file-size")).and_then(|field| field.values.first());
    Some(most.and_then(|most| most.trim().parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml;

    #[test]
    fn u2_only_https_and_only_three_headers() {
        let slot = |put: &str, get: &str, header: &str| {
            let text = format!("<slot xmlns='{NS}'><put url='{put}'>{header}</put><get url='{get}'/></slot>");
            Slot::parse(&xml::parse(&text).expect("XML"))
        };
        let good = slot(
            "https://up.example/1",
            "https://up.example/g",
            "<header name='Authorization'>Basic&#10; x</header><header name='Host'>evil</header>",
        );
        let good = good.expect("a slot");
        assert_eq!(good.headers, [("authorization".to_owned(), "Basic x".to_owned())]);
        assert!(!format!("{good:?}").contains("Basic"));
        assert_eq!(slot("http://up.example/1", "https://up.example/g", ""), None);
        assert_eq!(slot("https://up.example/1", "file:///etc/passwd", ""), None);
        assert_eq!(slot("", "https://up.example/g", ""), None);
    }

    #[test]
    fn u1_the_limit_comes_from_the_form_of_this_version() {
        let form = |kind: &str, most: &str| {
            format!(
                "<x xmlns='jabber:x:data' type='result'>\
                 <field var='FORM_TYPE' type='hidden'><value>{kind}</value></field>\
                 <field var='max-file-size'><value>{most}</value></field></x>"
            )
        };
        let info = |features: &str, forms: &str| {
            let text =
                format!("<query xmlns='http://jabber.org/protocol/disco#info'>{features}{forms}</query>");
            Info::parse(&xml::parse(&text).expect("XML")).expect("info")
        };
        let feature = format!("<feature var='{NS}'/>");
        let both = format!("{}{}", form("urn:xmpp:http:upload", "1"), form(NS, "500"));
        assert_eq!(service(&info(&feature, &both)), Some(Some(500)));
        assert_eq!(service(&info(&feature, &form(NS, "many"))), Some(None));
        assert_eq!(service(&info("", &both)), None);
    }
}
