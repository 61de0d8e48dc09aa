//! The token that an account logs in with in place of its password, XEP-0484: kept over restarts, counted before it is
//! used, and forgotten when the server does not take it.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::actor::account::Account;
use crate::actor::account::connect::Phase;
use crate::actor::account::kept::Outcome;
use crate::moment::Moment;
use crate::secret::Password;
use crate::store::Batch;
use crate::stream::fault::{Fault, What};
use crate::stream::sasl::Mechanism;
use crate::stream::sasl::hash::Hash;
use crate::stream::sasl::token::{LONGEST_TOKEN, TOKENS, Token, TokenLogin};

/// Uses of a token that the store is told of at once. A process that ends wastes those that are left: there are 2^64.
const BLOCK: u64 = 64;

/// How long the first login of a process waits for the store before it is made with the password.
const PATIENCE: Duration = Duration::from_secs(1);

/// Refusals in a row after which no further token is asked for: this server does not take what it gives.
const REFUSALS: u8 = 3;

/// First line of the opaque form.
const FORMAT: &str = "1";

/// The token of an account, and how often it was used.
#[derive(Default)]
pub(super) struct Tokens {
    current: Option<Token>,
    /// The number of its next use.
    next: u64,
    /// The store knows all uses up to this one as made.
    kept: u64,
    /// The same, once the store has done what it was given.
    given: u64,
    /// Which token the store's answers are about.
    generation: u32,
    /// A login with it is under way.
    in_use: bool,
    refusals: u8,
    /// The login that waits for the store, and when it was due.
    waiting: Option<Instant>,
}

impl Tokens {
    /// A token to log in with now, with a number that no process has used.
    fn login(&mut self, now: Timestamp) -> Option<TokenLogin> {
        self.current.take_if(|token| token.has_expired(now));
        let token = self.current.as_ref().filter(|_| self.next <= self.kept)?.clone();
        let count = self.next;
        self.next += 1;
        self.in_use = true;
        Some(TokenLogin { token, count })
    }

    /// Up to which use the store is to be told, where it is time to.
    fn reserve(&mut self) -> Option<u64> {
        let wanted = self.current.is_some() && self.given == self.kept && self.next + BLOCK / 2 > self.kept;
        wanted.then(|| {
            self.given = self.next.max(self.kept).saturating_add(BLOCK);
            self.given
        })
    }

    /// The store has answered about the uses up to `ceiling`.
    fn on_kept(&mut self, generation: u32, ceiling: u64, kept: bool) {
        if generation != self.generation {
            return;
        }
        match kept {
            true => self.kept = self.kept.max(ceiling),
            false => self.given = self.kept,
        }
    }

    /// Takes the place of the token before; `used` uses of this one may have been made.
    fn replace(&mut self, token: Option<Token>, used: u64) {
        *self = Self {
            current: token,
            next: used.saturating_add(1),
            kept: used,
            given: used,
            generation: self.generation.wrapping_add(1),
            in_use: false,
            refusals: self.refusals,
            waiting: self.waiting,
        };
    }
}

