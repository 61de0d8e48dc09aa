//! Links over loopback, against servers with certificates made here.

mod bed;
mod web;

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use rcgen::{CertifiedIssuer, DnType, KeyPair, date_time_ymd};
use rustls::HandshakeKind;
use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::yield_now;
use tokio::time::timeout;

use crate::net::error::What;
use crate::net::link::{HIGH_MARK, LOW_MARK, LinkEvent, LinkOptions};
use crate::net::tests::bed::{Bed, Counting, PATIENCE, expect, issued, length, params, run};
use crate::net::{Target, TlsMode, binding};

#[tokio::test]
async fn starttls_secures_the_connection_and_both_sides_get_the_same_binding() {
    run(async {
        let bed = Bed::new(&["example.org"]).await;
        let (link, mut owner) = bed.link(TlsMode::StartTls);
        let (mut plain, _) = bed.listener.accept().await.unwrap();
        assert!(matches!(owner.next().await, LinkEvent::Connected { direct_tls: false, .. }));
        link.transmit(Bytes::from_static(b"starttls")).unwrap();
        expect(&mut plain, b"starttls").await;
        plain.write_all(b"proceed").await.unwrap();
        assert_eq!(owner.next().await, LinkEvent::Bytes(Bytes::from_static(b"proceed")));
        link.secure();
        // Belongs behind the handshake, however early it is said.
        link.transmit(Bytes::from_static(b"secret")).unwrap();
        let mut tls = bed.accept_tls(plain).await.unwrap();
        let info = owner.secured().await;
        expect(&mut tls, b"secret").await;
        assert!(info.tls13);
        assert_eq!(info.exporter, binding::exporter(tls.get_ref().1));
        assert_eq!(info.exporter.map(|data| data.len()), Some(32));
        // rcgen signs with ECDSA and SHA-256.
        assert_eq!(info.end_point, Some(Sha256::digest(&bed.certificate).to_vec()));
        assert_eq!(tls.get_ref().1.alpn_protocol(), None);
        tls.write_all(b"hello").await.unwrap();
        assert_eq!(owner.next().await, LinkEvent::Bytes(Bytes::from_static(b"hello")));
        link.transmit(Bytes::from_static(b"bye")).unwrap();
        link.hang_up();
        expect(&mut tls, b"bye").await;
        // With the TLS notice: without it this would be an error.
        assert_eq!(tls.read(&mut [0; 9]).await.unwrap(), 0);
        tls.shutdown().await.unwrap();
        assert_eq!(owner.next().await, LinkEvent::Closed);
    })
    .await;
}

#[tokio::test]
async fn direct_tls_announces_xmpp_and_does_not_insist_on_the_answer() {
    // XEP-0368
    run(async {
        for answer in [Some("xmpp-client"), None] {
            let mut bed = Bed::new(&["example.org"]).await;
            bed.alpn = answer;
            let (_link, mut owner) = bed.link(TlsMode::Direct);
            let (plain, _) = bed.listener.accept().await.unwrap();
            let mut tls = bed.accept_tls(plain).await.unwrap();
            assert!(matches!(owner.next().await, LinkEvent::Connected { direct_tls: true, .. }));
            owner.secured().await;
            assert_eq!(tls.get_ref().1.alpn_protocol(), answer.map(str::as_bytes));
            assert_eq!(tls.get_ref().1.server_name(), Some("example.org"));
            tls.shutdown().await.unwrap();
            assert_eq!(owner.next().await, LinkEvent::Closed);
        }
    })
    .await;
}

