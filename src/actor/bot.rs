//! The bot actor: stands between one account and the script pool, and holds the bot's place in it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix::{Actor, ActorContext, AsyncContext, Context, Handler};

use crate::action::Action;
use crate::actor::deps::Deps;
use crate::actor::drill::{self, Point};
use crate::actor::inbox::{Inbox, Wake};
use crate::actor::ledger::Ledger;
use crate::actor::message::{Deliver, Stop, Swap};
use crate::actor::notice::DownNotice;
use crate::actor::status::{Board, Parked, ScriptStanding};
use crate::script::error::ScriptError;
use crate::script::pool::BotHandle;
use crate::script::speech::Speech;
use crate::script::{BotSpec, Cooldown, Delivery, ScriptState, ScriptUse, Sink, Stanza, Turned};
use crate::session;
use crate::store::session::Received;
use crate::xml;

/// Messages of the account that may wait in the mailbox; each holds what one chunk brought.
const MAILBOX: usize = 64;

/// One bot.
pub struct Bot {
    deps: Arc<Deps>,
    spec: BotSpec,
    board: Arc<Board>,
    _notice: DownNotice,
    handle: Option<BotHandle>,
    /// Words of the pool that there is room again.
    from_pool: Inbox<()>,
    to_account: Inbox<Turned>,
    ledger: Arc<Ledger>,
    /// What the pool's queue did not take; the account reads no further meanwhile.
    overflow: VecDeque<Delivery>,
    /// The pool's next turn is to wake this actor, because of the overflow.
    hungry: Arc<AtomicBool>,
}

impl Bot {
    /// A bot that is not in the pool yet.
    pub fn new(
        deps: Arc<Deps>,
        spec: BotSpec,
        board: Arc<Board>,
        notice: DownNotice,
        to_account: Inbox<Turned>,
        ledger: Arc<Ledger>,
    ) -> Self {
        Self {
            deps,
            spec,
            board,
            _notice: notice,
            handle: None,
            from_pool: Inbox::default(),
            to_account,
            ledger,
            overflow: VecDeque::new(),
            hungry: Arc::default(),
        }
    }

    /// Hands the pool as much as its queue takes, in order.
    fn feed(&mut self) {
        let Some(handle) = &self.handle else { return };
        while !self.overflow.is_empty() {
            let group = next_group(&mut self.overflow);
            if let Err(group) = handle.deliver_group(group) {
                group.into_iter().rev().for_each(|delivery| self.overflow.push_front(delivery));
                // A turn may have ended between the refusal and the word that we wait: try once more.
                if self.hungry.swap(true, Ordering::SeqCst) {
                    return;
                }
            }
        }
    }
}

/// What one stanza has become: it is queued and committed as a whole.
fn next_group(waiting: &mut VecDeque<Delivery>) -> Vec<Delivery> {
    let number = waiting.front().and_then(|delivery| delivery.number);
    let more = |delivery: &&Delivery| number.is_some() && delivery.number == number;
    let count = waiting.iter().take_while(more).count().max(1);
    waiting.drain(..count).collect()
}

impl Actor for Bot {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.set_mailbox_capacity(MAILBOX);
        self.from_pool.attach(ctx.address().recipient());
        let sink = Arc::new(PoolSink {
            to_account: self.to_account.clone(),
            to_bot: self.from_pool.clone(),
            ledger: Arc::clone(&self.ledger),
            hungry: Arc::clone(&self.hungry),
        });
        let handle = self.deps.pool.add(self.spec.clone(), sink);
        let asked = handle.clone();
        self.board.ask_scripts(move || asked.scripts().into_iter().map(standing).collect());
        let asked = handle.clone();
        self.board.ask_metrics(move || asked.metrics());
        self.handle = Some(handle);
    }

    fn stopped(&mut self, _: &mut Context<Self>) {
        if let Some(handle) = self.handle.take() {
            handle.remove();
        }
    }
}

impl Handler<Deliver> for Bot {
    type Result = ();

