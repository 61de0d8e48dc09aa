//! XEP-0198: what both sides count, what was not acknowledged yet, and what resumption needs.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::jid::FullJid;
use crate::ns;
use crate::stream::Ticket;
use crate::xml::{Element, Reader};

/// The state of one session under stream management. It outlives the stream: the next one resumes
/// it, in this process or, exported, in another.
///
/// Counters are modulo 2^32 (XEP-0198 §4); differences are taken by wrapping subtraction.
#[derive(Clone, PartialEq, Eq)]
pub struct Management {
    /// `id` for `<resume previd=''/>`; `None` where the session can only be mourned.
    id: Option<String>,
    jid: Option<FullJid>,
    location: Option<String>,
    resume_max: Option<u32>,
    /// From here on no resumption is tried; nothing while it is not known when the connection was lost.
    until: Option<Instant>,
    /// Stanzas received on the wire.
    inbound: u32,
    /// Stanzas the owner has made safe; never ahead of `inbound` and `repeated` together.
    handled: u32,
    /// Stanzas the peer is about to repeat although the owner holds them already.
    repeated: u32,
    /// Stanzas the peer has acknowledged.
    acked: u32,
    /// Ticket of the oldest stanza in `unacked`.
    first_ticket: u64,
    /// What was sent and not acknowledged, oldest first, as it stood on the wire.
    unacked: VecDeque<Box<str>>,
    unacked_bytes: usize,
    /// How many at the end of `unacked` never reached the transport.
    held: usize,
    /// Connections that ended in the middle of a resumption.
    attempts: u8,
    /// Whether `acked` is known to be all that the peer received.
    exact: bool,
    /// Taken over from a process that is gone: only the peer knows how many stanzas were sent.
    adopted: bool,
}

/// What a process that is gone has left of its session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// `id` for `<resume previd=''/>`.
    pub id: String,
    /// The address bound in it.
    pub jid: FullJid,
    /// Where the server wants it to be resumed.
    pub location: Option<String>,
    /// Seconds for which the server keeps it after a loss, where it said so.
    pub max: Option<u32>,
    /// Inbound stanzas of it that are safe.
    pub handled: u32,
    /// From here on no resumption is tried.
    pub until: Option<Instant>,
}

/// Why an export is no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportError {
    /// A field is missing or of the wrong kind.
    Field(&'static str),
    /// An unacknowledged stanza is not the XML that was exported.
    Stanza { index: usize },
}

/// `h` lies outside what was sent and not yet acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadHandled {
    /// Below an earlier `h`: ignored, a late or repeated answer.
    Backwards,
    /// Above what was sent: a stream error, XEP-0198 §4.
    TooHigh { handled: u32, sent: u32 },
}

impl Management {
    /// A session whose next stanza has the ticket `next`.
    pub(super) fn new(next: u64) -> Self {
        Self {
            id: None,
            jid: None,
            location: None,
            resume_max: None,
            until: None,
            inbound: 0,
            handled: 0,
            repeated: 0,
            acked: 0,
            first_ticket: next,
            unacked: VecDeque::new(),
            unacked_bytes: 0,
            held: 0,
            attempts: 0,
            exact: false,
            adopted: false,
        }
    }

    /// The session of a process that is gone. What that process had sent
    /// is not in here: its owner learns from [`StreamEvent::Online`] or [`StreamEvent::Lost`] how much has arrived.
    ///
    /// [`StreamEvent::Online`]: crate::stream::StreamEvent::Online
    /// [`StreamEvent::Lost`]: crate::stream::StreamEvent::Lost
    pub fn adopt(left: Left) -> Self {
        let Left { id, jid, location, max, handled, until } = left;
        Self {
            id: Some(id),
            jid: Some(jid),
            location,
            resume_max: max,
            until,
            inbound: handled,
            handled,
            adopted: true,
            ..Self::new(1)
        }
    }

