//! The client's end of a SASL exchange.
//!
//! Start, then answer each challenge, then confirm the success. Whoever skips the last step has
//! not logged in: with SCRAM only the success tells whether the server is the right one.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::channel::{Channel, Flag};
use super::choose::{Choice, Offer};
use super::error::SaslError;
use super::hash::Hash;
use super::keys::{KeyRequest, ScramKeys};
use super::message::{self, Nonce, ServerFirst};
use super::prepare::saslprep;
use super::{Credentials, Mechanism};
use crate::secret::Password;

/// Who logs in.
#[derive(Clone, Debug)]
pub struct Login {
    /// The localpart of the account; without meaning for EXTERNAL and ANONYMOUS.
    pub username: String,
    /// The account to act for where it is not one's own, RFC 6120 §6.3.8; nearly always `None`.
    pub authzid: Option<String>,
    pub credentials: Credentials,
    /// Keys of an earlier login; with them a login costs a few hashes.
    pub keys: Option<ScramKeys>,
}

/// How many iterations a server may ask for: fewer make guessing cheap, more burn our time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Iterations {
    pub floor: u32,
    pub ceiling: u32,
}

/// What this end says about channel binding, and the data that it binds by.
#[derive(Clone)]
pub struct Bound {
    /// `n`, `y` or `p=type`.
    pub flag: String,
    /// Empty without a binding.
    pub data: Vec<u8>,
}

/// What the first message of a server is held against.
#[derive(Clone, Debug)]
pub struct Terms {
    /// For `h=`, XEP-0474.
    pub offer: Offer,
    /// For `t=`, XEP-0515; `None` where this end does not know its own.
    pub tls_version: Option<u16>,
    pub iterations: Iterations,
}

/// What a challenge leads to.
#[derive(Debug)]
pub enum Step {
    /// Derive the keys, then call [`Client::on_keys`].
    Derive(KeyRequest),
    /// Send this response; it may be empty.
    Respond(Vec<u8>),
}

/// A login that both sides have proved.
#[derive(Clone, Debug)]
pub struct Done {
    pub mechanism: Mechanism,
    /// To keep for the next login, where the mechanism has keys.
    pub keys: Option<ScramKeys>,
}

/// One exchange.
pub struct Client {
    mechanism: Mechanism,
    used_cache: bool,
    state: State,
}

enum State {
    /// PLAIN, EXTERNAL, ANONYMOUS: everything has been said.
    AwaitOutcome,
    AwaitServerFirst(Box<Scram>),
    AwaitKeys {
        request: KeyRequest,
        exchange: Exchange,
    },
    AwaitSignature {
        signature: Zeroizing<Vec<u8>>,
        keys: ScramKeys,
    },
    /// The signature came in a last challenge and was right.
    AwaitSuccess {
        keys: ScramKeys,
    },
    Failed,
}

/// What the first answer of a server is held against.
struct Scram {
    hash: Hash,
    password: Password,
    cached: Option<ScramKeys>,
    terms: Terms,
    nonce: Nonce,
    /// GS2 header and channel-binding data.
    binding: Vec<u8>,
    bare: String,
}

/// What enters the signatures.
struct Exchange {
    without_proof: String,
    message: String,
}

impl Default for Iterations {
    fn default() -> Self {
        Self { floor: 4096, ceiling: 1_000_000 }
    }
}

impl Bound {
    /// The binding of a choice, with the data of the channel.
    pub fn new(flag: Flag, channel: &Channel) -> Result<Self, SaslError> {
        let data = match flag {
            Flag::Bound(kind) => channel.data(kind).ok_or(SaslError::Binding)?.to_vec(),
            Flag::Unsupported | Flag::Unoffered => Vec::new(),
        };
        Ok(Self { flag: flag.text(), data })
    }
}

