//! One connection: bytes from the socket into its stream, bytes of the stream to the socket.
//!
//! Nothing here grows with what a peer does. Bytes are read into one buffer for the whole thread; while
//! more than `HIGH` bytes wait for the socket, nothing is read and nothing is taken over from the link;
//! a client that takes no byte for too long is dropped.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep, timeout};
use tracing::debug;

use crate::stream::fault::{Condition, StreamError};
use crate::stream::{Hangup, Output};

use super::hub::{Expiry, SharedHub, present};
use super::link::Order;
use super::listen::{Tls, Transport};
use super::talk::Talk;

/// Bytes that wait for the socket before reading pauses.
const HIGH: usize = 64 << 10;
/// Bytes of one read; one such buffer serves all connections.
const CHUNK: usize = 16 << 10;
/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long the last bytes of a stream may take.
const FAREWELL: Duration = Duration::from_secs(2);
/// A write buffer above this size is given back when it is empty.
const KEPT: usize = 4 << 10;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; CHUNK].into_boxed_slice());
}

/// Serves one accepted socket until its end.
pub(super) async fn serve(tcp: TcpStream, tls: Rc<Tls>, hub: SharedHub, direct_tls: bool) {
    let (number, link) = hub.borrow_mut().connect(Instant::now(), direct_tls);
    let stall = hub.borrow().stall();
    let mut connection = Connection {
        transport: Some(Transport::Plain(tcp)),
        talk: Talk::new(Rc::clone(&link), Rc::clone(&hub)),
        out: BytesMut::new(),
        flushing: false,
        blocked_since: None,
        stall,
        alarm: Box::pin(sleep(Duration::ZERO)),
        alarm_at: None,
        broken: false,
    };
    if direct_tls {
        connection.secure(&tls).await;
    }
    loop {
        match connection.pump() {
            Step::Secure => connection.secure(&tls).await,
            Step::Hangup => break,
            Step::Wait(due) => {
                let wake = connection.wake(due).await;
                connection.on_wake(wake);
            }
        }
    }
    let expiry = hub.borrow_mut().disconnect(present(), number, &link);
    connection.farewell().await;
    drop((connection, link));
    if let Some(expiry) = expiry {
        wait_for_resumption(&hub, expiry).await;
    }
}

/// The task of a lost connection goes on as the clock of its session.
async fn wait_for_resumption(hub: &SharedHub, expiry: Expiry) {
    sleep(expiry.after).await;
    hub.borrow_mut().expire(present(), expiry.session, expiry.generation);
}

struct Connection {
    /// `None` only while a handshake has it.
    transport: Option<Transport>,
    talk: Talk,
    out: BytesMut,
    /// Written bytes may still lie in the TLS session.
    flushing: bool,
    blocked_since: Option<Instant>,
    /// How long that may last.
    stall: Duration,
    alarm: Pin<Box<Sleep>>,
    alarm_at: Option<Instant>,
    /// The transport is gone: there is nobody to write to.
    broken: bool,
}

/// What the stream wants next.
enum Step {
    Hangup,
    Secure,
    Wait(Option<Instant>),
}

/// What ended the wait.
enum Wake {
    Broken(String),
    Closed,
    Fed,
    News(Option<Order>),
    Stalled,
    Timeout,
}

impl Connection {
    /// Carries out what the stream has to say, and takes over what waits for it.
    fn pump(&mut self) -> Step {
        let now = present();
        loop {
            let output = self.talk.link.stream.borrow_mut().poll_output();
            match output {
                Output::Transmit(bytes) => self.out.extend_from_slice(&bytes),
                Output::Secure => return Step::Secure,
                Output::Event(event) => self.talk.on_event(now, event),
                Output::Hangup => return Step::Hangup,
                Output::Idle(due) => {
                    // A few at a time: what they become on the wire is only known afterwards.
                    if self.out.len() >= HIGH || !self.talk.forward(now) {
                        return Step::Wait(due);
                    }
                }
            }
        }
    }

    fn on_wake(&mut self, wake: Wake) {
        let now = Instant::now();
        let mut stream = self.talk.link.stream.borrow_mut();
        let lost = match wake {
            Wake::Fed | Wake::News(None | Some(Order::Leave)) => return,
            Wake::Timeout => return stream.on_timeout(now),
            Wake::News(Some(Order::End(condition))) => {
                let condition = Condition::from_name(condition).unwrap_or(Condition::UndefinedCondition);
                return stream.end(&StreamError::new(condition));
            }
            Wake::Closed => Hangup::Closed,
            Wake::Broken(detail) => Hangup::Reset { detail },
            Wake::News(Some(Order::Cut)) => Hangup::Reset { detail: "cut".to_owned() },
            Wake::News(Some(Order::Overflow)) | Wake::Stalled => {
                self.talk.hub.borrow_mut().counts.overflows += 1;
                Hangup::Reset { detail: "the client does not read".to_owned() }
            }
        };
        stream.on_hangup(now, lost);
        self.broken = true;
    }

