//! The client against servers of its own, and the listener against hand-written requests.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::hosts::HostPattern;
use crate::http::client::{Client, ClientOptions, Names};
use crate::net::tls::TlsContext;
use crate::script::outside::{HttpOutcome, HttpRequest, Outside};

#[test]
fn an_answer_comes_with_status_headers_and_body() {
    let (server, heard) = serve(|_| reply("200 OK", "etag: \"1\"\r\n", "hello"));
    let answer = ask(&server.url("/a?b=c"), &[&server.entry()]).expect("an answer");
    assert_eq!(
        (answer.status, answer.body.as_slice(), answer.header("etag")),
        (200, b"hello".as_slice(), Some("\"1\""))
    );
    let head = heard.recv().unwrap().to_lowercase();
    assert!(head.starts_with("get /a?b=c http/1.1\r\n"), "{head}");
    assert!(head.contains(concat!("user-agent: rhapsode/", env!("CARGO_PKG_VERSION"))), "{head}");
    for name in ["cookie", "accept-encoding", "referer"] {
        assert!(!head.contains(name), "{head}");
    }
}

#[test]
fn private_addresses_need_an_entry_of_their_own() {
    let (server, heard) = serve(|_| reply("200 OK", "", "secret"));
    let port = server.address.port();
    let refused = ask(&server.url("/"), &["http://api.example.net"]).unwrap_err();
    assert!(refused.contains("may not ask"), "{refused}");
    // The name is granted, its address is not.
    let url = format!("http://api.example.net:{port}/");
    for address in ["127.0.0.1", "::1", "10.0.0.1", "169.254.169.254", "::ffff:127.0.0.1", "64:ff9b::7f00:1"]
    {
        let names: Names = Arc::new(move |_| vec![address.parse().unwrap()]);
        let refused = ask_with(&url, &[&format!("http://api.example.net:{port}")], names).unwrap_err();
        assert!(refused.contains("private address"), "{address}: {refused}");
    }
    assert!(heard.try_recv().is_err(), "nobody connected");
    // With an entry that is the address, the name leads there too.
    let names: Names = Arc::new(|_| vec!["127.0.0.1".parse().unwrap()]);
    let both = [format!("http://api.example.net:{port}"), server.entry()];
    assert!(ask_with(&url, &[&both[0], &both[1]], names).is_ok());
}

#[test]
fn a_name_is_looked_up_once_for_each_connection() {
    let (server, heard) = serve(|_| reply("200 OK", "", "secret"));
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    // Public the first time, private the second: the connection goes where the first answer was checked.
    let names: Names = Arc::new(move |_| {
        let first = counted.fetch_add(1, Ordering::SeqCst) == 0;
        vec![if first { "192.88.98.1" } else { "127.0.0.1" }.parse::<IpAddr>().unwrap()]
    });
    let url = format!("http://rebind.example:{}/", server.address.port());
    let entry = format!("http://rebind.example:{}", server.address.port());
    let client = client(Some(names));
    let request = HttpRequest { timeout: Duration::from_millis(300), ..request(&url, &[&entry]) };
    assert!(fetch(&client, request).is_err());
    assert_eq!(count.load(Ordering::SeqCst), 1);
    assert!(heard.try_recv().is_err(), "nobody connected");
}

#[test]
fn redirects_are_followed_and_checked_one_by_one() {
    let (server, heard) = serve(|path| match path {
        "/a" => reply("302 Found", "location: /b\r\n", ""),
        "/b" => reply("200 OK", "", "arrived"),
        "/private" => reply("302 Found", "location: http://127.0.0.2:1/\r\n", ""),
        "/file" => reply("302 Found", "location: file:///etc/passwd\r\n", ""),
        "/user" => reply("302 Found", "location: http://ann:pw@127.0.0.1/\r\n", ""),
        _ => reply("302 Found", "location: /loop\r\n", ""),
    });
    let get = |path: &str| ask(&server.url(path), &[&server.entry()]);
    let answer = get("/a").expect("an answer");
    assert_eq!(
        (answer.body.as_slice(), answer.url.as_str()),
        (b"arrived".as_slice(), server.url("/b").as_str())
    );
    assert!(get("/private").unwrap_err().contains("redirected, and the script may not ask"));
    assert!(get("/file").unwrap_err().contains("neither `https:` nor `http:`"));
    assert!(get("/user").unwrap_err().contains("name or password"));
    let _before = heard.try_iter().count();
    assert_eq!(get("/loop").unwrap_err(), "redirected more than 5 times");
    assert_eq!(heard.try_iter().count(), 6);
}

