//! The web as scripts reach it: what they ask for, what comes back, and who does the asking.
//!
//! A request is part of its turn: it is handed to [`Outside`] after the commit, so a turn that failed asked
//! nothing. It is made once at most. The answer is a turn of its own, whether the account is online or not.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::hosts::HostPattern;

/// Makes requests for scripts. [`crate::http::client::Client`] is the real one.
pub trait Outside: Send + Sync {
    /// Makes one request and calls `done` with what came of it, from any thread, exactly once.
    ///
    /// Called on the thread that has just committed the turn: it must not block. Hosts were checked by name;
    /// whoever connects also checks every redirect, and addresses after DNS.
    fn fetch(&self, request: HttpRequest, done: Done);
}

/// Takes what came of a request.
pub type Done = Box<dyn FnOnce(HttpOutcome) + Send>;

/// One request of a script.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// The bot, for logs.
    pub bot: String,
    /// Its script, for logs.
    pub script: String,
    /// `GET`, `POST`, …
    pub method: String,
    /// An absolute URL that `allowed` names.
    pub url: String,
    /// Names in lower case, in order. Values may be secret.
    pub headers: Vec<(String, String)>,
    /// The body; empty where there is none.
    pub body: Vec<u8>,
    /// From the first lookup to the last byte.
    pub timeout: Duration,
    /// Most bytes of the answer's body.
    pub limit: usize,
    /// Hosts that the operator grants the script.
    pub allowed: Vec<HostPattern>,
    /// Whether redirects are followed; without, they are the answer.
    pub redirects: bool,
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpResponse {
    /// 200, 304, 404, …
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// At most [`HttpRequest::limit`] bytes.
    pub body: Vec<u8>,
    /// Where it came from, after redirects.
    pub url: String,
}

/// What came of a request: an answer of whatever status, or why there is none, in a few words for
/// `res.error`.
pub type HttpOutcome = Result<HttpResponse, String>;

/// What `res.error` says of a request that was under way when the program ended.
pub const INTERRUPTED: &str = "interrupted";
/// Requests one turn may make.
pub const PER_TURN: usize = 4;
/// Requests of one bot that may be under way.
pub const PER_BOT: usize = 16;
/// How long a request may take, unless it says otherwise.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest it may say.
pub const LONGEST: Duration = Duration::from_secs(60);
/// Bytes of an answer's body, unless the request says otherwise.
pub const LIMIT: usize = 256 * 1024;
/// The most it may say.
pub const LARGEST: usize = 1024 * 1024;
/// Bytes of a request's body.
pub const BODY: usize = 256 * 1024;

impl fmt::Debug for HttpRequest {
    /// Values of headers and the body are left out: they may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        let mut shown = f.debug_struct("HttpRequest");
        shown.field("method", &self.method).field("url", &self.url).field("headers", &names);
        shown.field("body", &self.body.len()).finish_non_exhaustive()
    }
}

impl HttpResponse {
    /// A header's value, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// No web at all: every request fails.
pub struct Nowhere;

impl Outside for Nowhere {
    fn fetch(&self, _: HttpRequest, done: Done) {
        done(Err("there is no network here".to_owned()));
    }
}

/// Answers that were recorded, for tests and simulated worlds: each by method and the beginning of its URL, the
/// newest first. Requests are kept to be looked at.
#[derive(Default)]
pub struct Recorded {
    answers: Mutex<Vec<(String, String, HttpOutcome)>>,
    asked: Mutex<VecDeque<HttpRequest>>,
}

/// Requests a recording keeps.
const KEPT: usize = 1_000;

impl Recorded {
    /// Answers requests of `method` whose URL begins with `url` from now on.
    pub fn answer(&self, method: &str, url: &str, outcome: HttpOutcome) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.push((method.to_owned(), url.to_owned(), outcome));
    }

    /// What was asked for since the last look, the oldest first.
    pub fn take_asked(&self) -> Vec<HttpRequest> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect()
    }
}

impl Outside for Recorded {
    fn fetch(&self, request: HttpRequest, done: Done) {
        let outcome = {
            let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
            let fits = |(method, url, _): &&(String, String, HttpOutcome)| {
                *method == request.method && request.url.starts_with(url.as_str())
            };
            answers.iter().rev().find(fits).map(|(_, _, outcome)| outcome.clone())
        };
        let url = request.url.clone();
        {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            if asked.len() >= KEPT {
                asked.pop_front();
            }
            asked.push_back(request);
        }
        let outcome = outcome.unwrap_or_else(|| Err(format!("no answer is recorded for {url}")));
        done(
            outcome.map(|answer| if answer.url.is_empty() { HttpResponse { url, ..answer } } else { answer }),
        );
    }
}
