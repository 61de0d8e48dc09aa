//! Requests of scripts, made by one thread: no cookies, no proxies, no compression, and no host or address that the
//! operator did not grant.
//!
//! Names are looked up here, the addresses are checked, and the connection is made to those very addresses: a name
//! that answers differently the second time gains nothing. Every redirect goes through the same checks.

use std::cell::Cell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderName, HeaderValue, LOCATION};
use reqwest::{Method, Response, redirect};
use tokio::runtime::Builder;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::timeout;
use url::{Host, Url};

use crate::hosts::{self, HostPattern};
use crate::net::resolve::addresses;
use crate::net::tls::TlsContext;
use crate::script::outside::{Done, HttpOutcome, HttpRequest, HttpResponse, Outside};

/// Requests of the process that are under way.
const UNDER_WAY: usize = 64;
/// Requests of the process that wait for one of those to end.
const WAITING: usize = 1_024;
/// Redirects that are followed.
const REDIRECTS: usize = 5;
/// Headers of an answer that scripts see.
const HEADERS: usize = 100;
/// How long one connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);

/// Makes requests. Its thread ends when it is dropped; requests under way are then forgotten.
pub struct Client {
    queue: mpsc::Sender<(HttpRequest, Done)>,
}

/// Asks for the addresses of a name in place of DNS: for tests.
pub type Names = Arc<dyn Fn(&str) -> Vec<IpAddr> + Send + Sync>;

/// How a client is started.
#[derive(Clone, Default)]
pub struct ClientOptions {
    /// PEM file of authorities trusted besides those of the system.
    pub ca: Option<PathBuf>,
    /// Who knows names; DNS unless said.
    pub names: Option<Names>,
}

impl Client {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn start(tls: Arc<TlsContext>, options: ClientOptions) -> io::Result<Self> {
        let (queue, requests) = mpsc::channel(WAITING);
        let runtime = Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("web".to_owned()).spawn(move || {
            let local = LocalSet::new();
            local.block_on(&runtime, serve(requests, Rc::new(Asker { tls, options })));
        })?;
        Ok(Self { queue })
    }
}

impl Outside for Client {
    fn fetch(&self, request: HttpRequest, done: Done) {
        if let Err(refused) = self.queue.try_send((request, done)) {
            let (_, done) = refused.into_inner();
            done(Err(format!("busy: {WAITING} requests of this process wait")));
        }
    }
}

async fn serve(mut requests: mpsc::Receiver<(HttpRequest, Done)>, asker: Rc<Asker>) {
    let places = Rc::new(Semaphore::new(UNDER_WAY));
    while let Some((request, done)) = requests.recv().await {
        let (asker, places) = (asker.clone(), places.clone());
        spawn_local(async move {
            let told = format!("timeout: no answer within {} s", request.timeout.as_secs_f32());
            let patience = request.timeout;
            // Waiting for a place counts, so that an answer always comes in time.
            let asked = timeout(patience, async {
                let _place = places.acquire().await;
                asker.ask(&request).await
            });
            done(asked.await.unwrap_or(Err(told)));
        });
    }
}

struct Asker {
    tls: Arc<TlsContext>,
    options: ClientOptions,
}

