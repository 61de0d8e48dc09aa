//! Where a domain offers WebSocket: its host-meta (RFC 6415), with the links of XEP-0156.
//!
//! It is asked for over HTTPS of the domain itself, with a certificate that names the domain, and believed only so far:
//! `wss:` links, and hosts on the internet unless the domain itself is on a private network. DNS is never asked for
//! such links (`_xmppconnect`): anybody on the way could answer.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONNECTION, HOST, LOCATION};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::{Host, Position, Url};

use crate::hosts;
use crate::net::dial::{interleave, race};
use crate::net::error::{NetError, What};
use crate::net::resolve;
use crate::net::tls::handshake;
use crate::xml;

/// Where to connect by WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// A `wss:` URL.
    pub url: Url,
    /// Whether it may be on a private network: the operator has named it, or the domain is there as well.
    pub private: bool,
}

/// How names become addresses, and addresses connections; tests have ways of their own.
pub(super) trait Ways {
    /// The addresses of a name.
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, NetError>;
    /// A connection to one of these addresses of `host`.
    async fn connect(
        &self,
        host: &str,
        to: VecDeque<SocketAddr>,
    ) -> Result<(TcpStream, SocketAddr), NetError>;
}

/// The system's.
pub(super) struct Internet;

impl Ways for Internet {
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, NetError> {
        resolve::addresses(host).await
    }

    async fn connect(
        &self,
        host: &str,
        to: VecDeque<SocketAddr>,
    ) -> Result<(TcpStream, SocketAddr), NetError> {
        let mut tried = Vec::new();
        let unreached =
            |tried: &[String]| NetError::new(What::Dial, format!("no connection: {}", tried.join("; ")));
        race(to, host, &mut tried).await.ok_or_else(|| unreached(&tried))
    }
}

impl Place {
    /// A connection to its host, where that may be connected to.
    pub(super) async fn connect(
        &self,
        host: &str,
        ways: &impl Ways,
    ) -> Result<(TcpStream, SocketAddr), NetError> {
        let port = self.url.port_or_known_default().unwrap_or(HTTPS);
        let found = ways.addresses(host).await?;
        let to = reachable(host, &found, self.private)?;
        let to = interleave(to).into_iter().map(|address| SocketAddr::new(address, port)).collect();
        ways.connect(host, to).await
    }
}

/// Asks a domain where it offers WebSocket. JSON comes first: every XMPP server with host-meta has it.
///
/// # Errors
/// [`What::NoService`] if it does not say so; otherwise what went wrong on the way.
pub(super) async fn lookup(
    domain: &str,
    config: &Arc<ClientConfig>,
    ways: &impl Ways,
) -> Result<Place, NetError> {
    timeout(PATIENCE, ask(domain, config, ways)).await.unwrap_or_else(|_| {
        let detail = format!("host-meta of `{domain}` did not come within {} s", PATIENCE.as_secs());
        Err(NetError::new(What::Dial, detail))
    })
}

async fn ask(domain: &str, config: &Arc<ClientConfig>, ways: &impl Ways) -> Result<Place, NetError> {
    let host = resolve::ascii(domain)?;
    let nothing = |why: &str| NetError::new(What::NoService, format!("host-meta of `{domain}`: {why}"));
    if host.parse::<IpAddr>().is_ok() {
        return Err(nothing("an address has none"));
    }
    // Whoever is on a private network may name others there.
    let private = ways.addresses(&host).await?.iter().any(|address| !hosts::is_public(*address));
    let mut worst = nothing("it names no WebSocket");
    for (path, read) in FORMS {
        let url = Url::parse(&format!("https://{host}{path}")).map_err(|_| nothing("no host name"))?;
        match fetch(Place { url, private }, config, ways).await {
            Ok(document) => {
                if let Some(url) = read(&document) {
                    return Ok(Place { url, private });
                }
            }
            Err(error) if error.what == What::NoService => {}
            Err(error) => worst = NetError { detail: format!("host-meta of `{domain}`: {error}"), ..error },
        }
    }
    Err(worst)
}

/// Gets one document, from one redirection to the next.
async fn fetch(mut place: Place, config: &Arc<ClientConfig>, ways: &impl Ways) -> Result<Vec<u8>, NetError> {
    for _ in 0..=REDIRECTS {
        let host = name(&place.url)?;
        let (stream, _) = place.connect(&host, ways).await?;
        let (stream, _) = handshake(Arc::clone(config), &host, stream, Some("http/1.1"), HANDSHAKE).await?;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(HEADERS)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| broken(&error))?;
        let request = Request::get(&place.url[Position::BeforePath..Position::AfterQuery])
            .header(HOST, &place.url[Position::BeforeHost..Position::AfterPort])
            .header(ACCEPT, "application/json, application/xrd+xml, */*;q=0.1")
            .header(CONNECTION, "close")
            .body(Empty::<Bytes>::new())
            .map_err(|error| broken(&error))?;
        let exchange = async move {
            let response = sender.send_request(request).await.map_err(|error| broken(&error))?;
            read(&place, response).await
        };
        // The connection ends with the exchange, which holds its only sender.
        let (answer, _) = tokio::join!(exchange, connection);
        match answer? {
            Answer::Document(document) => return Ok(document),
            Answer::Elsewhere(next) => place = next,
        }
    }
    Err(NetError::new(What::Dial, format!("redirected more than {REDIRECTS} times")))
}

