//! A person at a foreign client: `person.py` with slixmpp, commanded by JSON lines.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::watch;

/// How long an answer may take.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The interpreter that has slixmpp.
pub fn python() -> String {
    std::env::var("RHAPSODE_PYTHON").unwrap_or_else(|_| "python3".to_owned())
}

/// Somebody who is online. Dropping ends the client.
pub struct Person {
    child: Child,
    orders: ChildStdin,
    heard: Arc<Mutex<Vec<Value>>>,
    /// Orders so far that are answered.
    orders_given: u64,
    /// The full address the server gave.
    pub jid: String,
}

impl Person {
    /// Logs in over verified TLS and waits until the presence is sent.
    pub fn login(server: SocketAddr, ca: &Path, jid: &str, password: &str) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/people/person.py");
        let mut child = Command::new(python())
            .arg(script)
            .args([server.ip().to_string(), server.port().to_string()])
            .arg(ca)
            .args([jid, password])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python starts");
        let orders = child.stdin.take().expect("piped above");
        let lines = BufReader::new(child.stdout.take().expect("piped above")).lines();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let collected = Arc::clone(&heard);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let value = serde_json::from_str(&line).unwrap_or_else(|_| json!({ "noise": line }));
                collected.lock().unwrap_or_else(PoisonError::into_inner).push(value);
            }
        });
        let mut person = Self { child, orders, heard, orders_given: 0, jid: String::new() };
        let online = person.wait_for(&format!("{jid} is online"), |heard| heard["online"].is_string());
        assert!(online["tls"].is_string(), "{jid} logged in without TLS: {online}");
        person.jid = online["online"].as_str().unwrap_or_default().to_owned();
        person
    }

    /// Says something.
    pub fn say(&mut self, to: &str, text: &str) {
        self.order(&json!({ "do": "say", "to": to, "text": text }));
    }

    /// Asks to see somebody's presence.
    pub fn subscribe(&mut self, to: &str) {
        self.order(&json!({ "do": "subscribe", "to": to }));
    }

    /// Sends a stanza as it is.
    pub fn raw(&mut self, xml: &str) {
        self.order(&json!({ "do": "raw", "xml": xml }));
    }

    /// The commands that somebody offers, XEP-0050.
    pub fn commands(&mut self, to: &str) -> Value {
        self.answer(json!({ "do": "commands", "to": to }))
    }

    /// One step of a command: `node`, `action`, and where it goes on `session` and `values`.
    pub fn command(&mut self, to: &str, mut step: Value) -> Value {
        (step["do"], step["to"]) = ("command".into(), to.into());
        self.answer(step)
    }

    /// What comes of an order that is answered.
    fn answer(&mut self, mut order: Value) -> Value {
        self.orders_given += 1;
        let number = self.orders_given;
        order["n"] = number.into();
        self.order(&order);
        self.wait_for(&format!("an answer to {order}"), |heard| heard["n"] == number)
    }

    fn order(&mut self, order: &Value) {
        writeln!(self.orders, "{order}").unwrap_or_else(|error| panic!("{} is gone: {error}", self.jid));
    }

    /// Everything heard so far.
    pub fn heard(&self) -> Vec<Value> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The texts of the messages from this bare address, in order.
    pub fn texts_from(&self, bare: &str) -> Vec<String> {
        let from = |value: &Value| {
            let sender = value["from"].as_str().unwrap_or_default();
            sender.split('/').next() == Some(bare)
        };
        let heard = self.heard();
        heard
            .iter()
            .filter(|value| from(value))
            .filter_map(|value| value["message"].as_str())
            .map(str::to_owned)
            .collect()
    }

    /// Waits for the first thing heard that fits.
    pub fn wait_for(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        watch::until(what, PATIENCE, || {
            let heard = self.heard();
            heard.iter().find(|value| fits(value)).cloned().ok_or_else(|| Value::from(heard).to_string())
        })
    }

    /// Waits for a message from this bare address whose text fits.
    pub fn wait_for_text(&self, bare: &str, what: &str, fits: impl Fn(&str) -> bool) -> String {
        watch::until(&format!("{} hears from {bare}: {what}", self.jid), PATIENCE, || {
            self.texts_from(bare)
                .into_iter()
                .find(|text| fits(text))
                .ok_or_else(|| Value::from(self.heard()).to_string())
        })
    }

    /// Says something and waits for the answer that fits.
    pub fn ask(&mut self, to: &str, text: &str, fits: impl Fn(&str) -> bool) -> String {
        self.say(to, text);
        self.wait_for_text(to, text, fits)
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
