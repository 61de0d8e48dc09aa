//! The order of steps for the entity that connects, RFC 6120 §4.3.

use std::time::Instant;

use crate::jid::FullJid;
use crate::ns;
use crate::stream::auth::Profile;
use crate::stream::core::{Blanks, Core, is_stanza};
use crate::stream::fault::{SaslCondition, StreamError, What};
use crate::stream::features::{self, Standing, Step};
use crate::stream::inline::{Asked, is_resumable};
use crate::stream::management::{self, BadHandled, Granted, Management};
use crate::stream::phase::Phase;
use crate::stream::sasl::Mechanism;
use crate::stream::sasl::channel::{Binding, Channel};
use crate::stream::sasl::choose::{NoMechanism, Policy, choose};
use crate::stream::sasl::client::{self, Client, Login};
use crate::stream::sasl::error::SaslError;
use crate::stream::sasl::keys::ScramKeys;
use crate::stream::sasl::message::Nonce;
use crate::stream::{
    Initiating, Online, Secured, StreamEvent, auth, bind, header, registering, sasl2, starttls,
};
use crate::xml::{Element, Limits, Reader, StreamHeader};

/// What is left to negotiate.
pub(super) struct Initiator {
    pub(super) config: Initiating,
    pub(super) standing: Standing,
    pub(super) channel: Channel,
    /// How the messages of `exchange` travel.
    profile: Profile,
    exchange: Option<Client>,
    /// How we logged in.
    mechanism: Option<Mechanism>,
    pub(super) features: Element,
    /// Steps that were taken under these features.
    taken: Vec<Step>,
    /// `id` of the iq that was asked with.
    request: String,
    pub(super) jid: Option<FullJid>,
    /// The session that begins, while an earlier one is still in the core.
    pub(super) fresh: Option<Management>,
    /// Stanzas are counted since the login, XEP-0198 §10.
    pub(super) counted: bool,
    /// What travels along with the login under way.
    pub(super) asked: Asked,
    /// What ties the token that the success may bring, XEP-0484.
    pub(super) grants: Option<Option<Binding>>,
    /// Carbons came with the login.
    pub(super) carbons: bool,
    /// Stanzas that came before the negotiation was complete.
    early: Vec<Element>,
}

impl Initiator {
    pub fn begin(mut config: Initiating, core: &mut Core, now: Instant) -> Self {
        core.session = config.resume.take().map(Box::new);
        let direct_tls = config.direct_tls;
        let initiator = Self {
            config,
            standing: Standing::Open,
            channel: Channel::default(),
            profile: Profile::Sasl,
            exchange: None,
            mechanism: None,
            features: Element::new("features", ns::STREAM),
            taken: Vec::new(),
            request: String::new(),
            jid: None,
            fresh: None,
            counted: false,
            asked: Asked::default(),
            grants: None,
            carbons: false,
            early: Vec::new(),
        };
        if direct_tls {
            core.await_next(now, Phase::AwaitSecured);
        } else {
            initiator.open(core, now);
        }
        initiator
    }

    fn open(&self, core: &mut Core, now: Instant) {
        let jid = &self.config.jid;
        // RFC 6120 §4.7.1: an eavesdropper is not told who we are. Some servers offer more to
        // those who say it.
        let from = (self.standing > Standing::Open && jid.local().is_some()).then(|| jid.as_str());
        core.say_header(&header::request(jid.domain(), from, &self.config.lang));
        core.await_next(now, Phase::AwaitHeader);
    }

    pub fn on_secured(&mut self, core: &mut Core, now: Instant, tls: Secured) {
        self.standing = Standing::Secured;
        self.channel = tls.channel();
        core.framer = core.framing.framer(Limits::BEFORE_LOGIN);
        self.open(core, now);
    }

