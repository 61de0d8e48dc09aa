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
            // Nobody is given tokens here.
            Mechanism::Token(_) => Err(SaslError::Mechanism),
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
mod tests;
