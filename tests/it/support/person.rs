//! Somebody with a client who talks to bots: the library's own person, on a thread of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rhapsode::action::{Action, OutgoingMessage};
use rhapsode::event::{Event, Message};
use rhapsode::ids::Seed;
use rhapsode::jid::{BareJid, Jid};
use rhapsode::ops::person::{Heard, Login, Person as Inner};
use rhapsode::secret::Password;
use rhapsode::stanza::MessageKind;
use tokio::task::LocalSet;

use super::process::PATIENCE;
use super::world::{DOMAIN, jid};

/// A person who is logged in. Dropping it logs out.
pub struct Person {
    actions: tokio::sync::mpsc::Sender<Action>,
    hears: Receiver<Heard>,
    count: u64,
}

impl Person {
    /// Logs in with the resource `test`.
    pub fn login(user: &str, password: &str, server: SocketAddr, ca: &Path) -> Self {
        let login = Login {
            jid: BareJid::parse(&format!("{user}@{DOMAIN}")).expect("a localpart"),
            password: Password::new(password.to_owned()),
            resource: "test".to_owned(),
            server,
            ca: ca.to_owned(),
        };
        Self::with(login)
    }

    /// Logs in.
    pub fn with(login: Login) -> Self {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).expect("random bytes");
        let (ready, is_ready) = channel();
        let (says, hears) = channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let main = async move {
                let mut person = match Inner::login(login, Seed(seed)).await {
                    Ok(person) => person,
                    Err(why) => return drop(ready.send(Err(why))),
                };
                // The test may have given up.
                drop(ready.send(Ok(person.actions.clone())));
                drop(person.actions);
                while let Some(heard) = person.hears.recv().await {
                    drop(says.send(heard));
                }
            };
            LocalSet::new().block_on(&runtime.expect("a runtime"), main);
        });
        let actions = is_ready.recv_timeout(PATIENCE).expect("a login ends").expect("the login succeeds");
        Self { actions, hears, count: 0 }
    }

    /// Does something.
    pub fn act(&self, action: Action) {
        self.actions.blocking_send(action).expect("the person is connected");
    }

    /// Says something to an account of the world.
    pub fn say(&mut self, to: &str, text: &str) {
        self.say_to(jid(to), text);
    }

    /// Says something to an address.
    pub fn say_to(&mut self, to: Jid, text: &str) {
        self.count += 1;
        self.act(Action::Message(OutgoingMessage {
            to,
            kind: MessageKind::Chat,
            id: format!("said-{}", self.count),
            text: text.to_owned(),
            subject: None,
            lang: None,
            thread: None,
            payloads: Vec::new(),
        }));
    }

    /// The next event for which `pick` gives something; others before it are dropped.
    pub fn hear<T>(&mut self, what: &str, mut pick: impl FnMut(Event) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.hears.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(Heard::Event(event)) => {
                    if let Some(found) = pick(event) {
                        return found;
                    }
                }
                Ok(Heard::Gone(why)) => panic!("waiting for {what}, the connection ended: {why}"),
                Err(RecvTimeoutError::Timeout) => panic!("waited in vain for {what}"),
                Err(RecvTimeoutError::Disconnected) => panic!("waiting for {what}, the person was gone"),
            }
        }
    }

    /// The next message from an account of the world.
    pub fn message(&mut self, from: &str) -> Message {
        let from = jid(from).to_bare();
        self.hear(&format!("a message from {from}"), |event| match event {
            Event::Message(message) if message.from.to_bare() == from => Some(*message),
            _ => None,
        })
    }

    /// The text of the next message from an account, if one comes within that time.
    pub fn text_within(&mut self, from: &str, patience: Duration) -> Option<String> {
        let (from, deadline) = (jid(from).to_bare(), Instant::now() + patience);
        loop {
            match self.hears.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(Heard::Event(Event::Message(message))) if message.from.to_bare() == from => {
                    return Some(message.text);
                }
                Ok(Heard::Event(_)) => {}
                Ok(Heard::Gone(why)) => panic!("the connection ended: {why}"),
                Err(RecvTimeoutError::Timeout) => return None,
                Err(RecvTimeoutError::Disconnected) => panic!("the person was gone"),
            }
        }
    }

    /// The text of the next message from an account.
    pub fn text(&mut self, from: &str) -> String {
        self.message(from).text
    }

    /// Says something and gives the answer.
    pub fn ask(&mut self, to: &str, text: &str) -> String {
        self.say(to, text);
        self.text(to)
    }

    /// Texts from an account that have arrived already, and those until `last` comes.
    pub fn texts_until(&mut self, from: &str, last: &str) -> Vec<String> {
        let mut texts = Vec::new();
        while texts.last().map(String::as_str) != Some(last) {
            texts.push(self.text(from));
        }
        texts
    }
}
