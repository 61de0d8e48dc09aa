//! Wire conversations from `tests/transcripts/*.xmpp`, each fed whole, byte by byte and in pieces
//! that are cut at every place: what the stream says and reports must be the same.
//!
//! Inputs: `set KEY VALUE`, `peer XML`, `secured`, `keys`, `send XML`, `say XML`, `handled N`, `after SECONDS`,
//! `eof`, `close`, `paused`, `again`, `account USER PASSWORD`, `account none`, `bound JID`, `bound conflict`.
//! Expected: `we XML`, over WebSocket `message XML` for each message, `event …`, `secure`, `hangup`. In XML, `{64:…}` stands for Base64 of the text,
//! `{x:N}` for N times the letter x. With `BLESS` set in the environment the expected lines are written anew: read the
//! difference before it is kept.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rhapsode::ids::Seed;
use rhapsode::jid::BareJid;
use rhapsode::secret::Password;
use rhapsode::stanza::{ErrorKind, StanzaError};
use rhapsode::stream::framing::Framing;
use rhapsode::stream::management::Management;
use rhapsode::stream::sasl::Credentials;
use rhapsode::stream::sasl::choose::Preference;
use rhapsode::stream::sasl::hash::Hash;
use rhapsode::stream::sasl::keys::{KeyRequest, ScramKeys};
use rhapsode::stream::sasl::server::AccountKeys;
use rhapsode::stream::sasl::token::{TOKENS, Token, TokenLogin};
use rhapsode::stream::{Hangup, Initiating, Output, Receiving, Secured, Stream, StreamEvent};
use rhapsode::xml::{Element, Reader, writer};

#[test]
fn every_conversation_is_the_same_at_every_split_point() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    assert!(paths.len() >= 20, "only {} transcripts", paths.len());
    let (mut failures, mut known) = (Vec::new(), BTreeSet::new());
    for path in paths {
        let text = fs::read_to_string(&path).expect("a transcript");
        if std::env::var_os("BLESS").is_some() {
            fs::write(&path, bless(&text)).expect("a writable transcript");
        } else if let Err(failure) = check(&text, &mut known) {
            failures.push(format!("{}: {failure}", path.display()));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// How the bytes of the peer arrive.
#[derive(Clone, Copy, Debug)]
enum Split {
    Whole,
    Bytes,
    /// In some pieces of one size behind a first one of this: with each size from one to that of a
    /// piece, there was a cut at every place.
    At(usize),
}

/// How many pieces make up an input.
const PIECES: usize = 4;

/// Many conversations begin alike: a beginning in `known` was cut at every place before.
fn check(text: &str, known: &mut BTreeSet<String>) -> Result<(), String> {
    let steps = steps(text);
    let mut beginning = String::new();
    let mut fresh = 0;
    for step in &steps {
        beginning.push_str(&format!("{step:?}"));
        fresh += usize::from(!known.insert(beginning.clone()));
    }
    run(&steps, Split::Whole, 0)?;
    run(&steps, Split::Bytes, 0)?;
    let longest = steps[fresh..].iter().map(|step| step.input.len()).max().unwrap_or_default();
    for at in 1..=longest.div_ceil(PIECES) {
        run(&steps, Split::At(at), fresh)?;
    }
    Ok(())
}

/// Holds one conversation; what stands before the step `fresh` is fed whole.
fn run(steps: &[Step], split: Split, fresh: usize) -> Result<(), String> {
    let mut talk = Talk::new();
    for (index, step) in steps.iter().enumerate() {
        let split = if index < fresh { Split::Whole } else { split };
        let said = talk.input(&step.verb, &step.input, split);
        if said != step.expected {
            return Err(format!(
                "line {}, fed {split:?}\n  expected {:#?}\n  got      {said:#?}",
                step.line, step.expected
            ));
        }
    }
    Ok(())
}

/// One input with what has to come of it.
#[derive(Debug)]
struct Step {
    line: usize,
    verb: String,
    input: String,
    expected: Vec<String>,
}

fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim();
        match (verb, steps.last_mut()) {
            ("we", Some(step)) => match step.expected.last_mut() {
                Some(last) if last.starts_with("we ") => last.push_str(&expand(rest)),
                _ => step.expected.push(format!("we {}", expand(rest))),
            },
            ("event" | "secure" | "hangup" | "message", Some(step)) => step.expected.push(line.to_owned()),
            // What the peer says in a row arrives in a row.
            ("peer", Some(step)) if step.verb == "peer" && step.expected.is_empty() => {
                step.input.push_str(&expand(rest));
            }
            _ => {
                let input = if verb == "peer" { expand(rest) } else { rest.to_owned() };
                steps.push(Step { line: number + 1, verb: verb.to_owned(), input, expected: Vec::new() });
            }
        }
    }
    steps
}

