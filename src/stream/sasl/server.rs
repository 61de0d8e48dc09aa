//! The server's end of a SASL exchange.
//!
//! A wrong password, an unknown account and an account without keys for the mechanism look the
//! same from outside, in messages and (but for the owner's look-up) in time.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::Mechanism;
use super::channel::{Binding, Channel};
use super::choose::Offer;
use super::client::text;
use super::error::SaslError;
use super::hash::Hash;
use super::keys::{KeyRequest, ScramKeys, StoredKeys};
use super::message::{self, ClientFinal, ClientFirst, Nonce};
use super::prepare::saslprep;
use crate::jid::BareJid;
use crate::secret::Password;

/// What the server knows when somebody starts to log in.
#[derive(Clone)]
pub struct Context {
    /// The domain of the accounts.
    pub domain: String,
    /// TLS as this end sees it.
    pub channel: Channel,
    /// The mechanisms as they were offered on this stream.
    pub offered: Vec<String>,
    /// The binding types as they were announced, XEP-0440; `None` where no list was sent.
    pub bindings: Option<Vec<String>>,
    /// The localpart that the certificate of the client proves, for EXTERNAL.
    pub certified: Option<String>,
    /// Makes up the salts of accounts that do not exist; the same value for the life of the server.
    pub secret: [u8; 32],
    /// The count of such salts: that of real accounts.
    pub iterations: u32,
}

/// What is kept of one account's password.
#[derive(Clone, Debug)]
pub struct AccountKeys {
    /// At most one for each hash.
    pub stored: Vec<StoredKeys>,
}

/// What a message of the client leads to.
#[derive(Debug, PartialEq, Eq)]
pub enum ServerStep {
    /// The login is complete: send the success.
    Accept(Accepted),
    /// Send this challenge; it may be empty.
    Challenge(Vec<u8>),
    /// Look the account up, then call [`Server::on_account`].
    NeedAccount { username: String },
}

/// Who has logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The localpart; `None` for ANONYMOUS: make one up.
    pub username: Option<String>,
    pub mechanism: Mechanism,
    /// Goes into the success.
    pub additional: Option<Vec<u8>>,
}

/// One exchange.
pub struct Server {
    mechanism: Mechanism,
    context: Context,
    nonce: Nonce,
    state: State,
}

enum State {
    AwaitInitial,
    AwaitAccount(Asked),
    AwaitProof(Box<Proof>),
    Finished,
}

/// What waits for the account.
enum Asked {
    Plain { username: String, password: Password },
    Scram { username: String, hash: Hash, exchange: First },
}

/// The first message of a client, owned.
struct First {
    /// What `c=` has to hold: header and data.
    binding: Vec<u8>,
    bare: String,
    nonce: String,
}

struct Proof {
    username: String,
    keys: StoredKeys,
    /// Whether there is an account behind the keys.
    real: bool,
    binding: Vec<u8>,
    nonce: String,
    /// Both first messages with the comma between them.
    messages: String,
}

impl AccountKeys {
    /// Derives the keys of a password, for `hashes`. Costs `iterations` rounds for each.
    pub fn derive(
        password: &Password,
        salt: &[u8],
        iterations: u32,
        hashes: &[Hash],
    ) -> Result<Self, SaslError> {
        let stored = hashes
            .iter()
            .map(|hash| Ok(StoredKeys::of(&derive(password, *hash, salt, iterations)?)))
            .collect::<Result<_, SaslError>>()?;
        Ok(Self { stored })
    }

    fn of(&self, hash: Hash) -> Option<&StoredKeys> {
        self.stored.iter().find(|keys| keys.hash == hash)
    }
}

impl Server {
    /// Starts the exchange that a client asks for. `initial` is its initial response: `Some` of
    /// nothing is an empty one.
    pub fn start(
        mechanism: &str,
        initial: Option<&[u8]>,
        context: Context,
        nonce: Nonce,
    ) -> Result<(Self, ServerStep), SaslError> {
        if !context.offered.iter().any(|name| name == mechanism) {
            return Err(SaslError::Mechanism);
        }
        let mechanism = Mechanism::parse(mechanism).ok_or(SaslError::Mechanism)?;
        let mut server = Self { mechanism, context, nonce, state: State::AwaitInitial };
        let step = match initial {
            Some(data) => server.on_response(data)?,
            None => ServerStep::Challenge(Vec::new()),
        };
        Ok((server, step))
    }

