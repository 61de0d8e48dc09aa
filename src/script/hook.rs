//! Webhooks: who may call a script from the web, with what, and what it answers.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::script::batch;
use crate::script::bot::Item;
use crate::script::pool::Shared;
use crate::secret::Password;

/// A webhook as a script declared it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// Its name: the last part of its path.
    pub name: String,
    /// The script that declared it.
    pub script: String,
    /// `POST`, or what it says.
    pub methods: Vec<String>,
    /// How callers prove who they are.
    pub auth: Auth,
}

/// How callers prove who they are. Names of headers are in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// `sha256=…`: the HMAC of the body with a shared secret.
    Hmac {
        /// The key.
        secret: Password,
        /// Where the signature stands.
        header: String,
        /// Signed together with the body, as `TIME.BODY`, where a header of this name carries the time.
        stamp: Option<Stamp>,
    },
    /// Not at all: the operator grants that.
    None,
    /// The secret itself, alone or behind `Bearer `.
    Token {
        /// It.
        secret: Password,
        /// Where it stands.
        header: String,
    },
}

/// When a call was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Header with the seconds since 1970.
    pub header: String,
    /// How many seconds it may differ from now.
    pub tolerance_s: i64,
}

/// A call from the web.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HookRequest {
    /// `POST`, …
    pub method: String,
    /// Names and values behind the `?`, in order.
    pub query: Vec<(String, String)>,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// At most [`BODY`] bytes.
    pub body: Vec<u8>,
    /// Whoever connected.
    pub ip: String,
    /// A name for this call, for logs and `why`.
    pub id: String,
}

/// What the script answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookResponse {
    /// 204, 200, …
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body; empty where there is none.
    pub body: Vec<u8>,
}

/// Bytes of a call's body, and of its answer's.
pub const BODY: usize = 256 * 1024;

impl HookResponse {
    /// Only a status.
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }
}

impl HookRequest {
    /// A header's value, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl Hook {
    /// Whether the caller has proved who they are. The time it takes tells nothing about the secret.
    pub fn admits(&self, request: &HookRequest, now_s: i64) -> bool {
        match &self.auth {
            Auth::Hmac { secret, header, stamp } => {
                let Some(given) = request.header(header) else { return false };
                let given = given.trim();
                let given = given.strip_prefix("sha256=").unwrap_or(given);
                let Some(given) = unhex(given) else { return false };
                let mut mac = mac(secret);
                if let Some(Stamp { header, tolerance_s }) = stamp {
                    let Some(time) = request.header(header).map(str::trim) else { return false };
                    let fresh = |at: i64| now_s.checked_sub(at).is_some_and(|age| age.abs() <= *tolerance_s);
                    if !time.parse().is_ok_and(fresh) {
                        return false;
                    }
                    mac.update(time.as_bytes());
                    mac.update(b".");
                }
                mac.update(&request.body);
                mac.verify_slice(&given).is_ok()
            }
            Auth::None => true,
            Auth::Token { secret, header } => {
                let Some(given) = request.header(header) else { return false };
                let given = given.trim();
                let given = given.strip_prefix("Bearer ").map_or(given, str::trim_start);
                // Hashes of both have one length, so that not even the secret's is told.
                hashed(secret, given.as_bytes()).ct_eq(&hashed(secret, secret.reveal().as_bytes())).into()
            }
        }
    }
}

/// HMAC-SHA-256 with the secret as its key.
pub(super) fn mac(secret: &Password) -> Hmac<Sha256> {
    // HMAC takes keys of any length.
    Hmac::new_from_slice(secret.reveal().as_bytes()).expect("a key of any length")
}

/// The HMAC of `text` with the secret.
pub(super) fn hashed(secret: &Password, text: &[u8]) -> [u8; 32] {
    let mut mac = mac(secret);
    mac.update(text);
    mac.finalize().into_bytes().into()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

/// A call on its way to its script. Dropped unanswered it was never handled.
pub(super) struct HookCall {
    pub name: String,
    pub request: HookRequest,
    answer: Mutex<Option<Answer>>,
}

/// Takes what the script answers.
pub type Answer = Box<dyn FnOnce(HookResponse) + Send>;

impl HookCall {
    /// Answers, once.
    pub(super) fn answer(&self, response: HookResponse) {
        let answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(answer) = answer {
            answer(response);
        }
    }
}

impl fmt::Debug for HookCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HookCall").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The webhooks of all bots of a pool.
#[derive(Clone)]
pub struct Hooks {
    pub(super) shared: Arc<Shared>,
}

/// Why a call did not reach its script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookRefused {
    /// The bot has as much waiting as it may.
    Full,
    /// There is no such bot any more.
    Unknown,
}

