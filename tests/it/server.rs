//! The embedded server as its clients see it.

use std::time::{Duration, Instant};

use rhapsode::jid::Jid;
use rhapsode::server::{Counts, Running, Server, ServerError, ServerOptions};
use rhapsode::stanza::StanzaError;
use rhapsode::stream::StreamEvent;
use rhapsode::stream::fault::{Condition, What};
use rhapsode::stream::sasl::Mechanism;
use rhapsode::stream::sasl::hash::Hash;

use crate::support::client::{Client, PATIENCE, Way};

#[tokio::test]
async fn a_client_logs_in_with_channel_binding_and_talks_to_another() {
    let (server, way) = start(|_| {});
    let (_, online) = Client::login(&way, "ann@x.localhost", "pw", "first").await;
    assert_eq!(online.jid.as_str(), "ann@x.localhost/first");
    assert_eq!(online.mechanism, Mechanism::Scram { hash: Hash::Sha512, plus: true });
    assert_eq!(online.resume_max, Some(300));
    let mut ann = Client::available(&way, "ann@x.localhost", "pw", "second").await;
    let mut bo = Client::available(&way, "bo@x.localhost", "pw", "r").await;
    ann.say("<message xmlns='jabber:client' to='bo@x.localhost' type='chat'><body>hi</body></message>");
    ann.drain().await;
    assert_eq!(bo.body().await, "hi");
    server.stop();
}

#[tokio::test]
async fn direct_tls_is_offered_beside_starttls() {
    let (server, mut way) = start(|options| options.listen_direct = Some(options.listen));
    way.direct_tls = true;
    way.addr = server.direct_addr().expect("it was asked for");
    let (_, online) = Client::login(&way, "ann@x.localhost", "pw", "r").await;
    assert!(online.sm);
}

#[tokio::test]
async fn a_wrong_password_is_refused() {
    let (_server, way) = start(|_| {});
    let mut client = Client::connect(&way, "ann@x.localhost", "wrong", |_| {}).await;
    let fault = loop {
        match client.next().await {
            StreamEvent::DeriveKeys(request) => client.stream.on_keys(Instant::now(), request.derive()),
            StreamEvent::Fault(fault) => break fault,
            StreamEvent::Online(_) => panic!("a wrong password was accepted"),
            _ => {}
        }
    };
    assert!(matches!(fault.what, What::AuthenticationRefused { .. }), "{fault:?}");
}

#[tokio::test]
async fn messages_wait_for_an_account_that_is_offline() {
    let (server, way) = start(|_| {});
    let mut ann = Client::available(&way, "ann@x.localhost", "pw", "r").await;
    for text in ["one", "two"] {
        ann.say(&format!("<message xmlns='jabber:client' to='bo@x.localhost'><body>{text}</body></message>"));
    }
    ann.drain().await;
    observe(&server, "both are stored", |counts| counts.stored == 2).await;
    let (mut bo, _) = Client::login(&way, "bo@x.localhost", "pw", "r").await;
    bo.say("<presence xmlns='jabber:client'/>");
    let first = bo.until("a message", |stanza| stanza.name() == "message").await;
    assert!(first.has_child("delay", "urn:xmpp:delay"));
    assert_eq!(bo.body().await, "two");
}

#[tokio::test]
async fn a_cut_session_resumes_and_gets_what_it_missed() {
    let (server, way) = start(|_| {});
    let mut bo = Client::available(&way, "bo@x.localhost", "pw", "r").await;
    let mut ann = Client::available(&way, "ann@x.localhost", "pw", "r").await;
    assert_eq!(server.cut(&jid("bo@x.localhost")), 1);
    wait_for("bo waits", || server.sessions().iter().any(|s| s.jid.local() == Some("bo") && !s.connected))
        .await;
    ann.say("<message xmlns='jabber:client' to='bo@x.localhost/r' type='chat'><body>missed</body></message>");
    ann.drain().await;
    let session = loop {
        if let StreamEvent::Fault(_) = bo.next().await {
            break bo.stream.abandon().expect("the session can be resumed");
        }
    };
    let (mut bo, online) = Client::resume(&way, "bo@x.localhost", "pw", session).await;
    assert!(online.resumed);
    assert_eq!(bo.body().await, "missed");
    assert_eq!(server.counts().resumed, 1);
}

#[tokio::test]
async fn a_session_moves_although_its_old_connection_seems_alive() {
    let (server, way) = start(|_| {});
    let old = Client::available(&way, "bo@x.localhost", "pw", "r").await;
    let session = old.stream.management().expect("it is managed").clone();
    let (mut bo, online) = Client::resume(&way, "bo@x.localhost", "pw", session).await;
    assert!(online.resumed);
    let mut ann = Client::available(&way, "ann@x.localhost", "pw", "r").await;
    ann.say("<message xmlns='jabber:client' to='bo@x.localhost' type='chat'><body>here</body></message>");
    ann.drain().await;
    assert_eq!(bo.body().await, "here");
    assert_eq!(server.sessions().len(), 2);
}

#[tokio::test]
async fn nobody_resumes_the_session_of_another_account() {
    let (_server, way) = start(|_| {});
    let bo = Client::available(&way, "bo@x.localhost", "pw", "r").await;
    let session = bo.stream.management().expect("it is managed").clone();
    let (_, online) = Client::resume(&way, "ann@x.localhost", "pw", session).await;
    assert!(!online.resumed);
}

