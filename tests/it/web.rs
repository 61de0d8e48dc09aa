//! Webhooks and requests to the web, in a running process.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use rhapsode::hosts::HostPattern;
use rhapsode::http::client::{Client, ClientOptions};
use rhapsode::net::tls::TlsContext;
use rhapsode::script::outside::{HttpRequest, Outside};
use rustls::pki_types::PrivateKeyDer;
use sha2::Sha256;

use crate::support::process::{PATIENCE, text, until};
use crate::support::world::{World, scratch};

const KEY: &str = "key-of-deploys-5512";

const DEPLOYS: &str = r#"
webhook("deploy", #{ method: "POST", auth: "hmac-sha256", secret: "deploy_key" }, |q| {
    let d = q.json;
    if d?.service == () { return #{ status: 400, body: "service is missing" }; }
    if d.service == "broken" { bot::send("ann@world.localhost", "lost"); throw "no"; }
    if !store::once("deploy/" + (q.headers["x-delivery"] ?? d.id), "7d") {
        return #{ status: 200, body: "seen before" };
    }
    bot::send("ann@world.localhost", `${d.service} ${d.version ?? "?"}: ${d.state}`);
    #{ status: 202, body: "queued" }
});
on("message", |m| m.reply("here"));
"#;

#[test]
fn a_signed_call_reaches_a_person_and_everything_else_is_refused() {
    let (mut world, address) = deploys();
    let process = world.online();
    let mut ann = world.person("ann");
    let body = r#"{"id":"1","service":"shop","version":"3","state":"ok"}"#;
    until("the webhook is declared", || {
        (post(address, "/hooks/ops/deploy", "", body).status == 401).then_some(())
    });

    let sent = post(address, "/hooks/ops/deploy", &signed(body), body);
    assert_eq!((sent.status, sent.body.as_str()), (202, "queued"));
    assert_eq!(ann.text("ops"), "shop 3: ok");
    // The same call again, as somebody who has seen it would send it.
    let again = post(address, "/hooks/ops/deploy", &signed(body), body);
    assert_eq!((again.status, again.body.as_str()), (200, "seen before"));

    let other = body.replace("ok", "failed");
    assert_eq!(post(address, "/hooks/ops/deploy", &signed(body), &other).status, 401);
    let broken = r#"{"service":"broken"}"#;
    let failed = post(address, "/hooks/ops/deploy", &signed(broken), broken);
    assert_eq!(failed.status, 500);
    assert!(!failed.body.contains("no\"") && !failed.body.contains("rhai"), "{}", failed.body);
    assert_eq!(post(address, "/hooks/ops/deploy", &signed("{}"), "{}").status, 400);
    for path in ["/", "/hooks/ops", "/hooks/ops/deploy/x", "/hooks/ops/other", "/hooks/nobody/deploy"] {
        assert_eq!(post(address, path, &signed(body), body).status, 404, "{path}");
    }
    let get = exchange(address, b"GET /hooks/ops/deploy HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    assert_eq!(get.status, 405);
    assert!(get.head.to_lowercase().contains("allow: post"), "{}", get.head);

    // Nothing but the first call was told, and the bot is well.
    assert_eq!(ann.ask("ops", "well?"), "here");
    let log = process.stderr();
    assert!(log.contains("not signed as it must be") && !log.contains(KEY), "{log}");

    world.script("deploys", r#"on("message", |m| m.reply("no hook"));"#);
    process.reloaded();
    until("the webhook is gone", || {
        (post(address, "/hooks/ops/deploy", &signed(body), body).status == 404).then_some(())
    });
    // And without the listener nobody answers at all.
    world.head("login: { pace: none, jitter: 0s }\nscripts: { deploys: scripts/deploys.rhai }");
    world.write();
    process.reloaded();
    until("nobody listens", || TcpStream::connect(address).is_err().then_some(()));
}

#[test]
fn hostile_callers_are_cut_short() {
    let (world, address) = deploys();
    let _process = world.online();
    until("somebody listens and knows the webhook", || {
        (post(address, "/hooks/ops/deploy", "", "{}").status == 401).then_some(())
    });
    let head = "POST /hooks/ops/deploy HTTP/1.1\r\nhost: x\r\n";
    let announced = exchange(address, format!("{head}content-length: 300000\r\n\r\n").as_bytes());
    assert_eq!(announced.status, 413);
    let chunk = format!("40000\r\n{}\r\n", "x".repeat(0x40000));
    let streamed = format!("{head}transfer-encoding: chunked\r\n\r\n{chunk}1\r\nx\r\n0\r\n\r\n");
    assert_eq!(exchange(address, streamed.as_bytes()).status, 413);
    let headers: String = (0..100).map(|n| format!("x-{n}: y\r\n")).collect();
    assert_eq!(exchange(address, format!("{head}{headers}\r\n").as_bytes()).status, 431);
    assert_eq!(exchange(address, b"nonsense\r\n\r\n").status, 400);
    // A head that never ends is given up by the listener, not by us.
    let slow = exchange(address, head.as_bytes());
    assert!(matches!(slow.status, 0 | 408), "{}", slow.head);
}

#[test]
fn a_busy_port_is_said_at_the_start_and_refuses_a_reload() {
    let (mut world, _) = deploys();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let busy = taken.local_addr().expect("bound").to_string();
    let good = world.yaml();
    let process = world.online();
    let listen = good.split("listen: ").nth(1).and_then(|rest| rest.split(' ').next()).expect("it listens");
    world.put("bots.yaml", &good.replace(listen, &busy));
    let output = process.reload(&[]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains(&busy) && said.contains("webhooks cannot be heard"), "{said}");
    process.stop();
    let output = world.command(&["run", "--no-watch"]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains(&busy) && said.contains("webhooks.listen"), "{said}");
    // Keeps the configuration from being written anew.
    world.without("ops");
}

#[test]
fn a_poller_asks_with_the_tag_it_was_given() {
    let (page, asked) = pages();
    let mut world = World::new();
    world.script(
        "poll",
        &format!(
            r#"on("message", |m| http::get("http://{page}/feed", #{{ etag: store::get("tag") }}, |res| {{
                if res.ok {{ store::set("tag", res.etag); }}
                m.reply(`${{res.status}} ${{res.body}}`);
            }}));"#
        ),
    );
    world.head(&format!(
        "login: {{ pace: none, jitter: 0s }}\nscripts: {{ poll: {{ file: scripts/poll.rhai, permissions: {{ http: [\"http://{page}\"] }} }} }}"
    ));
    world.bot("poll", "scripts: [poll]");
    let process = world.online();
    let mut ann = world.person("ann");
    assert_eq!(ann.ask("poll", "now"), "200 news");
    assert_eq!(ann.ask("poll", "again"), "304 ");
    let heads: Vec<String> = (0..2).map(|_| asked.recv_timeout(PATIENCE).expect("asked")).collect();
    assert!(!heads[0].contains("if-none-match") && heads[1].contains("if-none-match: \"v1\""), "{heads:?}");
    process.stop();
}

