//! The listener for webhooks: HTTP/1.1, bounded in every direction, for `/hooks/BOT/NAME` and nothing else.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::runtime::Builder;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::timeout;
use url::form_urlencoded;

use crate::script::hook::{BODY, HookRefused, HookRequest, HookResponse, Hooks};

/// Connections at a time.
const CONNECTIONS: usize = 256;
/// How long the head of a request may take, which is also how long a connection may idle.
const HEAD: Duration = Duration::from_secs(10);
/// How long its body may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long a script's answer is waited for.
const ANSWER: Duration = Duration::from_secs(30);
/// Bytes of a head.
const HEAD_BYTES: usize = 32 * 1024;
/// Headers of a request.
const HEADERS: usize = 64;
/// Names and values behind the `?`.
const QUERY: usize = 64;
/// Calls of one bot that may wait for its answer.
const PER_BOT: usize = 32;
/// After how many seconds a caller may try a full bot again.
const AGAIN: &str = "5";

/// An address that is taken, before anything is served there.
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
}

/// Serves until it is dropped; calls under way get a moment to end.
pub struct Server {
    address: SocketAddr,
    _stop: watch::Sender<()>,
}

type Answered = Response<Full<Bytes>>;

impl Bound {
    /// Takes the address.
    ///
    /// # Errors
    /// When it is taken, or none of this machine.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Starts to serve the webhooks, on a thread of its own.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn serve(self, hooks: Hooks) -> io::Result<Server> {
        let (stop, stopped) = watch::channel(());
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let listener = {
            let _entered = runtime.enter();
            tokio::net::TcpListener::from_std(self.listener)?
        };
        std::thread::Builder::new().name("webhooks".to_owned()).spawn(move || {
            runtime.block_on(accept(listener, hooks, stopped));
            runtime.shutdown_timeout(Duration::from_secs(1));
        })?;
        tracing::info!(address = %self.address, "webhooks are heard");
        Ok(Server { address: self.address, _stop: stop })
    }
}

