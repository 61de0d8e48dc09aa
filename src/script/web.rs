//! Requests to the web and calls from it, as turns: what is asked after the commit, what comes back, who handles it.
//!
//! A request by name leaves a guard behind: a timer, set in the same commit, that is due when the answer should
//! long have come. The answer removes it. After a crash the guard comes instead, and says `interrupted`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rhai::Dynamic;
use serde_json::{Value, json};

use crate::event::Timer;
use crate::script::api::http::ResponseObject;
use crate::script::api::webhook::{self, CallObject};
use crate::script::bot::{Bot, Item, Progress};
use crate::script::declare::Wants;
use crate::script::hook::{Auth, HookCall, HookResponse};
use crate::script::host::Host;
use crate::script::instance::Surroundings;
use crate::script::memory;
use crate::script::outside::{HttpOutcome, HttpRequest, INTERRUPTED, PER_BOT};
use crate::script::pool::{Cell, Shared};
use crate::script::turn::Identity;
use crate::script::upload::Uploaded;
use crate::store::TimerRow;

/// Name of the timers that guard requests; no script can read it.
pub(super) const GUARD: &str = "\u{1}http";

/// A request on its way out.
pub(super) struct Fetch {
    pub ticket: Ticket,
    pub request: HttpRequest,
}

/// Who waits for an answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ticket {
    pub script: String,
    /// Names the request.
    pub key: String,
    pub wanted: Wanted,
}

/// How the answer is wanted.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Wanted {
    /// By the event `answer:NAME`, even after the script was replaced.
    Event { name: String, data: Value, guard: i64 },
    /// By whoever waits for a file to be uploaded.
    File(Arc<Uploaded>),
    /// By a function of the script that runs now.
    Function,
}

/// What came of a request, on its way to the script.
#[derive(Debug)]
pub(super) struct Reply {
    ticket: Ticket,
    pub outcome: HttpOutcome,
}

/// A request under way. Its end is when the reply has been handled, so that replies cannot pile up either.
#[derive(Debug)]
pub(super) struct Asking(Arc<AtomicUsize>);

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Asking {
    fn begin(identity: &Identity) -> Option<Self> {
        let more = |count: usize| (count < PER_BOT).then_some(count + 1);
        identity.asking.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Self(identity.asking.clone()))
    }
}

/// What a guard remembers of its request.
pub(super) fn remembered(name: &str, key: &str, data: &Value) -> Value {
    json!({ "name": name, "key": key, "data": data })
}

/// Whether a timer is none of the script's own.
pub(super) fn is_guard(row: &TimerRow) -> bool {
    row.name == GUARD
}

impl Reply {
    /// What was handed in with the name.
    pub(super) fn data(&self) -> &Value {
        match &self.ticket.wanted {
            Wanted::Event { data, .. } => data,
            Wanted::File(_) | Wanted::Function => &Value::Null,
        }
    }

    /// The script that asked.
    pub(super) fn script(&self) -> &str {
        &self.ticket.script
    }

    /// What names the request.
    pub(super) fn key(&self) -> &str {
        &self.ticket.key
    }

    /// The name under which a handler waits for it, where no function does.
    pub(super) fn event(&self) -> Option<&str> {
        match &self.ticket.wanted {
            Wanted::Event { name, .. } => Some(name),
            Wanted::File(_) | Wanted::Function => None,
        }
    }

    /// About how many bytes it takes.
    fn weight(&self) -> usize {
        let headers = |(name, value): &(String, String)| name.len() + value.len() + 64;
        let answer = self.outcome.as_ref();
        512 + answer.map_or(0, |it| it.body.len() + it.headers.iter().map(headers).sum::<usize>())
    }

    /// The row of the timer that guards it.
    pub(super) fn guard(&self) -> Option<i64> {
        match self.ticket.wanted {
            Wanted::Event { guard, .. } => Some(guard),
            Wanted::File(_) | Wanted::Function => None,
        }
    }

    /// The reply that a guard stands for: nothing came of the request before the program ended.
    pub(super) fn interrupted(timer: &Timer) -> Option<Self> {
        if timer.name != GUARD {
            return None;
        }
        let text = |field: &str| timer.data.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let data = timer.data.get("data").cloned().unwrap_or_default();
        let wanted = Wanted::Event { name: text("name"), data, guard: timer.id };
        let ticket = Ticket { script: timer.script.clone(), key: text("key"), wanted };
        Some(Self { ticket, outcome: Err(INTERRUPTED.to_owned()) })
    }
}

