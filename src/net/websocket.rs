//! XMPP over WebSocket, RFC 7395: the handshake, and one text message for each piece that is written.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Sink, Stream};
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::header::{HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::net::error::{NetError, What};
use crate::net::host_meta::{Place, Ways, name};
use crate::net::tls::{SecuredInfo, handshake};
use crate::net::wire::CHUNK;
use crate::xml::Limits;

/// A connection on which messages go both ways.
pub(super) struct WebSocket {
    inner: WebSocketStream<TlsStream<TcpStream>>,
    /// Of the message that is being given out.
    rest: Bytes,
}

/// A connection that stands.
pub(super) struct Opened {
    pub(super) socket: WebSocket,
    pub(super) peer: SocketAddr,
    pub(super) secured: SecuredInfo,
}

/// Connects to a place: TLS with a certificate for the host of its URL, then the handshake of RFC 6455. Nothing is
/// sent along but the address, and no redirection is followed.
pub(super) async fn open(
    place: &Place,
    config: &Arc<ClientConfig>,
    ways: &impl Ways,
    patience: Duration,
) -> Result<Opened, NetError> {
    let host = name(&place.url)?;
    let (stream, peer) = place.connect(&host, ways).await?;
    let (stream, secured) = handshake(Arc::clone(config), &host, stream, Some("http/1.1"), patience).await?;
    let shaken = timeout(patience, shake(place, stream)).await;
    let inner = shaken.unwrap_or_else(|_| {
        let detail = format!("the WebSocket handshake took longer than {} s", patience.as_secs_f32());
        Err(NetError::new(What::Handshake, detail))
    })?;
    Ok(Opened { socket: WebSocket { inner, rest: Bytes::new() }, peer, secured })
}

async fn shake(
    place: &Place,
    stream: TlsStream<TcpStream>,
) -> Result<WebSocketStream<TlsStream<TcpStream>>, NetError> {
    let refused = |detail: String| NetError::new(What::Handshake, format!("no WebSocket: {detail}"));
    let mut request = place.url.as_str().into_client_request().map_err(|error| refused(error.to_string()))?;
    request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL));
    let most = Limits::DEFAULT.bytes;
    let config = WebSocketConfig::default()
        .max_message_size(Some(most))
        .max_frame_size(Some(most))
        // Each piece is given to TLS at once; what TLS does not take waits in the link's own queue.
        .write_buffer_size(0);
    let (socket, response) = client_async_with_config(request, stream, Some(config))
        .await
        .map_err(|error| refused(error.to_string()))?;
    // RFC 7395 §3.1: without the server's word for it, it would be some other protocol.
    if response.headers().get(SEC_WEBSOCKET_PROTOCOL).is_none_or(|chosen| chosen != PROTOCOL) {
        return Err(refused("the server does not speak `xmpp` there".to_owned()));
    }
    Ok(socket)
}

impl WebSocket {
    /// The next piece of a message, at most [`CHUNK`] bytes; `None` at the end.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        while self.rest.is_empty() {
            match ready!(Pin::new(&mut self.inner).poll_next(cx)) {
                None | Some(Ok(Message::Close(_))) => return Poll::Ready(Ok(None)),
                Some(Ok(Message::Text(text))) => self.rest = Bytes::from(text),
                // Answered by the library.
                Some(Ok(Message::Frame(_) | Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Binary(_))) => {
                    let broken = "a binary message, which RFC 7395 does not allow";
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, broken)));
                }
                Some(Err(error)) => return Poll::Ready(Err(io_error(error))),
            }
        }
        Poll::Ready(Ok(Some(self.rest.split_to(self.rest.len().min(CHUNK)))))
    }

    /// Takes `piece` as one message, or is pending while the connection takes nothing.
    pub(super) fn poll_send(&mut self, piece: &Bytes, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.inner).poll_ready(cx)).map_err(io_error)?;
        let text = Utf8Bytes::try_from(piece.clone())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        Pin::new(&mut self.inner).start_send(Message::Text(text)).map_err(io_error)?;
        Poll::Ready(Ok(piece.len()))
    }

    /// As of `AsyncWrite`.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx).map_err(io_error)
    }

    /// Says that nothing more comes.
    pub(super) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(cx).map_err(io_error)
    }
}

fn io_error(error: tungstenite::Error) -> io::Error {
    match error {
        tungstenite::Error::Io(error) => error,
        // The rest is in words of the library; none of it holds what was said.
        other => io::Error::other(other.to_string()),
    }
}

/// RFC 7395 §3.1.
const PROTOCOL: &str = "xmpp";
