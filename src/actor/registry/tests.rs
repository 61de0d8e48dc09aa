//! Supervision: a panic ends one account, which starts afresh alone; too many and it waits.

use std::io::ErrorKind;
use std::path::PathBuf;

use actix::Message;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

use super::*;
use crate::actor::runtime::block_on;
use crate::config::diff::diff;
use crate::config::settings::Settings;
use crate::ids::Seed;
use crate::moment::Moment;
use crate::net::tls::TlsContext;
use crate::script::outside::Nowhere;
use crate::script::pool::{Pool, PoolOptions};
use crate::store::{Durability, Store};

#[test]
fn a_panicking_account_is_restarted_alone() {
    block_on(async {
        let mut bed = Bed::new().await;
        let [ann, bob] = bed.both().await;
        bed.crash("ann", Half::Account).await;
        bed.ended(&ann).await;
        let again = bed.next_connection().await;
        bed.until("the restart is counted", |board| Board::read(&board("ann").restarts) == 1).await;
        assert_eq!(Board::read(&bed.board("bob").await.restarts), 0);
        assert!(is_open(&bob), "the neighbour on the same thread keeps its connection");
        assert!(is_open(&again));
    });
}

#[test]
fn a_panicking_bot_takes_only_its_account_along() {
    block_on(async {
        let mut bed = Bed::new().await;
        let [ann, bob] = bed.both().await;
        bed.crash("bob", Half::Bot).await;
        bed.ended(&bob).await;
        assert!(is_open(&bed.next_connection().await));
        bed.until("the restart is counted", |board| Board::read(&board("bob").restarts) == 1).await;
        assert!(is_open(&ann));
    });
}

#[test]
fn the_state_says_that_a_crashed_account_will_come_back() {
    block_on(async {
        let mut bed = Bed::new().await;
        let _both = bed.both().await;
        bed.crash("ann", Half::Account).await;
        bed.until("it is retrying", |board| board("ann").state() == State::Retrying).await;
        let standing = bed.board("ann").await.standing();
        assert!(standing.detail.contains("fault in this program"), "{}", standing.detail);
        assert!(standing.next_try.is_some());
    });
}

#[test]
fn notices_of_an_earlier_start_are_ignored() {
    block_on(async {
        let mut bed = Bed::new().await;
        let [ann, _bob] = bed.both().await;
        for name in ["ann", "nobody"] {
            let late = Down {
                name: name.to_owned(),
                part: crate::actor::notice::Part::Account,
                generation: 0,
                panicked: true,
            };
            bed.registry.send(Late(late)).await.expect("the registry lives");
        }
        assert_eq!(Board::read(&bed.board("ann").await.restarts), 0);
        assert!(is_open(&ann));
    });
}

#[test]
fn crashes_that_come_often_lead_to_quarantine_and_it_doubles() {
    let start = Instant::now();
    let mut crashes = Crashes::default();
    for _ in 0..CRASHES {
        crashes.on_start(start);
        assert!(crashes.on_crash(start) < QUARANTINE);
    }
    let waits: Vec<u64> = (0..8).map(|_| crashes.on_crash(start).as_secs()).collect();
    assert_eq!(waits, [60, 120, 240, 480, 960, 1920, 3600, 3600]);
    // Long after, a crash is bad luck again.
    assert!(crashes.on_crash(start + FORGIVEN) < Duration::from_secs(5));
}

#[test]
fn an_account_that_ran_for_a_while_is_restarted_soon() {
    let start = Instant::now();
    let mut crashes = Crashes::default();
    let mut at = start;
    let waits: Vec<Duration> = (0..20)
        .map(|_| {
            crashes.on_start(at);
            at += Duration::from_secs(300);
            crashes.on_crash(at)
        })
        .collect();
    assert!(waits.iter().all(|wait| *wait < Duration::from_secs(5)), "{waits:?}");
}

/// Which of the two actors of a unit.
#[derive(Clone, Copy)]
enum Half {
    Account,
    Bot,
}

/// Makes an actor panic, as a fault of this program would.
struct Crash;

impl Message for Crash {
    type Result = ();
}

impl Handler<Crash> for Account {
    type Result = ();

    fn handle(&mut self, _: Crash, _: &mut Context<Self>) {
        panic!("a fault on purpose");
    }
}

impl Handler<Crash> for Bot {
    type Result = ();

    fn handle(&mut self, _: Crash, _: &mut Context<Self>) {
        panic!("a fault on purpose");
    }
}