#[tokio::test]
async fn certificates_are_refused_with_a_reason() {
    run(async {
        type Make = fn() -> (KeyPair, CertificateDer<'static>, Option<CertifiedIssuer<'static, KeyPair>>);
        let cases: &[(&str, Make, &str)] = &[
            (
                "wrong name",
                || issued(params(&["other.example", "third.example"])),
                "is for `other.example`, `third.example`, not for `example.org`",
            ),
            (
                "wildcard, two levels",
                || issued(params(&["*.sub.example.org", "*.org"])),
                "not for `example.org`",
            ),
            (
                "common name only",
                || {
                    let mut params = params(&[]);
                    params.distinguished_name.push(DnType::CommonName, "example.org");
                    issued(params)
                },
                "its common name does not count",
            ),
            (
                "expired",
                || {
                    let mut params = params(&["example.org"]);
                    params.not_before = date_time_ymd(2001, 1, 1);
                    params.not_after = date_time_ymd(2002, 3, 4);
                    issued(params)
                },
                "expired on 2002-03-04",
            ),
            (
                "not yet valid",
                || {
                    let mut params = params(&["example.org"]);
                    params.not_before = date_time_ymd(3001, 2, 3);
                    params.not_after = date_time_ymd(3002, 1, 1);
                    issued(params)
                },
                "valid from 3001-02-03 only",
            ),
            (
                "self-signed",
                || {
                    let key = KeyPair::generate().unwrap();
                    let certificate = params(&["example.org"]).self_signed(&key).unwrap().der().clone();
                    (key, certificate, None)
                },
                "an authority that is unknown here",
            ),
            (
                "an authority of somebody else",
                || {
                    let (key, certificate, _) = issued(params(&["example.org"]));
                    (key, certificate, None)
                },
                // It has the name of the one that is trusted.
                "not signed by the authority that it names",
            ),
        ];
        for (name, make, words) in cases {
            let bed = Bed::from(make()).await;
            let (_link, mut owner) = bed.link(TlsMode::Direct);
            let (plain, _) = bed.listener.accept().await.unwrap();
            assert!(bed.accept_tls(plain).await.is_err(), "{name}");
            let LinkEvent::Failed { what, detail, certificate } = owner.next().await else {
                panic!("{name}: accepted")
            };
            assert!(certificate && what == What::Certificate, "{name}: {detail}");
            assert!(detail.contains(words), "{name}: {detail}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_wildcard_stands_for_one_label() {
    run(async {
        let bed = Bed::new(&["*.example.org"]).await;
        let target = Target { domain: "chat.example.org".into(), ..bed.target(TlsMode::Direct) };
        let (_link, mut owner) = bed.link_to(target, LinkOptions::default());
        let (plain, _) = bed.listener.accept().await.unwrap();
        let _tls = bed.accept_tls(plain).await.unwrap();
        owner.next().await;
        owner.secured().await;
    })
    .await;
}

#[tokio::test]
async fn tls_1_2_offers_the_end_point_only_and_older_versions_do_not_exist() {
    run(async {
        let mut bed = Bed::new(&["example.org"]).await;
        bed.versions = vec![&rustls::version::TLS12];
        let (_link, mut owner) = bed.link(TlsMode::Direct);
        let (plain, _) = bed.listener.accept().await.unwrap();
        let _tls = bed.accept_tls(plain).await.unwrap();
        owner.next().await;
        let info = owner.secured().await;
        assert_eq!((info.tls13, info.exporter), (false, None));
        assert!(info.end_point.is_some());
    })
    .await;
}

#[tokio::test]
async fn data_before_the_handshake_is_a_failure() {
    // RFC 6120 §5.4.3.3
    run(async {
        let bed = Bed::new(&["example.org"]).await;
        let (link, mut owner) = bed.link(TlsMode::StartTls);
        let (mut plain, _) = bed.listener.accept().await.unwrap();
        owner.next().await;
        plain.write_all(b"proceed").await.unwrap();
        let (event, reply) = owner.take().await;
        assert!(matches!(event, LinkEvent::Bytes(_)));
        plain.write_all(b"<injected/>").await.unwrap();
        link.secure();
        reply.send(()).unwrap();
        let mut hello = [0; 1];
        // The client may have begun already; what it then reads is no TLS either.
        let _ = plain.read(&mut hello).await;
        let LinkEvent::Failed { what, detail, certificate } = owner.next().await else { panic!("secured") };
        assert!(matches!(what, What::DataBeforeTls | What::Handshake) && !certificate, "{what:?} {detail}");
    })
    .await;
}

#[tokio::test]
async fn an_owner_that_does_not_reply_slows_the_peer_down() {
    run(async {
        const ALL: usize = 64 * 1024 * 1024;
        let bed = Bed::new(&["example.org"]).await;
        let (_link, mut owner) = bed.link(TlsMode::StartTls);
        let (mut plain, _) = bed.listener.accept().await.unwrap();
        owner.next().await;
        let sent = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&sent);
        let flood = tokio::task::spawn_local(async move {
            let chunk = vec![b' '; 65_536];
            for _ in 0..ALL / chunk.len() {
                plain.write_all(&chunk).await.unwrap();
                counted.fetch_add(chunk.len(), Ordering::Relaxed);
            }
        });
        let (first, reply) = owner.take().await;
        let mut received = length(&first);
        assert!(received > 0 && received <= 16 * 1024);
        // Everyone gets to run often: with no reply, only the system's own buffers fill.
        for _ in 0..2_000 {
            yield_now().await;
        }
        assert!(sent.load(Ordering::Relaxed) < ALL / 2, "the peer was not slowed down");
        assert!(owner.events.try_recv().is_err(), "a second chunk came before the reply to the first");
        reply.send(()).unwrap();
        while received < ALL {
            received += length(&owner.next().await);
        }
        flood.await.unwrap();
        assert_eq!(owner.next().await, LinkEvent::Closed);
    })
    .await;
}

#[tokio::test]
async fn a_peer_that_does_not_read_fills_the_queue_and_no_more() {
    run(async {
        let bed = Bed::new(&["example.org"]).await;
        let (link, mut owner) = bed.link(TlsMode::StartTls);
        let (mut plain, _) = bed.listener.accept().await.unwrap();
        owner.next().await;
        let piece = Bytes::from(vec![b'x'; 32 * 1024]);
        let mut sent = 0;
        while link.queued() <= HIGH_MARK {
            link.transmit(piece.clone()).unwrap();
            sent += piece.len();
            yield_now().await;
        }
        // Once the peer reads, whoever waits may go on.
        let read = tokio::task::spawn_local(async move {
            let mut rest = vec![0; sent];
            plain.read_exact(&mut rest).await.unwrap();
            plain
        });
        timeout(PATIENCE, link.drained()).await.unwrap();
        assert!(link.queued() <= LOW_MARK);
        let _unread = read.await.unwrap();
        let overflow = loop {
            match link.transmit(piece.clone()) {
                Ok(queued) => assert!(queued <= 1024 * 1024),
                Err(overflow) => break overflow,
            }
            yield_now().await;
        };
        assert!(overflow.queued > 1024 * 1024 - piece.len());
        let LinkEvent::Failed { what: What::Overflow, .. } = owner.next().await else { panic!() };
        timeout(PATIENCE, link.drained()).await.unwrap();
        assert_eq!(link.queued(), 0);
    })
    .await;
}

#[tokio::test]
async fn hanging_up_on_a_peer_that_does_not_read_ends_in_time() {
    run(async {
        let bed = Bed::new(&["example.org"]).await;
        let options = LinkOptions { hang_up: Duration::from_millis(50), ..LinkOptions::default() };
        let (link, mut owner) = bed.link_to(bed.target(TlsMode::StartTls), options);
        let (_unread, _) = bed.listener.accept().await.unwrap();
        owner.next().await;
        while link.queued() <= HIGH_MARK {
            link.transmit(Bytes::from(vec![b'x'; 32 * 1024])).unwrap();
            yield_now().await;
        }
        link.hang_up();
        let LinkEvent::Failed { what: What::Reset, detail, .. } = owner.next().await else { panic!() };
        assert!(detail.contains("did not take"), "{detail}");
    })
    .await;
}

#[tokio::test]
async fn a_peer_that_closes_its_direction_still_gets_the_rest() {
    run(async {
        let bed = Bed::new(&["example.org"]).await;
        let (link, mut owner) = bed.link(TlsMode::StartTls);
        let (mut plain, _) = bed.listener.accept().await.unwrap();
        owner.next().await;
        plain.write_all(b"</stream>").await.unwrap();
        plain.shutdown().await.unwrap();
        let (_, reply) = owner.take().await;
        link.transmit(Bytes::from(vec![b'x'; 300_000])).unwrap();
        reply.send(()).unwrap();
        let mut all = Vec::new();
        plain.read_to_end(&mut all).await.unwrap();
        assert_eq!(all.len(), 300_000);
        assert_eq!(owner.next().await, LinkEvent::Closed);
    })
    .await;
}

#[tokio::test]
async fn a_connection_cut_under_tls_is_not_a_clean_end() {
    run(async {
        let bed = Bed::new(&["example.org"]).await;
        let (_link, mut owner) = bed.link(TlsMode::Direct);
        let (plain, _) = bed.listener.accept().await.unwrap();
        let tls = bed.accept_tls(plain).await.unwrap();
        owner.next().await;
        owner.secured().await;
        let (mut below, _) = tls.into_inner();
        below.shutdown().await.unwrap();
        let LinkEvent::Failed { what: What::Reset, detail, .. } = owner.next().await else { panic!() };
        assert!(detail.contains("without the TLS notice"), "{detail}");
    })
    .await;
}

#[tokio::test]
async fn what_cannot_work_is_said_in_one_sentence() {
    run(async {
        let bed = Bed::new(&["example.org"]).await;
        let closed = {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            listener.local_addr().unwrap().port()
        };
        let target = Target { server: Some(("127.0.0.1".into(), closed)), ..bed.target(TlsMode::Direct) };
        let (_link, mut owner) = bed.link_to(target, LinkOptions::default());
        owner
            .fails(What::Dial, &format!("no server could be reached: 127.0.0.1 (127.0.0.1:{closed}): "))
            .await;

        let empty = bed.folder.path().join("empty.pem");
        std::fs::write(&empty, "no certificate").unwrap();
        for (ca, words) in [(empty, "holds no certificate"), (bed.folder.path().join("none.pem"), "none.pem")]
        {
            let target = Target { ca: Some(ca), ..bed.target(TlsMode::Direct) };
            let (_link, mut owner) = bed.link_to(target, LinkOptions::default());
            owner.fails(What::Authorities, words).await;
        }

        let (_link, mut owner) = bed.link(TlsMode::Direct);
        let (mut plain, _) = bed.listener.accept().await.unwrap();
        plain.write_all(b"<?xml version='1.0'?><stream:stream>").await.unwrap();
        owner.fails(What::Handshake, "not TLS").await;

        let options = LinkOptions { handshake: Duration::from_millis(20), ..LinkOptions::default() };
        let (_link, mut owner) = bed.link_to(bed.target(TlsMode::Direct), options);
        let (_silent, _) = bed.listener.accept().await.unwrap();
        owner.fails(What::Handshake, "took longer than 0.02 s").await;
    })
    .await;
}

#[tokio::test]
async fn a_dropped_handle_ends_the_link_and_hanging_up_early_ends_the_dialling() {
    run(async {
        let bed = Bed::new(&["example.org"]).await;
        let (link, mut owner) = bed.link(TlsMode::StartTls);
        let (mut plain, _) = bed.listener.accept().await.unwrap();
        owner.next().await;
        drop(link);
        assert_eq!(plain.read(&mut [0; 9]).await.unwrap(), 0);
        assert!(owner.events.recv().await.is_none(), "nobody is left to be told anything");

        // The server never takes up the handshake.
        let (link, mut owner) = bed.link(TlsMode::Direct);
        let (_silent, _) = bed.listener.accept().await.unwrap();
        link.hang_up();
        assert_eq!(owner.next().await, LinkEvent::Closed);
    })
    .await;
}

#[tokio::test]
async fn what_one_turn_writes_shares_a_record() {
    run(async {
        let bed = Bed::new(&["example.org"]).await;
        let (link, mut owner) = bed.link(TlsMode::Direct);
        let (plain, _) = bed.listener.accept().await.unwrap();
        let counted = Arc::new(AtomicUsize::new(0));
        let counting = Counting { inner: plain, read: Arc::clone(&counted) };
        let mut tls = bed.acceptor().accept(counting).await.unwrap();
        owner.next().await;
        owner.secured().await;
        let before = counted.load(Ordering::Relaxed);
        for _ in 0..50 {
            link.transmit(Bytes::from_static(b"0123456789")).unwrap();
        }
        let mut all = [0; 500];
        tls.read_exact(&mut all).await.unwrap();
        // One record: a header of 5, the type, and a tag of 16 bytes.
        assert_eq!(counted.load(Ordering::Relaxed) - before, 500 + 22);
    })
    .await;
}

#[tokio::test]
async fn more_than_eight_sessions_of_one_server_can_be_resumed() {
    run(async {
        const ACCOUNTS: usize = 12;
        let bed = Bed::new(&["example.org"]).await;
        let acceptor = bed.acceptor();
        for round in 0..2 {
            let mut open = Vec::new();
            for _ in 0..ACCOUNTS {
                let (link, mut owner) = bed.link(TlsMode::Direct);
                let (plain, _) = bed.listener.accept().await.unwrap();
                let mut tls = acceptor.accept(plain).await.unwrap();
                owner.next().await;
                owner.secured().await;
                let kind = tls.get_ref().1.handshake_kind();
                let resumed = kind == Some(HandshakeKind::Resumed);
                // The tickets are read with the first data.
                tls.write_all(b"x").await.unwrap();
                owner.next().await;
                open.push((link, owner, tls, resumed));
            }
            if round == 1 {
                assert!(open.iter().all(|(.., resumed)| *resumed));
            }
        }
    })
    .await;
}

#[test]
fn an_own_authority_is_enough_where_the_system_has_none() {
    let none = std::env::temp_dir().join("rhapsode-no-such-file.pem");
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "net::tests::a_wildcard_stands_for_one_label"])
        .env("SSL_CERT_FILE", &none)
        .env("SSL_CERT_DIR", &none)
        .stdout(Stdio::piped())
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&child.stdout).into_owned();
    assert!(child.status.success() && output.contains("1 passed"), "{output}");
}
