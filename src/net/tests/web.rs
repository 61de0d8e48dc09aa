//! host-meta and WebSocket: what is asked for, what is believed, and what goes over the wire.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};
use url::Url;

use crate::net::error::{NetError, What};
use crate::net::host_meta::{Place, Ways, lookup};
use crate::net::link::{LinkEvent, LinkHandle, LinkOptions};
use crate::net::tests::bed::{Bed, Owner, run};
use crate::net::{Target, TlsMode, Transport, websocket};

const JSON: &str = "/.well-known/host-meta.json";
const XML: &str = "/.well-known/host-meta";
const PUBLIC: &str = "9.9.9.9";

/// Names with their addresses; whatever is connected to, the bed answers.
struct Led<'a> {
    names: &'a [(&'a str, &'a str)],
    to: SocketAddr,
    /// Hosts that were connected to.
    connected: RefCell<Vec<String>>,
}

impl Ways for Led<'_> {
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, NetError> {
        let known = self.names.iter().filter(|(name, _)| *name == host);
        let found: Vec<IpAddr> = known.map(|(_, address)| address.parse().unwrap()).collect();
        if found.is_empty() { Err(NetError::new(What::NoService, "no such name")) } else { Ok(found) }
    }

    async fn connect(
        &self,
        host: &str,
        to: VecDeque<SocketAddr>,
    ) -> Result<(TcpStream, SocketAddr), NetError> {
        assert!(!to.is_empty());
        self.connected.borrow_mut().push(host.to_owned());
        Ok((TcpStream::connect(self.to).await.unwrap(), self.to))
    }
}

/// What came of a look-up.
struct Looked {
    result: Result<Place, NetError>,
    /// `GET` lines with their hosts.
    asked: Vec<String>,
    connected: Vec<String>,
}

impl Looked {
    fn url(&self) -> &str {
        self.result.as_ref().unwrap().url.as_str()
    }

    fn what(&self) -> What {
        self.result.as_ref().unwrap_err().what
    }
}

/// Looks up `example.org`, whose web server gives these answers by path.
async fn look(bed: &Bed, names: &[(&str, &str)], answers: &[(&str, String)]) -> Looked {
    let to = bed.listener.local_addr().unwrap();
    let ways = Led { names, to, connected: RefCell::default() };
    let config = bed.context.client(bed.target(TlsMode::Direct).ca.as_deref()).await.unwrap();
    let asked = RefCell::new(Vec::new());
    let serve = async {
        loop {
            let (tcp, _) = bed.listener.accept().await.unwrap();
            let Ok(mut tls) = bed.accept_tls(tcp).await else { continue };
            let head = head(&mut tls).await;
            let line = head.lines().next().unwrap_or_default().replace(" HTTP/1.1", "");
            let host = head.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
            asked.borrow_mut().push(format!("{line} {host}"));
            let path = line.trim_start_matches("GET ");
            let known = answers.iter().find(|(known, _)| *known == path);
            let answer = known.map_or_else(|| answer("404 Not Found", "", ""), |(_, answer)| answer.clone());
            // It may have hung up in the middle.
            let _ = tls.write_all(answer.as_bytes()).await;
            let _ = tls.shutdown().await;
        }
    };
    let result = tokio::select! {
        result = lookup("example.org", &config, &ways) => result,
        () = serve => unreachable!("it serves for ever"),
    };
    Looked { result, asked: asked.into_inner(), connected: ways.connected.into_inner() }
}

async fn head(tls: &mut TlsStream<TcpStream>) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(tls.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len())
}

fn json(href: &str) -> String {
    answer("200 OK", "", &serde_json::json!({ "links": [link(href)] }).to_string())
}

fn link(href: &str) -> serde_json::Value {
    serde_json::json!({ "rel": "urn:xmpp:alt-connections:websocket", "href": href })
}

fn redirect(to: &str) -> String {
    answer("302 Found", &format!("location: {to}\r\n"), "")
}

