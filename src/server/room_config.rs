//! What the owner of a room can set, as a form of XEP-0004.

use crate::stanza::StanzaError;
use crate::xml::Element;

use super::room::HISTORY;
use super::vocabulary::{FORM, MUC_CONFIG, refusal};

/// Settings of one room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomConfig {
    /// Name for people.
    pub name: String,
    /// Whether everybody sees real addresses; otherwise the owner alone does.
    pub shows_real_jids: bool,
    /// What a newcomer must say.
    pub password: Option<String>,
    /// Whether the room outlives its last occupant.
    pub persistent: bool,
    /// Whether the room is listed.
    pub public: bool,
    /// Whether every occupant may set the subject.
    pub change_subject: bool,
    /// Messages of the past for a newcomer.
    pub history: usize,
    /// Whether its owner has not configured it yet.
    pub is_new: bool,
}

impl Default for RoomConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            shows_real_jids: true,
            password: None,
            persistent: false,
            public: true,
            change_subject: true,
            history: 20,
            is_new: true,
        }
    }
}

impl RoomConfig {
    /// Whether what is said is shown to those who come later.
    pub fn remembers(&self) -> bool {
        self.history > 0
    }

    /// The form that shows these settings.
    pub fn form(&self) -> Element {
        let flag = |on: bool| if on { "1" } else { "0" };
        let whois = if self.shows_real_jids { "anyone" } else { "moderators" };
        let history = self.history.to_string();
        let fields = [
            ("FORM_TYPE", "hidden", "", MUC_CONFIG),
            ("muc#roomconfig_roomname", "text-single", "Name", self.name.as_str()),
            ("muc#roomconfig_persistentroom", "boolean", "Outlives its occupants", flag(self.persistent)),
            ("muc#roomconfig_publicroom", "boolean", "Is listed", flag(self.public)),
            (
                "muc#roomconfig_changesubject",
                "boolean",
                "Everyone sets the subject",
                flag(self.change_subject),
            ),
            ("muc#roomconfig_whois", "list-single", "Who sees real addresses", whois),
            (
                "muc#roomconfig_passwordprotectedroom",
                "boolean",
                "Needs a password",
                flag(self.password.is_some()),
            ),
            ("muc#roomconfig_roomsecret", "text-private", "Password", self.password.as_deref().unwrap_or("")),
            ("muc#maxhistoryfetch", "text-single", "Messages for a newcomer", history.as_str()),
        ];
        let mut form = Element::new("x", FORM).with_attr("type", "form");
        for (name, kind, label, value) in fields {
            let mut field = Element::new("field", FORM)
                .with_attr("var", name)
                .with_attr("type", kind)
                .with_attr_opt("label", (!label.is_empty()).then_some(label))
                .with_child(Element::new("value", FORM).with_text(value));
            if kind == "list-single" {
                for option in ["moderators", "anyone"] {
                    let value = Element::new("value", FORM).with_text(option);
                    field.push(Element::new("option", FORM).with_child(value));
                }
            }
            form.push(field);
        }
        form
    }

    /// The settings after a submitted form; fields that are missing keep their value, so that an empty
    /// form means "as it is" (an instant room, XEP-0045 §10.1.2).
    pub fn submitted(&self, form: &Element) -> Result<Self, StanzaError> {
        let mut next = self.clone();
        next.is_new = false;
        let mut protected = None;
        let mut secret = None;
        for field in form.children().filter(|c| c.is("field", FORM)) {
            let value = field.child_text("value", FORM).unwrap_or_default();
            match field.attr("var").unwrap_or_default() {
                "FORM_TYPE" if value != MUC_CONFIG => return Err(refusal("bad-request")),
                "muc#roomconfig_roomname" => next.name = value,
                "muc#roomconfig_persistentroom" => next.persistent = flag(&value)?,
                "muc#roomconfig_publicroom" => next.public = flag(&value)?,
                "muc#roomconfig_changesubject" => next.change_subject = flag(&value)?,
                "muc#roomconfig_whois" => next.shows_real_jids = value == "anyone",
                "muc#roomconfig_passwordprotectedroom" => protected = Some(flag(&value)?),
                "muc#roomconfig_roomsecret" => secret = Some(value),
                "muc#maxhistoryfetch" => {
                    let count: usize = value.parse().map_err(|_| refusal("not-acceptable"))?;
                    next.history = count.min(HISTORY);
                }
                // XEP-0045 §10.1.3 lets a service leave out what it does not know.
                _ => {}
            }
        }
        next.password = match (protected, secret.filter(|secret| !secret.is_empty())) {
            (Some(false), _) => None,
            (Some(true), None) if self.password.is_none() => return Err(refusal("not-acceptable")),
            (_, Some(secret)) => Some(secret),
            (_, None) => next.password,
        };
        Ok(next)
    }
}

fn flag(value: &str) -> Result<bool, StanzaError> {
    match value {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err(refusal("not-acceptable")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_form_unlocks_and_changes_nothing_else() {
        let before = RoomConfig::default();
        let after = before.submitted(&Element::new("x", FORM)).expect("an empty form is right");
        assert_eq!(after, RoomConfig { is_new: false, ..before });
    }

    #[test]
    fn a_form_that_is_sent_back_as_it_came_changes_nothing() {
        let before = RoomConfig { password: Some("s".to_owned()), is_new: false, ..RoomConfig::default() };
        assert_eq!(before.submitted(&before.form()), Ok(before));
    }

    #[test]
    fn a_password_needs_both_the_switch_and_the_word() {
        let set = |switch: &str, word: &str| {
            let field = |var: &'static str, value: &str| {
                let value = Element::new("value", FORM).with_text(value);
                Element::new("field", FORM).with_attr("var", var).with_child(value)
            };
            let form = Element::new("x", FORM)
                .with_child(field("muc#roomconfig_passwordprotectedroom", switch))
                .with_child(field("muc#roomconfig_roomsecret", word));
            RoomConfig::default().submitted(&form).map(|config| config.password)
        };
        assert_eq!(set("1", "pass"), Ok(Some("pass".to_owned())));
        assert_eq!(set("0", "pass"), Ok(None));
        assert!(set("1", "").is_err());
        assert!(set("maybe", "pass").is_err());
    }
}
