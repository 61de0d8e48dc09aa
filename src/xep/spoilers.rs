//! XEP-0382: Spoiler Messages: a text that is shown only when somebody asks to see it.

use super::{Extension, Xep};
use crate::xml::Element;

/// Namespace.
pub const NS: &str = "urn:xmpp:spoiler:0";

/// The extension.
pub struct Spoilers;

impl Extension for Spoilers {
    fn xep(&self) -> Xep {
        let scope = "scripts may hide what they say behind a hint; incoming hints change nothing";
        Xep { number: 382, name: "Spoiler messages", version: "0.2.0", scope }
    }

    fn namespaces(&self) -> &'static [&'static str] {
        &[NS]
    }
}

/// Hides the text; `hint` says what is behind it.
pub fn spoiler(hint: Option<&str>) -> Element {
    let spoiler = Element::new("spoiler", NS);
    match hint {
        Some(hint) => spoiler.with_text(hint),
        None => spoiler,
    }
}
