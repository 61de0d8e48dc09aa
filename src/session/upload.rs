//! Files on their way to the server's upload service, XEP-0363: which service there is, and a slot for each file.
//!
//! The service is looked for when the first file comes, among the items of the account's own server, and again with
//! each session.

use std::collections::BTreeSet;
use std::time::Duration;

use tracing::debug;

use super::pending::Purpose;
use super::{Refused, Session};
use crate::event::{Answer, Event, RequestFailed};
use crate::jid::Jid;
use crate::moment::Moment;
use crate::stanza::{ErrorKind, StanzaError};
use crate::xep::{disco, upload};
use crate::xml::Element;

/// How long the server may take for each step.
const PATIENCE: Duration = Duration::from_secs(30);
/// Items of the server that are asked what they are.
const ITEMS: usize = 30;
/// Files that may wait until the service is known.
const WAITING: usize = 100;

/// What is known of the service.
#[derive(Debug, Default)]
pub(super) enum Uploads {
    /// Nobody has asked yet.
    #[default]
    Unknown,
    /// The server, and then its items, were asked.
    AwaitService { open: usize, waiting: Vec<Parcel> },
    /// There is none.
    Nowhere,
    /// Files go to this one; `most` bytes, where it says so.
    Service { jid: Jid, most: Option<u64> },
}

/// A file that is to be put somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parcel {
    pub token: String,
    pub name: String,
    pub mime: Option<String>,
    pub size: u64,
}

type Outcome = Result<Option<Element>, RequestFailed>;

impl Session {
    /// Gets a slot for a file; the answer comes as [`Event::Answer`].
    pub(super) fn upload(&mut self, now: Moment, parcel: Parcel) -> Result<(), Refused> {
        if !self.pending.has_room() {
            return Err(Refused::Busy);
        }
        super::perform::check(&upload::request(&parcel.name, parcel.size, parcel.mime.as_deref()))?;
        match &mut self.uploads {
            Uploads::Unknown => {
                self.uploads = Uploads::AwaitService { open: 1, waiting: vec![parcel] };
                let query = Element::new("query", disco::ITEMS);
                let domain = self.own.domain.clone().into();
                self.ask(now, "get", Some(domain), query, PATIENCE, Purpose::UploadItems);
            }
            Uploads::AwaitService { waiting, .. } if waiting.len() >= WAITING => return Err(Refused::Busy),
            Uploads::AwaitService { waiting, .. } => waiting.push(parcel),
            Uploads::Nowhere | Uploads::Service { .. } => self.ask_slot(now, parcel),
        }
        Ok(())
    }

    /// The server has told its items: each may be the service, and so may the server.
    pub(super) fn on_upload_items(&mut self, now: Moment, outcome: Outcome) {
        let mut asked = BTreeSet::from([Jid::from(self.own.domain.clone())]);
        if let Ok(Some(query)) = &outcome {
            let items =
                query.children().filter(|item| item.is("item", disco::ITEMS) && item.attr("node").is_none());
            let found = items.filter_map(|item| Jid::from_wire(item.attr("jid")?).ok());
            asked.extend(found.filter(|jid| jid.local().is_none() && jid.is_bare()).take(ITEMS));
        }
        if let Uploads::AwaitService { open, .. } = &mut self.uploads {
            *open = asked.len();
        }
        for jid in asked {
            let purpose = Purpose::UploadInfo { jid: jid.clone() };
            self.ask(now, "get", Some(jid), disco::query(None), PATIENCE, purpose);
        }
    }

    /// One of them has told what it is.
    pub(super) fn on_upload_info(&mut self, now: Moment, jid: Jid, outcome: Outcome) {
        let Uploads::AwaitService { open, waiting } = &mut self.uploads else { return };
        *open = open.saturating_sub(1);
        let info = outcome.ok().flatten().as_ref().and_then(disco::Info::parse);
        let found = info.as_ref().and_then(upload::service);
        let next = match found {
            Some(most) => Uploads::Service { jid, most },
            None if *open == 0 => Uploads::Nowhere,
            None => return,
        };
        let waiting = std::mem::take(waiting);
        debug!(account = %self.own.bare, service = ?next, "where files go");
        self.uploads = next;
        for parcel in waiting {
            self.ask_slot(now, parcel);
        }
    }

    fn ask_slot(&mut self, now: Moment, parcel: Parcel) {
        let Parcel { token, name, mime, size } = parcel;
        let refused = match &self.uploads {
            Uploads::Service { most: Some(most), .. } if size > *most => {
                let mut error = StanzaError::new(ErrorKind::Modify, "not-acceptable");
                error.text = Some(format!("the service takes files of at most {most} bytes"));
                Some(error)
            }
            Uploads::Service { jid, .. } => {
                let request = upload::request(&name, size, mime.as_deref());
                let jid = jid.clone();
                self.ask(
                    now,
                    "get",
                    Some(jid),
                    request,
                    PATIENCE,
                    Purpose::UploadSlot { token: token.clone() },
                );
                None
            }
            Uploads::AwaitService { .. } | Uploads::Nowhere | Uploads::Unknown => {
                let mut error = StanzaError::new(ErrorKind::Cancel, "service-unavailable");
                error.text = Some("the server takes no files".to_owned());
                Some(error)
            }
        };
        if let Some(error) = refused {
            self.event(Event::Answer(Answer { token, outcome: Err(RequestFailed::Error(error)) }));
        }
    }

    /// The session is gone, and with it what was known; files that waited go nowhere.
    pub(super) fn on_uploads_gone(&mut self) {
        if let Uploads::AwaitService { waiting, .. } = std::mem::take(&mut self.uploads) {
            for Parcel { token, .. } in waiting {
                self.event(Event::Answer(Answer { token, outcome: Err(RequestFailed::SessionLost) }));
            }
        }
    }
}