impl Server {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Calls under way, by bot.
#[derive(Clone, Default)]
struct Busy(Arc<Mutex<BTreeMap<String, usize>>>);

/// One of them.
struct Place {
    busy: Busy,
    bot: String,
}

impl Busy {
    fn enter(&self, bot: &str) -> Option<Place> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(bot.to_owned()).or_default();
        if *count >= PER_BOT {
            return None;
        }
        *count += 1;
        Some(Place { busy: self.clone(), bot: bot.to_owned() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.busy.0.lock().unwrap_or_else(PoisonError::into_inner);
        match counts.get_mut(&self.bot) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(counts.remove(&self.bot)),
        }
    }
}

async fn accept(listener: tokio::net::TcpListener, hooks: Hooks, stopped: watch::Receiver<()>) {
    let busy = Busy::default();
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut stopping = stopped.clone();
    loop {
        // One that finds no place waits in the system's queue.
        let place = tokio::select! {
            place = places.clone().acquire_owned() => place,
            _ = stopping.changed() => return,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopping.changed() => return,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, most likely: trying at once would spin.
                tracing::warn!(%error, "a caller of webhooks could not be let in");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (hooks, busy, mut stopping) = (hooks.clone(), busy.clone(), stopped.clone());
        tokio::spawn(async move {
            let _place = place;
            let service = service_fn(move |request| {
                let (hooks, busy) = (hooks.clone(), busy.clone());
                async move { Ok::<_, Infallible>(answer(&hooks, &busy, peer, request).await) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD)
                .max_buf_size(HEAD_BYTES)
                .max_headers(HEADERS)
                .half_close(false)
                .pipeline_flush(false)
                .serve_connection(TokioIo::new(stream), service);
            tokio::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                _ = stopping.changed() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%peer, %error, "a caller of webhooks went away");
            }
        });
    }
}

async fn answer(hooks: &Hooks, busy: &Busy, peer: SocketAddr, request: Request<Incoming>) -> Answered {
    let id = id();
    let path = request.uri().path().to_owned();
    let answered = match call(hooks, busy, peer, request, &id).await {
        Ok(response) => full(response),
        Err(refused) => refused,
    };
    tracing::debug!(%peer, path, id, status = answered.status().as_u16(), "webhook");
    answered
}

async fn call(
    hooks: &Hooks,
    busy: &Busy,
    peer: SocketAddr,
    request: Request<Incoming>,
    id: &str,
) -> Result<HookResponse, Answered> {
    let path = request.uri().path().to_owned();
    let mut parts = path.strip_prefix("/hooks/").unwrap_or_default().split('/');
    let (Some(bot), Some(name), None) = (parts.next(), parts.next(), parts.next()) else {
        return Err(refuse(404, "not found"));
    };
    let Some(hook) = hooks.find(bot, name) else { return Err(refuse(404, "not found")) };
    let method = request.method().as_str().to_owned();
    if !hook.methods.contains(&method) {
        let mut refused = refuse(405, "method not allowed");
        if let Ok(methods) = HeaderValue::from_str(&hook.methods.join(", ")) {
            refused.headers_mut().insert(ALLOW, methods);
        }
        return Err(refused);
    }
    let (head, body) = request.into_parts();
    let announced =
        head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > BODY as u64) {
        return Err(refuse(413, "too large"));
    }
    let body = match timeout(PATIENCE, Limited::new(body, BODY).collect()).await {
        Ok(Ok(body)) => body.to_bytes().to_vec(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(refuse(413, "too large")),
        Ok(Err(_)) => return Err(refuse(400, "the body broke off")),
        Err(_) => return Err(refuse(408, "too slow")),
    };
    let query = form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes()).into_owned();
    let headers = head.headers.iter().map(|(name, value)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    });
    let request = HookRequest {
        method,
        query: query.take(QUERY).collect(),
        headers: headers.collect(),
        body,
        ip: peer.ip().to_canonical().to_string(),
        id: id.to_owned(),
    };
    if !hook.admits(&request, now()) {
        tracing::warn!(bot, hook = name, %peer, id, "a call was not signed as it must be");
        return Err(refuse(401, "not signed as it must be"));
    }
    let Some(_place) = busy.enter(bot) else { return Err(again(429, "too many calls at a time")) };
    let (sender, answered) = oneshot::channel();
    let tell = Box::new(move |response| {
        // A caller that has gone is told nothing.
        drop(sender.send(response));
    });
    match hooks.call(bot, name, request, tell) {
        Ok(()) => {}
        Err(HookRefused::Full) => return Err(again(503, "the bot is busy")),
        Err(HookRefused::Unknown) => return Err(refuse(404, "not found")),
    }
    match timeout(ANSWER, answered).await {
        Ok(Ok(response)) => Ok(response),
        // The bot was taken out, or crashed: the call is not kept.
        Ok(Err(_)) => Err(again(503, "the bot went away")),
        Err(_) => Err(again(503, "the bot did not answer in time")),
    }
}

fn full(response: HookResponse) -> Answered {
    let HookResponse { status, headers, body } = response;
    if status >= 400 && body.is_empty() && headers.is_empty() {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        return refuse(status.as_u16(), &status.canonical_reason().unwrap_or("failed").to_lowercase());
    }
    let mut answered = Response::new(Full::new(Bytes::from(body)));
    *answered.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(&value))
        {
            answered.headers_mut().insert(name, value);
        }
    }
    answered
}

fn refuse(status: u16, why: &str) -> Answered {
    // No word of ours needs escaping.
    let mut answered = Response::new(Full::new(Bytes::from(format!("{{\"error\":\"{why}\"}}\n"))));
    *answered.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answered.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if matches!(status, 408 | 413) {
        // What is left of the body would be read as the next request.
        answered.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    answered
}

fn again(status: u16, why: &str) -> Answered {
    let mut answered = refuse(status, why);
    answered.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(AGAIN));
    answered
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// A name that no other call has.
fn id() -> String {
    let mut bytes = [0; 12];
    // Without randomness the time must do: ids are for logs and keys of turns.
    if getrandom::fill(&mut bytes).is_err() {
        bytes[..8].copy_from_slice(&now().to_be_bytes());
    }
    URL_SAFE_NO_PAD.encode(bytes)
}