    fn handle(&mut self, message: Deliver, _: &mut Context<Self>) {
        if let (Some(rooms), Some(handle)) = (message.rooms, &self.handle) {
            handle.show_rooms(rooms);
        }
        if let (Some(bytes), Some(handle)) = (message.stanza_limit, &self.handle) {
            handle.note_stanza_limit(bytes);
        }
        self.overflow.extend(message.events);
        self.feed();
    }
}

impl Handler<Wake> for Bot {
    type Result = ();

    fn handle(&mut self, _: Wake, _: &mut Context<Self>) {
        self.from_pool.take();
        self.feed();
    }
}

impl Handler<Swap> for Bot {
    type Result = ();

    fn handle(&mut self, message: Swap, _: &mut Context<Self>) {
        let Swap { scripts, admins, roles, queue, schedules, speech } = message;
        let Some(handle) = &self.handle else { return };
        handle.configure(admins, roles, queue, schedules);
        handle.speak(speech);
        if let Some(scripts) = scripts {
            handle.swap(scripts);
        }
    }
}

impl Handler<Stop> for Bot {
    type Result = ();

    fn handle(&mut self, Stop(_): Stop, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}

/// Takes turns from the pool's and the store's threads, past the bot to the account: most turns say nothing that
/// concerns the bot, and a second wake-up for each would cost as much as a script.
struct PoolSink {
    to_account: Inbox<Turned>,
    to_bot: Inbox<()>,
    ledger: Arc<Ledger>,
    hungry: Arc<AtomicBool>,
}

impl Sink for PoolSink {
    fn durable(&self, action: &Action) -> Option<Stanza> {
        let Action::Message(message) = action else { return None };
        let element = session::encode(action).ok()?;
        Some(Stanza { id: message.id.clone(), xml: xml::writer::to_string(&element).ok()? })
    }

    fn received(&self, handled: &[u64]) -> Received {
        drill::die_at(Point::BeforeCommit);
        self.ledger.claim(handled)
    }

    fn turned(&self, turned: Turned) {
        if turned.kept {
            drill::die_at(Point::AfterCommit);
        }
        // Before the bot's next row can be claimed.
        self.ledger.done(&turned.handled, turned.kept);
        if self.hungry.swap(false, Ordering::SeqCst) {
            self.to_bot.push(());
        }
        self.to_account.push(turned);
    }
}

/// One script for the board.
fn standing(script: ScriptState) -> ScriptStanding {
    let state = match (script.running, script.trouble) {
        (false, Some(error)) if script.parked.is_some() => {
            parked(script.parked.as_ref(), &error, script.skipped)
        }
        (true, None) => "running".to_owned(),
        (true, Some(error)) => format!("running the version before: {error}"),
        (false, Some(error)) => format!("parked: {error}"),
        (false, None) => "loading".to_owned(),
    };
    let parked = script.parked.map(|cooldown| Parked {
        why: cooldown.why,
        until: cooldown.until,
        skipped: script.skipped,
    });
    let (name, version, failures) = (script.name, script.version, script.failures);
    ScriptStanding { name, version, state, failures, parked }
}

/// How a script stands that is left alone for a while.
fn parked(cooldown: Option<&Cooldown>, last: &ScriptError, skipped: u64) -> String {
    let Some(Cooldown { why, until }) = cooldown else { return format!("parked: {last}") };
    let (file, line, message) = (&last.file, last.line, &last.message);
    let until = until.strftime("%Y-%m-%dT%H:%M:%SZ");
    format!(
        "parked: {why}; last: {file}:{line}: {message}; tried again at {until} or on its next version; \
         {skipped} events skipped"
    )
}

/// The scripts of a bot, as the pool wants them.
pub fn bot_spec(settings: &crate::config::settings::BotSettings, scripts: Vec<ScriptUse>) -> BotSpec {
    BotSpec {
        name: settings.name.clone(),
        jid: settings.jid.clone(),
        scripts,
        queue: settings.limits.queue,
        admins: settings.admins.clone(),
        schedules: settings.schedules.clone(),
        roles: settings.roles.clone(),
        speech: speech(settings),
    }
}

/// How a bot speaks, as bots.yaml has it.
pub fn speech(settings: &crate::config::settings::BotSettings) -> Speech {
    Speech { longest: settings.limits.message, unreadable: settings.unreadable.as_deref().map(Into::into) }
}