#[tokio::test]
async fn host_meta_says_where_the_websocket_is() {
    run(async {
        let bed = Bed::new(&["example.org"]).await;
        let names = [("example.org", PUBLIC)];
        let looked = look(&bed, &names, &[(JSON, json("wss://chat.example.org/ws"))]).await;
        assert_eq!((looked.url(), looked.result.as_ref().unwrap().private), ("wss://chat.example.org/ws", false));
        assert_eq!(looked.asked, [format!("GET {JSON} example.org")]);
        // As Prosody's documentation has it.
        let xrd = "<?xml version='1.0' encoding='utf-8'?>\n<XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>\
                   <Link rel='urn:xmpp:alt-connections:xbosh' href='https://localhost/bosh'/>\
                   <Link rel='urn:xmpp:alt-connections:websocket' href='wss://localhost:5281/ws'/></XRD>";
        let looked = look(&bed, &names, &[(XML, answer("200 OK", "", xrd))]).await;
        assert_eq!(looked.url(), "wss://localhost:5281/ws");
        assert_eq!(looked.asked.len(), 2);
        // Redirected, and from a domain on a private network.
        let answers = [(JSON, redirect("https://example.org:8443/meta?x=1")), ("/meta?x=1", json("wss://a.example"))];
        let looked = look(&bed, &[("example.org", "10.0.0.1")], &answers).await;
        assert_eq!(looked.url(), "wss://a.example/");
        assert_eq!(looked.asked[1], "GET /meta?x=1 example.org:8443");
        assert!(looked.result.unwrap().private);
    })
    .await;
}

#[tokio::test]
async fn s20_only_encrypted_links_are_believed() {
    run(async {
        let bed = Bed::new(&["example.org"]).await;
        let names = [("example.org", PUBLIC)];
        for href in [
            "ws://chat.example.org/ws",
            "http://chat.example.org/ws",
            "https://chat.example.org/ws",
            "wss://user@chat.example.org/ws",
            "wss://user:password@chat.example.org/ws",
            "javascript:alert(1)",
            "chat.example.org",
            "",
        ] {
            let looked = look(&bed, &names, &[(JSON, json(href))]).await;
            assert_eq!(looked.what(), What::NoService, "{href}");
        }
        let long = format!("wss://chat.example.org/{}", "x".repeat(3_000));
        assert_eq!(look(&bed, &names, &[(JSON, json(&long))]).await.what(), What::NoService);
        // The first that can be believed counts.
        let links = serde_json::json!({ "links": [
            { "rel": "urn:xmpp:alt-connections:xbosh", "href": "wss://no.example/" }, { "rel": 7 }, null,
            link("ws://no.example/"), link("wss://yes.example/"),
        ] });
        let looked = look(&bed, &names, &[(JSON, answer("200 OK", "", &links.to_string()))]).await;
        assert_eq!(looked.url(), "wss://yes.example/");
    })
    .await;
}

#[tokio::test]
async fn s20_a_domain_is_believed_only_with_its_certificate() {
    run(async {
        for wrong in ["chat.example.org", "example.com", "*.org"] {
            let bed = Bed::new(&[wrong]).await;
            let looked = look(&bed, &[("example.org", PUBLIC)], &[(JSON, json("wss://evil.example/"))]).await;
            assert_eq!((looked.what(), looked.asked), (What::Certificate, Vec::<String>::new()), "{wrong}");
        }
        // Signed by somebody whom nobody trusts.
        let mut bed = Bed::new(&["example.org"]).await;
        bed.folder = Bed::new(&["example.org"]).await.folder;
        let looked = look(&bed, &[("example.org", PUBLIC)], &[(JSON, json("wss://evil.example/"))]).await;
        assert_eq!((looked.what(), looked.asked.len()), (What::Certificate, 0));
    })
    .await;
}