enum Answer {
    Document(Vec<u8>),
    Elsewhere(Place),
}

async fn read(place: &Place, response: Response<Incoming>) -> Result<Answer, NetError> {
    match response.status().as_u16() {
        200 => {
            let body = Limited::new(response.into_body(), MOST).collect().await;
            let body =
                body.map_err(|error| NetError::new(What::Dial, format!("the answer broke off: {error}")))?;
            Ok(Answer::Document(body.to_bytes().to_vec()))
        }
        301 | 302 | 303 | 307 | 308 => {
            let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
            let next = location
                .and_then(|location| place.url.join(location).ok())
                .filter(|url| trusted(url, "https"));
            let url =
                next.ok_or_else(|| NetError::new(What::Dial, "redirected to what is no `https:` URL"))?;
            Ok(Answer::Elsewhere(Place { url, private: place.private }))
        }
        status => Err(NetError::new(What::NoService, format!("the answer is {status}"))),
    }
}

fn broken(error: &dyn std::fmt::Display) -> NetError {
    NetError::new(What::Dial, format!("HTTP failed: {error}"))
}

/// The host of a URL as DNS and certificates have it.
pub(super) fn name(url: &Url) -> Result<String, NetError> {
    match url.host() {
        Some(Host::Domain(name)) => resolve::ascii(name),
        Some(Host::Ipv4(address)) => Ok(address.to_string()),
        Some(Host::Ipv6(address)) => Ok(address.to_string()),
        None => Err(NetError::new(What::NoService, format!("`{url}` names no host"))),
    }
}

/// Those of the addresses that may be connected to.
fn reachable(host: &str, found: &[IpAddr], private: bool) -> Result<Vec<IpAddr>, NetError> {
    let good: Vec<IpAddr> =
        found.iter().copied().filter(|address| private || hosts::is_public(*address)).collect();
    match found.first() {
        Some(first) if good.is_empty() => Err(NetError::new(
            What::Dial,
            format!(
                "`{host}` is at the private address {first}, and the domain itself is not on a private network"
            ),
        )),
        _ => Ok(good),
    }
}

/// What may be followed: this scheme, a host, and nothing that is meant for somebody else.
fn trusted(url: &Url, scheme: &str) -> bool {
    url.scheme() == scheme
        && url.host().is_some()
        && url.username().is_empty()
        && url.password().is_none()
        && url.as_str().len() <= LONGEST
}

/// A link to a WebSocket that is encrypted; everything else is passed over.
fn believed(href: &str) -> Option<Url> {
    let mut url = Url::parse(href).ok().filter(|url| trusted(url, "wss"))?;
    url.set_fragment(None);
    Some(url)
}

/// `{"links": [{"rel": …, "href": …}]}`, RFC 6415 §3 in JSON.
fn from_json(document: &[u8]) -> Option<Url> {
    let document: Value = serde_json::from_slice(document).ok()?;
    let links = document["links"].as_array()?;
    let links = links.iter().filter(|link| link["rel"] == WEBSOCKET);
    links.filter_map(|link| link["href"].as_str()).find_map(believed)
}

/// `<XRD><Link rel='' href=''/></XRD>`
fn from_xml(document: &[u8]) -> Option<Url> {
    let text = std::str::from_utf8(document).ok()?.trim_start_matches('\u{feff}').trim_start();
    // Our reader is one for streams, where a declaration is not part of an element.
    let text = match text.strip_prefix("<?xml") {
        Some(rest) => rest.split_once("?>")?.1,
        None => text,
    };
    let document = xml::parse(text).ok().filter(|document| document.is("XRD", XRD))?;
    let links =
        document.children().filter(|link| link.is("Link", XRD) && link.attr("rel") == Some(WEBSOCKET));
    links.filter_map(|link| link.attr("href")).find_map(believed)
}

type Form = (&'static str, fn(&[u8]) -> Option<Url>);

/// Where the document lies, and in which form.
const FORMS: [Form; 2] = [("/.well-known/host-meta.json", from_json), ("/.well-known/host-meta", from_xml)];

/// XEP-0156 §3.
const WEBSOCKET: &str = "urn:xmpp:alt-connections:websocket";
/// The namespace of XRD 1.0.
const XRD: &str = "http://docs.oasis-open.org/ns/xri/xrd-1.0";
const HTTPS: u16 = 443;
/// Redirections that are followed.
const REDIRECTS: usize = 3;
/// Bytes of a document.
const MOST: usize = 64 * 1024;
/// Bytes of the headers of an answer.
const HEADERS: usize = 16 * 1024;
/// Bytes of a URL.
const LONGEST: usize = 2_048;
/// For both documents together.
const PATIENCE: Duration = Duration::from_secs(12);
/// For one TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(8);