    /// The number under which the next stanza goes out, modulo 2^32.
    pub fn next_number(&self) -> u32 {
        self.acked.wrapping_add(self.unacked.len() as u32).wrapping_add(1)
    }

    /// How many stanzas the peer has acknowledged, modulo 2^32.
    pub fn acked(&self) -> u32 {
        self.acked
    }

    /// The session's id; `None` where it cannot be resumed.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The address bound in this session.
    pub fn jid(&self) -> Option<&FullJid> {
        self.jid.as_ref()
    }

    /// Where the server wants to be resumed: host or `[IPv6]`, perhaps with a port, XEP-0198 §5.
    pub fn location(&self) -> Option<&str> {
        self.location.as_deref()
    }

    /// How many seconds after the loss the server keeps the session; its default where `None`.
    pub fn resume_max(&self) -> Option<u32> {
        self.resume_max
    }

    /// The connection is gone: the server counts from now on. Between two attempts to resume it changes nothing.
    pub fn disconnected(&mut self, at: Instant) {
        self.until.get_or_insert(at + kept_for(self.resume_max));
    }

    /// Gives up resumption where the server keeps the session no longer.
    pub fn expire(&mut self, now: Instant) {
        if self.until.is_some_and(|until| until <= now) {
            self.forget();
        }
    }

    /// Inbound stanzas that are safe: the `h` of a resumption.
    pub fn handled(&self) -> u32 {
        self.handled
    }

    /// Records that inbound stanzas up to number `handled` are safe. A number that goes back or
    /// that was never received changes nothing.
    pub fn acknowledge(&mut self, handled: u32) -> bool {
        let forward = handled.wrapping_sub(self.handled);
        if forward == 0 || forward > self.open_inbound() {
            return false;
        }
        self.handled = handled;
        true
    }

    /// Gives up resumption: its time has run out or the peer mixes it up. The unacknowledged stay.
    pub fn forget(&mut self) {
        self.id = None;
        self.location = None;
    }

    /// Whether the peer is known to have received exactly what it acknowledged.
    pub fn is_exact(&self) -> bool {
        self.exact
    }

    /// Number of stanzas sent and not acknowledged.
    pub fn unacked_len(&self) -> usize {
        self.unacked.len()
    }

    /// What was sent and not acknowledged, oldest first, as on the wire in a `jabber:client` stream.
    pub fn unacked(&self) -> impl Iterator<Item = (Ticket, &str)> {
        (self.first_ticket..).map(Ticket).zip(self.unacked.iter().map(|stanza| &**stanza))
    }

    /// The unacknowledged stanzas as elements, for whoever has to decide what becomes of them.
    pub fn lost(&self) -> Vec<(Ticket, Element)> {
        let reader = stanza_reader();
        // Our own writer made these texts, and `from_value` has read those it was given: all parse.
        self.unacked().filter_map(|(ticket, text)| Some((ticket, reader.element(text).ok()?))).collect()
    }

    /// The session as a value for a store: all that another process needs to resume it.
    pub fn to_value(&self) -> Value {
        json!({
            "id": self.id,
            "jid": self.jid.as_ref().map(ToString::to_string),
            "location": self.location,
            "max": self.resume_max,
            "handled": self.handled,
            "acked": self.acked,
            "ticket": self.first_ticket,
            "unacked": self.unacked.iter().map(|stanza| &**stanza).collect::<Vec<_>>(),
            "held": self.held,
            "attempts": self.attempts,
            "exact": self.exact,
        })
    }