// The provider of the server is the default one.
#[cfg(feature = "aws-lc")]
#[test]
fn a_certificate_that_nobody_vouches_for_ends_the_request() {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("a certificate");
    let folder = scratch();
    let ca = folder.join("ca.pem");
    std::fs::write(&ca, made.cert.pem()).expect("a scratch file");
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("they belong together");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let (sender, heard) = channel();
    let config = Arc::new(config);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = rustls::ServerConnection::new(config.clone()).expect("a good configuration");
            let mut stream = rustls::StreamOwned::new(connection, stream);
            let mut part = [0; 4096];
            if let Ok(read) = stream.read(&mut part) {
                drop(sender.send(String::from_utf8_lossy(&part[..read]).into_owned()));
                drop(stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"));
            }
        }
    });
    let fetch = |ca: Option<PathBuf>| {
        let client =
            Client::start(Arc::new(TlsContext::new()), ClientOptions { ca, names: None }).expect("a thread");
        let (sender, outcome) = channel();
        let request = HttpRequest {
            bot: String::new(),
            script: String::new(),
            method: "GET".to_owned(),
            url: format!("https://{address}/?key=pencil"),
            headers: Vec::new(),
            body: Vec::new(),
            timeout: Duration::from_secs(10),
            limit: 1_000,
            allowed: HostPattern::parse(&address.to_string()).into_iter().collect(),
            redirects: true,
        };
        client.fetch(request, Box::new(move |it| drop(sender.send(it))));
        outcome.recv_timeout(PATIENCE).expect("every request is answered")
    };
    let refused = fetch(None).expect_err("nobody vouches for it");
    assert!(refused.contains("certificate") && !refused.contains("pencil"), "{refused}");
    assert!(heard.try_recv().is_err(), "it was told nothing");
    let answer = fetch(Some(ca)).expect("the operator vouches for it");
    assert_eq!(answer.body, b"ok");
    drop(std::fs::remove_dir_all(folder));
}