impl Client {
    /// Starts an exchange. The second value is the initial response; an empty one is still one
    /// and differs from none, RFC 6120 §6.4.2.
    pub fn start(
        choice: Choice,
        login: Login,
        channel: &Channel,
        iterations: Iterations,
        nonce: Nonce,
    ) -> Result<(Self, Option<Vec<u8>>), SaslError> {
        let mechanism = choice.mechanism;
        let (state, initial) = match (mechanism, &login.credentials) {
            (Mechanism::External, Credentials::External) => {
                (State::AwaitOutcome, login.authzid.unwrap_or_default().into_bytes())
            }
            (Mechanism::Anonymous, Credentials::Anonymous) => (State::AwaitOutcome, Vec::new()),
            (Mechanism::Plain, Credentials::Password(password)) => {
                (State::AwaitOutcome, plain(&login, password)?)
            }
            (Mechanism::Scram { .. }, Credentials::Password(_)) => {
                let binding = Bound::new(choice.flag, channel)?;
                let terms = Terms { offer: choice.offer, tls_version: channel.version, iterations };
                return Self::start_scram(mechanism, binding, login, terms, nonce)
                    .map(|(client, first)| (client, Some(first)));
            }
            // A choice that was made for other credentials.
            (
                Mechanism::External | Mechanism::Anonymous | Mechanism::Plain | Mechanism::Scram { .. },
                Credentials::External | Credentials::Anonymous | Credentials::Password(_),
            ) => return Err(SaslError::Mechanism),
        };
        Ok((Self { mechanism, used_cache: false, state }, Some(initial)))
    }

    /// Starts SCRAM with a binding of any type, also one that no [`Channel`] has.
    pub fn start_scram(
        mechanism: Mechanism,
        binding: Bound,
        login: Login,
        terms: Terms,
        nonce: Nonce,
    ) -> Result<(Self, Vec<u8>), SaslError> {
        let (Mechanism::Scram { hash, .. }, Credentials::Password(password)) =
            (mechanism, &login.credentials)
        else {
            return Err(SaslError::Mechanism);
        };
        let (scram, first) = Scram::start(hash, binding, &login, password, terms, nonce)?;
        let state = State::AwaitServerFirst(Box::new(scram));
        Ok((Self { mechanism, used_cache: false, state }, first))
    }

    /// The mechanism in use.
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// Whether cached keys made the proof. When such a login is refused, drop them and try once
    /// more: the password may have changed.
    pub fn used_cache(&self) -> bool {
        self.used_cache
    }

    /// Takes a challenge. After an error the exchange is over: abort it.
    pub fn on_challenge(&mut self, data: &[u8]) -> Result<Step, SaslError> {
        let message = text(data).inspect_err(|_| self.state = State::Failed)?;
        match std::mem::replace(&mut self.state, State::Failed) {
            State::AwaitServerFirst(scram) => self.on_server_first(*scram, message),
            State::AwaitSignature { signature, keys } => {
                verify(&signature, message)?;
                self.state = State::AwaitSuccess { keys };
                Ok(Step::Respond(Vec::new()))
            }
            State::AwaitOutcome | State::AwaitKeys { .. } | State::AwaitSuccess { .. } | State::Failed => {
                Err(SaslError::Unexpected)
            }
        }
    }

    /// Takes the keys that [`Step::Derive`] asked for; the value is the response to send.
    pub fn on_keys(&mut self, keys: ScramKeys) -> Result<Vec<u8>, SaslError> {
        match std::mem::replace(&mut self.state, State::Failed) {
            State::AwaitKeys { request, exchange }
                if keys.fits(request.hash, &request.salt, request.iterations) =>
            {
                Ok(self.prove(keys, &exchange))
            }
            State::AwaitKeys { .. }
            | State::AwaitOutcome
            | State::AwaitServerFirst(_)
            | State::AwaitSignature { .. }
            | State::AwaitSuccess { .. }
            | State::Failed => Err(SaslError::Keys),
        }
    }

    /// Takes the success with its additional data, if there are any. Only `Ok` is a login.
    pub fn on_success(self, additional: Option<&[u8]>) -> Result<Done, SaslError> {
        let keys = match self.state {
            // Nothing was promised, so there is nothing to check in what may come along.
            State::AwaitOutcome => None,
            State::AwaitSignature { signature, keys } => {
                verify(&signature, text(additional.ok_or(SaslError::SignatureMissing)?)?)?;
                Some(keys)
            }
            State::AwaitSuccess { keys } => match additional {
                None | Some(b"") => Some(keys),
                Some(_) => return Err(SaslError::Unexpected),
            },
            State::AwaitServerFirst(_) | State::AwaitKeys { .. } => return Err(SaslError::SignatureMissing),
            State::Failed => return Err(SaslError::Unexpected),
        };
        Ok(Done { mechanism: self.mechanism, keys })
    }