impl Account {
    /// What an earlier process has left, if it is this account's and its password is still the same.
    pub(super) fn load_token(&mut self) {
        if self.spec.anonymous || self.is_hosted() {
            return;
        }
        let bot = &self.spec.name;
        let bytes = match self.deps.kept_login(bot) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(bot, %error, "the login token cannot be read from the store");
                return;
            }
        };
        match read(&bytes, self.spec.jid.as_str(), &self.spec.password) {
            Some((token, used)) => {
                self.tokens.replace(Some(token), used);
                self.reserve_uses();
            }
            None => self.forget_token(),
        }
    }

    /// When the login may be made that is due at `at`: not before the store knows of this use of the token, within reason.
    pub(super) fn await_token(&mut self, now: Moment, at: Instant) -> Instant {
        self.reserve_uses();
        let tokens = &mut self.tokens;
        if self.change.is_some() || tokens.current.is_none() || tokens.next <= tokens.kept {
            return at;
        }
        tokens.waiting = Some(at);
        at.max(now.at + PATIENCE)
    }

    /// The token to log in with; `None`: with the password.
    pub(super) fn login_token(&mut self, now: Moment) -> Option<TokenLogin> {
        self.tokens.waiting = None;
        if self.change.is_some() {
            // Which password holds only a login with one can tell.
            return None;
        }
        let login = self.tokens.login(now.wall);
        self.reserve_uses();
        login
    }

    /// Whether the server is asked for a token.
    pub(super) fn wants_token(&self) -> bool {
        self.tokens.refusals < REFUSALS
    }

    /// Both sides have proved who they are, by `mechanism`; a token may have come along.
    pub(super) fn on_proved(&mut self, mechanism: Mechanism, token: Option<Token>) {
        let by_token = matches!(mechanism, Mechanism::Token(_));
        self.tokens.in_use = false;
        if by_token {
            self.tokens.refusals = 0;
        } else {
            self.on_password_proved();
        }
        let Some(token) = token else { return };
        tracing::debug!(bot = %self.spec.name, mechanism = token.mechanism().name(), rotated = by_token, "login token");
        self.tokens.replace(Some(token), 0);
        self.reserve_uses();
    }

    /// A token that the server did not take, or that it could not prove to know, is not used again.
    pub(super) fn on_token_fault(&mut self, fault: &Fault) {
        match &fault.what {
            What::TokenRefused { .. } => {
                self.tokens.refusals = self.tokens.refusals.saturating_add(1);
                self.forget_token();
            }
            What::SaslBroken { .. } if self.tokens.in_use => {
                self.tokens.refusals = REFUSALS;
                self.forget_token();
            }
            _ => {}
        }
        self.tokens.in_use = false;
    }

    /// Forgets the token, here and in the store.
    pub(super) fn forget_token(&mut self) {
        self.tokens.replace(None, 0);
        let sasl = Some(Zeroizing::new(Vec::new()));
        self.keep(Batch { bot: self.spec.name.clone(), sasl, ..Batch::default() }, Outcome::Counts);
    }

    /// The store has answered.
    pub(super) fn on_token_kept(&mut self, now: Moment, generation: u32, ceiling: u64, kept: bool) {
        self.tokens.on_kept(generation, ceiling, kept);
        if let (Some(at), Phase::Queued { .. }) = (self.tokens.waiting, &self.phase) {
            self.tokens.waiting = None;
            self.phase = Phase::Queued { due: at.max(now.at) };
        }
    }

    /// Has the store keep the token and further uses of it as made, before they are.
    fn reserve_uses(&mut self) {
        let Some(ceiling) = self.tokens.reserve() else { return };
        let Some(token) = &self.tokens.current else { return };
        let bytes = written(token, ceiling, self.spec.jid.as_str(), &self.spec.password);
        let batch = Batch { bot: self.spec.name.clone(), sasl: Some(bytes), ..Batch::default() };
        self.keep(batch, Outcome::Token { generation: self.tokens.generation, ceiling });
    }
}

/// The opaque form: format, address, mechanism, expiry in seconds, uses, mark of the password, token; one a line.
fn written(token: &Token, used: u64, jid: &str, password: &Password) -> Zeroizing<Vec<u8>> {
    let expiry = token.expiry.map(|expiry| expiry.as_second().to_string()).unwrap_or_default();
    let name = token.mechanism().name();
    let mark = mark(token, password);
    let secret = token.secret.reveal();
    Zeroizing::new(format!("{FORMAT}\n{jid}\n{name}\n{expiry}\n{used}\n{mark}\n{secret}").into_bytes())
}