    /// Reads what [`to_value`](Self::to_value) made. Stanzas that were received and not safe are
    /// not in there: the peer repeats them.
    pub fn from_value(value: &Value) -> Result<Self, ImportError> {
        let unacked = unacked_from(value)?;
        let handled = number(value, "handled")?;
        Ok(Self {
            id: text(value, "id")?.map(str::to_owned),
            jid: match text(value, "jid")? {
                Some(jid) => Some(jid.parse().map_err(|_| ImportError::Field("jid"))?),
                None => None,
            },
            location: text(value, "location")?.map(str::to_owned),
            resume_max: match &value["max"] {
                Value::Null => None,
                _ => Some(number(value, "max")?),
            },
            until: None,
            inbound: handled,
            handled,
            repeated: 0,
            acked: number(value, "acked")?,
            first_ticket: value["ticket"].as_u64().ok_or(ImportError::Field("ticket"))?,
            held: (number(value, "held")? as usize).min(unacked.len()),
            unacked_bytes: unacked.iter().map(|stanza| stanza.len()).sum(),
            unacked,
            attempts: number(value, "attempts")?.try_into().map_err(|_| ImportError::Field("attempts"))?,
            exact: value["exact"].as_bool().ok_or(ImportError::Field("exact"))?,
            adopted: false,
        })
    }
}

/// What the stream does with its session.
impl Management {
    /// The peer enabled management; `id` only where the session can be resumed.
    pub(super) fn enabled(&mut self, granted: Granted) {
        self.id = granted.id;
        self.location = granted.location;
        self.resume_max = granted.max;
    }

    pub(super) fn bound(&mut self, jid: FullJid) {
        self.jid = Some(jid);
    }

    /// Counts one received stanza. `None`: the owner holds it already, it is not news.
    pub(super) fn count_inbound(&mut self) -> Option<u32> {
        self.inbound = self.inbound.wrapping_add(1);
        if self.repeated > 0 {
            self.repeated -= 1;
            return None;
        }
        Some(self.inbound)
    }

    /// Stanzas the owner holds that are not safe yet.
    pub(super) fn open_inbound(&self) -> u32 {
        self.inbound.wrapping_add(self.repeated).wrapping_sub(self.handled)
    }

    /// Keeps a stanza until it is acknowledged. `held`: it is not on the wire yet.
    pub(super) fn push(&mut self, stanza: &str, held: bool) {
        self.unacked_bytes += stanza.len();
        self.unacked.push_back(stanza.into());
        self.held += usize::from(held);
        self.exact &= held;
    }

    pub(super) fn unacked_bytes(&self) -> usize {
        self.unacked_bytes
    }

    /// Stanzas that were put on the wire, modulo 2^32.
    fn sent(&self) -> u32 {
        self.acked.wrapping_add((self.unacked.len() - self.held) as u32)
    }

    /// Takes an `h` of the peer and drops what it covers. The last ticket covered, if any is new.
    pub(super) fn on_handled(&mut self, handled: u32) -> Result<Option<Ticket>, BadHandled> {
        if std::mem::take(&mut self.adopted) {
            self.acked = handled;
        }
        let covered = handled.wrapping_sub(self.acked);
        let open = self.sent().wrapping_sub(self.acked);
        if covered > open {
            // Below the last `h` by less than half the circle: late. Anything else was never sent.
            return Err(if covered > u32::MAX / 2 {
                BadHandled::Backwards
            } else {
                BadHandled::TooHigh { handled, sent: self.sent() }
            });
        }
        for stanza in self.unacked.drain(..covered as usize) {
            self.unacked_bytes -= stanza.len();
        }
        self.acked = handled;
        self.first_ticket += u64::from(covered);
        if self.unacked.is_empty() {
            // An idle session holds no empty buffer.
            self.unacked = VecDeque::new();
        }
        Ok((covered > 0).then(|| Ticket(self.first_ticket - 1)))
    }

    /// The ticket of the next stanza.
    pub(super) fn next_ticket(&self) -> u64 {
        self.first_ticket + self.unacked.len() as u64
    }

    /// Begins a resumption: the peer will repeat what is not safe, and what of that this process
    /// holds already is not delivered twice.
    pub(super) fn begin_resumption(&mut self) -> u32 {
        self.repeated = self.open_inbound();
        self.inbound = self.handled;
        self.handled
    }

    /// The peer resumed and told what it has; nothing more goes out before [`released`](Self::released).
    pub(super) fn resumed(&mut self) {
        self.exact = true;
        self.until = None;
    }