    fn on_server_first(&mut self, scram: Scram, message: &str) -> Result<Step, SaslError> {
        let first = ServerFirst::parse(message)?;
        let iterations = scram.check(&first)?;
        let without_proof = format!("c={},r={}", message::encode(&scram.binding), first.nonce);
        let exchange =
            Exchange { message: format!("{},{message},{without_proof}", scram.bare), without_proof };
        if let Some(keys) = scram.cached.filter(|keys| keys.fits(scram.hash, &first.salt, iterations)) {
            self.used_cache = true;
            return Ok(Step::Respond(self.prove(keys, &exchange)));
        }
        let request = KeyRequest { hash: scram.hash, password: scram.password, salt: first.salt, iterations };
        self.state = State::AwaitKeys { request: request.clone(), exchange };
        Ok(Step::Derive(request))
    }

    /// RFC 5802 §3: the proof, and the signature that only the right server can answer with.
    fn prove(&mut self, keys: ScramKeys, exchange: &Exchange) -> Vec<u8> {
        let hash = keys.hash();
        let stored_key = Zeroizing::new(hash.digest(keys.client_key()));
        let mut proof = hash.hmac(&stored_key, exchange.message.as_bytes());
        proof.iter_mut().zip(keys.client_key()).for_each(|(octet, key)| *octet ^= key);
        let signature = hash.hmac(keys.server_key(), exchange.message.as_bytes());
        self.state = State::AwaitSignature { signature, keys };
        format!("{},p={}", exchange.without_proof, message::encode(&proof)).into_bytes()
    }
}

impl Scram {
    fn start(
        hash: Hash,
        bound: Bound,
        login: &Login,
        password: &Password,
        terms: Terms,
        nonce: Nonce,
    ) -> Result<(Self, Vec<u8>), SaslError> {
        let authzid =
            login.authzid.as_deref().map_or(String::new(), |id| format!("a={}", message::escape(id)));
        let header = format!("{},{authzid},", bound.flag);
        let binding = [header.as_bytes(), &bound.data].concat();
        let username = saslprep(&login.username).ok_or(SaslError::Username)?;
        let bare = format!("n={},r={}", message::escape(&username), nonce.as_str());
        let first = format!("{header}{bare}").into_bytes();
        let password = prepared(password)?;
        Ok((Self { hash, password, cached: login.keys.clone(), terms, nonce, binding, bare }, first))
    }

    /// Checks everything that can be wrong before time is spent on the keys.
    fn check(&self, first: &ServerFirst<'_>) -> Result<u32, SaslError> {
        let own = self.nonce.as_str();
        if !first.nonce.starts_with(own) || first.nonce.len() == own.len() {
            return Err(SaslError::Nonce);
        }
        if first
            .offer_hash
            .as_ref()
            .is_some_and(|hash| *hash != self.hash.digest(self.terms.offer.as_bytes()))
        {
            return Err(SaslError::Downgrade);
        }
        if let (Some(theirs), Some(ours)) = (first.tls_version, self.terms.tls_version)
            && theirs != ours
        {
            return Err(SaslError::TlsVersion);
        }
        let Iterations { floor, ceiling } = self.terms.iterations;
        message::iterations(first.iterations, floor, ceiling)
    }
}

/// RFC 4616 §2: `authzid NUL authcid NUL password`.
fn plain(login: &Login, password: &Password) -> Result<Vec<u8>, SaslError> {
    let username = saslprep(&login.username).ok_or(SaslError::Username)?;
    let password = prepared(password)?;
    let authzid = login.authzid.as_deref().unwrap_or_default();
    if authzid.contains('\0') {
        return Err(SaslError::Username);
    }
    Ok([authzid, &*username, password.reveal()].join("\0").into_bytes())
}

fn prepared(password: &Password) -> Result<Password, SaslError> {
    let text = saslprep(password.reveal()).ok_or(SaslError::Password)?;
    Ok(Password::new(text.into_owned()))
}

fn verify(expected: &[u8], message: &str) -> Result<(), SaslError> {
    let signature = message::server_final(message)?;
    if bool::from(signature.ct_eq(expected)) { Ok(()) } else { Err(SaslError::Signature) }
}

/// A message as text, while it is not longer than any honest one.
pub(super) fn text(data: &[u8]) -> Result<&str, SaslError> {
    if data.len() > LONGEST {
        return Err(SaslError::TooLong { octets: data.len() });
    }
    std::str::from_utf8(data).map_err(|_| SaslError::Malformed { part: "the encoding" })
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({})", self.mechanism)
    }
}