/// A bot with the webhook of [`DEPLOYS`], and where it is heard.
fn deploys() -> (World, SocketAddr) {
    let address = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port");
    let mut world = World::new();
    world.script("deploys", DEPLOYS);
    world.secret("deploy.key", KEY);
    world.head(&format!(
        "login: {{ pace: none, jitter: 0s }}\nsecrets: {{ deploy_key: {{ file: secrets/deploy.key }} }}\n\
         webhooks: {{ listen: {address} }}\nscripts: {{ deploys: {{ file: scripts/deploys.rhai, \
         permissions: {{ webhooks: [deploy], secrets: [deploy_key] }} }} }}"
    ));
    world.bot("ops", "scripts: [deploys]");
    (world, address)
}

/// What a caller is answered; status 0 where the connection just ends.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

fn post(address: SocketAddr, path: &str, signature: &str, body: &str) -> Answer {
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-hub-signature-256: {signature}\r\n\
         content-length: {length}\r\n\r\n{body}"
    );
    exchange(address, request.as_bytes())
}

fn exchange(address: SocketAddr, request: &[u8]) -> Answer {
    let mut bytes = Vec::new();
    if let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_secs(5)) {
        stream.set_read_timeout(Some(PATIENCE)).expect("a time");
        // The listener may hang up before it has read everything; what it said by then counts.
        drop(stream.write_all(request));
        let mut part = [0; 4096];
        while let Ok(read @ 1..) = stream.read(&mut part) {
            bytes.extend_from_slice(&part[..read]);
        }
    }
    let all = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = all.split_once("\r\n\r\n").unwrap_or((&all, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

fn signed(body: &str) -> String {
    let mut mac: Hmac<Sha256> = Hmac::new_from_slice(KEY.as_bytes()).expect("a key of any length");
    mac.update(body.as_bytes());
    let hash = mac.finalize().into_bytes();
    format!("sha256={}", hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

/// A server whose page has the tag `v1`; gives the heads it heard, in lower case.
fn pages() -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let (sender, asked) = channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
                head.push(byte[0]);
            }
            let head = String::from_utf8_lossy(&head).to_lowercase();
            let answer = match head.contains("if-none-match: \"v1\"") {
                true => "HTTP/1.1 304 Not Modified\r\netag: \"v1\"\r\nconnection: close\r\n\r\n",
                false => {
                    "HTTP/1.1 200 OK\r\netag: \"v1\"\r\ncontent-length: 4\r\nconnection: close\r\n\r\nnews"
                }
            };
            // The client decides when it has heard enough.
            drop(stream.write_all(answer.as_bytes()));
            drop(sender.send(head));
        }
    });
    (address, asked)
}