    pub fn on_header(&mut self, core: &mut Core, now: Instant, reader: Reader, header: &StreamHeader) {
        if let Err(problem) = header::check(header, true) {
            return core.fault(What::HeaderInvalid { problem });
        }
        core.reader = Some(reader);
        core.await_next(now, Phase::AwaitFeatures);
    }

    pub fn on_element(&mut self, core: &mut Core, now: Instant, element: Element) {
        if element.is("error", ns::STREAM) {
            return core.fault(What::StreamError(StreamError::from_element(&element)));
        }
        match core.phase {
            Phase::AwaitFeatures if element.is("features", ns::STREAM) => {
                self.features = element;
                self.taken.clear();
                self.take_step(core, now);
            }
            Phase::AwaitProceed if element.is("proceed", ns::TLS) => core.secure(now, Blanks::Refused),
            Phase::AwaitProceed if element.is("failure", ns::TLS) => core.fault(What::TlsRefused),
            Phase::AwaitRegistration => registering::on_element(core, element),
            Phase::AwaitChallenge if element.ns() == self.profile.ns() => self.on_sasl(core, now, &element),
            Phase::AwaitResumed if element.is("resumed", ns::SM) => self.on_resumed(core, now, &element),
            Phase::AwaitResumed if element.is("failed", ns::SM) => {
                if let Some(session) = &mut core.session {
                    session.fail(management::h(&element));
                }
                self.take_step(core, now);
            }
            Phase::AwaitBound => self.on_bound(core, now, &element),
            Phase::AwaitSession if bind::answer(&element, &self.request).is_some() => {
                self.on_session(core, now, &element);
            }
            Phase::AwaitEnabled if element.is("enabled", ns::SM) => {
                let mut granted = Granted::from_element(&element);
                // Where to go is believed only of a server that has shown who it is.
                granted.location = granted.location.filter(|_| core.trusted);
                if let Some(fresh) = &mut self.fresh {
                    fresh.enabled(granted);
                }
                self.finish(core, now);
            }
            Phase::AwaitEnabled if element.is("failed", ns::SM) => {
                self.fresh = None;
                self.take_step(core, now);
            }
            Phase::AwaitEnabled | Phase::AwaitFeatures | Phase::AwaitSession if self.is_early(&element) => {
                self.keep(core, element);
            }
            _ => core.unexpected(&element),
        }
    }

    /// Takes the first step that is offered, possible and wanted.
    fn take_step(&mut self, core: &mut Core, now: Instant) {
        if let Some(session) = &mut core.session {
            session.expire(now);
        }
        if self.config.register && self.standing == Standing::Secured {
            return registering::begin(core, now, &self.features);
        }
        let step = features::steps(self.standing, &self.features).find(|step| self.wants(*step, core));
        self.taken.extend(step);
        match step {
            Some(Step::Secure) => {
                core.say(&starttls::request());
                core.await_next(now, Phase::AwaitProceed);
            }
            Some(Step::Authenticate) => self.authenticate(core, now, Profile::Sasl),
            Some(Step::Sasl2) => self.authenticate(core, now, Profile::Sasl2),
            Some(Step::Resume) => self.resume(core, now),
            Some(Step::Bind) => {
                self.request = core.ids.next_id();
                // Where the server may choose, the account stays where it was.
                let before = core.session.as_ref().filter(|_| self.config.tag.is_some());
                let before = before.and_then(|session| session.jid()).map(FullJid::resource_str);
                core.say(&bind::request(&self.request, before.or(self.config.resource.as_deref())));
                core.await_next(now, Phase::AwaitBound);
            }
            Some(Step::OpenSession) => {
                self.request = core.ids.next_id();
                core.say(&bind::session_request(&self.request));
                core.await_next(now, Phase::AwaitSession);
            }
            Some(Step::Enable) => {
                core.say(&Element::new("enable", ns::SM).with_attr("resume", "true"));
                self.fresh = Some(Management::new(core.next_ticket()));
                core.await_next(now, Phase::AwaitEnabled);
            }
            None => self.without_step(core, now),
        }
    }