    /// The mechanism in use.
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// Takes a response. After an error the exchange is over.
    pub fn on_response(&mut self, data: &[u8]) -> Result<ServerStep, SaslError> {
        let message = text(data).inspect_err(|_| self.state = State::Finished)?;
        match std::mem::replace(&mut self.state, State::Finished) {
            State::AwaitInitial => self.on_initial(message),
            State::AwaitProof(proof) => self.on_proof(*proof, message),
            State::AwaitAccount(_) | State::Finished => Err(SaslError::Unexpected),
        }
    }

    /// Takes what the owner knows of the account; `None` where there is none.
    pub fn on_account(&mut self, account: Option<&AccountKeys>) -> Result<ServerStep, SaslError> {
        match std::mem::replace(&mut self.state, State::Finished) {
            State::AwaitAccount(Asked::Plain { username, password }) => {
                self.check_password(username, &password, account)
            }
            State::AwaitAccount(Asked::Scram { username, hash, exchange }) => {
                Ok(self.challenge(username, hash, exchange, account))
            }
            State::AwaitInitial | State::AwaitProof(_) | State::Finished => Err(SaslError::Unexpected),
        }
    }

    fn on_initial(&mut self, message: &str) -> Result<ServerStep, SaslError> {
        match self.mechanism {
            Mechanism::External => self.external(message),
            // RFC 4505: the trace is for people, and nobody reads it here.
            Mechanism::Anonymous => Ok(self.accept(None, None)),
            Mechanism::Plain => self.plain(message),
            Mechanism::Scram { hash, plus } => self.scram(hash, plus, message),
        }
    }

    fn external(&mut self, authzid: &str) -> Result<ServerStep, SaslError> {
        let username = self.context.certified.clone().ok_or(SaslError::NotAuthorized)?;
        self.check_authzid(&username, Some(authzid).filter(|id| !id.is_empty()))?;
        Ok(self.accept(Some(username), None))
    }

    /// RFC 4616 §2: `authzid NUL authcid NUL password`, the latter two not empty.
    fn plain(&mut self, message: &str) -> Result<ServerStep, SaslError> {
        let malformed = SaslError::Malformed { part: "the PLAIN message" };
        let mut parts = message.split('\0');
        let (Some(authzid), Some(name), Some(password), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(malformed);
        };
        if name.is_empty() || password.is_empty() {
            return Err(malformed);
        }
        let username = self.localpart(name)?;
        self.check_authzid(&username, Some(authzid).filter(|id| !id.is_empty()))?;
        let password = Password::new(password.to_owned());
        self.state = State::AwaitAccount(Asked::Plain { username: username.clone(), password });
        Ok(ServerStep::NeedAccount { username })
    }

    fn scram(&mut self, hash: Hash, plus: bool, message: &str) -> Result<ServerStep, SaslError> {
        let first = ClientFirst::parse(message)?;
        let mut binding = first.header.as_bytes().to_vec();
        binding.extend_from_slice(self.binding_data(first.flag, plus)?);
        let username = self.localpart(&first.username)?;
        self.check_authzid(&username, first.authzid.as_deref())?;
        let exchange = First { binding, bare: first.bare.to_owned(), nonce: first.nonce.to_owned() };
        self.state = State::AwaitAccount(Asked::Scram { username: username.clone(), hash, exchange });
        Ok(ServerStep::NeedAccount { username })
    }

    /// RFC 5802 §6: the flag has to fit the mechanism and the offer.
    fn binding_data(&self, flag: &str, plus: bool) -> Result<&[u8], SaslError> {
        match (flag.strip_prefix("p="), plus) {
            (Some(name), true) => {
                let announced = |list: &Vec<String>| list.iter().any(|known| known == name);
                if !self.context.bindings.as_ref().is_none_or(announced) {
                    return Err(SaslError::Binding);
                }
                Binding::parse(name)
                    .and_then(|binding| self.context.channel.data(binding))
                    .ok_or(SaslError::Binding)
            }
            (None, true) => Err(SaslError::Malformed { part: "no binding with a -PLUS mechanism" }),
            (Some(_), false) => Err(SaslError::Malformed { part: "a binding without a -PLUS mechanism" }),
            // The client saw no -PLUS although it was offered: somebody took it away.
            (None, false) if flag == "y" && self.offers_plus() => Err(SaslError::Downgrade),
            (None, false) => Ok(&[]),
        }
    }