#[tokio::test]
async fn s20_redirections_stay_encrypted_and_end() {
    run(async {
        let bed = Bed::new(&["example.org", "other.example"]).await;
        let names = [("example.org", PUBLIC), ("other.example", "10.1.2.3"), ("stranger.example", PUBLIC)];
        for (to, what) in [
            ("http://example.org/meta", What::Dial),
            ("ftp://example.org/meta", What::Dial),
            ("https://user@example.org/meta", What::Dial),
            // On a private network, by name and by address.
            ("https://other.example/meta", What::Dial),
            ("https://127.0.0.1/meta", What::NoService),
            ("https://stranger.example/meta", What::Certificate),
            ("https://nowhere.example/meta", What::NoService),
        ] {
            let looked =
                look(&bed, &names, &[(JSON, redirect(to)), ("/meta", json("wss://evil.example/"))]).await;
            let strange =
                looked.connected.iter().filter(|host| *host != "example.org" && *host != "stranger.example");
            assert_eq!(strange.count(), 0, "{to}: {:?}", looked.connected);
            assert!(
                looked.asked.iter().all(|asked| asked.ends_with(" example.org")),
                "{to}: {:?}",
                looked.asked
            );
            assert_eq!(looked.what(), what, "{to}");
        }
        let looked = look(&bed, &names, &[(JSON, redirect(JSON)), (XML, redirect(XML))]).await;
        assert_eq!((looked.what(), looked.asked.len()), (What::Dial, 8));
    })
    .await;
}

#[tokio::test]
async fn s20_what_is_too_large_or_no_document_is_nothing() {
    run(async {
        let bed = Bed::new(&["example.org"]).await;
        let names = [("example.org", PUBLIC)];
        let good = serde_json::json!({ "links": [link("wss://evil.example/")] }).to_string();
        let padded = format!("{good}{}", " ".repeat(70_000));
        let chunk = format!("{:x}\r\n{}\r\n", 10_000, " ".repeat(10_000));
        let endless = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{}", chunk.repeat(100));
        let header = format!("x: {}\r\n", "y".repeat(20_000));
        for (answer, what) in [
            (answer("200 OK", "", &padded), What::Dial),
            (endless, What::Dial),
            (answer("200 OK", &header, &good), What::Dial),
            ("SSH-2.0-OpenSSH\r\n".to_owned(), What::Dial),
            (answer("500 Oops", "", &good), What::NoService),
            (answer("200 OK", "", "<html/>"), What::NoService),
            (answer("200 OK", "", &"[".repeat(60_000)), What::NoService),
            (answer("200 OK", "", &"<a>".repeat(20_000)), What::NoService),
        ] {
            let looked = look(&bed, &names, &[(JSON, answer.clone()), (XML, answer.clone())]).await;
            assert_eq!(looked.what(), what, "{:.60}", answer);
        }
    })
    .await;
}

#[tokio::test]
async fn s20_a_place_on_a_private_network_is_not_connected_to_unless_the_domain_is_there() {
    run(async {
        let bed = Bed::new(&["chat.example"]).await;
        let config = bed.context.client(bed.target(TlsMode::Direct).ca.as_deref()).await.unwrap();
        let names =
            [("chat.example", "192.168.1.1"), ("mixed.example", "10.0.0.1"), ("mixed.example", PUBLIC)];
        for (url, connects) in [
            ("wss://chat.example/", false),
            ("wss://127.0.0.1:5281/", false),
            ("wss://[::1]/", false),
            ("wss://169.254.169.254/", false),
            ("wss://mixed.example/", true),
        ] {
            let to = bed.listener.local_addr().unwrap();
            let ways = Numbers(Led { names: &names, to, connected: RefCell::default() });
            let place = Place { url: Url::parse(url).unwrap(), private: false };
            let opened = websocket::open(&place, &config, &ways, LinkOptions::default().handshake);
            let refuse = async {
                let (tcp, _) = bed.listener.accept().await.unwrap();
                drop(tcp);
                std::future::pending::<()>().await;
            };
            let error =
                tokio::select! { opened = opened => opened.err().unwrap(), () = refuse => unreachable!() };
            assert_eq!(ways.0.connected.borrow().len(), usize::from(connects), "{url}: {error}");
            assert_eq!(error.detail.contains("private address"), !connects, "{url}: {error}");
        }
    })
    .await;
}

/// The same, where numbers are addresses.
struct Numbers<'a>(Led<'a>);