#[test]
fn a_secret_does_not_follow_a_redirect_to_another_host() {
    let (other, heard) = serve(|_| reply("200 OK", "", ""));
    let location = format!("location: {}\r\n", other.url("/"));
    let (server, first) = serve(move |_| reply("302 Found", &location, ""));
    let entries = [server.entry(), other.entry()];
    let headers = vec![
        ("authorization".to_owned(), "Bearer pencil".to_owned()),
        ("x-key".to_owned(), "pencil".to_owned()),
    ];
    let request = HttpRequest { headers, ..request(&server.url("/"), &[&entries[0], &entries[1]]) };
    assert_eq!(fetch(&client(None), request).map(|answer| answer.status), Ok(200));
    assert!(first.recv().unwrap().contains("pencil"));
    assert!(!heard.recv().unwrap().contains("pencil"));
}

#[test]
fn large_and_slow_answers_end_in_an_error() {
    let (server, _heard) = serve(|path| match path {
        "/announced" => b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\nx".to_vec(),
        "/endless" => [b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'x'; 400_000]].concat(),
        "/broken" => b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nx".to_vec(),
        "/nonsense" => b"SSH-2.0-x\r\n\r\n".to_vec(),
        _ => Vec::new(),
    });
    let get = |path: &str| ask(&server.url(path), &[&server.entry()]).unwrap_err();
    assert_eq!(get("/announced"), "too large: the answer has more than 262144 bytes");
    assert_eq!(get("/endless"), "too large: the answer has more than 262144 bytes");
    for path in ["/broken", "/nonsense", "/nothing"] {
        assert!(!get(path).is_empty(), "{path}");
    }
    // One that takes the connection and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let request = HttpRequest {
        timeout: Duration::from_millis(100),
        ..request(&format!("http://{address}/"), &[&format!("http://{address}")])
    };
    assert_eq!(fetch(&client(None), request).unwrap_err(), "timeout: no answer within 0.1 s");
}

#[test]
fn a_server_that_speaks_no_tls_gets_no_request() {
    let (server, heard) = serve(|_| reply("200 OK", "", ""));
    let address = server.address;
    let refused = ask(&format!("https://{address}/?key=pencil"), &[&address.to_string()]).unwrap_err();
    assert!(!refused.is_empty() && !refused.contains("pencil"), "{refused}");
    let head = heard.try_recv().unwrap_or_default();
    assert!(!head.contains("pencil"), "{head}");
}

/// A server on this machine.
struct Local {
    address: SocketAddr,
}

impl Local {
    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn entry(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// Answers every request with what `answer` makes of its path; gives the heads it heard.
fn serve(answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> (Local, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, heard) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream: TcpStream = stream.unwrap();
            let head = head(&mut stream);
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            if sender.send(head).is_err() {
                return;
            }
            // A client that has seen enough hangs up.
            drop(stream.write_all(&answer(&path)));
        }
    });
    (Local { address }, heard)
}

fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n")
        && head.len() < 4_096
        && stream.read(&mut byte).is_ok_and(|read| read == 1)
    {
        head.push(byte[0]);
        // A TLS handshake has no lines.
        if head[0] == 22 && head.len() > 64 {
            break;
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

fn reply(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}")
        .into_bytes()
}

fn client(names: Option<Names>) -> Client {
    Client::start(Arc::new(TlsContext::new()), ClientOptions { names, ca: None }).expect("a thread")
}

fn request(url: &str, entries: &[&str]) -> HttpRequest {
    HttpRequest {
        bot: "helper".to_owned(),
        script: "main".to_owned(),
        method: "GET".to_owned(),
        url: url.to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
        timeout: Duration::from_secs(10),
        limit: 262_144,
        allowed: entries.iter().map(|entry| HostPattern::parse(entry).expect("an entry")).collect(),
        redirects: true,
    }
}

fn ask(url: &str, entries: &[&str]) -> HttpOutcome {
    fetch(&client(None), request(url, entries))
}

fn ask_with(url: &str, entries: &[&str], names: Names) -> HttpOutcome {
    fetch(&client(Some(names)), request(url, entries))
}

fn fetch(client: &Client, request: HttpRequest) -> HttpOutcome {
    let (sender, outcome) = channel();
    client.fetch(request, Box::new(move |it| drop(sender.send(it))));
    outcome.recv_timeout(Duration::from_secs(30)).expect("every request is answered")
}