    /// From here on stanzas are on their way again, so an end leaves open which arrived.
    pub(super) fn released(&mut self) {
        self.held = 0;
        self.attempts = 0;
        self.exact = self.unacked.is_empty();
    }

    /// A connection ended during the resumption. The second time the id is forgotten: some servers
    /// close the connection over a session they cannot resume.
    pub(super) fn count_attempt(&mut self) {
        self.attempts = self.attempts.saturating_add(1);
        if self.attempts >= 2 {
            self.forget();
        }
    }

    /// The session is over; `handled` is the peer's last word about it, where it gave one.
    pub(super) fn fail(&mut self, handled: Option<u32>) {
        self.forget();
        if let Some(handled) = handled {
            self.exact = self.on_handled(handled).is_ok();
        }
    }
}

/// What `<enabled/>` grants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Granted {
    pub id: Option<String>,
    pub location: Option<String>,
    pub max: Option<u32>,
}

impl Granted {
    /// Reads `<enabled/>`. Without `resume` or without `id` there is nothing to resume, XEP-0198 §3.
    pub(super) fn from_element(enabled: &Element) -> Self {
        let resume = matches!(enabled.attr("resume"), Some("true" | "1"));
        let attr = |name| enabled.attr(name).filter(|value| !value.is_empty());
        Self {
            id: attr("id").filter(|_| resume).map(str::to_owned),
            location: attr("location").map(str::to_owned),
            max: attr("max").and_then(|max| max.parse().ok()).filter(|max| *max > 0),
        }
    }
}

/// How long after the loss of its connection a session is worth resuming: what the server says; where it says
/// nothing, an hour, which is longer than servers are known to keep one.
pub fn kept_for(max: Option<u32>) -> Duration {
    Duration::from_secs(max.unwrap_or(3_600).into())
}

/// The `h` of an element, where it is a number.
pub(super) fn h(element: &Element) -> Option<u32> {
    element.attr("h")?.parse().ok()
}

/// `<resume/>`: the peer will repeat what is not safe. Asking twice does no harm.
pub(super) fn resume(session: &mut Management) -> Element {
    let handled = session.begin_resumption();
    Element::new("resume", ns::SM).with_attr("h", handled.to_string()).with_attr_opt("previd", session.id())
}

/// `<r/>`
pub(super) fn request() -> Element {
    Element::new("r", ns::SM)
}

/// `<a h=''/>`
pub(super) fn answer(handled: u32) -> Element {
    Element::new("a", ns::SM).with_attr("h", handled.to_string())
}

/// A reader for stanzas as they stand in a client stream.
fn stanza_reader() -> Reader {
    let header = format!("<stream:stream xmlns='{}' xmlns:stream='{}'>", ns::CLIENT, ns::STREAM);
    Reader::header(&header).expect("a constant well-formed header").0
}

fn unacked_from(value: &Value) -> Result<VecDeque<Box<str>>, ImportError> {
    let reader = stanza_reader();
    let stanzas = value["unacked"].as_array().ok_or(ImportError::Field("unacked"))?;
    let read = |(index, stanza): (usize, &Value)| {
        let text = stanza.as_str().ok_or(ImportError::Field("unacked"))?;
        reader.element(text).map_err(|_| ImportError::Stanza { index })?;
        Ok(text.into())
    };
    stanzas.iter().enumerate().map(read).collect()
}

fn number(value: &Value, field: &'static str) -> Result<u32, ImportError> {
    value[field].as_u64().and_then(|n| n.try_into().ok()).ok_or(ImportError::Field(field))
}

fn text<'a>(value: &'a Value, field: &'static str) -> Result<Option<&'a str>, ImportError> {
    match &value[field] {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        _ => Err(ImportError::Field(field)),
    }
}