/// A request from one redirect to the next.
struct Hop {
    url: Url,
    method: Method,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Asker {
    async fn ask(&self, request: &HttpRequest) -> HttpOutcome {
        let url = hosts::permitted(&request.url, &request.allowed).map_err(|refused| refused.to_string())?;
        let method = Method::from_bytes(request.method.as_bytes()).map_err(|error| error.to_string())?;
        let mut hop = Hop { url, method, headers: request.headers.clone(), body: request.body.clone() };
        for _ in 0..=REDIRECTS {
            let response = self.hop(&hop, &request.allowed).await?;
            let following = if request.redirects { next(&hop, &response)? } else { None };
            match following {
                Some(following) => {
                    hosts::check(&following.url, &request.allowed)
                        .map_err(|refused| format!("redirected, and {refused}"))?;
                    hop = following;
                }
                None => return read(response, &hop.url, request.limit).await,
            }
        }
        Err(format!("redirected more than {REDIRECTS} times"))
    }

    /// One request, to addresses that were checked.
    async fn hop(&self, hop: &Hop, allowed: &[HostPattern]) -> Result<Response, String> {
        let builder = reqwest::Client::builder()
            .user_agent(concat!("rhapsode/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .http1_only()
            .connect_timeout(CONNECT)
            .pool_max_idle_per_host(0)
            .dns_resolver(Arc::new(Nobody));
        let builder = match hop.url.host() {
            Some(Host::Domain(name)) => {
                let found = self.addresses(name).await?;
                builder.resolve_to_addrs(name, &reachable(name, &found, &hop.url, allowed)?)
            }
            Some(Host::Ipv4(address)) => {
                reachable(&address.to_string(), &[address.into()], &hop.url, allowed)?;
                builder
            }
            Some(Host::Ipv6(address)) => {
                reachable(&address.to_string(), &[address.into()], &hop.url, allowed)?;
                builder
            }
            None => return Err("the address has no host".to_owned()),
        };
        let config = self.tls.client(self.options.ca.as_deref()).await.map_err(|error| error.to_string())?;
        let client = builder.tls_backend_preconfigured((*config).clone()).build().map_err(words)?;
        let mut request = client.request(hop.method.clone(), hop.url.clone());
        for (name, value) in &hop.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| error.to_string())?;
            let mut value = HeaderValue::from_bytes(value.as_bytes()).map_err(|error| error.to_string())?;
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        if !hop.body.is_empty() || matches!(hop.method, Method::POST | Method::PUT | Method::PATCH) {
            request = request.body(hop.body.clone());
        }
        request.send().await.map_err(words)
    }

    async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, String> {
        match &self.options.names {
            Some(names) => Ok(names(name)),
            None => addresses(name).await.map_err(|error| error.to_string()),
        }
    }
}

/// Those of the addresses that may be connected to.
fn reachable(
    name: &str,
    found: &[IpAddr],
    url: &Url,
    allowed: &[HostPattern],
) -> Result<Vec<SocketAddr>, String> {
    let fits = |address: &&IpAddr| hosts::reachable(**address, url, allowed);
    let good: Vec<SocketAddr> = found.iter().filter(fits).map(|it| SocketAddr::new(*it, 0)).collect();
    if good.is_empty() {
        return Err(match found.first() {
            Some(address) => format!("`{name}` is at the private address {address}, which is not granted"),
            None => format!("`{name}` has no address"),
        });
    }
    Ok(good)
}

/// Where a redirect leads; nothing where the answer is none.
fn next(hop: &Hop, response: &Response) -> Result<Option<Hop>, String> {
    let status = response.status().as_u16();
    if !matches!(status, 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(location) = response.headers().get(LOCATION) else { return Ok(None) };
    let location = location.to_str().map_err(|_| "redirected to no URL".to_owned())?;
    let mut url = hop.url.join(location).map_err(|_| "redirected to no URL".to_owned())?;
    url.set_fragment(None);
    if hop.url.scheme() == "https" && url.scheme() == "http" {
        return Err("redirected from https to http".to_owned());
    }
    let keeps = matches!(status, 307 | 308) || matches!(hop.method, Method::GET | Method::HEAD);
    let (method, body) =
        if keeps { (hop.method.clone(), hop.body.clone()) } else { (Method::GET, Vec::new()) };
    let same = hop.url.origin() == url.origin();
    // What may be secret stays with the host it was meant for.
    let kept = |name: &str| {
        (same || matches!(name, "accept" | "accept-language" | "user-agent" | "content-type"))
            && (keeps || name != "content-type")
    };
    let headers = hop.headers.iter().filter(|(name, _)| kept(name)).cloned().collect();
    if !same && !body.is_empty() {
        return Err("redirected to another host with a body".to_owned());
    }
    Ok(Some(Hop { url, method, headers, body }))
}

/// The answer with as much of its body as the script takes.
async fn read(mut response: Response, url: &Url, limit: usize) -> HttpOutcome {
    let too_large = || Err(format!("too large: the answer has more than {limit} bytes"));
    if response.content_length().is_some_and(|length| length > limit as u64) {
        return too_large();
    }
    let headers = response.headers().iter().take(HEADERS).map(|(name, value)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    });
    let headers = headers.collect();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(words)? {
        if body.len() + chunk.len() > limit {
            return too_large();
        }
        body.extend_from_slice(&chunk);
    }
    Ok(HttpResponse { status: response.status().as_u16(), headers, body, url: url.to_string() })
}

/// What went wrong, without the address, which may hold something secret.
fn words(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return "timeout: no connection came about".to_owned();
    }
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    let levels = Cell::new(0);
    while let Some(inner) = source.filter(|_| levels.replace(levels.get() + 1) < 8) {
        text = inner.to_string();
        source = inner.source();
    }
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}

/// Knows no names: all that are needed were looked up before.
struct Nobody;

impl reqwest::dns::Resolve for Nobody {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let refused = format!("`{}` was not looked up before", name.as_str());
        Box::pin(async move { Err(refused.into()) })
    }
}