/// Reads what [`written`] wrote for this address and password; `None` for anything else.
fn read(bytes: &[u8], jid: &str, password: &Password) -> Option<(Token, u64)> {
    let mut lines = std::str::from_utf8(bytes).ok()?.splitn(7, '\n');
    let mut line = || lines.next();
    if line()? != FORMAT || line()? != jid {
        return None;
    }
    let name = line()?;
    let tie = TOKENS.iter().find(|(known, _)| *known == name)?.1;
    let expiry = match line()? {
        "" => None,
        seconds => Some(Timestamp::from_second(seconds.parse().ok()?).ok()?),
    };
    let used = line()?.parse().ok()?;
    let marked = line()?;
    let secret = line().filter(|secret| !secret.is_empty() && secret.len() <= LONGEST_TOKEN)?;
    let token = Token { tie, secret: Password::new(secret.to_owned()), expiry };
    (mark(&token, password) == marked).then_some((token, used))
}

/// Tells whether the password is still the one that the token was given for: a new one in the configuration is to be
/// tried. Two octets, so that it helps nobody to guess.
fn mark(token: &Token, password: &Password) -> String {
    let mark = Hash::Sha256.hmac(token.secret.reveal().as_bytes(), password.reveal().as_bytes());
    format!("{:02x}{:02x}", mark[0], mark[1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::sasl::channel::Binding;

    fn token() -> Token {
        let expiry = Timestamp::from_second(1_000).ok();
        Token { tie: Some(Binding::Exporter), secret: Password::new("one\ntwo".to_owned()), expiry }
    }

    fn pencil() -> Password {
        Password::new("pencil".to_owned())
    }

    #[test]
    fn a_token_survives_its_opaque_form_and_only_for_its_account_and_password() {
        let bytes = written(&token(), 64, "a@b.example", &pencil());
        assert_eq!(read(&bytes, "a@b.example", &pencil()), Some((token(), 64)));
        assert_eq!(read(&bytes, "b@b.example", &pencil()), None);
        assert_eq!(read(&bytes, "a@b.example", &Password::new("pen".to_owned())), None);
        let endless = Token { expiry: None, tie: None, ..token() };
        let bytes = written(&endless, u64::MAX, "a@b.example", &pencil());
        assert_eq!(read(&bytes, "a@b.example", &pencil()), Some((endless, u64::MAX)));
    }

    #[test]
    fn anything_else_is_no_token() {
        let bytes = written(&token(), 64, "a@b.example", &pencil());
        for length in 0..bytes.len() {
            assert_eq!(read(&bytes[..length], "a@b.example", &pencil()), None, "{length} octets");
        }
        assert_eq!(read(&[0xff; 80], "a@b.example", &pencil()), None);
    }

    #[test]
    fn no_use_is_made_before_the_store_knows_of_it() {
        let now = Timestamp::UNIX_EPOCH;
        let mut tokens = Tokens::default();
        tokens.replace(Some(token()), 64);
        assert_eq!(tokens.login(now), None);
        let ceiling = tokens.reserve().expect("uses to tell of");
        assert_eq!(tokens.reserve(), None, "once is enough");
        assert_eq!(tokens.login(now), None);
        tokens.on_kept(tokens.generation, ceiling, false);
        assert_eq!(tokens.login(now), None, "the store has refused");
        let ceiling = tokens.reserve().expect("once more");
        tokens.on_kept(tokens.generation.wrapping_sub(1), ceiling, true);
        assert_eq!(tokens.login(now), None, "that was another token");
        tokens.on_kept(tokens.generation, ceiling, true);
        let mut last = 64;
        for _ in 0..1_000 {
            let count = tokens.login(now).expect("a use that the store knows").count;
            assert!(count > last && count <= tokens.kept, "{count}");
            last = count;
            if let Some(ceiling) = tokens.reserve() {
                tokens.on_kept(tokens.generation, ceiling, true);
            }
        }
    }

    #[test]
    fn an_expired_token_is_not_used() {
        let mut tokens = Tokens::default();
        tokens.replace(Some(token()), 0);
        let ceiling = tokens.reserve().expect("uses to tell of");
        tokens.on_kept(tokens.generation, ceiling, true);
        assert!(tokens.login(Timestamp::from_second(999).expect("a moment")).is_some());
        assert_eq!(tokens.login(Timestamp::from_second(1_000).expect("a moment")), None);
        assert_eq!(tokens.reserve(), None);
    }
}
