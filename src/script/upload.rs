//! Files on their way to an upload service: from the slot that the account was given to the word that the file lies
//! there.
//!
//! The file itself waits with its script; a script that is replaced meanwhile uploads nothing more.

use std::sync::Arc;

use rhai::Dynamic;
use url::Url;

use crate::action::OutgoingMessage;
use crate::event::{Answer, RequestFailed};
use crate::hosts::{self, HostPattern};
use crate::jid::Jid;
use crate::script::api::upload::{self as api, UploadObject};
use crate::script::bot::{Bot, Progress};
use crate::script::host::Host;
use crate::script::instance::Surroundings;
use crate::script::outside::{HttpOutcome, HttpRequest, LIMIT, LONGEST};
use crate::script::web::{Fetch, Ticket, Wanted};
use crate::stanza::MessageKind;
use crate::xep::file_metadata::Metadata;
use crate::xep::upload::Slot;

/// Files of one script that may be on their way.
pub(super) const WAITING: usize = 16;

/// A file that waits for its slot.
#[derive(Clone)]
pub(super) struct Parcel {
    pub file: Metadata,
    pub data: Arc<[u8]>,
    /// Where it is sent when it lies there, if no function waits.
    pub to: Option<Recipient>,
}

/// Who is sent a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Recipient {
    pub to: Jid,
    pub kind: MessageKind,
    pub thread: Option<String>,
    /// A private message of a room, XEP-0045 §7.5.
    pub in_room: bool,
}

/// A file that has been put somewhere, or could not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Uploaded {
    pub file: Metadata,
    pub to: Option<Recipient>,
    /// Where it lies, or why it lies nowhere.
    pub url: Result<String, String>,
}

impl Bot {
    /// Puts the file that waits for this answer where the slot says; false if no file waits for it.
    pub(super) fn slot_given(
        &mut self,
        answer: &Answer,
        host: &mut Host,
        around: &mut Surroundings,
        progress: &mut Progress,
    ) -> bool {
        let waiting = |instance: &mut crate::script::instance::Instance| instance.uploads.call(&answer.token);
        let mut found = self.slots.iter_mut().enumerate();
        let found = found.find_map(|(at, slot)| Some((at, slot.instance.as_mut().and_then(waiting)?)));
        let Some((at, parcel)) = found else { return false };
        let uses = &self.slots[at].uses;
        let domain = self.identity.jid.domain();
        let Parcel { file, data, to } = (*parcel).clone();
        let slot = slot(&answer.outcome).and_then(|slot| {
            let allowed = host_of(&slot, domain, &uses.permissions.http)?;
            Ok((slot, allowed))
        });
        match slot {
            Ok((slot, allowed)) => {
                let mut headers = slot.headers;
                headers.extend(file.mime.clone().map(|mime| ("content-type".to_owned(), mime)));
                let request = HttpRequest {
                    bot: self.identity.name.clone(),
                    script: uses.name.clone(),
                    method: "PUT".to_owned(),
                    url: slot.put,
                    headers,
                    body: data.to_vec(),
                    timeout: LONGEST,
                    limit: LIMIT,
                    allowed: vec![allowed],
                    redirects: false,
                };
                let wanted = Wanted::File(Arc::new(Uploaded { file, to, url: Ok(slot.get) }));
                let ticket = Ticket { script: uses.name.clone(), key: answer.token.clone(), wanted };
                progress.fetches.push(Fetch { ticket, request });
            }
            Err(why) => {
                let uploaded = Uploaded { file, to, url: Err(why) };
                self.uploaded(at, &answer.token, uploaded, host, around, progress);
            }
        }
        true
    }

    /// What came of putting it there.
    pub(super) fn put(
        &mut self,
        ticket: &Ticket,
        uploaded: &Uploaded,
        outcome: &HttpOutcome,
        host: &mut Host,
        around: &mut Surroundings,
        progress: &mut Progress,
    ) {
        let Some(at) = self.slots.iter().position(|slot| slot.uses.name == ticket.script) else { return };
        let url = match outcome {
            Ok(answer) if (200..300).contains(&answer.status) => uploaded.url.clone(),
            Ok(answer) => Err(format!("status {}", answer.status)),
            Err(why) => Err(why.clone()),
        };
        let uploaded = Uploaded { url, ..uploaded.clone() };
        self.uploaded(at, &ticket.key, uploaded, host, around, progress);
    }

