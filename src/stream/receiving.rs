//! The order of steps for the entity that was connected to, RFC 6120 §4.3.

use std::time::Instant;

use crate::jid::{FullJid, Jid};
use crate::ns;
use crate::stanza::StanzaError;
use crate::stream::auth::Profile;
use crate::stream::core::{Blanks, Core};
use crate::stream::fault::{SaslCondition, StreamError, What};
use crate::stream::features::{self, Standing, Step};
use crate::stream::management::{self, BadHandled, Granted, Management};
use crate::stream::phase::Phase;
use crate::stream::sasl::Mechanism;
use crate::stream::sasl::channel::Binding;
use crate::stream::sasl::error::SaslError;
use crate::stream::sasl::message::Nonce;
use crate::stream::sasl::server::{AccountKeys, Context, Server, ServerStep};
use crate::stream::{
    AuthRequest, Receiving, Secured, StreamEvent, auth, bind, header, registering, starttls,
};
use crate::xml::{Element, Framer, Limits, Reader, StreamHeader};

/// How far a client has come.
pub(super) struct Receiver {
    config: Receiving,
    standing: Standing,
    tls: Secured,
    exchange: Option<Server>,
    /// Logins that failed on this stream.
    failures: u8,
    /// The client's own address in its header.
    client: Option<String>,
    /// `id` of the request for a resource.
    request: String,
    jid: Option<FullJid>,
    /// What the client wants to resume.
    resumption: Option<Resumption>,
}

struct Resumption {
    id: String,
    handled: u32,
}

impl Receiver {
    pub fn begin(config: Receiving, core: &mut Core, now: Instant) -> Self {
        core.await_next(now, if config.direct_tls { Phase::AwaitSecured } else { Phase::AwaitHeader });
        Self {
            config,
            standing: Standing::Open,
            tls: Secured::default(),
            exchange: None,
            failures: 0,
            client: None,
            request: String::new(),
            jid: None,
            resumption: None,
        }
    }

    pub fn on_secured(&mut self, core: &mut Core, now: Instant, tls: Secured) {
        self.standing = Standing::Secured;
        self.tls = tls;
        core.framer = Framer::new(Limits::BEFORE_LOGIN);
        core.await_next(now, Phase::AwaitHeader);
    }

    /// Answers the client's header, or comes before it where there is an error to be told.
    pub fn open(&mut self, core: &mut Core) {
        if !core.header_sent && core.phase == Phase::AwaitHeader {
            let id = core.ids.next_id();
            let domain = &self.config.domain;
            core.say_header(&header::response(&id, domain, self.client.as_deref(), &self.config.lang));
        }
    }

    pub fn on_header(&mut self, core: &mut Core, now: Instant, reader: Reader, header: &StreamHeader) {
        self.client = header.element.attr("from").map(str::to_owned);
        self.open(core);
        if let Err(problem) = header::check(header, false) {
            return core.fault(What::HeaderInvalid { problem });
        }
        let host = header.element.attr("to").unwrap_or_default();
        if !Jid::from_wire(host).is_ok_and(|jid| jid.as_str() == self.config.domain) {
            return core.fault(What::HostUnknown { host: host.to_owned() });
        }
        core.reader = Some(reader);
        core.say(&self.features());
        core.await_next(now, Phase::AwaitStep);
    }

    fn features(&self) -> Element {
        let mut features = Element::new("features", ns::STREAM);
        let mut push = |feature: Element| {
            if !features.has_child(feature.name(), feature.ns()) {
                features.push(feature);
            }
        };
        for step in features::announced(self.standing) {
            match step {
                Step::Authenticate => {
                    push(auth::mechanisms_feature(Profile::Sasl, &self.offered()));
                    self.bindings().iter().for_each(|names| push(auth::bindings_feature(names)));
                    if self.config.registration {
                        push(Element::new("register", registering::FEATURE));
                    }
                }
                Step::Bind => push(bind::feature()),
                Step::OpenSession => push(bind::session_feature()),
                Step::Enable | Step::Resume if self.config.management.is_some() => {
                    push(Element::new("sm", ns::SM));
                }
                Step::Enable | Step::Resume => {}
                Step::Sasl2 => {}
                Step::Secure => push(starttls::feature()),
            }
        }
        if self.standing == Standing::Authenticated {
            self.config.features.iter().cloned().for_each(push);
        }
        features
    }

    /// The mechanisms that this channel allows.
    fn offered(&self) -> Vec<String> {
        let binds = self.bindings().is_some();
        let possible = |mechanism: &Mechanism| match mechanism {
            Mechanism::External => self.tls.peer_identity.is_some(),
            Mechanism::Scram { plus, .. } => binds || !plus,
            Mechanism::Anonymous | Mechanism::Plain => true,
            Mechanism::Token(_) => false,
        };
        self.config.mechanisms.iter().copied().filter(possible).map(|m| m.name().to_owned()).collect()
    }