/// Makes a request whose turn is committed.
pub(super) fn fetch(shared: &Arc<Shared>, cell: &Arc<Cell>, fetch: Fetch) {
    let Fetch { ticket, request } = fetch;
    let Some(asking) = Asking::begin(&cell.identity) else {
        let outcome = Err(format!("busy: {PER_BOT} requests of this bot are under way"));
        shared.push(cell, Item::Web { reply: Arc::new(Reply { ticket, outcome }), _asking: None });
        return;
    };
    tracing::debug!(bot = request.bot, script = request.script, method = request.method, "asks the web");
    let (shared2, cell) = (Arc::downgrade(shared), Arc::downgrade(cell));
    let done = move |outcome: HttpOutcome| {
        // Without them nobody is left to tell.
        if let (Some(shared), Some(cell)) = (shared2.upgrade(), cell.upgrade()) {
            let reply = Arc::new(Reply { ticket, outcome });
            shared.push(&cell, Item::Web { reply, _asking: Some(asking) });
        }
    };
    shared.outside.fetch(request, Box::new(done));
}

impl Bot {
    /// Hands what came of a request to the function or the handler that waits for it.
    pub(super) fn web(
        &mut self,
        reply: &Arc<Reply>,
        host: &mut Host,
        around: &mut Surroundings,
        progress: &mut Progress,
    ) {
        let Ticket { script, key, wanted } = &reply.ticket;
        let key = format!("http:{key}");
        match wanted {
            Wanted::Event { name, guard, .. } => {
                if !self.row_stands(*guard, script, around) {
                    return;
                }
                if !self.may_remove(script) {
                    // The answer is lost, the request is not: its guard tells the script when it runs again.
                    progress.kept.push(*guard);
                    return;
                }
                // As with timers: it goes with the turn's writes, and also if the turn fails.
                around.pending.remove_timer(*guard);
                let event = format!("answer:{name}");
                let Some(at) = self.slots.iter().position(|slot| slot.uses.name == *script) else {
                    tracing::debug!(bot = %self.identity.name, event, "nobody waits for this answer any more");
                    return;
                };
                let held = Arc::strong_count(reply);
                let object = Dynamic::from(ResponseObject(reply.clone()));
                self.script_chain(
                    at,
                    &[&event],
                    Wants::default(),
                    &key,
                    &object,
                    || Ok(()),
                    host,
                    around,
                    progress,
                );
                drop(object);
                self.charge_kept(at, Arc::strong_count(reply) > held, reply.weight());
            }
            Wanted::File(uploaded) => {
                self.put(&reply.ticket, uploaded, &reply.outcome, host, around, progress);
            }
            Wanted::Function => {
                let waiting = |slot: &crate::script::bot::Slot| {
                    slot.uses.name == *script
                        && slot.instance.as_ref().is_some_and(|i| i.requests.contains(&reply.ticket.key))
                };
                let Some(at) = self.slots.iter().position(waiting) else {
                    tracing::debug!(bot = %self.identity.name, script, "nobody waits for this answer any more");
                    return;
                };
                let Some(function) =
                    self.slots[at].instance.as_mut().and_then(|i| i.requests.call(&reply.ticket.key))
                else {
                    return;
                };
                let held = Arc::strong_count(reply);
                let object = Dynamic::from(ResponseObject(reply.clone()));
                self.turn(at, "http", &key, host, around, progress, move |caller| {
                    caller.call_whole(&function, vec![object])
                });
                self.charge_kept(at, Arc::strong_count(reply) > held, reply.weight());
            }
        }
    }

    /// Hands a call from the web to the script that declared it. Its answer is given after the commit.
    pub(super) fn hook(
        &mut self,
        call: &Arc<HookCall>,
        host: &mut Host,
        around: &mut Surroundings,
        progress: &mut Progress,
    ) {
        let found = self.slots.iter().enumerate().find_map(|(at, slot)| {
            let webhooks = &slot.instance.as_ref()?.declared.webhooks;
            webhooks.iter().find(|webhook| webhook.hook.name == call.name).map(|found| (at, found.clone()))
        });
        let Some((at, webhook)) = found else {
            progress.answers.push((call.clone(), HookResponse::status(404)));
            return;
        };
        let event = format!("webhook:{}", call.name);
        let key = format!("webhook:{}", call.request.id);
        let hidden = match &webhook.hook.auth {
            Auth::Token { header, .. } => Some(header.clone()),
            Auth::Hmac { .. } | Auth::None => None,
        };
        let held = Arc::strong_count(call);
        let object = Dynamic::from(CallObject { call: call.clone(), hidden });
        let mut response = None;
        let failed = progress.failures.len();
        self.turn(at, &event, &key, host, around, progress, |caller| {
            let value = caller.call(&webhook.call, vec![object])?;
            response = Some(webhook::response(&value)?);
            Ok(())
        });
        self.charge_kept(at, Arc::strong_count(call) > held, call.request.body.len() + 4_096);
        let response = match response {
            Some(response) if progress.failures.len() == failed => response,
            unsaid => {
                memory::uncounted(|| drop(unsaid));
                HookResponse::status(500)
            }
        };
        progress.answers.push((call.clone(), response));
    }

    /// A script that keeps what it was given keeps its memory too.
    fn charge_kept(&mut self, at: usize, kept: bool, bytes: usize) {
        if let Some(instance) = self.slots[at].instance.as_mut().filter(|_| kept) {
            instance.charge(bytes);
        }
    }
}