    fn offers_plus(&self) -> bool {
        self.context.offered.iter().any(|name| name.ends_with("-PLUS"))
    }

    fn challenge(
        &mut self,
        username: String,
        hash: Hash,
        exchange: First,
        account: Option<&AccountKeys>,
    ) -> ServerStep {
        let known = account.and_then(|account| account.of(hash)).cloned();
        let real = known.is_some();
        let keys = known.unwrap_or_else(|| self.made_up(&username, hash));
        let nonce = format!("{}{}", exchange.nonce, self.nonce.as_str());
        let salt = message::encode(&keys.salt);
        let mut first = format!("r={nonce},s={salt},i={}", keys.iterations);
        let offer = Offer::new(&self.context.offered, self.context.bindings.as_deref());
        first.push_str(&format!(",h={}", message::encode(&hash.digest(offer.as_bytes()))));
        if let Some(version) = self.context.channel.version {
            first.push_str(&format!(",t={version:04x}"));
        }
        let messages = format!("{},{first}", exchange.bare);
        let binding = exchange.binding;
        self.state = State::AwaitProof(Box::new(Proof { username, keys, real, binding, nonce, messages }));
        ServerStep::Challenge(first.into_bytes())
    }

    fn on_proof(&mut self, proof: Proof, message: &str) -> Result<ServerStep, SaslError> {
        let last = ClientFinal::parse(message)?;
        if last.nonce != proof.nonce {
            return Err(SaslError::Nonce);
        }
        if !bool::from(last.binding.ct_eq(&proof.binding)) {
            return Err(SaslError::Binding);
        }
        let keys = &proof.keys;
        let auth = format!("{},{}", proof.messages, last.without_proof);
        let mut client_key = keys.hash.hmac(&keys.stored_key, auth.as_bytes());
        if last.proof.len() != client_key.len() {
            return Err(SaslError::Malformed { part: "the proof" });
        }
        client_key.iter_mut().zip(&last.proof).for_each(|(octet, proof)| *octet ^= proof);
        let right = keys.hash.digest(&client_key).ct_eq(&keys.stored_key);
        if !(bool::from(right) & proof.real) {
            return Err(SaslError::NotAuthorized);
        }
        let signature = keys.hash.hmac(&keys.server_key, auth.as_bytes());
        let additional = format!("v={}", message::encode(&signature)).into_bytes();
        Ok(self.accept(Some(proof.username), Some(additional)))
    }

    /// Derives what the account has keys of and compares. The work is the same without an account.
    fn check_password(
        &mut self,
        username: String,
        password: &Password,
        account: Option<&AccountKeys>,
    ) -> Result<ServerStep, SaslError> {
        let known = account.and_then(|account| account.stored.first()).cloned();
        let real = known.is_some();
        let keys = known.unwrap_or_else(|| self.made_up(&username, Hash::Sha256));
        let derived =
            derive(password, keys.hash, &keys.salt, keys.iterations).map_err(|_| SaslError::NotAuthorized)?;
        let right = StoredKeys::of(&derived).stored_key.ct_eq(&keys.stored_key);
        if bool::from(right) & real {
            Ok(self.accept(Some(username), None))
        } else {
            Err(SaslError::NotAuthorized)
        }
    }

    /// Keys of an account that does not exist: the same salt each time, as a real one has.
    fn made_up(&self, username: &str, hash: Hash) -> StoredKeys {
        let secret = |label: &str, hash: Hash| {
            hash.hmac(&self.context.secret, format!("{label}\0{username}").as_bytes())
        };
        StoredKeys {
            hash,
            salt: secret("salt", Hash::Sha256)[..SALT].to_vec(),
            iterations: self.context.iterations,
            stored_key: secret("stored key", hash),
            server_key: Zeroizing::new(Vec::new()),
        }
    }

    fn accept(&mut self, username: Option<String>, additional: Option<Vec<u8>>) -> ServerStep {
        self.state = State::Finished;
        ServerStep::Accept(Accepted { username, mechanism: self.mechanism, additional })
    }

