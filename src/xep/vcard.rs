//! XEP-0054: vcard-temp, the account's own card: what the operator says goes in, what others have put there stays.

use super::avatar::Picture;
use super::{Extension, Xep};
use crate::xml::Element;

/// Namespace.
pub const NS: &str = "vcard-temp";

/// The extension.
pub struct VCard;

impl Extension for VCard {
    fn xep(&self) -> Xep {
        let scope = "the bot's own, from `profile`, only when it has changed; other fields of the card stay";
        Xep { number: 54, name: "vcard-temp", version: "1.3.0", scope }
    }

    fn namespaces(&self) -> &'static [&'static str] {
        &[NS]
    }
}

/// What the operator says about the bot. An absent field is taken out of the card.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Card {
    /// `FN`
    pub name: Option<String>,
    /// `NICKNAME`
    pub nick: Option<String>,
    /// `DESC`
    pub about: Option<String>,
    /// `URL`
    pub url: Option<String>,
}

/// Asks for the card.
pub fn ask() -> Element {
    Element::new("vCard", NS)
}

impl Card {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The card that was there, with these fields in place of its own. `photo` replaces the picture, or takes it out
    /// with `Some(None)`; `None` leaves it to the server, which knows the avatar.
    pub fn over(&self, there: Option<&Element>, photo: Option<Option<&Picture>>) -> Element {
        let fields =
            [("FN", &self.name), ("NICKNAME", &self.nick), ("DESC", &self.about), ("URL", &self.url)];
        let replaced = |child: &Element| {
            child.ns() == NS
                && (fields.iter().any(|(name, _)| child.name() == *name)
                    || (photo.is_some() && child.name() == "PHOTO"))
        };
        let mut card = Element::new("vCard", NS);
        for (name, value) in fields {
            if let Some(value) = value {
                card.push(Element::new(name, NS).with_text(value.as_str()));
            }
        }
        if let Some(Some(picture)) = photo {
            let part = |name, text: String| Element::new(name, NS).with_text(text);
            card.push(
                Element::new("PHOTO", NS)
                    .with_child(part("TYPE", "image/png".to_owned()))
                    .with_child(part("BINVAL", picture.base64())),
            );
        }
        let there = there.filter(|there| there.is("vCard", NS));
        for child in there.into_iter().flat_map(Element::children).filter(|child| !replaced(child)) {
            card.push(child.clone());
        }
        card
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::{parse, writer};

    #[test]
    fn p8_own_fields_are_replaced_and_those_of_others_stay() {
        let there = parse(
            "<vCard xmlns='vcard-temp'><FN>Old</FN><EMAIL><USERID>a@b</USERID></EMAIL><PHOTO><BINVAL>eA==</BINVAL>\
             </PHOTO><FN xmlns='other'>x</FN></vCard>",
        )
        .expect("XML");
        let card = Card { name: Some("Tea & cake".to_owned()), ..Card::default() };
        let picture = Picture { bytes: std::sync::Arc::from(&b"abc"[..]), width: 1, height: 1 };
        let text = |element: Element| writer::to_string(&element).expect("XML");
        let rest = "<EMAIL><USERID>a@b</USERID></EMAIL>";
        let photo = "<PHOTO><BINVAL>eA==</BINVAL></PHOTO>";
        let other = "<FN xmlns='other'>x</FN>";
        let name = "<FN>Tea &amp; cake</FN>";
        assert_eq!(
            text(card.over(Some(&there), None)),
            format!("<vCard xmlns='vcard-temp'>{name}{rest}{photo}{other}</vCard>")
        );
        assert_eq!(
            text(card.over(Some(&there), Some(Some(&picture)))),
            format!(
                "<vCard xmlns='vcard-temp'>{name}<PHOTO><TYPE>image/png</TYPE><BINVAL>YWJj</BINVAL></PHOTO>{rest}{other}</vCard>"
            )
        );
        assert_eq!(
            text(Card::default().over(Some(&there), Some(None))),
            format!("<vCard xmlns='vcard-temp'>{rest}{other}</vCard>")
        );
        let odd = parse("<query xmlns='x'><a/></query>").expect("XML");
        assert_eq!(text(Card::default().over(Some(&odd), None)), "<vCard xmlns='vcard-temp'/>");
    }
}