/// Passes [`Crash`] on to one half of a unit.
struct CrashOne(&'static str, Half);

impl Message for CrashOne {
    type Result = ();
}

impl Handler<CrashOne> for Registry {
    type Result = ();

    fn handle(&mut self, CrashOne(name, half): CrashOne, _: &mut Context<Self>) {
        let unit = self.entries[name].running.as_ref().expect("it runs");
        match half {
            Half::Account => unit.account.try_send(Crash).expect("it takes messages"),
            Half::Bot => unit.bot.try_send(Crash).expect("it takes messages"),
        }
    }
}

/// A notice that comes when it likes.
struct Late(Down);

impl Message for Late {
    type Result = ();
}

impl Handler<Late> for Registry {
    type Result = ();

    fn handle(&mut self, late: Late, ctx: &mut Context<Self>) {
        self.on_down(late.0, ctx);
    }
}

/// A registry with `ann` and `bob` on one thread, and a server that takes connections and says nothing.
struct Bed {
    registry: Addr<Registry>,
    listener: TcpListener,
    folder: PathBuf,
    /// What adds bob.
    bob: Option<Apply>,
}

impl Bed {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let server = listener.local_addr().expect("it is bound");
        let folder =
            std::env::temp_dir().join(format!("rhapsode-registry-{}-{}", std::process::id(), server.port()));
        std::fs::create_dir_all(&folder).expect("temporary files");
        let bot = |name: &str| {
            format!("  {name}: {{ jid: {name}@x.localhost, password: {{ plain: pw }}, server: {server} }}\n")
        };
        let yaml = format!("bots:\n{}{}login: {{ pace: none, jitter: 0s }}\n", bot("ann"), bot("bob"));
        std::fs::write(folder.join("bots.yaml"), yaml).expect("temporary files");
        let (settings, _) =
            crate::config::load(&folder.join("bots.yaml")).unwrap_or_else(|found| panic!("{found:?}"));
        let registry = Registry::new(Arc::new(deps(&settings)), vec![actix::Arbiter::new().handle()]).start();
        let nothing = Settings { bots: Vec::new(), ..settings.clone() };
        let ann = Settings { bots: vec![settings.bots[0].clone()], ..settings.clone() };
        registry.send(change(&nothing, &ann)).await.expect("the registry lives");
        let bob = Some(change(&ann, &settings));
        Self { registry, listener, folder, bob }
    }

    /// The connections of ann and bob. The header of a stream says to whom before TLS and not from whom, so the
    /// two are told apart by asking for one at a time.
    async fn both(&mut self) -> [TcpStream; 2] {
        let ann = self.next_connection().await;
        self.registry.send(self.bob.take().expect("asked once")).await.expect("the registry lives");
        [ann, self.next_connection().await]
    }

    async fn next_connection(&mut self) -> TcpStream {
        timeout(PATIENCE, self.listener.accept()).await.expect("somebody connects").expect("a socket").0
    }

    async fn crash(&self, name: &'static str, half: Half) {
        self.registry.send(CrashOne(name, half)).await.expect("the registry lives");
    }

    /// Waits until the peer has closed this connection.
    async fn ended(&self, stream: &TcpStream) {
        timeout(PATIENCE, async {
            while is_open(stream) {
                sleep(Duration::from_millis(5)).await;
            }
        })
        .await
        .expect("the connection ends");
    }

    async fn board(&self, name: &str) -> Arc<Board> {
        let all = self.registry.send(Survey).await.expect("the registry lives");
        all.into_iter().find(|one| one.name == name).expect("a known name").board
    }

    async fn until(&self, what: &str, holds: impl Fn(&dyn Fn(&str) -> Arc<Board>) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        let (ann, bob) = (self.board("ann").await, self.board("bob").await);
        while !holds(&|name| Arc::clone(if name == "ann" { &ann } else { &bob })) {
            assert!(Instant::now() < deadline, "waited in vain: {what}");
            sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        // Left among the temporary files at worst.
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// Whether the peer has not closed it; what it has said is read by the way.
fn is_open(stream: &TcpStream) -> bool {
    let mut buffer = [0; 1024];
    match stream.try_read(&mut buffer) {
        Ok(length) => length > 0,
        Err(error) => error.kind() == ErrorKind::WouldBlock,
    }
}

fn change(old: &Settings, new: &Settings) -> Apply {
    Apply { settings: Arc::new(new.clone()), plan: diff(old, new), scripts: BTreeMap::new() }
}

fn deps(settings: &Settings) -> Deps {
    let store = Store::open(&settings.storage, Durability::Relaxed).expect("a scratch folder");
    let pool = Pool::start(PoolOptions {
        flight: None,
        workers: 1,
        data: Arc::new(store.clone()),
        clock: Arc::new(|| Moment { at: Instant::now(), wall: jiff::Timestamp::now() }),
        seed: Seed([1; 32]),
        outside: Arc::new(Nowhere),
    })
    .expect("the store is readable");
    let tls = Arc::new(TlsContext::new());
    Deps::new(store, pool, tls, Seed([2; 32]), "test".to_owned()).expect("threads are to be had")
}

/// Longer than anything takes here; a test that reaches it has failed.
const PATIENCE: Duration = Duration::from_secs(20);