    fn bindings(&self) -> Option<Vec<String>> {
        let channel = self.tls.channel();
        let names: Vec<String> = Binding::ALL
            .into_iter()
            .filter(|binding| channel.data(*binding).is_some())
            .map(|binding| binding.name().to_owned())
            .collect();
        (!names.is_empty()).then_some(names)
    }

    pub fn on_element(&mut self, core: &mut Core, now: Instant, element: Element) {
        if element.is("error", ns::STREAM) {
            return core.fault(What::StreamError(StreamError::from_element(&element)));
        }
        match core.phase {
            Phase::AwaitResponse if element.is("response", ns::SASL) => {
                let step = auth::data(&element).and_then(|data| {
                    let exchange = self.exchange.as_mut().ok_or(SaslError::Unexpected)?;
                    exchange.on_response(data.as_deref().unwrap_or_default())
                });
                self.on_sasl_step(core, now, step);
            }
            Phase::AwaitResponse if element.is("abort", ns::SASL) => {
                self.refuse(core, now, SaslCondition::Aborted);
            }
            Phase::AwaitStep => self.on_step(core, now, element),
            _ => core.unexpected(&element),
        }
    }

    fn on_step(&mut self, core: &mut Core, now: Instant, element: Element) {
        let allows = |step| features::allows(self.standing, step);
        if element.is("starttls", ns::TLS) && allows(Step::Secure) {
            core.say(&starttls::proceed());
            // COMPAT: go-xmpp up to 0.2.x (go-sendxmpp) ends `<starttls/>` with a line feed. May go when they don't.
            core.secure(now, Blanks::Dropped);
        } else if element.is("auth", ns::SASL) && allows(Step::Authenticate) {
            self.on_auth(core, now, &element);
        } else if element.is("auth", ns::SASL) && self.standing == Standing::Open {
            self.refuse(core, now, SaslCondition::EncryptionRequired);
        } else if self.is_registration(&element) {
            core.outputs.event(StreamEvent::BeforeLogin(element));
        } else if element.is("resume", ns::SM) && allows(Step::Resume) && self.config.management.is_some() {
            self.on_resume_request(core, now, &element);
        } else if element.ns() == ns::SM && self.config.management.is_some() {
            core.say(&failed("unexpected-request", None));
        } else if let Some(resource) = bind::requested(&element).filter(|_| allows(Step::Bind)) {
            self.request = element.attr("id").unwrap_or_default().to_owned();
            core.outputs.event(StreamEvent::Bind { resource });
            core.await_next(now, Phase::AwaitAddress);
        } else {
            core.unexpected(&element);
        }
    }

    fn is_registration(&self, element: &Element) -> bool {
        self.config.registration
            && self.standing == Standing::Secured
            && element.is("iq", ns::CLIENT)
            && element.has_child("query", REGISTER)
    }

    fn on_auth(&mut self, core: &mut Core, now: Instant, element: &Element) {
        let context = Context {
            domain: self.config.domain.clone(),
            channel: self.tls.channel(),
            offered: self.offered(),
            bindings: self.bindings(),
            certified: self.tls.peer_identity.clone(),
            secret: self.config.secret,
            iterations: self.config.iterations,
        };
        let nonce = Nonce::from_bytes(&core.ids.next_bytes());
        let mechanism = element.attr("mechanism").unwrap_or_default();
        let started = auth::data(element)
            .and_then(|initial| Server::start(mechanism, initial.as_deref(), context, nonce));
        let step = started.map(|(exchange, step)| {
            self.exchange = Some(exchange);
            step
        });
        self.on_sasl_step(core, now, step);
    }

    pub fn on_account(&mut self, core: &mut Core, now: Instant, account: Option<&AccountKeys>) {
        if let Some(exchange) = &mut self.exchange {
            let step = exchange.on_account(account);
            self.on_sasl_step(core, now, step);
        }
    }

    fn on_sasl_step(&mut self, core: &mut Core, now: Instant, step: Result<ServerStep, SaslError>) {
        match step {
            Ok(ServerStep::Challenge(data)) => {
                core.say(&auth::message(Profile::Sasl, "challenge", &data));
                core.await_next(now, Phase::AwaitResponse);
            }
            Ok(ServerStep::NeedAccount { username }) => {
                let mechanism = self.exchange.as_ref().map_or(Mechanism::Plain, Server::mechanism);
                core.outputs.event(StreamEvent::Authenticate(AuthRequest { username, mechanism }));
                core.await_next(now, Phase::AwaitAccount);
            }
            Ok(ServerStep::Accept(accepted)) => {
                self.exchange = None;
                core.say(&auth::success(accepted.additional.as_deref()));
                let (mechanism, username) = (accepted.mechanism, accepted.username);
                core.outputs.event(StreamEvent::Authenticated {
                    mechanism,
                    keys: None,
                    token: None,
                    username,
                });
                self.standing = Standing::Authenticated;
                core.restart();
                core.await_next(now, Phase::AwaitHeader);
            }
            Err(error) => {
                let condition =
                    SaslCondition::from_name(error.condition()).unwrap_or(SaslCondition::NotAuthorized);
                self.refuse(core, now, condition);
            }
        }
    }