    fn wants(&self, step: Step, core: &Core) -> bool {
        match step {
            _ if self.taken.contains(&step) => false,
            Step::OpenSession => features::needs_session(&self.features),
            Step::Resume => is_resumable(core),
            Step::Enable => self.fresh.is_none(),
            Step::Authenticate | Step::Bind | Step::Sasl2 | Step::Secure => true,
        }
    }

    fn without_step(&mut self, core: &mut Core, now: Instant) {
        match self.standing {
            // Somebody may have taken it out: never log in without it.
            Standing::Open => core.fault(What::TlsMissing),
            Standing::Secured => {
                let reason = NoMechanism::NothingInCommon { offered: Vec::new() };
                core.fault(What::MechanismMissing { reason });
            }
            Standing::Authenticated => core.fault(What::BindMissing),
            Standing::Bound => self.finish(core, now),
        }
    }

    /// What the account allows, on this channel.
    pub(super) fn policy(&self, sasl2: bool) -> Policy<'_> {
        let config = &self.config;
        Policy {
            credentials: &config.credentials,
            channel: &self.channel,
            binding: config.channel_binding,
            sasl2,
            used_scram: config.used_scram,
            used_plus: config.used_plus,
            allow_plain: config.allow_plain,
        }
    }

    fn authenticate(&mut self, core: &mut Core, now: Instant, profile: Profile) {
        self.profile = profile;
        if profile == Profile::Sasl2 && self.authenticate_by_token(core, now) {
            return;
        }
        let bindings = auth::bindings(&self.features);
        let offered = auth::mechanisms(profile, &self.features);
        let choice = match choose(&offered, bindings.as_deref(), &self.policy(profile == Profile::Sasl2)) {
            Ok(choice) => choice,
            Err(reason) => return core.fault(What::MechanismMissing { reason }),
        };
        let config = &self.config;
        let login = Login {
            username: config.jid.local().unwrap_or_default().to_owned(),
            authzid: None,
            credentials: config.credentials.clone(),
            keys: config.keys.clone(),
        };
        let nonce = Nonce::from_bytes(&core.ids.next_bytes());
        let (exchange, initial) = match Client::start(choice, login, &self.channel, config.iterations, nonce)
        {
            Ok(started) => started,
            Err(error) => return core.fault(What::SaslBroken { error }),
        };
        match profile {
            Profile::Sasl => {
                core.say(&auth::auth(exchange.mechanism().name(), initial.as_deref()));
                self.exchange = Some(exchange);
                core.await_next(now, Phase::AwaitChallenge);
            }
            Profile::Sasl2 => {
                let asked = self.ask_token();
                self.begin_sasl2(core, now, exchange, initial.as_deref(), asked);
            }
        }
    }

    /// Says `<authenticate/>` with all that travels along.
    pub(super) fn begin_sasl2(
        &mut self,
        core: &mut Core,
        now: Instant,
        exchange: Client,
        initial: Option<&[u8]>,
        more: Vec<Element>,
    ) {
        let mechanism = exchange.mechanism();
        let authenticate = sasl2::authenticate(mechanism.name(), initial, self.config.user_agent.as_deref());
        let requests = self.ask_inline(core);
        core.say(&more.into_iter().chain(requests).fold(authenticate, Element::with_child));
        // Of SCRAM, the first word proves nothing yet.
        core.resuming = self.asked.resume && !mechanism.is_scram();
        self.exchange = Some(exchange);
        core.await_next(now, Phase::AwaitChallenge);
    }

    fn on_sasl(&mut self, core: &mut Core, now: Instant, element: &Element) {
        core.resuming = false;
        match element.name() {
            "continue" if self.profile == Profile::Sasl2 => {
                core.say(&auth::abort(self.profile));
                core.fault(What::TasksRequired { tasks: sasl2::tasks(element) });
            }
            "challenge" => self.on_challenge(core, now, element),
            "failure" => self.on_failure(core, now, element),
            "success" => self.on_success(core, now, element),
            _ => core.unexpected(element),
        }
    }

    fn on_challenge(&mut self, core: &mut Core, now: Instant, element: &Element) {
        let Some(exchange) = &mut self.exchange else { return core.unexpected(element) };
        let step =
            auth::data(element).and_then(|data| exchange.on_challenge(data.as_deref().unwrap_or_default()));
        match step {
            Ok(client::Step::Derive(request)) => {
                core.outputs.event(StreamEvent::DeriveKeys(request));
                core.await_next(now, Phase::AwaitKeys);
            }
            Ok(client::Step::Respond(data)) => self.respond(core, now, &data),
            Err(error) => self.break_off(core, error),
        }
    }

    pub fn on_keys(&mut self, core: &mut Core, now: Instant, keys: ScramKeys) {
        let Some(exchange) = &mut self.exchange else { return };
        match exchange.on_keys(keys) {
            Ok(data) => self.respond(core, now, &data),
            Err(error) => self.break_off(core, error),
        }
    }

    fn respond(&self, core: &mut Core, now: Instant, data: &[u8]) {
        core.say(&auth::message(self.profile, "response", data));
        core.resuming = self.asked.resume;
        core.await_next(now, Phase::AwaitChallenge);
    }

    /// RFC 6120 §6.4.4: the exchange is given up before the stream is.
    fn break_off(&self, core: &mut Core, error: SaslError) {
        core.say(&auth::abort(self.profile));
        core.fault(What::SaslBroken { error });
    }

    fn on_failure(&mut self, core: &mut Core, now: Instant, element: &Element) {
        let (condition, text) = auth::read_failure(element);
        let exchange = self.exchange.take();
        let by_token = matches!(exchange.as_ref().map(Client::mechanism), Some(Mechanism::Token(_)));
        if by_token && condition != SaslCondition::TemporaryAuthFailure {
            // Servers differ in whether this stream would still take a password: the next one does.
            return core.fault(What::TokenRefused { condition, text });
        }
        let stale = exchange.is_some_and(|exchange| exchange.used_cache());
        if condition == SaslCondition::NotAuthorized && stale {
            // The password may have changed while its salt did not: once more, without old keys.
            self.config.keys = None;
            return self.authenticate(core, now, self.profile);
        }
        core.fault(What::AuthenticationRefused { condition, text });
    }

    fn on_success(&mut self, core: &mut Core, now: Instant, element: &Element) {
        let Some(exchange) = self.exchange.take() else { return core.unexpected(element) };
        let additional = match self.profile {
            Profile::Sasl => auth::data(element),
            Profile::Sasl2 => sasl2::data(element, "additional-data"),
        };
        match additional.and_then(|additional| exchange.on_success(additional.as_deref())) {
            Ok(done) => {
                let (mechanism, keys) = (done.mechanism, done.keys);
                let token = self.take_token(element);
                core.outputs.event(StreamEvent::Authenticated { mechanism, keys, token, username: None });
                self.mechanism = Some(mechanism);
                self.standing = Standing::Authenticated;
                match self.profile {
                    Profile::Sasl => {
                        core.restart();
                        self.open(core, now);
                    }
                    Profile::Sasl2 => self.on_inline(core, now, element),
                }
            }
            Err(error) => core.fault(What::SaslBroken { error }),
        }
    }

    fn resume(&mut self, core: &mut Core, now: Instant) {
        let Some(session) = &mut core.session else { return };
        let resume = management::resume(session);
        core.say(&resume);
        core.await_next(now, Phase::AwaitResumed);
    }

    pub(super) fn on_resumed(&mut self, core: &mut Core, now: Instant, element: &Element) {
        let Some(session) = &mut core.session else { return core.unexpected(element) };
        let (Some(handled), Some(jid)) = (management::h(element), session.jid().cloned()) else {
            return core.unexpected(element);
        };
        if element.attr("previd") != session.id() {
            return core.unexpected(element);
        }
        let covered = match session.on_handled(handled) {
            Ok(covered) => covered,
            Err(BadHandled::Backwards) => None,
            Err(BadHandled::TooHigh { handled, sent }) => {
                return core.fault(What::HandledTooHigh { handled, sent });
            }
        };
        session.resumed();
        core.managed = true;
        core.stanza_limit = features::stanza_limit(&self.features);
        let online = self.online(core, jid, true);
        core.outputs.event(online);
        core.covered(covered);
        // Prosody 0.12 feeds a resumed connection into the parser of the old one: if that one broke
        // inside a stanza, whatever is sent now is swallowed. One `<r/>` shows whether it reads.
        core.go_online(now, Phase::AwaitProbe);
        core.ask(now);
    }

    fn on_bound(&mut self, core: &mut Core, now: Instant, element: &Element) {
        let answer = match bind::answer(element, &self.request) {
            Some(answer) => answer.and_then(bind::address),
            None => return core.unexpected(element),
        };
        match answer {
            Ok(jid) => {
                self.jid = Some(jid);
                self.standing = Standing::Bound;
                self.take_step(core, now);
            }
            Err(error) => core.fault(What::BindRefused { error }),
        }
    }

    fn on_session(&mut self, core: &mut Core, now: Instant, element: &Element) {
        match bind::answer(element, &self.request) {
            Some(Err(error)) => core.fault(What::BindRefused { error }),
            Some(Ok(_)) => self.take_step(core, now),
            None => {}
        }
    }

    /// Whether this may come before we are online: once there is an address, and what belongs to counting where
    /// counting has begun.
    fn is_early(&self, element: &Element) -> bool {
        self.standing == Standing::Bound && (is_stanza(element) || (self.counted && element.ns() == ns::SM))
    }

    /// What came before we said that we are online. It is counted only where the login has begun it, XEP-0198 §4.
    fn keep(&mut self, core: &mut Core, stanza: Element) {
        if self.early.len() >= EARLY {
            return core.fault(What::TooMuchAhead);
        }
        self.early.push(stanza);
    }

    /// Everything is negotiated.
    fn finish(&mut self, core: &mut Core, now: Instant) {
        let Some(jid) = self.jid.take() else { return };
        let earlier = core.session.take();
        core.session = self.fresh.take().map(Box::new);
        core.managed = core.session.is_some();
        if let Some(session) = &mut core.session {
            session.bound(jid.clone());
        }
        core.stanza_limit = features::stanza_limit(&self.features);
        let online = self.online(core, jid, false);
        core.outputs.event(online);
        if let Some(earlier) = earlier {
            let (stanzas, handled) = (earlier.lost(), earlier.is_exact().then(|| earlier.acked()));
            core.outputs.event(StreamEvent::Lost { stanzas, handled });
        }
        core.go_online(now, Phase::Online);
        for element in self.early.drain(..) {
            if !self.counted {
                core.outputs.event(StreamEvent::Stanza { number: None, element });
            } else if let Some(element) = core.on_element_online(now, element) {
                core.unexpected(&element);
            }
        }
    }

    fn online(&mut self, core: &Core, jid: FullJid, resumed: bool) -> StreamEvent {
        let session = core.session.as_ref().filter(|_| core.managed);
        StreamEvent::Online(Box::new(Online {
            jid,
            resumed,
            features: std::mem::replace(&mut self.features, Element::new("features", ns::STREAM)),
            sm: session.is_some(),
            peer_handled: session.map_or(0, |session| session.acked()),
            resume_max: session.and_then(|session| session.resume_max()),
            // Nobody comes here without having logged in.
            mechanism: self.mechanism.unwrap_or(Mechanism::Anonymous),
            carbons: self.carbons,
        }))
    }
}

/// Stanzas a server may send before it is done with the negotiation.
const EARLY: usize = 64;