    /// Sleeps until the socket, the link or the clock has something for the stream.
    async fn wake(&mut self, due: Option<Instant>) -> Wake {
        poll_fn(|cx| self.poll_wake(cx, due)).await
    }

    fn poll_wake(&mut self, cx: &mut Context<'_>, due: Option<Instant>) -> Poll<Wake> {
        let was_full = self.out.len() >= HIGH;
        if let Err(error) = self.poll_write(cx) {
            return Poll::Ready(Wake::Broken(error.to_string()));
        }
        let room = self.out.len() < HIGH;
        let takes = {
            let stream = self.talk.link.stream.borrow();
            room && stream.is_online() && !stream.is_full()
        };
        if let Poll::Ready(news) = self.talk.link.poll_news(cx, takes) {
            return Poll::Ready(Wake::News(news));
        }
        if was_full && room {
            return Poll::Ready(Wake::Fed);
        }
        let calm = self.talk.crowd.as_ref().is_none_or(|crowd| crowd.poll_calm(cx).is_ready());
        if calm {
            self.talk.crowd = None;
        }
        match if room && calm { self.poll_read(cx) } else { Poll::Pending } {
            Poll::Pending => self.poll_alarm(cx, due),
            ready => ready,
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> std::io::Result<()> {
        let Some(transport) = &mut self.transport else { return Ok(()) };
        while !self.out.is_empty() {
            match Pin::new(&mut *transport).poll_write(cx, &self.out) {
                Poll::Ready(Ok(0)) => return Err(std::io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(written)) => {
                    self.out.advance(written);
                    self.flushing = true;
                    self.blocked_since = None;
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => {
                    self.blocked_since.get_or_insert_with(Instant::now);
                    return Ok(());
                }
            }
        }
        if self.out.capacity() > KEPT {
            self.out = BytesMut::new();
        }
        if self.flushing {
            match Pin::new(transport).poll_flush(cx) {
                Poll::Ready(Ok(())) => {
                    self.flushing = false;
                    self.blocked_since = None;
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => {
                    self.blocked_since.get_or_insert_with(Instant::now);
                }
            }
        }
        Ok(())
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Wake> {
        let Some(transport) = &mut self.transport else { return Poll::Pending };
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            match Pin::new(transport).poll_read(cx, &mut buffer) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Err(error)) => Poll::Ready(Wake::Broken(error.to_string())),
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => Poll::Ready(Wake::Closed),
                Poll::Ready(Ok(())) => {
                    self.talk.link.stream.borrow_mut().on_bytes(Instant::now(), buffer.filled());
                    Poll::Ready(Wake::Fed)
                }
            }
        })
    }

    /// Rings for the stream's deadline or for the client's patience with us.
    ///
    /// The alarm is only moved when it rings or when it would ring too late: a deadline that every byte
    /// moves costs nothing.
    fn poll_alarm(&mut self, cx: &mut Context<'_>, due: Option<Instant>) -> Poll<Wake> {
        let stalled_at = self.blocked_since.and_then(|since| since.checked_add(self.stall));
        let Some(deadline) = [due, stalled_at].into_iter().flatten().min() else { return Poll::Pending };
        loop {
            if self.alarm_at.is_none_or(|at| at > deadline) {
                self.alarm.as_mut().reset(deadline.into());
                self.alarm_at = Some(deadline);
            }
            if self.alarm.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.alarm_at = None;
            let now = Instant::now();
            if stalled_at.is_some_and(|at| at <= now) {
                return Poll::Ready(Wake::Stalled);
            }
            if deadline <= now {
                return Poll::Ready(Wake::Timeout);
            }
        }
    }

    /// Writes what is due in the clear, then does the handshake.
    async fn secure(&mut self, tls: &Tls) {
        let Some(Transport::Plain(mut tcp)) = self.transport.take() else { return };
        let handshake = async {
            tcp.write_all_buf(&mut self.out).await?;
            tls.accept(tcp).await
        };
        let detail = match timeout(HANDSHAKE, handshake).await {
            Ok(Ok((transport, secured))) => {
                self.transport = Some(transport);
                return self.talk.link.stream.borrow_mut().on_secured(Instant::now(), secured);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the handshake took too long".to_owned(),
        };
        debug!(detail, "no TLS");
        self.broken = true;
        let lost = Hangup::TlsFailed { detail, certificate: false };
        self.talk.link.stream.borrow_mut().on_hangup(Instant::now(), lost);
    }

    /// Sends the last words and closes the transport in order, where there is one.
    async fn farewell(&mut self) {
        let Some(mut transport) = self.transport.take().filter(|_| !self.broken) else { return };
        let rest = async {
            transport.write_all_buf(&mut self.out).await?;
            transport.shutdown().await
        };
        // The stream is over either way; a peer that is gone cannot be told.
        drop(timeout(FAREWELL, rest).await);
    }
}