    /// RFC 6120 §6.4.5: the client may try again, but not for ever.
    fn refuse(&mut self, core: &mut Core, now: Instant, condition: SaslCondition) {
        self.exchange = None;
        self.failures += 1;
        core.say(&auth::failure(Profile::Sasl, condition));
        if self.failures >= ATTEMPTS {
            return core.fault(What::LoginAttempts);
        }
        core.await_next(now, Phase::AwaitStep);
    }

    pub fn on_bound(&mut self, core: &mut Core, now: Instant, answer: Result<FullJid, StanzaError>) {
        match answer {
            Ok(jid) => {
                core.say(&bind::result(&self.request, &jid));
                self.jid = Some(jid);
                self.standing = Standing::Bound;
                core.go_online(now, Phase::Online);
            }
            Err(error) => {
                core.say(&bind::refusal(&self.request, &error));
                core.await_next(now, Phase::AwaitStep);
            }
        }
    }

    fn on_resume_request(&mut self, core: &mut Core, now: Instant, element: &Element) {
        let (Some(id), Some(handled)) = (element.attr("previd"), management::h(element)) else {
            return core.say(&failed("bad-request", None));
        };
        self.resumption = Some(Resumption { id: id.to_owned(), handled });
        core.outputs.event(StreamEvent::Resume { id: id.to_owned(), handled });
        core.await_next(now, Phase::AwaitRevival);
    }

    pub fn on_resume(&mut self, core: &mut Core, now: Instant, answer: Result<Management, Option<u32>>) {
        let Some(Resumption { id, handled }) = self.resumption.take() else { return };
        let session = match answer {
            Ok(session) => core.session.insert(Box::new(session)),
            Err(known) => {
                core.say(&failed("item-not-found", known));
                return core.await_next(now, Phase::AwaitStep);
            }
        };
        let own = session.begin_resumption();
        let covered = match session.on_handled(handled) {
            Ok(covered) => covered,
            Err(BadHandled::Backwards) => None,
            Err(BadHandled::TooHigh { handled, sent }) => {
                return core.fault(What::HandledTooHigh { handled, sent });
            }
        };
        self.jid = session.jid().cloned();
        self.standing = Standing::Bound;
        core.managed = true;
        let resumed = Element::new("resumed", ns::SM).with_attr("h", own.to_string()).with_attr("previd", id);
        core.say(&resumed);
        core.covered(covered);
        core.go_online(now, Phase::Online);
        core.resend(now);
    }

    /// An element that is no stanza and not `<r/>` or `<a/>`.
    pub fn on_element_online(&mut self, core: &mut Core, element: Element) {
        match (&self.config.management, element.name()) {
            (Some(_), "enable" | "resume") if element.ns() == ns::SM && core.managed => {
                core.say(&failed("unexpected-request", None));
            }
            (Some(_), "enable") if element.ns() == ns::SM => self.enable(core, &element),
            (Some(_), "resume") if element.ns() == ns::SM => core.say(&failed("unexpected-request", None)),
            _ => core.unexpected(&element),
        }
    }

    fn enable(&mut self, core: &mut Core, element: &Element) {
        let Some(offer) = &self.config.management else { return };
        let wanted = matches!(element.attr("resume"), Some("true" | "1"));
        let resumable = wanted && offer.max > 0;
        let granted = Granted {
            id: resumable.then(|| core.ids.next_id()),
            location: offer.location.clone().filter(|_| resumable),
            max: resumable.then_some(offer.max),
        };
        let enabled = Element::new("enabled", ns::SM)
            .with_attr_opt("id", granted.id.as_deref())
            .with_attr_opt("location", granted.location.as_deref())
            .with_attr_opt("max", granted.max.map(|max| max.to_string()))
            .with_attr_opt("resume", resumable.then_some("true"));
        core.say(&enabled);
        core.outputs.event(StreamEvent::Enabled { id: granted.id.clone(), max: granted.max });
        let mut session = Management::new(core.next_ticket());
        session.enabled(granted);
        if let Some(jid) = &self.jid {
            session.bound(jid.clone());
        }
        core.session = Some(Box::new(session));
        core.managed = true;
    }
}

/// `<failed/>`
fn failed(condition: &'static str, handled: Option<u32>) -> Element {
    Element::new("failed", ns::SM)
        .with_attr_opt("h", handled.map(|h| h.to_string()))
        .with_child(Element::new(condition, ns::STANZA_ERRORS))
}

/// Failed logins that a stream survives, RFC 6120 §6.4.5 asks for 2 to 5.
const ATTEMPTS: u8 = 3;
/// XEP-0077, the query.
const REGISTER: &str = "jabber:iq:register";
