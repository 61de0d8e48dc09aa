//! Requests of peers: one script answers those of a namespace, and each gets an answer whatever the script does.

use std::sync::Arc;

use rhai::Dynamic;

use crate::action::Action;
use crate::event::Request;
use crate::script::api::request::RequestObject;
use crate::script::bot::{Bot, Progress, Slot};
use crate::script::chain::handles;
use crate::script::declare::{Handler, Wants};
use crate::script::error::{Kind, ScriptError, Thrown};
use crate::script::host::Host;
use crate::script::instance::{Instance, Surroundings};
use crate::stanza::{ErrorKind, StanzaError};
use crate::xep;

/// What the names of these events begin with.
pub const PREFIX: &str = "iq:";

impl Bot {
    /// Gives a request to the script that answers its namespace.
    pub(super) fn request(
        &mut self,
        request: &Request,
        key: &str,
        host: &mut Host,
        around: &mut Surroundings,
        progress: &mut Progress,
    ) {
        let event = format!("{PREFIX}{}", request.payload.ns());
        let refusal = |condition| Action::Respond {
            token: request.token.clone(),
            outcome: Err(StanzaError::new(ErrorKind::Cancel, condition)),
        };
        progress.notes.reached = self.slots.len();
        let Some(at) = self.slots.iter().position(|slot| handles(slot, &event)) else {
            // RFC 6120 §8.4
            return progress.actions.push(refusal("service-unavailable"));
        };
        let object = Dynamic::from(RequestObject(Arc::new(request.clone())));
        let failures = progress.failures.len();
        let before = || Ok(());
        self.script_chain(at, &[&event], Wants::default(), key, &object, before, host, around, progress);
        if progress.failures.len() > failures {
            progress.actions.push(refusal("internal-server-error"));
        }
    }

    /// Why a script cannot run beside the others: one of them answers what it would answer.
    pub(super) fn contested(&self, instance: &Instance) -> Option<ScriptError> {
        let name = &instance.uses.name;
        let others = self.slots.iter().filter(|slot| slot.uses.name != *name);
        let taken = |handler: &&Handler, slot: &Slot| {
            handler.event.starts_with(PREFIX) && handles(slot, &handler.event)
        };
        let (handler, other) = others.into_iter().find_map(|slot| {
            let mine = instance.declared.handlers.iter();
            mine.into_iter().find(|handler| taken(handler, slot)).map(|handler| (handler, slot))
        })?;
        let message = twice(&handler.event, &other.uses.name);
        let site = instance.site(None);
        Some(ScriptError { line: handler.line, column: 1, ..site.plain(Kind::Declaration, message) })
    }
}

/// What is said where two scripts of one bot answer the same.
pub fn twice(event: &str, other: &str) -> String {
    format!("the script `{other}` of the same bot answers `{event}` already")
}

/// Whether a script may answer the requests of an event.
///
/// # Errors
/// Where the runtime does, or a handler before.
pub(super) fn check(event: &str, handlers: &[Handler]) -> Result<(), Thrown> {
    let Some(ns) = event.strip_prefix(PREFIX) else { return Ok(()) };
    if xep::is_known(ns) {
        let message = format!("the runtime answers requests of `{ns}` itself");
        return Err(Thrown::new(Kind::Declaration, message));
    }
    if handlers.iter().any(|handler| handler.event == event) {
        let message = format!("there is a handler of `{event}` already, and a request has one answer");
        return Err(Thrown::new(Kind::Declaration, message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use crate::script::tests::{Rig, jid, script};
    use crate::xml::Element;

    const NS: &str = "urn:example:stock";

    fn asked(ns: &str, text: &str) -> Event {
        let payload = Element::new("query", ns.to_owned()).with_text(text.to_owned());
        let from = jid("ann@example.org/phone");
        Event::Request(Box::new(Request { token: "t1".to_owned(), from, set: false, payload }))
    }

    fn answers(scripts: &[(&str, &str)], event: Event) -> Vec<String> {
        let rig = Rig::new();
        let scripts = scripts.iter().map(|(name, source)| script(name, source)).collect();
        let mut bot = rig.add("helper", scripts);
        let said = bot.try_event(event).actions.into_iter().filter_map(|(_, action)| match action {
            Action::Respond { token, outcome } => {
                assert_eq!(token, "t1");
                Some(match outcome {
                    Ok(payload) => payload.map_or_else(String::new, |payload| payload.text()),
                    Err(error) => error.to_string(),
                })
            }
            _ => None,
        });
        said.collect()
    }

    #[test]
    fn a_script_answers_with_a_result_or_an_error() {
        let source = r#"on("iq:urn:example:stock", |iq| switch iq.xml.text {
            "empty" => iq.result(),
            "xml" => iq.result(xml::element("stock", iq.ns).with_text(`${iq.kind} ${iq.who}`)),
            "text" => iq.result("<stock xmlns='urn:example:stock'>7</stock>"),
            "none" => iq.error("item-not-found", "no such thing"),
            "throws" => throw "broken",
            _ => ()
        });"#;
        for (text, expected) in [
            ("empty", [""].as_slice()),
            ("xml", &["get ann@example.org"]),
            ("text", &["7"]),
            ("none", &["item-not-found: no such thing"]),
            ("throws", &["internal-server-error"]),
            ("later", &[]),
        ] {
            assert_eq!(answers(&[("main", source)], asked(NS, text)), expected, "{text}");
        }
        assert_eq!(answers(&[("main", source)], asked("urn:other", "x")), ["service-unavailable"]);
    }

    #[test]
    fn an_answer_that_cannot_be_is_refused_in_the_script() {
        for call in [r#"iq.error("no-such-condition")"#, r#"iq.result("<a")"#, "iq.result(5)"] {
            let source = format!("on(\"iq:{NS}\", |iq| {call});");
            assert_eq!(answers(&[("main", &source)], asked(NS, "x")), ["internal-server-error"], "{call}");
        }
    }

    #[test]
    fn what_the_runtime_answers_and_what_another_answers_is_refused() {
        let rig = Rig::new();
        for (source, expected) in [
            (r#"on("iq:urn:xmpp:ping", |iq| ());"#, "the runtime answers requests of `urn:xmpp:ping` itself"),
            (r#"on("iq:a", |iq| ()); on("iq:a", |iq| ());"#, "there is a handler of `iq:a` already"),
        ] {
            let bot = rig.add("helper", vec![script("main", source)]);
            let told = bot.told.wait(|told| !told.failures.is_empty());
            assert!(told.failures[0].message.contains(expected), "{:?}", told.failures);
            bot.handle.remove();
        }
        let one = (r#"on("iq:urn:example:stock", |iq| iq.error("gone"));"#, "one");
        let two = (r#"on("iq:urn:example:stock", |iq| iq.result());"#, "two");
        let bot = rig.add("both", vec![script(one.1, one.0), script(two.1, two.0)]);
        let told = bot.told.wait(|told| !told.failures.is_empty());
        assert_eq!(told.failures[0].message, twice("iq:urn:example:stock", "one"));
        assert_eq!(answers(&[(one.1, one.0), (two.1, two.0)], asked(NS, "x")), ["gone"]);
    }
}