impl Ways for Numbers<'_> {
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, NetError> {
        match host.parse() {
            Ok(address) => Ok(vec![address]),
            Err(_) => self.0.addresses(host).await,
        }
    }

    async fn connect(
        &self,
        host: &str,
        to: VecDeque<SocketAddr>,
    ) -> Result<(TcpStream, SocketAddr), NetError> {
        assert!(to.iter().all(|address| address.ip().to_string() == PUBLIC), "{to:?}");
        self.0.connect(host, to).await
    }
}

/// CVE-2022-26491, CVE-2022-24968: what DNS says without a signature leads nobody anywhere.
#[test]
fn s20_dns_is_never_asked_for_links() {
    let source = include_str!("../resolve.rs");
    assert!(source.contains("RecordType::SRV") && !source.contains("RecordType::TXT"));
}

type Far = WebSocketStream<TlsStream<TcpStream>>;

fn web(bed: &Bed, path: &str) -> Target {
    let port = bed.listener.local_addr().unwrap().port();
    let url = Url::parse(&format!("wss://localhost:{port}{path}")).unwrap();
    Target { transport: Transport::Web(url), ..bed.target(TlsMode::StartTls) }
}

/// A link over WebSocket and its far end.
async fn linked(bed: &Bed) -> (LinkHandle, Owner, Far) {
    let (link, mut owner) = bed.link_to(web(bed, "/xmpp"), LinkOptions::default());
    let (tcp, _) = bed.listener.accept().await.unwrap();
    let tls = bed.accept_tls(tcp).await.unwrap();
    let check = |request: &Request, mut response: Response| {
        assert_eq!(request.uri(), "/xmpp");
        assert_eq!(request.headers()["sec-websocket-protocol"], "xmpp");
        response.headers_mut().insert("sec-websocket-protocol", "xmpp".parse().unwrap());
        Ok(response)
    };
    let far = accept_hdr_async(tls, check).await.unwrap();
    let event = owner.next().await;
    assert!(matches!(event, LinkEvent::Connected { direct_tls: true, websocket: true, .. }), "{event:?}");
    let info = owner.secured().await;
    assert!(info.tls13 && info.exporter.is_some());
    assert_eq!(info.end_point, Some(Sha256::digest(&bed.certificate).to_vec()));
    (link, owner, far)
}