    /// The name of an account as an address has it.
    fn localpart(&self, name: &str) -> Result<String, SaslError> {
        let name = saslprep(name).ok_or(SaslError::NotAuthorized)?;
        let jid = crate::jid::Jid::from_parts(Some(&name), &self.context.domain, None)
            .map_err(|_| SaslError::NotAuthorized)?;
        jid.local().map(str::to_owned).ok_or(SaslError::NotAuthorized)
    }

    /// RFC 6120 §6.3.8: an account acts for itself only.
    fn check_authzid(&self, username: &str, authzid: Option<&str>) -> Result<(), SaslError> {
        let Some(authzid) = authzid else { return Ok(()) };
        let wanted = BareJid::parse(authzid).map_err(|_| SaslError::Authzid)?;
        let own = BareJid::parse(&format!("{username}@{}", self.context.domain));
        if own.is_ok_and(|own| own == wanted) { Ok(()) } else { Err(SaslError::Authzid) }
    }
}

fn derive(password: &Password, hash: Hash, salt: &[u8], iterations: u32) -> Result<ScramKeys, SaslError> {
    let text = saslprep(password.reveal()).ok_or(SaslError::Password)?;
    let password = Password::new(text.into_owned());
    Ok(KeyRequest { hash, password, salt: salt.to_vec(), iterations }.derive())
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({})", self.mechanism)
    }
}

