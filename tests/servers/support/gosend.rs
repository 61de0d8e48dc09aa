//! go-sendxmpp as a person: its own XMPP library, TLS and SASL.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use crate::support::person::PATIENCE;
use crate::support::watch;

/// A running go-sendxmpp that sends each line it is given and shows what it receives. Dropping ends it.
pub struct GoSend {
    child: Child,
    stdin: ChildStdin,
    shown: Arc<Mutex<String>>,
}

impl GoSend {
    /// Logs in; every line goes to `to`. The certificate is verified against `ca` and nothing else.
    pub fn start(server: SocketAddr, ca: &Path, jid: &str, password: &str, to: &str) -> Self {
        let mut child = Command::new("go-sendxmpp")
            .args(["-d", "-i", "-u", jid, "-p", password, "-j", &server.to_string(), to])
            .env("SSL_CERT_FILE", ca)
            .env("SSL_CERT_DIR", "/nonexistent")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("go-sendxmpp cannot be started: {error}"));
        let stdin = child.stdin.take().expect("piped above");
        let shown = Arc::new(Mutex::new(String::new()));
        collect(child.stdout.take().expect("piped above"), &shown);
        collect(child.stderr.take().expect("piped above"), &shown);
        Self { child, stdin, shown }
    }

    /// Sends a line.
    pub fn say(&mut self, text: &str) {
        writeln!(self.stdin, "{text}")
            .unwrap_or_else(|error| panic!("it is gone: {error}\n{}", self.shown()));
    }

    /// Waits until what it shows, the stream as it is, holds all of these.
    pub fn wait_for(&self, parts: &[&str]) {
        watch::until(&format!("go-sendxmpp shows {parts:?}"), PATIENCE, || {
            let shown = self.shown();
            if parts.iter().all(|part| shown.contains(part)) { Ok(()) } else { Err(shown) }
        });
    }

    fn shown(&self) -> String {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for GoSend {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn collect(pipe: impl std::io::Read + Send + 'static, shown: &Arc<Mutex<String>>) {
    let shown = Arc::clone(shown);
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
            shown.push_str(&line);
            shown.push('\n');
        }
    });
}