/// Replaces `{64:text}` and `{x:count}`.
fn expand(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('{') {
        let (inside, after) = behind.split_once('}').expect("a closed brace");
        out.push_str(before);
        match inside.split_once(':') {
            Some(("64", plain)) => out.push_str(&STANDARD.encode(plain.replace("\\0", "\0"))),
            Some(("x", count)) => out.push_str(&"x".repeat(count.parse().expect("a count"))),
            _ => panic!("unknown placeholder {inside}"),
        }
        rest = after;
    }
    out + rest
}

/// Inputs as they stand, expected lines as the stream says them now.
fn bless(text: &str) -> String {
    let mut talk = Talk::new();
    let mut out = String::new();
    let mut pending: Option<(String, String)> = None;
    let flush = |pending: &mut Option<(String, String)>, talk: &mut Talk, out: &mut String| {
        if let Some((verb, input)) = pending.take() {
            for said in talk.input(&verb, &input, Split::Whole) {
                out.push_str(
                    &said
                        .replace("><", ">\nwe <")
                        .replace("\nwe <", if said.starts_with("we ") { "\nwe <" } else { "<" }),
                );
                out.push('\n');
            }
        }
    };
    for line in text.lines() {
        let (verb, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        match verb {
            "we" | "event" | "secure" | "hangup" | "message" => continue,
            "peer" if pending.as_ref().is_some_and(|(verb, _)| verb == "peer") => {
                let (_, input) = pending.as_mut().expect("looked at one line above");
                input.push_str(&expand(rest.trim()));
            }
            "" => flush(&mut pending, &mut talk, &mut out),
            verb if verb.starts_with('#') => flush(&mut pending, &mut talk, &mut out),
            _ => {
                flush(&mut pending, &mut talk, &mut out);
                let input = if verb == "peer" { expand(rest.trim()) } else { rest.trim().to_owned() };
                pending = Some((verb.to_owned(), input));
            }
        }
        out.push_str(line);
        out.push('\n');
    }
    flush(&mut pending, &mut talk, &mut out);
    out
}

/// A conversation under way.
struct Talk {
    initiating: Initiating,
    receiving: Option<Receiving>,
    binding: bool,
    verified: bool,
    request: Option<KeyRequest>,
    stream: Option<Stream>,
    now: Instant,
}

impl Talk {
    fn new() -> Self {
        let password = Credentials::Password(Password::new("pencil".to_owned()));
        let mut initiating =
            Initiating::new(BareJid::parse("bot@example.org").expect("an address"), password);
        initiating.resource = Some("r".to_owned());
        Self {
            initiating,
            receiving: None,
            binding: false,
            verified: true,
            request: None,
            stream: None,
            now: Instant::now(),
        }
    }

    /// Gives one input and tells what came of it; bytes that stand side by side are one.
    fn input(&mut self, verb: &str, input: &str, split: Split) -> Vec<String> {
        let now = self.now;
        match verb {
            "set" => {
                self.set(input);
                return Vec::new();
            }
            "begin" => {
                self.stream = Some(match &self.receiving {
                    Some(config) => Stream::receiving(config.clone(), Seed([7; 32]), now),
                    None => Stream::initiating(self.initiating.clone(), Seed([7; 32]), now),
                });
            }
            "peer" => return self.peer(input.as_bytes(), split),
            "secured" => {
                let tls = Secured {
                    exporter: self.binding.then(|| vec![7; 32]),
                    verified: self.verified,
                    tls13: true,
                    ..Secured::default()
                };
                self.stream().on_secured(now, tls);
            }
            "keys" => {
                let keys = derived(self.request.take().expect("keys were asked for"));
                self.stream().on_keys(now, keys);
            }
            "account" => {
                let known = input.split_once(' ').map(|(_, password)| stored(password));
                self.stream().on_account(now, known);
            }
            "bound" => {
                let answer = match input {
                    "conflict" => Err(StanzaError::new(ErrorKind::Cancel, "conflict")),
                    jid => Ok(jid.parse().expect("a full JID")),
                };
                self.stream().on_bound(now, answer);
            }
            "resumed" => self.stream().on_resume(now, Err(input.parse().ok())),
            "say" => {
                let stanza = Reader::within("jabber:client").element(input).expect("well-formed");
                self.stream().say_before_login(now, &stanza);
            }
            "send" => {
                let stanza = Reader::within("jabber:client").element(input).expect("well-formed");
                if let Err(refused) = self.stream().send(now, stanza) {
                    let mut said = self.drain();
                    said.push(format!("event refused {refused:?}"));
                    return said;
                }
            }
            "handled" => self.stream().acknowledge(now, input.parse().expect("a number")),
            "after" => {
                self.now += Duration::from_secs(input.parse().expect("seconds"));
                let now = self.now;
                self.stream().on_timeout(now);
            }
            "eof" => self.stream().on_hangup(now, Hangup::Closed),
            "close" => self.stream().close(now),
            "suspend" => self.stream().suspend(now),
            "paused" => self.stream().on_reading_paused(),
            "again" => self.stream().on_reading_again(now),
            "saved" => {
                let saved = self.stream().abandon().map_or("none".to_owned(), |s| s.to_value().to_string());
                let mut said = self.drain();
                said.push(format!("event {saved}"));
                return said;
            }
            _ => panic!("unknown input `{verb}`"),
        }
        self.drain()
    }

    fn set(&mut self, input: &str) {
        let (key, value) = input.split_once(' ').unwrap_or((input, ""));
        let config = &mut self.initiating;
        match key {
            "agent" => config.user_agent = Some(value.to_owned()),
            "allow_plain" => config.allow_plain = true,
            "anonymous" => config.credentials = Credentials::Anonymous,
            "binding" => {
                self.binding = true;
                config.channel_binding =
                    if value == "require" { Preference::Require } else { Preference::Prefer };
            }
            "direct_tls" => config.direct_tls = true,
            "messages" => {
                config.direct_tls = true;
                config.framing = Framing::Messages;
            }
            "external" => config.credentials = Credentials::External,
            "receiving" => {
                let mut receiving = Receiving::new("example.org", [9; 32]);
                let used = ["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "PLAIN"];
                receiving.mechanisms.retain(|mechanism| used.contains(&mechanism.name()));
                receiving.registration = value == "registration";
                self.receiving = Some(receiving);
            }
            "resume" => {
                let value = serde_json::from_str(value).expect("JSON");
                config.resume = Some(Management::from_value(&value).expect("an export"));
            }
            "lost" => {
                // So many seconds ago.
                let ago = Duration::from_secs(value.parse().expect("seconds"));
                let session = config.resume.as_mut().expect("`set resume` stands above");
                session.disconnected(self.now.checked_sub(ago).expect("the clock runs for a while"));
            }
            "token" => {
                let mut words = value.split(' ');
                let name = words.next().expect("a mechanism");
                let tie = TOKENS.iter().find(|(known, _)| *known == name).expect("a mechanism for tokens").1;
                let count = words.next().expect("a count").parse().expect("a number");
                let secret = Password::new(words.next().expect("a token").to_owned());
                config.token = Some(TokenLogin { token: Token { tie, secret, expiry: None }, count });
            }
            "want_token" => config.want_token = true,
            "tag" => config.tag = Some(value.to_owned()),
            "carbons" => config.carbons = true,
            "unverified" => self.verified = false,
            "register" => config.register = true,
            "used_scram" => config.used_scram = true,
            "window" => config.window.stanzas = value.parse().expect("a number"),
            _ => panic!("unknown setting `{key}`"),
        }
    }

    fn peer(&mut self, bytes: &[u8], split: Split) -> Vec<String> {
        let chunks: Vec<&[u8]> = match split {
            Split::Whole => vec![bytes],
            Split::Bytes => bytes.chunks(1).collect(),
            Split::At(at) => {
                let (first, rest) = bytes.split_at(at.min(bytes.len()));
                let piece = bytes.len().div_ceil(PIECES).max(1);
                std::iter::once(first).chain(rest.chunks(piece)).filter(|chunk| !chunk.is_empty()).collect()
            }
        };
        let mut said: Vec<String> = Vec::new();
        for chunk in chunks {
            let now = self.now;
            self.stream().on_bytes(now, chunk);
            for piece in self.drain() {
                match (said.last_mut(), piece.strip_prefix("we ")) {
                    (Some(last), Some(more)) if last.starts_with("we ") => last.push_str(more),
                    _ => said.push(piece),
                }
            }
        }
        said
    }

    fn drain(&mut self) -> Vec<String> {
        let mut said = Vec::new();
        loop {
            said.push(match self.stream().poll_output() {
                Output::Transmit(bytes) if bytes == " " => "we (blank)".to_owned(),
                Output::Transmit(bytes) if self.initiating.framing == Framing::Messages => {
                    format!("message {}", String::from_utf8(bytes.to_vec()).expect("UTF-8"))
                }
                Output::Transmit(bytes) => {
                    format!("we {}", String::from_utf8(bytes.to_vec()).expect("UTF-8"))
                }
                Output::Secure => "secure".to_owned(),
                Output::Event(event) => format!("event {}", self.shown(event)),
                Output::Hangup => "hangup".to_owned(),
                Output::Idle(_) => return said,
            });
        }
    }

    fn shown(&mut self, event: StreamEvent) -> String {
        match event {
            StreamEvent::Acked { up_to } => format!("acked {up_to}"),
            StreamEvent::Authenticate(request) => {
                format!("authenticate {} {}", request.username, request.mechanism)
            }
            StreamEvent::Authenticated { mechanism, username, token, .. } => {
                let token = token.map_or(String::new(), |token| {
                    let expiry = token.expiry.map(|expiry| expiry.to_string()).unwrap_or_default();
                    format!("token {} {expiry}", token.mechanism())
                });
                format!("authenticated {mechanism} {}{token}", username.unwrap_or_default())
                    .trim_end()
                    .to_owned()
            }
            StreamEvent::BeforeLogin(element) => format!("before-login {}", xml(&element)),
            StreamEvent::Bind { resource } => format!("bind {resource:?}"),
            StreamEvent::Closed => "closed".to_owned(),
            StreamEvent::DeriveKeys(request) => {
                let shown = format!("derive {}", request.iterations());
                self.request = Some(request);
                shown
            }
            StreamEvent::Enabled { id, max } => format!("enabled {id:?} {max:?}"),
            StreamEvent::Fault(fault) => format!("fault {:?} {:?} {:?}", fault.side, fault.next, fault.what),
            StreamEvent::Lost { stanzas, handled } => {
                let handled_known = handled.is_some();
                let stanzas: String =
                    stanzas.iter().map(|(ticket, e)| format!(" {}={}", ticket.0, xml(e))).collect();
                format!("lost known={handled_known}{stanzas}")
            }
            StreamEvent::MayRegister { announced } => format!("may-register announced={announced}"),
            StreamEvent::Online(online) => {
                let carbons = if online.carbons { " carbons" } else { "" };
                format!(
                    "online {} resumed={} sm={} max={:?}{carbons}",
                    online.jid, online.resumed, online.sm, online.resume_max
                )
            }
            StreamEvent::Resume { id, handled } => format!("resume {id} {handled}"),
            StreamEvent::Stanza { number, element } => format!("stanza {number:?} {}", xml(&element)),
        }
    }

    fn stream(&mut self) -> &mut Stream {
        self.stream.as_mut().expect("`begin` stands above")
    }
}

/// All transcripts use one salt, so there is one set of keys for each hash; deriving them takes
/// longer than all the rest.
fn derived(request: KeyRequest) -> ScramKeys {
    thread_local!(static KNOWN: RefCell<BTreeMap<String, ScramKeys>> = const { RefCell::new(BTreeMap::new()) });
    let derive = || request.derive();
    KNOWN.with_borrow_mut(|known| known.entry(format!("{request:?}")).or_insert_with(derive).clone())
}

/// What a server keeps of a password.
fn stored(password: &str) -> AccountKeys {
    thread_local!(static KNOWN: RefCell<BTreeMap<String, AccountKeys>> = const { RefCell::new(BTreeMap::new()) });
    let derive = || {
        let password = Password::new(password.to_owned());
        AccountKeys::derive(&password, b"0123456789abcdef", 4096, &[Hash::Sha256]).expect("usable")
    };
    KNOWN.with_borrow_mut(|known| known.entry(password.to_owned()).or_insert_with(derive).clone())
}

fn xml(element: &Element) -> String {
    let mut out = Vec::new();
    writer::write(element, "jabber:client", &mut out).expect("it was read");
    String::from_utf8(out).expect("UTF-8")
}
