//! Publishing on a node that has to be like something: XEP-0060 §7.1.5, and XEP-0223 for what is nobody else's business.
//!
//! What a node is to be like goes along as a condition. Where it is otherwise it is made so and the item published
//! again; a service that does not know the condition (COMPAT: ejabberd 23.01 answers `resource-constraint` to
//! `max_items`) gets the node made first. Private data is published only when the service has confirmed that nobody
//! else sees the node, and with that as a condition.

use std::time::Duration;

use tracing::{debug, warn};

use super::pending::Purpose;
use super::{Refused, Session, perform};
use crate::action::{NodeAccess, Publication};
use crate::event::{Answer, Event, RequestFailed};
use crate::moment::Moment;
use crate::stanza::{ErrorKind, StanzaError};
use crate::xep::pubsub::{self, NodeOptions};
use crate::xml::Element;

/// How long the service may take for each step.
const PATIENCE: Duration = Duration::from_secs(60);

/// An item on its way to a node.
#[derive(Clone, Debug, PartialEq)]
pub struct Publishing {
    publication: Publication,
    step: Awaits,
    /// Whether the node was changed already: it is not tried again.
    changed: bool,
}

/// What is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaits {
    /// What the node is like, before anything private goes there.
    Config,
    /// That the node has changed.
    Configured,
    /// That the node is there.
    Created,
    /// That the item is published: with all options as a condition, or only who may see it.
    Published { full: bool },
}

type Outcome = Result<Option<Element>, RequestFailed>;

impl Session {
    /// Publishes an item; the answer comes as [`Event::Answer`].
    pub(super) fn publish(&mut self, now: Moment, publication: Publication) -> Result<(), Refused> {
        if !self.pending.has_room() {
            return Err(Refused::Busy);
        }
        if self.config.hosted && publication.service.is_none() {
            let what = "behind a component there is no account to publish with: name the service";
            return Err(Refused::Invalid { what });
        }
        let options = options(&publication);
        let (node, id) = (&publication.node, publication.id.as_deref());
        perform::check(&pubsub::publish(node, id, publication.payload.clone(), options))?;
        let step = if publication.private { Awaits::Config } else { Awaits::Published { full: true } };
        self.go_on_publishing(now, Publishing { publication, step, changed: false });
        Ok(())
    }

    /// Asks for the step that is awaited.
    fn go_on_publishing(&mut self, now: Moment, publishing: Publishing) {
        let Publication { service, node, id, payload, .. } = &publishing.publication;
        let options = options(&publishing.publication);
        let (kind, request) = match publishing.step {
            Awaits::Config => ("get", pubsub::read_config(node)),
            Awaits::Configured => ("set", pubsub::configure(node, options)),
            Awaits::Created => ("set", pubsub::create(node, options)),
            Awaits::Published { full } => {
                let options = if full { options } else { options.access_only() };
                ("set", pubsub::publish(node, id.as_deref(), payload.clone(), options))
            }
        };
        let to = service.clone();
        self.ask(now, kind, to, request, PATIENCE, Purpose::Publish(Box::new(publishing)));
    }

    /// A step has come to its end.
    pub(super) fn on_publishing(&mut self, now: Moment, mut publishing: Publishing, outcome: Outcome) {
        let private = publishing.publication.private;
        let refusal = match &outcome {
            Ok(_) => None,
            Err(RequestFailed::Error(error)) => Some(&*error.condition),
            Err(RequestFailed::SessionLost | RequestFailed::Timeout) => {
                return self.published(publishing, outcome);
            }
        };
        let (step, changed) = (publishing.step, publishing.changed);
        let next = match (step, refusal) {
            (Awaits::Config, None) => {
                let access = outcome.as_ref().ok().and_then(Option::as_ref).and_then(pubsub::access_of);
                match access {
                    Some(NodeAccess::Whitelist) => Awaits::Published { full: false },
                    Some(_) | None if changed => return self.published(publishing, Err(not_private())),
                    Some(_) | None => Awaits::Configured,
                }
            }
            (Awaits::Config, Some("item-not-found")) if !changed => Awaits::Created,
            // What was made or changed is looked at before it is believed.
            (Awaits::Configured | Awaits::Created, None) if private => Awaits::Config,
            (Awaits::Configured | Awaits::Created, None) => Awaits::Published { full: false },
            // Somebody else, or an earlier session, has made it.
            (Awaits::Created, Some("conflict")) => Awaits::Configured,
            (Awaits::Published { full: true }, Some("conflict")) if !changed => Awaits::Configured,
            (
                Awaits::Published { full: true },
                Some("resource-constraint" | "feature-not-implemented" | "bad-request"),
            ) if !changed && has_options(&publishing.publication) => Awaits::Created,
            (Awaits::Config | Awaits::Configured | Awaits::Created, Some(_))
            | (Awaits::Published { .. }, _) => return self.published(publishing, outcome),
        };
        debug!(account = %self.own.bare, node = publishing.publication.node, ?step, ?refusal, ?next, "publishing");
        publishing.changed |= matches!(next, Awaits::Configured | Awaits::Created);
        publishing.step = next;
        self.go_on_publishing(now, publishing);
    }

    fn published(&mut self, publishing: Publishing, outcome: Outcome) {
        let Publication { token, node, .. } = publishing.publication;
        // One of the account's own, that no script waits for.
        if token.is_empty() {
            if let Err(error) = outcome {
                warn!(account = %self.own.bare, node, ?error, "not published");
            }
            return;
        }
        self.event(Event::Answer(Answer { token, outcome }));
    }
}

/// What the node has to be like.
fn options(publication: &Publication) -> NodeOptions {
    let Publication { access, keeps, private, .. } = publication;
    let access = if *private { Some(NodeAccess::Whitelist) } else { *access };
    NodeOptions { access, keeps: *keeps, quiet: *private }
}

fn has_options(publication: &Publication) -> bool {
    !options(publication).is_empty()
}

/// XEP-0223 §2: better not at all than for others to see.
fn not_private() -> RequestFailed {
    let text = "the server does not say that the node is for the account alone";
    RequestFailed::Error(StanzaError::new(ErrorKind::Cancel, "not-acceptable").with_text(text))
}