impl fmt::Debug for Management {
    /// Names and numbers; the stanzas themselves are somebody's conversation.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Management")
            .field("id", &self.id)
            .field("inbound", &self.inbound)
            .field("handled", &self.handled)
            .field("acked", &self.acked)
            .field("unacked", &self.unacked.len())
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, "`{name}` of the saved session is missing or of the wrong kind"),
            Self::Stanza { index } => write!(f, "stanza {index} of the saved session is not XML"),
        }
    }
}

impl std::error::Error for ImportError {}

#[cfg(test)]
mod tests {
    use super::*;

    /// XEP-0198 §4: counters wrap at 2^32.
    #[test]
    fn both_counters_pass_the_wrap() {
        let mut session = session_at(u32::MAX - 1);
        for _ in 0..4 {
            session.push("<message/>", false);
        }
        assert_eq!(session.on_handled(u32::MAX), Ok(Some(Ticket(1))));
        assert_eq!(session.on_handled(1), Ok(Some(Ticket(3))));
        assert_eq!(session.unacked_len(), 1);
        assert_eq!(session.on_handled(2), Ok(Some(Ticket(4))));
        assert_eq!(session.on_handled(3), Err(BadHandled::TooHigh { handled: 3, sent: 2 }));

        session.inbound = u32::MAX;
        session.handled = u32::MAX;
        assert_eq!(session.count_inbound(), Some(0));
        assert_eq!(session.count_inbound(), Some(1));
        assert!(session.acknowledge(1));
        assert_eq!(session.handled(), 1);
    }

    /// SM-4
    #[test]
    fn an_h_that_goes_back_takes_nothing_back() {
        let mut session = session_at(10);
        session.push("<message/>", false);
        assert_eq!(session.on_handled(9), Err(BadHandled::Backwards));
        assert_eq!(session.on_handled(12), Err(BadHandled::TooHigh { handled: 12, sent: 11 }));
        assert_eq!(session.on_handled(10), Ok(None));
        assert_eq!(session.on_handled(11), Ok(Some(Ticket(1))));
        assert_eq!(session.on_handled(11), Ok(None));
    }

    #[test]
    fn the_owner_cannot_acknowledge_what_was_not_received() {
        let mut session = session_at(0);
        session.count_inbound();
        for (handled, expected) in [(2, 0), (u32::MAX, 0), (1, 1), (0, 1), (1, 1)] {
            session.acknowledge(handled);
            assert_eq!(session.handled(), expected);
        }
    }

    /// What this process holds is not delivered twice; what a dead process held is.
    #[test]
    fn a_resumption_repeats_only_what_is_not_held() {
        let mut session = session_at(0);
        (0..3).for_each(|_| assert!(session.count_inbound().is_some()));
        session.acknowledge(1);
        let saved = Management::from_value(&session.to_value()).expect("an export");

        assert_eq!(session.begin_resumption(), 1);
        assert_eq!([session.count_inbound(), session.count_inbound()], [None, None]);
        assert_eq!(session.count_inbound(), Some(4));

        let mut saved = saved;
        assert_eq!(saved.begin_resumption(), 1);
        assert_eq!(saved.count_inbound(), Some(2));
    }

    /// A stanza may become safe while the peer is about to repeat it.
    #[test]
    fn safe_before_the_repetition_is_safe() {
        let mut session = session_at(0);
        (0..2).for_each(|_| assert!(session.count_inbound().is_some()));
        session.begin_resumption();
        assert!(session.acknowledge(2));
        assert_eq!([session.count_inbound(), session.count_inbound()], [None, None]);
        assert_eq!((session.handled(), session.open_inbound()), (2, 0));
        assert_eq!(session.count_inbound(), Some(3));
    }