/// Octets of a salt.
const SALT: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::sasl::channel::Flag;
    use crate::stream::sasl::choose::{Policy, Preference, choose};
    use crate::stream::sasl::client::{Client, Done, Iterations, Login, Step};
    use crate::stream::sasl::{Credentials, MECHANISMS};

    #[test]
    fn every_mechanism_lets_its_own_client_in() {
        for (name, mechanism) in MECHANISMS {
            for initial in [true, false] {
                let credentials = match mechanism {
                    Mechanism::External => Credentials::External,
                    Mechanism::Anonymous => Credentials::Anonymous,
                    Mechanism::Plain | Mechanism::Scram { .. } => password("pencil"),
                };
                let context = context(name);
                let (accepted, done) =
                    run(&context, &context, &context.channel, credentials, initial).expect(name);
                assert_eq!(accepted.mechanism, *mechanism);
                assert_eq!(done.mechanism, *mechanism);
                assert_eq!(done.keys.is_some(), mechanism.is_scram());
                let expected = (*mechanism != Mechanism::Anonymous).then_some("user");
                assert_eq!(accepted.username.as_deref(), expected);
            }
        }
    }

    #[test]
    fn a_wrong_password_and_an_unknown_account_fail_alike() {
        for name in ["PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-512", "SCRAM-SHA-256-PLUS"] {
            let context = context(name);
            let wrong = run(&context, &context, &context.channel, password("pencils"), true);
            assert_eq!(wrong.err(), Some(SaslError::NotAuthorized), "{name}");
            assert_eq!(run_as("nobody", &context).err(), Some(SaslError::NotAuthorized), "{name}");
        }
    }

    #[test]
    fn an_unknown_account_has_a_salt_that_stays() {
        let challenge = |name: &str, secret: u8| {
            let context = Context { secret: [secret; 32], ..context("SCRAM-SHA-256") };
            let first = format!("n,,n={name},r=abc");
            let (mut server, step) = start(&context, Some(first.as_bytes())).expect("a good start");
            assert_eq!(step, ServerStep::NeedAccount { username: name.to_owned() });
            match server.on_account(None) {
                Ok(ServerStep::Challenge(challenge)) => String::from_utf8(challenge).expect("text"),
                other => panic!("no challenge but {other:?}"),
            }
        };
        assert_eq!(challenge("nobody", 1), challenge("nobody", 1));
        assert_ne!(challenge("nobody", 1), challenge("anybody", 1));
        assert_ne!(challenge("nobody", 1), challenge("nobody", 2));
        assert!(challenge("nobody", 1).contains(",i=4096,"));
    }

    #[test]
    fn s11_a_y_flag_where_plus_was_offered_is_a_downgrade() {
        let full = Context {
            offered: ["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"].map(str::to_owned).to_vec(),
            ..context("SCRAM-SHA-256")
        };
        // What is left of the offer after somebody took out -PLUS and the list.
        let seen = Context { offered: full.offered[..1].to_vec(), bindings: None, ..full.clone() };
        let outcome = run(&full, &seen, &full.channel, password("pencil"), true);
        assert_eq!(outcome.err(), Some(SaslError::Downgrade));
    }

    #[test]
    fn s11_the_client_notices_a_mechanism_that_was_taken_away() {
        let offered = ["SCRAM-SHA-1", "SCRAM-SHA-512"].map(str::to_owned).to_vec();
        let full = Context { offered, bindings: None, ..context("SCRAM-SHA-1") };
        let seen = Context { offered: full.offered[..1].to_vec(), ..full.clone() };
        let outcome = run(&full, &seen, &full.channel, password("pencil"), true);
        assert_eq!(outcome.err(), Some(SaslError::Downgrade));
    }

    #[test]
    fn s11_two_tls_channels_do_not_bind() {
        let context = context("SCRAM-SHA-256-PLUS");
        let other = Channel { exporter: Some(vec![9; 32]), ..context.channel.clone() };
        let outcome = run(&context, &context, &other, password("pencil"), true);
        assert_eq!(outcome.err(), Some(SaslError::Binding));
    }

    #[test]
    fn s11_the_client_notices_another_tls_version() {
        let context = context("SCRAM-SHA-256");
        let other = Channel { version: Some(0x0303), ..context.channel.clone() };
        let outcome = run(&context, &context, &other, password("pencil"), true);
        assert_eq!(outcome.err(), Some(SaslError::TlsVersion));
    }

    #[test]
    fn the_binding_has_to_fit_the_mechanism_and_the_announcement() {
        for (name, first, expected) in [
            ("SCRAM-SHA-256-PLUS", "n,,n=user,r=abc", "malformed-request"),
            ("SCRAM-SHA-256-PLUS", "y,,n=user,r=abc", "malformed-request"),
            ("SCRAM-SHA-256", "p=tls-exporter,,n=user,r=abc", "malformed-request"),
            ("SCRAM-SHA-256-PLUS", "p=tls-unique,,n=user,r=abc", "not-authorized"),
            ("SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,n=user,r=abc", "not-authorized"),
        ] {
            let error = start(&context(name), Some(first.as_bytes())).expect_err(first);
            assert_eq!(error.condition(), expected, "{name} {first}");
        }
    }

    #[test]
    fn nobody_acts_for_another_account() {
        for (name, first) in [
            ("SCRAM-SHA-256", "n,a=other@example.org,n=user,r=abc"),
            ("SCRAM-SHA-256", "n,a=user,n=user,r=abc"),
            ("PLAIN", "other@example.org\0user\0pencil"),
            ("EXTERNAL", "other@example.org"),
        ] {
            let error = start(&context(name), Some(first.as_bytes())).expect_err(first);
            assert_eq!(error.condition(), "invalid-authzid", "{name}");
        }
        for (name, first) in [
            ("SCRAM-SHA-256", "n,a=user@example.org,n=user,r=abc"),
            ("PLAIN", "user@example.org\0user\0pencil"),
            ("EXTERNAL", "user@example.org"),
        ] {
            assert!(start(&context(name), Some(first.as_bytes())).is_ok(), "{name}");
        }
    }

    #[test]
    fn malformed_responses_end_the_exchange() {
        for (name, first) in [
            ("PLAIN", &b""[..]),
            ("PLAIN", b"user\0pencil"),
            ("PLAIN", b"\0\0pencil"),
            ("PLAIN", b"\0user\0"),
            ("PLAIN", b"\0user\0pen\0cil"),
            ("PLAIN", b"\0user\0\xff"),
            ("SCRAM-SHA-1", b""),
            ("SCRAM-SHA-1", b"n,,n=user,r="),
        ] {
            let error = start(&context(name), Some(first)).expect_err(name);
            assert_eq!(error.condition(), "malformed-request", "{name} {first:?}");
        }
        let long = vec![b'a'; 100_000];
        assert_eq!(start(&context("PLAIN"), Some(&long)).err(), Some(SaslError::TooLong { octets: 100_000 }));
    }

    #[test]
    fn a_changed_nonce_is_refused() {
        let context = context("SCRAM-SHA-256");
        let (mut server, _) = start(&context, Some(b"n,,n=user,r=abc")).expect("a good start");
        server.on_account(Some(&account())).expect("a challenge");
        assert_eq!(server.on_response(b"c=biws,r=abc,p=AAAA"), Err(SaslError::Nonce));
        assert_eq!(server.on_response(b"c=biws,r=abc,p=AAAA"), Err(SaslError::Unexpected));
    }

    #[test]
    fn only_offered_mechanisms_start() {
        let context = context("SCRAM-SHA-256");
        for name in ["PLAIN", "X-OAUTH2", ""] {
            let outcome = Server::start(name, None, context.clone(), nonce("s"));
            assert_eq!(outcome.err(), Some(SaslError::Mechanism));
        }
    }

    #[test]
    fn external_needs_a_certificate() {
        let context = Context { certified: None, ..context("EXTERNAL") };
        assert_eq!(start(&context, Some(b"")).err(), Some(SaslError::NotAuthorized));
    }

    /// One login of `user`: the server knows `offer`, the client sees `seen`.
    fn run(
        offer: &Context,
        seen: &Context,
        channel: &Channel,
        credentials: Credentials,
        initial: bool,
    ) -> Result<(Accepted, Done), SaslError> {
        exchange("user", offer, seen, channel, credentials, initial)
    }

    fn run_as(username: &str, context: &Context) -> Result<(Accepted, Done), SaslError> {
        exchange(username, context, context, &context.channel, password("pencil"), true)
    }

    fn exchange(
        username: &str,
        offer: &Context,
        seen: &Context,
        channel: &Channel,
        credentials: Credentials,
        with_initial: bool,
    ) -> Result<(Accepted, Done), SaslError> {
        let policy = Policy {
            credentials: &credentials,
            channel,
            binding: Preference::Prefer,
            used_scram: false,
            used_plus: false,
            allow_plain: true,
        };
        let choice = choose(&seen.offered, seen.bindings.as_deref(), &policy).expect("a mechanism");
        assert!(choice.flag != Flag::Unoffered || seen.bindings.is_none());
        let name = choice.mechanism.name();
        let login = Login {
            username: username.to_owned(),
            authzid: None,
            credentials: credentials.clone(),
            keys: None,
        };
        let (mut client, first) = Client::start(choice, login, channel, Iterations::default(), nonce("c"))?;
        let first = first.expect("every mechanism here starts with the client");
        let (mut server, mut step) = if with_initial {
            Server::start(name, Some(&first), offer.clone(), nonce("s"))?
        } else {
            let (mut server, step) = Server::start(name, None, offer.clone(), nonce("s"))?;
            assert_eq!(step, ServerStep::Challenge(Vec::new()));
            let step = server.on_response(&first)?;
            (server, step)
        };
        loop {
            step = match step {
                ServerStep::Accept(accepted) => {
                    let done = client.on_success(accepted.additional.as_deref())?;
                    return Ok((accepted, done));
                }
                ServerStep::NeedAccount { username } => {
                    server.on_account(Some(&account()).filter(|_| username == "user"))?
                }
                ServerStep::Challenge(challenge) => {
                    let response = match client.on_challenge(&challenge)? {
                        Step::Derive(request) => client.on_keys(request.derive())?,
                        Step::Respond(response) => response,
                    };
                    server.on_response(&response)?
                }
            };
        }
    }

    fn start(context: &Context, initial: Option<&[u8]>) -> Result<(Server, ServerStep), SaslError> {
        Server::start(&context.offered[0], initial, context.clone(), nonce("s"))
    }

    /// A server that offers one mechanism over TLS 1.3.
    fn context(mechanism: &str) -> Context {
        let channel =
            Channel { exporter: Some(vec![1; 32]), end_point: None, verified: true, version: Some(0x0304) };
        Context {
            domain: "example.org".to_owned(),
            channel,
            offered: vec![mechanism.to_owned()],
            bindings: mechanism.ends_with("-PLUS").then(|| vec!["tls-exporter".to_owned()]),
            certified: Some("user".to_owned()),
            secret: [5; 32],
            iterations: 4096,
        }
    }

    fn account() -> AccountKeys {
        let secret = Password::new("pencil".to_owned());
        AccountKeys::derive(&secret, b"NaCl", 4096, &Hash::ALL).expect("a plain password")
    }

    fn password(text: &str) -> Credentials {
        Credentials::Password(Password::new(text.to_owned()))
    }

    fn nonce(text: &str) -> Nonce {
        Nonce::from_text(text).expect("letters")
    }
}
