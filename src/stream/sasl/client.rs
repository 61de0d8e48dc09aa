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
use super::token::{Expected, Token};
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
    /// A token: the answer shows whether the server knows it.
    AwaitResponder(Expected),
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
                Mechanism::External
                | Mechanism::Anonymous
                | Mechanism::Plain
                | Mechanism::Scram { .. }
                | Mechanism::Token(_),
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

    /// Starts a login by token. The second value is the initial response.
    pub fn start_token(
        token: &Token,
        username: &str,
        channel: &Channel,
    ) -> Result<(Self, Vec<u8>), SaslError> {
        let (initial, expected) = token.prove(username, channel)?;
        let state = State::AwaitResponder(expected);
        Ok((Self { mechanism: token.mechanism(), used_cache: false, state }, initial))
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
            State::AwaitOutcome
            | State::AwaitKeys { .. }
            | State::AwaitResponder(_)
            | State::AwaitSuccess { .. }
            | State::Failed => Err(SaslError::Unexpected),
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
            | State::AwaitResponder(_)
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
            State::AwaitResponder(expected) => {
                let answer = additional.ok_or(SaslError::SignatureMissing)?;
                if !bool::from(answer.ct_eq(&expected)) {
                    return Err(SaslError::Signature);
                }
                None
            }
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
mod tests;