/// Octets of one message. The real ones have some hundred; a hidden kilobyte of salt does no harm.
pub const LONGEST: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::sasl::channel::Binding;

    #[test]
    fn agrees_with_the_example_of_rfc_5802_section_5() {
        check(
            Hash::Sha1,
            "fyko+d2lbbFgONRv9qkxdawL",
            "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
            "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
            "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        );
    }

    #[test]
    fn agrees_with_the_example_of_rfc_7677_section_3() {
        check(Hash::Sha256, NONCE, SERVER_FIRST, CLIENT_FINAL, SERVER_FINAL);
    }

    #[test]
    fn accepts_the_signature_in_a_last_challenge() {
        let mut client = proved();
        let step = client.on_challenge(SERVER_FINAL.as_bytes());
        assert!(matches!(step, Ok(Step::Respond(response)) if response.is_empty()));
        assert!(client.on_success(None).is_ok());

        let mut client = proved();
        client.on_challenge(SERVER_FINAL.as_bytes()).expect("the right signature");
        assert!(matches!(client.on_challenge(b""), Err(SaslError::Unexpected)), "a third challenge");
    }

    #[test]
    fn cached_keys_that_fit_save_the_derivation() {
        let keys = proved().on_success(Some(SERVER_FINAL.as_bytes())).expect("the right signature").keys;
        assert!(keys.is_some());
        let mut client = started(keys.clone());
        assert!(!client.used_cache());
        let step = client.on_challenge(SERVER_FIRST.as_bytes());
        assert!(matches!(step, Ok(Step::Respond(response)) if response == CLIENT_FINAL.as_bytes()));
        assert!(client.used_cache());

        let mut client = started(keys);
        let other_salt = SERVER_FIRST.replace("W22Z", "W33Z");
        assert!(matches!(client.on_challenge(other_salt.as_bytes()), Ok(Step::Derive(_))));
        assert!(!client.used_cache());
    }

    #[test]
    fn s09_refuses_hostile_iteration_counts_before_any_work() {
        for count in
            ["0", "1", "999", "4095", "1000001", "2147483647", "9223372036854775808", "+4096", "0x1000"]
        {
            let first = SERVER_FIRST.replace("i=4096", &format!("i={count}"));
            let error = refused(&first);
            assert!(matches!(error, SaslError::Iterations { .. }), "{count}: {error:?}");
        }
    }

    #[test]
    fn s09_refuses_a_nonce_that_does_not_extend_ours() {
        for nonce in ["rOprNGfwEbeRWgbNEkqO", "rOprNGfwEbeRWgbNEkq", "XrOprNGfwEbeRWgbNEkqO", "different"] {
            assert_eq!(refused(&format!("r={nonce},s=c2FsdA==,i=4096")), SaslError::Nonce);
        }
    }

    #[test]
    fn s09_every_scram_mechanism_sends_its_nonce() {
        let channel = Channel { exporter: Some(vec![7; 32]), ..Channel::default() };
        for hash in Hash::ALL {
            for flag in [Flag::Unsupported, Flag::Unoffered, Flag::Bound(Binding::Exporter)] {
                let nonce = Nonce::from_bytes(&[9; 32]);
                let plus = matches!(flag, Flag::Bound(_));
                let choice = Choice { mechanism: Mechanism::Scram { hash, plus }, flag, offer: offer() };
                let login = login(None);
                let start = Client::start(choice, login, &channel, Iterations::default(), nonce.clone());
                let first =
                    String::from_utf8(start.expect("a password").1.expect("SCRAM starts")).expect("text");
                assert_eq!(first, format!("{},,n=user,r={}", flag.text(), nonce.as_str()));
                assert!(nonce.as_str().len() >= 24);
            }
        }
    }

    #[test]
    fn s10_success_without_the_signature_is_no_login() {
        assert_eq!(proved().on_success(None).err(), Some(SaslError::SignatureMissing));
    }

    #[test]
    fn s10_a_wrong_signature_is_no_login() {
        let wrong = "v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        assert_eq!(proved().on_success(Some(wrong.as_bytes())).err(), Some(SaslError::Signature));
        assert_eq!(proved().on_challenge(wrong.as_bytes()).err(), Some(SaslError::Signature));
        for short in ["v=", "v=AAAA", "v=rmF9pqV8S7suAoZWja4dJRkFsKQ="] {
            assert_eq!(proved().on_success(Some(short.as_bytes())).err(), Some(SaslError::Signature));
        }
        for malformed in ["", "x=AAAA", "v", "V=AAAA"] {
            let error = proved().on_success(Some(malformed.as_bytes())).err();
            assert!(matches!(error, Some(SaslError::Malformed { .. })), "{malformed:?}: {error:?}");
        }
    }

    #[test]
    fn s10_success_before_the_proof_is_no_login() {
        let missing = Some(SaslError::SignatureMissing);
        assert_eq!(started(None).on_success(Some(SERVER_FINAL.as_bytes())).err(), missing);
        assert_eq!(started(None).on_success(None).err(), missing);
        let mut client = started(None);
        client.on_challenge(SERVER_FIRST.as_bytes()).expect("a good challenge");
        assert_eq!(client.on_success(Some(SERVER_FINAL.as_bytes())).err(), missing);
    }

    #[test]
    fn s10_nothing_follows_an_error() {
        let mut client = started(None);
        client.on_challenge(b"nonsense").expect_err("no SCRAM message");
        assert_eq!(client.on_challenge(SERVER_FIRST.as_bytes()).err(), Some(SaslError::Unexpected));
        assert_eq!(client.on_success(Some(SERVER_FINAL.as_bytes())).err(), Some(SaslError::Unexpected));

        let mut client = proved();
        client.on_challenge(b"v=AAAA").expect_err("a wrong signature");
        assert_eq!(client.on_success(Some(SERVER_FINAL.as_bytes())).err(), Some(SaslError::Unexpected));
    }

    #[test]
    fn s11_a_wrong_hash_of_the_offer_ends_the_login() {
        let right = message::encode(&Hash::Sha256.digest(offer().as_bytes()));
        let mut client = started(None);
        let step = client.on_challenge(format!("{SERVER_FIRST},h={right}").as_bytes());
        assert!(matches!(step, Ok(Step::Derive(_))));
        let wrong = message::encode(&Hash::Sha256.digest(b"PLAIN\x1eSCRAM-SHA-256\x1eSCRAM-SHA-512"));
        assert_eq!(refused(&format!("{SERVER_FIRST},h={wrong}")), SaslError::Downgrade);
        assert_eq!(refused(&format!("{SERVER_FIRST},h=AAAA")), SaslError::Downgrade);
    }

    #[test]
    fn s11_another_tls_version_at_the_server_ends_the_login() {
        assert_eq!(refused(&format!("{SERVER_FIRST},t=0303")), SaslError::TlsVersion);
        let mut client = started(None);
        assert!(client.on_challenge(format!("{SERVER_FIRST},t=0304").as_bytes()).is_ok());
    }

    #[test]
    fn optional_attributes_enter_the_signatures() {
        let mut client = started(None);
        let response = answer(&mut client, &format!("{SERVER_FIRST},x=unknown"));
        assert!(response.starts_with("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p="));
        assert_ne!(response, CLIENT_FINAL);
    }

    #[test]
    fn messages_that_are_too_long_or_no_text_are_refused() {
        let long = format!("{SERVER_FIRST},x={}", "y".repeat(LONGEST));
        assert_eq!(refused(&long), SaslError::TooLong { octets: long.len() });
        let error = started(None).on_challenge(b"r=\xff").err();
        assert!(matches!(error, Some(SaslError::Malformed { .. })));
    }

    #[test]
    fn keys_for_another_request_are_refused() {
        let mut client = started(None);
        let Ok(Step::Derive(mut request)) = client.on_challenge(SERVER_FIRST.as_bytes()) else {
            panic!("no derivation asked for");
        };
        request.iterations = 1;
        assert_eq!(client.on_keys(request.derive()), Err(SaslError::Keys));
    }

    #[test]
    fn plain_external_and_anonymous_say_everything_at_once() {
        let external = Login { credentials: Credentials::External, ..login(None) };
        let anonymous = Login { credentials: Credentials::Anonymous, ..login(None) };
        let acting = Login { authzid: Some("user@example.org".to_owned()), ..external.clone() };
        for (mechanism, login, expected) in [
            (Mechanism::Plain, login(None), &b"\0user\0pencil"[..]),
            (Mechanism::External, external, b""),
            (Mechanism::External, acting, b"user@example.org"),
            (Mechanism::Anonymous, anonymous, b""),
        ] {
            let (mut client, initial) = start(mechanism, login).expect("fitting credentials");
            assert_eq!(initial.as_deref(), Some(expected));
            assert_eq!(client.on_challenge(b"").err(), Some(SaslError::Unexpected));
        }
        let (client, _) = start(Mechanism::Plain, login(None)).expect("fitting credentials");
        assert!(client.on_success(None).expect("nothing to check").keys.is_none());
    }

    #[test]
    fn passwords_that_no_server_takes_are_our_fault() {
        for text in ["", "a\0b", "bell\u{7}"] {
            let credentials = Credentials::Password(Password::new(text.to_owned()));
            for mechanism in [Mechanism::Plain, SCRAM] {
                let login = Login { credentials: credentials.clone(), ..login(None) };
                assert_eq!(start(mechanism, login).err(), Some(SaslError::Password));
            }
        }
        assert_eq!(SaslError::Password.blame(), super::super::error::Blame::Ours);
    }

    #[test]
    fn credentials_that_do_not_fit_the_mechanism_are_refused() {
        let login = Login { credentials: Credentials::External, ..login(None) };
        for mechanism in [Mechanism::Plain, Mechanism::Anonymous, SCRAM] {
            assert_eq!(start(mechanism, login.clone()).err(), Some(SaslError::Mechanism));
        }
    }

    /// Runs an exchange without channel binding and compares every message.
    #[track_caller]
    fn check(hash: Hash, nonce: &str, server_first: &str, client_final: &str, server_final: &str) {
        let mechanism = Mechanism::Scram { hash, plus: false };
        let choice = Choice { mechanism, flag: Flag::Unsupported, offer: offer() };
        let nonce = Nonce::from_text(nonce).expect("a nonce");
        let started =
            Client::start(choice, login(None), &Channel::default(), Iterations::default(), nonce.clone());
        let (mut client, initial) = started.expect("a password");
        assert_eq!(initial, Some(format!("n,,n=user,r={}", nonce.as_str()).into_bytes()));
        assert_eq!(answer(&mut client, server_first), client_final);
        let done = client.on_success(Some(server_final.as_bytes())).expect("the right signature");
        assert_eq!(done.mechanism, mechanism);
    }

    /// The error with which a fresh client meets a first message.
    #[track_caller]
    fn refused(server_first: &str) -> SaslError {
        started(None).on_challenge(server_first.as_bytes()).expect_err("refused")
    }

    #[track_caller]
    fn answer(client: &mut Client, server_first: &str) -> String {
        let response = match client.on_challenge(server_first.as_bytes()).expect("a good challenge") {
            Step::Derive(request) => client.on_keys(request.derive()).expect("keys of this request"),
            Step::Respond(response) => response,
        };
        String::from_utf8(response).expect("SCRAM is text")
    }

    /// A client of RFC 7677 that has sent its proof.
    fn proved() -> Client {
        let mut client = started(None);
        assert_eq!(answer(&mut client, SERVER_FIRST), CLIENT_FINAL);
        client
    }

    fn started(keys: Option<ScramKeys>) -> Client {
        start(SCRAM, login(keys)).expect("a password").0
    }

    fn start(mechanism: Mechanism, login: Login) -> Result<(Client, Option<Vec<u8>>), SaslError> {
        let choice = Choice { mechanism, flag: Flag::Unsupported, offer: offer() };
        let channel = Channel { version: Some(0x0304), ..Channel::default() };
        let nonce = Nonce::from_text(NONCE).expect("a nonce");
        Client::start(choice, login, &channel, Iterations::default(), nonce)
    }

    fn login(keys: Option<ScramKeys>) -> Login {
        let credentials = Credentials::Password(Password::new("pencil".to_owned()));
        Login { username: "user".to_owned(), authzid: None, credentials, keys }
    }

    fn offer() -> Offer {
        Offer::new(&["SCRAM-SHA-256".to_owned(), "PLAIN".to_owned()], None)
    }

    const SCRAM: Mechanism = Mechanism::Scram { hash: Hash::Sha256, plus: false };
    const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
    const SERVER_FIRST: &str =
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    const CLIENT_FINAL: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
        p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    const SERVER_FINAL: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
}