    fn uploaded(
        &mut self,
        at: usize,
        token: &str,
        uploaded: Uploaded,
        host: &mut Host,
        around: &mut Surroundings,
        progress: &mut Progress,
    ) {
        let Some(instance) = self.slots[at].instance.as_mut() else { return };
        let key = format!("upload:{token}");
        if let Some(function) = instance.requests.call(&token.to_owned()) {
            let object = Dynamic::from(UploadObject(Arc::new(uploaded)));
            self.turn(at, "upload", &key, host, around, progress, move |caller| {
                caller.call_whole(&function, vec![object])
            });
            return;
        }
        let Some(recipient) = uploaded.to.clone() else { return };
        match &uploaded.url {
            Ok(_) => {
                self.turn(at, "upload", &key, host, around, progress, |_| {
                    api::send(&uploaded, &recipient).map(drop)
                });
            }
            Err(why) => {
                tracing::warn!(bot = %self.identity.name, script = self.slots[at].uses.name, why, "file not sent")
            }
        }
    }
}

/// The slot of an answer.
fn slot(outcome: &Result<Option<crate::xml::Element>, RequestFailed>) -> Result<Slot, String> {
    match outcome {
        Ok(payload) => {
            let slot = payload.as_ref().and_then(Slot::parse);
            slot.ok_or_else(|| "the service gave no place that can be trusted".to_owned())
        }
        Err(RequestFailed::Error(error)) => Err(match &error.text {
            Some(text) => format!("{}: {}", error.condition, crate::script::printed::cut(text, 200)),
            None => error.condition.clone().into_owned(),
        }),
        Err(RequestFailed::SessionLost) => Err("session-lost".to_owned()),
        Err(RequestFailed::Timeout) => Err("timeout".to_owned()),
    }
}

/// The one host that the file may go to. It may be at a private address where it is the account's own domain or below
/// it, or where the operator grants it to the script: another host that a server names is taken at its public
/// addresses only.
fn host_of(slot: &Slot, domain: &str, granted: &[HostPattern]) -> Result<HostPattern, String> {
    let refused = || "the service gave no place that can be trusted".to_owned();
    let url = Url::parse(&slot.put).map_err(|_| refused())?;
    let name = url.host_str().ok_or_else(refused)?;
    let home = name == domain || name.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
    let private = home || hosts::check(&url, granted).is_ok();
    HostPattern::exactly(&url, private).ok_or_else(refused)
}

/// A message that shares the file.
pub(super) fn message(uploaded: &Uploaded, recipient: &Recipient, id: &str) -> Option<OutgoingMessage> {
    use crate::xep::{fallback, file_sharing, oob};
    let url = uploaded.url.as_ref().ok()?;
    let mut payloads = vec![
        oob::link(url),
        file_sharing::sharing(url, &uploaded.file),
        fallback::stand_in(file_sharing::NS),
        fallback::stand_in(oob::NS),
    ];
    if recipient.in_room {
        payloads.push(crate::script::api::room::marker());
    }
    Some(OutgoingMessage {
        to: recipient.to.clone(),
        kind: recipient.kind,
        id: id.to_owned(),
        text: url.clone(),
        subject: None,
        lang: None,
        thread: recipient.thread.clone(),
        payloads,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s14_only_hosts_of_the_accounts_domain_or_granted_ones_may_be_private() {
        let private = |host: &str, granted: &[&str]| {
            let slot = Slot { put: format!("https://{host}/x"), get: String::new(), headers: Vec::new() };
            let granted: Vec<HostPattern> = granted.iter().filter_map(|it| HostPattern::parse(it)).collect();
            let pattern = host_of(&slot, "example.org", &granted).expect("a host");
            let url = Url::parse(&slot.put).expect("a URL");
            hosts::reachable("10.0.0.1".parse().expect("an address"), &url, &[pattern])
        };
        assert!(private("example.org", &[]));
        assert!(private("upload.example.org:5281", &[]));
        assert!(!private("badexample.org", &[]));
        assert!(!private("example.net", &[]));
        assert!(private("example.net", &["example.net"]));
        assert!(!private("example.net:444", &["example.net"]));
    }
}
