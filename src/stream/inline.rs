//! What the entity that connects asks for along with a login by SASL2, and what came of it.
//!
//! A session to resume comes first and makes the rest void, XEP-0198 §10; else a resource is bound (XEP-0386).
//! Whatever the server does not take along is negotiated behind the login as ever.

use std::time::Instant;

use crate::ns;
use crate::stream::bind2::{self, Extras};
use crate::stream::core::Core;
use crate::stream::fault::What;
use crate::stream::features::Standing;
use crate::stream::initiating::Initiator;
use crate::stream::management::{self, Granted, Management};
use crate::stream::phase::Phase;
use crate::stream::{bind, sasl2};
use crate::xml::Element;

/// What was asked for along with a login.
#[derive(Default)]
pub(super) struct Asked {
    /// The session of before.
    pub resume: bool,
    /// A resource, and what goes with it.
    pub bind: Option<Extras>,
}

impl Initiator {
    /// What `<authenticate/>` asks for. It may be asked again after a refusal: nothing is counted here.
    pub(super) fn ask_inline(&mut self, core: &mut Core) -> Vec<Element> {
        self.asked = Asked::default();
        let Some(inline) = sasl2::inline(&self.features) else { return Vec::new() };
        let mut requests = Vec::new();
        let resumable = is_resumable(core);
        if let Some(session) = core.session.as_mut().filter(|_| resumable && inline.has_child("sm", ns::SM)) {
            requests.push(management::resume(session));
            self.asked.resume = true;
        }
        // Bound within the login it could no longer be resumed behind it.
        let bindable = self.asked.resume || !resumable;
        if let (Some(tag), Some(offer), true) = (&self.config.tag, bind2::offer(inline), bindable) {
            let extras = Extras { carbons: offer.carbons && self.config.carbons, ..offer };
            requests.push(bind2::request(tag, extras));
            self.asked.bind = Some(extras);
        }
        requests
    }

    /// Both sides have proved who they are; `success` says what else has come about.
    pub(super) fn on_inline(&mut self, core: &mut Core, now: Instant, success: &Element) {
        core.keep_on();
        let asked = std::mem::take(&mut self.asked);
        match success.child("resumed", ns::SM) {
            Some(resumed) if asked.resume => {
                // XEP-0198 §10 sends no features here, XEP-0388 §2.6.2 has them behind each success.
                core.late_features = true;
                return self.on_resumed(core, now, resumed);
            }
            Some(resumed) => return core.unexpected(resumed),
            None => {}
        }
        if let (Some(failed), Some(session), true) =
            (success.child("failed", ns::SM), &mut core.session, asked.resume)
        {
            session.fail(management::h(failed));
        }
        if let Some(extras) = asked.bind {
            if let Some(failed) = success.child("failed", ns::BIND2) {
                return core.fault(What::BindRefused { error: bind2::refusal(failed) });
            }
            if let Some(bound) = success.child("bound", ns::BIND2) {
                let Some(jid) = sasl2::identifier(success).and_then(|jid| jid.to_full()) else {
                    return core.fault(What::BindRefused { error: bind::no_address() });
                };
                self.jid = Some(jid);
                self.standing = Standing::Bound;
                self.carbons = extras.carbons;
                self.enabled_inline(core, bound.child("enabled", ns::SM).filter(|_| extras.management));
            }
        }
        core.await_next(now, Phase::AwaitFeatures);
    }

    /// From the success on both sides count, XEP-0198 §10.
    fn enabled_inline(&mut self, core: &Core, enabled: Option<&Element>) {
        let Some(enabled) = enabled else { return };
        let mut fresh = Management::new(core.next_ticket());
        let mut granted = Granted::from_element(enabled);
        granted.location = granted.location.filter(|_| core.trusted);
        fresh.enabled(granted);
        self.fresh = Some(fresh);
        self.counted = true;
    }
}

/// Whether there is a session of before that a server could give back.
pub(super) fn is_resumable(core: &Core) -> bool {
    core.session.as_ref().is_some_and(|session| session.id().is_some() && session.jid().is_some())
}