impl Hooks {
    /// The webhook of that name of that bot, as its scripts are now.
    pub fn find(&self, bot: &str, name: &str) -> Option<Hook> {
        let cell = self.shared.bot(bot)?;
        cell.hooks().into_iter().find(|hook| hook.name == name)
    }

    /// Queues a call behind what waits for the bot. `answer` gets the script's answer after its turn is
    /// committed, and 500 if the turn fails; it is dropped if the script has no such webhook any more.
    ///
    /// # Errors
    /// [`HookRefused`]; then `answer` was dropped.
    pub fn call(
        &self,
        bot: &str,
        name: &str,
        request: HookRequest,
        answer: Answer,
    ) -> Result<(), HookRefused> {
        let cell = self.shared.bot(bot).ok_or(HookRefused::Unknown)?;
        let call = HookCall { name: name.to_owned(), request, answer: Mutex::new(Some(answer)) };
        self.shared.offer_item(&cell, Item::Hook(Arc::new(call))).map_err(|_| HookRefused::Full)
    }
}

/// Tells callers that nothing came of their calls: the turns are lost.
pub(super) fn fail_all(items: &[Item]) {
    for call in items.iter().filter_map(batch::hook) {
        call.answer(HookResponse::status(500));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = b"hello";
    /// `printf hello | openssl dgst -sha256 -hmac key`
    const SIGNED: &str = "9307b3b915efb5171ff14d8cb55fbcc798c6c0ef1456d66ded1a6aa723a58b7b";

    #[test]
    fn a_signature_is_checked_with_or_without_its_prefix() {
        let hook = hook(Auth::Hmac { secret: key(), header: "x-hub-signature-256".into(), stamp: None });
        let with = |value: &str| hook.admits(&call(&[("x-hub-signature-256", value)]), 0);
        assert!(with(&format!("sha256={SIGNED}")));
        assert!(with(SIGNED));
        assert!(with(&SIGNED.to_uppercase()));
        let wrong = SIGNED.replace('9', "8");
        for value in ["", "sha256=", &SIGNED[..62], &wrong, &format!("sha1={SIGNED}"), &"é".repeat(32)] {
            assert!(!with(value), "{value}");
        }
        assert!(!hook.admits(&call(&[]), 0));
    }

    #[test]
    fn a_stamp_is_signed_and_must_be_fresh() {
        let stamp = Some(Stamp { header: "x-time".into(), tolerance_s: 300 });
        let hook = hook(Auth::Hmac { secret: key(), header: "x-sign".into(), stamp });
        let mut signed = mac(&key());
        signed.update(b"1000.hello");
        let signed: String =
            signed.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let request = call(&[("x-sign", &signed), ("x-time", "1000")]);
        assert!(hook.admits(&request, 1_300));
        assert!(hook.admits(&request, 700));
        assert!(!hook.admits(&request, 1_301));
        assert!(!hook.admits(&call(&[("x-sign", &signed), ("x-time", "1001")]), 1_000));
        assert!(!hook.admits(&call(&[("x-sign", &signed)]), 1_000));
        for time in [i64::MIN.to_string(), i64::MAX.to_string(), "x".to_owned()] {
            assert!(!hook.admits(&call(&[("x-sign", &signed), ("x-time", &time)]), 1_000));
        }
    }

    #[test]
    fn a_token_is_the_secret_itself() {
        let hook = hook(Auth::Token { secret: key(), header: "authorization".into() });
        let with = |value: &str| hook.admits(&call(&[("authorization", value)]), 0);
        assert!(with("key") && with("Bearer key") && with(" Bearer  key "));
        for value in ["", "Bearer ", "ke", "keys", "Key", "bearer key"] {
            assert!(!with(value), "{value}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", hook(Auth::Token { secret: key(), header: "h".into() }));
        assert!(!shown.contains("key"), "{shown}");
    }

    fn key() -> Password {
        Password::new("key".to_owned())
    }

    fn hook(auth: Auth) -> Hook {
        Hook { name: "deploy".into(), script: "main".into(), methods: vec!["POST".into()], auth }
    }

    fn call(headers: &[(&str, &str)]) -> HookRequest {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        HookRequest { body: BODY.to_vec(), headers, ..HookRequest::default() }
    }
}