    #[test]
    fn an_export_is_exact_and_a_broken_one_is_refused() {
        let mut session = session_at(u32::MAX);
        session.enabled(Granted { id: Some("a'b".to_owned()), location: None, max: Some(60) });
        session.bound("bot@example.org/ö".parse().expect("a valid address"));
        session.push("<message to='a&apos;b'><body>&lt;ü\u{1f980}\n</body></message>", false);
        let value = session.to_value();
        let again = Management::from_value(&value).expect("an export");
        assert_eq!(again, session);
        assert_eq!(again.lost()[0].1.child_text("body", ns::CLIENT).as_deref(), Some("<ü\u{1f980}\n"));

        for (field, broken, expected) in [
            ("handled", json!(-1), ImportError::Field("handled")),
            ("acked", json!(4_294_967_296u64), ImportError::Field("acked")),
            ("jid", json!("bot"), ImportError::Field("jid")),
            ("unacked", json!(["<message>"]), ImportError::Stanza { index: 0 }),
            ("id", json!(7), ImportError::Field("id")),
        ] {
            let mut value = value.clone();
            value[field] = broken;
            assert_eq!(Management::from_value(&value), Err(expected), "{field}");
        }
    }

    /// Rule 8 of the delivery design: two ends in the middle of a resumption are one too many.
    #[test]
    fn a_session_is_given_up_after_two_broken_resumptions() {
        let mut session = session_at(0);
        session.enabled(Granted { id: Some("a".to_owned()), ..Granted::default() });
        session.push("<message/>", false);
        session.count_attempt();
        assert!(session.id().is_some());
        session.count_attempt();
        assert!(session.id().is_none());
        assert_eq!((session.unacked_len(), session.is_exact()), (1, false));
    }

    /// SM-8
    #[test]
    fn a_session_is_resumed_only_as_long_as_the_server_keeps_it() {
        let lost = Instant::now();
        for (max, kept) in
            [(Some(60), 60), (Some(86_400), 86_400), (Some(u32::MAX), u32::MAX.into()), (None, 3_600)]
        {
            let mut session = session_at(0);
            session.enabled(Granted {
                id: Some("a".to_owned()),
                location: Some("b.example".to_owned()),
                max,
            });
            session.expire(lost + Duration::from_secs(kept));
            assert_eq!(session.id(), Some("a"), "the connection stands");
            session.disconnected(lost);
            session.disconnected(lost + Duration::from_secs(30));
            session.expire(lost + Duration::from_secs(kept) - Duration::from_millis(1));
            assert_eq!(session.id(), Some("a"), "{max:?}");
            let mut resumed = session.clone();
            resumed.resumed();
            resumed.disconnected(lost + Duration::from_secs(10));
            for session in [&mut session, &mut resumed] {
                session.expire(lost + Duration::from_secs(kept));
            }
            assert_eq!((session.id(), session.location()), (None, None), "{max:?}");
            assert_eq!(resumed.id(), Some("a"), "{max:?}: the time begins anew");
        }
    }

    #[test]
    fn a_time_of_zero_or_of_nonsense_is_none() {
        for (text, expected) in
            [("60", Some(60)), ("0", None), ("-1", None), ("", None), ("99999999999", None), ("x", None)]
        {
            let element = crate::xml::parse(&format!("<enabled xmlns='{}' max='{text}'/>", ns::SM));
            assert_eq!(Granted::from_element(&element.expect("well-formed")).max, expected, "{text}");
        }
    }

    /// XEP-0198 §3, SM-8: a boolean is `true` or `1`.
    #[test]
    fn enabled_grants_resumption_only_with_an_id() {
        for (attributes, id) in [
            ("id='x' resume='true'", Some("x")),
            ("id='x' resume='1'", Some("x")),
            ("id='x' resume='false'", None),
            ("id='x'", None),
            ("resume='true'", None),
            ("id='' resume='1'", None),
        ] {
            let element = crate::xml::parse(&format!("<enabled xmlns='{}' {attributes}/>", ns::SM));
            let granted = Granted::from_element(&element.expect("well-formed"));
            assert_eq!(granted.id.as_deref(), id, "{attributes}");
        }
    }

    fn session_at(acked: u32) -> Management {
        Management { acked, ..Management::new(1) }
    }
}