#[tokio::test]
async fn what_waits_for_a_session_that_never_comes_back_goes_offline() {
    let (server, way) = start(|options| options.resumption = Duration::from_secs(1));
    let _lost = Client::available(&way, "bo@x.localhost", "pw", "r").await;
    let mut ann = Client::available(&way, "ann@x.localhost", "pw", "r").await;
    server.cut(&jid("bo@x.localhost"));
    wait_for("bo waits", || server.sessions().iter().any(|s| !s.connected)).await;
    ann.say("<message xmlns='jabber:client' to='bo@x.localhost' type='chat'><body>late</body></message>");
    ann.drain().await;
    observe(&server, "the session has expired", |counts| counts.stored == 1).await;
    let mut bo = Client::available(&way, "bo@x.localhost", "pw", "other").await;
    assert_eq!(bo.body().await, "late");
}

#[tokio::test]
async fn a_kick_tells_its_condition() {
    let (server, way) = start(|_| {});
    let mut ann = Client::available(&way, "ann@x.localhost", "pw", "r").await;
    assert_eq!(server.kick(&jid("ann@x.localhost"), "policy-violation"), 1);
    assert_eq!(ended_by(&mut ann).await, Condition::PolicyViolation);
    assert!(server.sessions().is_empty());
}

#[tokio::test]
async fn stopping_ends_streams_with_system_shutdown() {
    let (server, way) = start(|_| {});
    let mut ann = Client::available(&way, "ann@x.localhost", "pw", "r").await;
    tokio::task::spawn_blocking(move || server.stop()).await.expect("it stops");
    assert_eq!(ended_by(&mut ann).await, Condition::SystemShutdown);
}

#[tokio::test]
async fn a_changed_password_counts_from_the_next_login_on() {
    let (server, way) = start(|_| {});
    server.set_password("ann", "new").expect("a localpart");
    let (mut ann, _) = Client::login(&way, "ann@x.localhost", "new", "r").await;
    let set = "<iq xmlns='jabber:client' type='set' id='1'><query xmlns='jabber:iq:register'>\
               <username>ann</username><password>newer</password></query></iq>";
    assert_eq!(ann.ask(set).await.attr("type"), Some("result"));
    Client::login(&way, "ann@x.localhost", "newer", "s").await;
}

#[tokio::test]
async fn a_client_that_never_reads_is_dropped_at_a_bound() {
    // Below the weight at which its sender is paused, the bound counts; above it, the client's patience.
    for (backlog, stall) in [(200 << 10, Duration::from_secs(60)), (4 << 20, Duration::from_millis(300))] {
        let (server, way) = start(|options| (options.backlog, options.stall) = (backlog, stall));
        // It stops reading: nobody polls it any more.
        let deaf = Client::available(&way, "bo@x.localhost", "pw", "deaf").await;
        let mut ann = Client::available(&way, "ann@x.localhost", "pw", "r").await;
        let body = "x".repeat(100_000);
        let message = format!(
            "<message xmlns='jabber:client' to='bo@x.localhost/deaf' type='chat'><body>{body}</body></message>"
        );
        let deadline = Instant::now() + PATIENCE;
        while server.counts().overflows == 0 {
            assert!(Instant::now() < deadline, "the server keeps everything");
            (0..5).for_each(|_| ann.say(&message));
            ann.ask("<iq xmlns='jabber:client' type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>").await;
        }
        drop(deaf);
    }
}

#[tokio::test]
async fn requests_that_nobody_handles_are_refused() {
    let (_server, way) = start(|_| {});
    let mut ann = Client::available(&way, "ann@x.localhost", "pw", "r").await;
    let answer = ann.ask("<iq xmlns='jabber:client' type='get' id='1'><what xmlns='is:this'/></iq>").await;
    assert_eq!(StanzaError::from_stanza(&answer).condition, "service-unavailable");
}

#[test]
fn it_listens_on_loopback_only() {
    let options =
        ServerOptions { listen: "0.0.0.0:0".parse().expect("an address"), ..ServerOptions::default() };
    assert!(matches!(Server::start(options), Err(ServerError::NotLoopback { .. })));
}

#[test]
fn a_busy_port_is_told_apart() {
    let (server, _) = start(|_| {});
    let options = ServerOptions { listen: server.addr(), ..ServerOptions::default() };
    assert!(matches!(Server::start(options), Err(ServerError::PortInUse { .. })));
}

/// A server for `x.localhost` with the accounts `ann` and `bo`, password `pw`.
fn start(change: impl FnOnce(&mut ServerOptions)) -> (Running, Way) {
    let accounts = ["ann", "bo"].map(|user| (user.to_owned(), "pw".to_owned())).to_vec();
    let mut options =
        ServerOptions { domain: "x.localhost".to_owned(), accounts, ..ServerOptions::default() };
    change(&mut options);
    let server = Server::start(options).expect("a free port");
    let way = Way { addr: server.addr(), direct_tls: false, ca_pem: server.ca_pem().to_owned() };
    (server, way)
}

fn jid(text: &str) -> Jid {
    Jid::parse(text).expect("a JID")
}

async fn observe(server: &Running, what: &str, holds: impl Fn(Counts) -> bool) {
    wait_for(what, || holds(server.counts())).await;
}

async fn wait_for(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The stream error that ends a client's stream.
async fn ended_by(client: &mut Client) -> Condition {
    loop {
        match client.next().await {
            StreamEvent::Fault(fault) => match fault.what {
                What::StreamError(error) => return error.condition,
                other => panic!("ended otherwise: {other:?}"),
            },
            StreamEvent::Closed => panic!("ended without a condition"),
            _ => {}
        }
    }
}
