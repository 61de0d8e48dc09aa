//! Other people's HTTP servers: answers that the test has recorded, and a list of requests that nobody expected.

use std::sync::{Arc, Mutex, PoisonError};

use crate::script::outside::{Done, HttpRequest, HttpResponse, Outside};

/// Unexpected requests that are remembered.
const KEPT: usize = 100;

/// The web of one world; it survives a crash of the bot.
#[derive(Clone, Default)]
pub(super) struct Web(Arc<Mutex<Recorded>>);

#[derive(Default)]
struct Recorded {
    /// Method, address and answer; later ones win.
    answers: Vec<(String, String, HttpResponse)>,
    unexpected: Vec<String>,
}

impl Web {
    /// From now on, requests of this address are answered so; `*` at the end of `url` stands for any rest.
    pub fn record(&self, method: &str, url: &str, answer: HttpResponse) {
        let mut recorded = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        recorded.answers.push((method.to_owned(), url.to_owned(), answer));
    }

    /// Requests since the last look that had no answer.
    pub fn take_unexpected(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).unexpected)
    }
}

impl Outside for Web {
    fn fetch(&self, request: HttpRequest, done: Done) {
        let outcome = {
            let mut recorded = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let fits = |(method, url, _): &&(String, String, HttpResponse)| {
                let here = match url.strip_suffix('*') {
                    Some(begin) => request.url.starts_with(begin),
                    None => request.url == *url,
                };
                here && *method == request.method
            };
            let answer = recorded.answers.iter().rev().find(fits).map(|(_, _, answer)| answer.clone());
            if answer.is_none() && recorded.unexpected.len() < KEPT {
                recorded.unexpected.push(format!("{} {}", request.method, request.url));
            }
            answer
        };
        match outcome {
            Some(answer) => done(Ok(HttpResponse { url: request.url, ..answer })),
            None => done(Err("no answer is recorded for this request".to_owned())),
        }
    }
}