#[tokio::test]
async fn each_piece_is_a_message_and_each_message_is_read() {
    run(async {
        let bed = Bed::new(&["localhost"]).await;
        let (link, mut owner, mut far) = linked(&bed).await;
        for piece in ["<open/>", "<a/>", "<b>\u{fc}</b>"] {
            link.transmit(Bytes::from_static(piece.as_bytes())).unwrap();
        }
        for piece in ["<open/>", "<a/>", "<b>\u{fc}</b>"] {
            assert_eq!(far.next().await.unwrap().unwrap(), Message::text(piece));
        }
        // A long one comes in pieces, one split in frames as one, and a ping is no message.
        far.send(Message::Ping(Bytes::from_static(b"x"))).await.unwrap();
        far.send(Message::text("y".repeat(40_000))).await.unwrap();
        let mut read = 0;
        while read < 40_000 {
            match owner.next().await {
                LinkEvent::Bytes(bytes) => {
                    assert!(bytes.len() <= 16_384 && bytes.iter().all(|byte| *byte == b'y'));
                    read += bytes.len();
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(far.next().await.unwrap().unwrap(), Message::Pong(Bytes::from_static(b"x")));
        link.transmit(Bytes::from_static(b"<close/>")).unwrap();
        link.hang_up();
        assert_eq!(far.next().await.unwrap().unwrap(), Message::text("<close/>"));
        assert!(matches!(far.next().await, Some(Ok(Message::Close(_)))));
        while far.next().await.is_some() {}
        assert_eq!(owner.next().await, LinkEvent::Closed);
    })
    .await;
}

#[tokio::test]
async fn a_binary_message_or_one_beyond_the_limit_ends_the_link() {
    run(async {
        for (message, words) in
            [(Message::binary(&b"<a/>"[..]), "binary"), (Message::text("y".repeat(2_000_000)), "too long")]
        {
            let bed = Bed::new(&["localhost"]).await;
            let (_link, mut owner, mut far) = linked(&bed).await;
            let send = far.send(message);
            let (_, ()) = tokio::join!(send, owner.fails(What::Reset, words));
        }
    })
    .await;
}

#[tokio::test]
async fn what_the_far_end_closes_is_closed() {
    run(async {
        let bed = Bed::new(&["localhost"]).await;
        let (_link, mut owner, mut far) = linked(&bed).await;
        far.send(Message::text("<last/>")).await.unwrap();
        far.close(None).await.unwrap();
        assert_eq!(owner.next().await, LinkEvent::Bytes(Bytes::from_static(b"<last/>")));
        let closed = async { while far.next().await.is_some() {} };
        let (event, ()) = tokio::join!(owner.next(), closed);
        assert_eq!(event, LinkEvent::Closed);
    })
    .await;
}

#[tokio::test]
async fn a_peer_that_takes_nothing_fills_the_queue_of_a_websocket_and_no_more() {
    run(async {
        let bed = Bed::new(&["localhost"]).await;
        let (link, mut owner, _far) = linked(&bed).await;
        let piece = Bytes::from(vec![b'y'; 100_000]);
        let mut taken = 0;
        while link.transmit(piece.clone()).is_ok() {
            taken += 1;
            assert!(taken < 1_000, "it takes everything");
            tokio::task::yield_now().await;
        }
        owner.fails(What::Overflow, "does not read").await;
    })
    .await;
}

#[tokio::test]
async fn a_server_that_does_not_speak_xmpp_there_is_refused() {
    run(async {
        let upgrade = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n";
        for (answer, words) in [
            (answer("404 Not Found", "", ""), "404"),
            (redirect("wss://elsewhere.example/"), "302"),
            (
                format!("{upgrade}sec-websocket-accept: AAAA\r\nsec-websocket-protocol: xmpp\r\n\r\n"),
                "Accept",
            ),
            ("HTTP/1.1 200 OK\r\n\r\n<open/>".to_owned(), "200"),
            ("<stream:stream>".to_owned(), "no WebSocket"),
        ] {
            let bed = Bed::new(&["localhost"]).await;
            let (_link, mut owner) = bed.link_to(web(&bed, "/xmpp"), LinkOptions::default());
            let (tcp, _) = bed.listener.accept().await.unwrap();
            let mut tls = bed.accept_tls(tcp).await.unwrap();
            head(&mut tls).await;
            tls.write_all(answer.as_bytes()).await.unwrap();
            tls.shutdown().await.unwrap();
            owner.fails(What::Handshake, words).await;
        }
        // It upgrades, and does not say to what.
        let bed = Bed::new(&["localhost"]).await;
        let (_link, mut owner) = bed.link_to(web(&bed, "/xmpp"), LinkOptions::default());
        let (tcp, _) = bed.listener.accept().await.unwrap();
        let tls = bed.accept_tls(tcp).await.unwrap();
        let _far = accept_hdr_async(tls, |_: &Request, response: Response| Ok(response)).await.unwrap();
        owner.fails(What::Handshake, "no WebSocket").await;
    })
    .await;
}

/// RFC 7395 §6: it is the host of the URL that has to be proved, not the domain of the account.
#[tokio::test]
async fn a_certificate_for_the_domain_is_none_for_another_host() {
    run(async {
        let bed = Bed::new(&["example.org"]).await;
        let (_link, mut owner) = bed.link_to(web(&bed, "/xmpp"), LinkOptions::default());
        let (tcp, _) = bed.listener.accept().await.unwrap();
        assert!(bed.accept_tls(tcp).await.is_err());
        match owner.next().await {
            LinkEvent::Failed { what: What::Certificate, detail, certificate: true } => {
                assert!(detail.contains("localhost"), "{detail}");
            }
            other => panic!("{other:?}"),
        }
    })
    .await;
}
