//! One foreign server in a scratch directory, from its start to its end.

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use crate::support::person::python;
use crate::support::watch::{self, words};

/// The servers that every capability is tried on.
pub const BOTH: [Kind; 2] = [Kind::Prosody, Kind::Ejabberd];

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// ejabberd 23.01 of Debian.
    Ejabberd,
    /// Prosody 0.12.3 of Debian.
    Prosody,
}

impl Kind {
    /// Its name on the command line of `testbed.sh`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ejabberd => "ejabberd",
            Self::Prosody => "prosody",
        }
    }

    /// Where it listens for STARTTLS.
    pub fn address(self) -> SocketAddr {
        let port = match self {
            Self::Ejabberd => 25222,
            Self::Prosody => 15222,
        };
        (Ipv4Addr::LOCALHOST, port).into()
    }

    /// Where it listens for direct TLS, XEP-0368.
    pub fn direct_address(self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.address().port() + 1).into()
    }

    /// Where it listens for HTTPS, and with it for WebSocket.
    pub fn web_address(self) -> SocketAddr {
        let port = match self {
            Self::Ejabberd => 25281,
            Self::Prosody => 15281,
        };
        (Ipv4Addr::LOCALHOST, port).into()
    }

    /// Where its WebSocket is there.
    pub fn web_path(self) -> &'static str {
        match self {
            Self::Ejabberd => "/websocket",
            Self::Prosody => "/xmpp-websocket",
        }
    }

    /// The mechanism that must be used on a domain that stores `hash` (protocol note, A-6).
    ///
    /// Prosody with the shim announces `tls-exporter` (XEP-0440), so the login is bound. ejabberd 23.01
    /// offers `-PLUS` without a list and takes only `tls-unique`, which TLS 1.3 does not have: plain SCRAM.
    pub fn mechanism(self, hash: &str) -> String {
        match self {
            Self::Ejabberd => format!("SCRAM-{hash}"),
            Self::Prosody => format!("SCRAM-{hash}-PLUS"),
        }
    }
}

/// A running server: one of each kind for all tests. It ends with this process, however that ends.
pub struct Bed {
    /// Which one.
    pub kind: Kind,
    folder: PathBuf,
    /// Ends the server and removes the folder when this pipe closes.
    _keeper: ChildStdin,
}

/// The server for one test. Ports are fixed and tests restart servers, so there is one at a time.
pub struct Lent {
    bed: &'static Bed,
    _turn: MutexGuard<'static, ()>,
}

impl Deref for Lent {
    type Target = Bed;

    fn deref(&self) -> &Bed {
        self.bed
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The keeper leaves the folder of a failure where it is.
            drop(fs::write(self.bed.folder.join("keep"), ""));
            eprintln!("what the server wrote is kept in {}", self.bed.folder.display());
        }
    }
}

impl Bed {
    /// The server of this kind, which is started for the first test that wants it.
    pub fn lend(kind: Kind) -> Lent {
        static TURN: Mutex<()> = Mutex::new(());
        static EJABBERD: OnceLock<Bed> = OnceLock::new();
        static PROSODY: OnceLock<Bed> = OnceLock::new();
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let bed = match kind {
            Kind::Ejabberd => &EJABBERD,
            Kind::Prosody => &PROSODY,
        };
        let bed = bed.get_or_init(|| Self::start(kind));
        if TcpStream::connect(kind.address()).is_err() {
            // The test before failed between stop and start.
            bed.start_again();
        }
        Lent { bed, _turn: turn }
    }

    fn start(kind: Kind) -> Self {
        watch::until("the ports are free: another test bed may be ending", Duration::from_secs(15), || {
            TcpStream::connect(kind.address()).map_or(Ok(()), |_| Err(format!("{} answers", kind.address())))
        });
        let folder = scratch(kind.name());
        let keeper = keeper(kind, &folder);
        let bed = Self { kind, folder, _keeper: keeper };
        bed.testbed(&["start", kind.name()]);
        bed
    }

    /// A fresh folder for the files of one test; it goes with the server.
    pub fn project_folder(&self) -> PathBuf {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        self.folder.join(format!("bots-{}", NUMBER.fetch_add(1, Ordering::Relaxed)))
    }

    /// The server forgets the tokens that it has given to an account, XEP-0484.
    pub fn forget_tokens(&self, domain: &str, name: &str) {
        let domain = domain.replace('.', "%2e");
        let name = name.replace('-', "%2d");
        let path = self.folder.join(format!("prosody/data/{domain}/fast_tokens/{name}.dat"));
        fs::remove_file(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// The authority that signed the good certificates.
    pub fn ca(&self) -> PathBuf {
        self.folder.join("certs/ca.pem")
    }

    /// Makes accounts with the password `pw`.
    pub fn add(&self, domain: &str, names: &[&str]) {
        let accounts: Vec<(String, String)> =
            names.iter().map(|name| ((*name).to_owned(), "pw".to_owned())).collect();
        self.register(domain, &accounts);
    }

    /// Makes many accounts, on one stream before login (XEP-0077).
    pub fn register(&self, domain: &str, accounts: &[(String, String)]) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/people/register.py");
        let address = self.kind.address();
        let mut child = Command::new(python())
            .arg(script)
            .args([address.ip().to_string(), address.port().to_string()])
            .arg(self.ca())
            .arg(domain)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("python starts");
        let lines: String = accounts.iter().map(|(name, password)| format!("{name} {password}\n")).collect();
        let mut stdin = child.stdin.take().expect("piped above");
        stdin.write_all(lines.as_bytes()).expect("register.py reads");
        drop(stdin);
        let output = child.wait_with_output().expect("register.py ends");
        assert!(output.status.success(), "register.py: {}", words(&output));
    }

    /// Stops the server in order: clients are told `system-shutdown`.
    pub fn stop(&self) {
        self.testbed(&["stop", self.kind.name()]);
        watch::until("the port is closed", Duration::from_secs(20), || {
            TcpStream::connect(self.kind.address()).map_or(Ok(()), |_| Err("it still answers"))
        });
    }

    /// Starts it again with the accounts it had.
    pub fn start_again(&self) {
        self.testbed(&["start", self.kind.name()]);
    }

    fn testbed(&self, arguments: &[&str]) {
        watch::run(&mut self.command(arguments));
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(testbed());
        command.args(arguments).env("XMPP_TEST_DIR", &self.folder).stdin(Stdio::null());
        command
    }
}

/// A process that outlives this one by the time it takes to clean up: its input ends when we do, killed or not.
fn keeper(kind: Kind, folder: &Path) -> ChildStdin {
    let clean =
        "cat >/dev/null; \"$1\" stop \"$2\"; [ -e \"$XMPP_TEST_DIR/keep\" ] || rm -rf \"$XMPP_TEST_DIR\"";
    let child = Command::new("sh")
        .args(["-c", clean, "sh"])
        .arg(testbed())
        .arg(kind.name())
        .env("XMPP_TEST_DIR", folder)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    child.expect("a shell").stdin.take().expect("piped above")
}

fn testbed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/testbed.sh")
}

/// A fresh folder that the servers' own users can reach.
pub fn scratch(name: &str) -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("rhapsode-servers-{name}-{}-{number}", std::process::id()));
    fs::create_dir_all(&path).expect("the folder for temporary files is writable");
    path
}
