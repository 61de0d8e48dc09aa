//! The two directions of one connection, polled by hand: an ordered write queue with a byte count, and reads
//! into a buffer that all connections of a thread share.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_rustls::client::TlsStream;

use crate::net::error::{NetError, What};
use crate::net::tls::explain;
use crate::net::websocket::WebSocket;

/// What the owner has asked for and the task has not done yet.
pub(super) struct Queue {
    state: Mutex<State>,
    drained: Notify,
    /// Bytes that may wait.
    most: usize,
}

#[derive(Default)]
struct State {
    items: VecDeque<Item>,
    bytes: usize,
    hang_up: bool,
    abandoned: bool,
    overflow: bool,
    ended: bool,
    task: Option<Waker>,
}

enum Item {
    Bytes(Bytes),
    Command(Command),
}

/// What comes after the bytes before it are written and flushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    HangUp,
    Secure,
}

impl Queue {
    pub(super) fn new(most: usize) -> Self {
        Self { state: Mutex::default(), drained: Notify::new(), most }
    }

    /// Adds `bytes` and says how many wait; `Err` with that number if these are too many.
    pub(super) fn push(&self, bytes: Bytes) -> Result<usize, usize> {
        let mut state = self.state();
        if state.ended || state.hang_up {
            return Ok(state.bytes);
        }
        if state.overflow || state.bytes + bytes.len() > self.most {
            state.overflow = true;
            let queued = state.bytes;
            wake(state);
            return Err(queued);
        }
        state.bytes += bytes.len();
        if !bytes.is_empty() {
            state.items.push_back(Item::Bytes(bytes));
        }
        let queued = state.bytes;
        wake(state);
        Ok(queued)
    }

    pub(super) fn command(&self, command: Command) {
        let mut state = self.state();
        if state.ended || state.hang_up {
            return;
        }
        state.hang_up = command == Command::HangUp;
        state.items.push_back(Item::Command(command));
        wake(state);
    }

    /// Nobody will take anything from the link any more.
    pub(super) fn abandon(&self) {
        let mut state = self.state();
        state.abandoned = true;
        wake(state);
    }

    /// The link is over: what is queued is dropped, and whoever waits goes on.
    pub(super) fn end(&self) {
        let mut state = self.state();
        state.ended = true;
        state.items.clear();
        state.bytes = 0;
        state.task = None;
        drop(state);
        self.drained.notify_waiters();
    }

    pub(super) fn bytes(&self) -> usize {
        self.state().bytes
    }

    /// Resolves when at most `low` bytes wait, or the link is over.
    pub(super) async fn drained(&self, low: usize) {
        loop {
            let mut notified = pin!(self.drained.notified());
            notified.as_mut().enable();
            let reached = {
                let state = self.state();
                state.ended || state.bytes <= low
            };
            if reached {
                return;
            }
            notified.await;
        }
    }

    /// Resolves when the owner is gone.
    pub(super) async fn abandoned(&self) {
        self.when(|state| state.abandoned).await;
    }

    /// Resolves when the owner has hung up.
    pub(super) async fn hung_up(&self) {
        self.when(|state| state.hang_up).await;
    }

    async fn when(&self, condition: impl Fn(&State) -> bool) {
        poll_fn(|cx| {
            let mut state = self.state();
            if condition(&state) {
                return Poll::Ready(());
            }
            state.listen(cx);
            Poll::Pending
        })
        .await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// One waker is enough: only the link's own task listens.
    fn listen(&mut self, cx: &Context<'_>) {
        match &mut self.task {
            Some(task) => task.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
    }

    /// Takes `count` written bytes off the front.
    fn consume(&mut self, mut count: usize) {
        self.bytes = self.bytes.saturating_sub(count);
        while count > 0 {
            let Some(Item::Bytes(bytes)) = self.items.front_mut() else { return };
            if bytes.len() > count {
                return bytes.advance(count);
            }
            count -= bytes.len();
            self.items.pop_front();
        }
    }
}

fn wake(mut state: MutexGuard<'_, State>) {
    let task = state.task.take();
    drop(state);
    if let Some(task) = task {
        task.wake();
    }
}

/// The socket, in the clear or under TLS.
pub(super) enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// Each piece that is queued is a message there.
    Web(Box<WebSocket>),
    /// On its way from one to the other.
    Upgrading,
}

/// One connection: its socket and what is to be written to it.
pub(super) struct Wire<'a> {
    pub(super) io: Io,
    queue: &'a Queue,
    domain: &'a str,
    low: usize,
    /// Something may be left in the TLS layer.
    unflushed: bool,
    /// Met while the owner was busy.
    next: Option<Result<Command, NetError>>,
}

/// What a wire can come up with.
pub(super) enum Step {
    Command(Command),
    /// `None`: the peer has ended its direction.
    Received(Option<Bytes>),
}

impl<'a> Wire<'a> {
    pub(super) fn new(io: Io, queue: &'a Queue, domain: &'a str, low: usize) -> Self {
        Self { io, queue, domain, low, unflushed: false, next: None }
    }

    /// Writes what is queued and reads one chunk, whichever comes first.
    pub(super) async fn step(&mut self) -> Result<Step, NetError> {
        poll_fn(|cx| {
            if let Poll::Ready(next) = self.poll_write(cx) {
                return Poll::Ready(next.map(Step::Command));
            }
            self.poll_read(cx).map_ok(Step::Received)
        })
        .await
    }

    /// Writes what is queued while `busy` runs, and reads nothing.
    pub(super) async fn write_during<T>(&mut self, busy: impl Future<Output = T>) -> T {
        let mut busy = pin!(busy);
        poll_fn(|cx| {
            if let Poll::Ready(done) = busy.as_mut().poll(cx) {
                return Poll::Ready(done);
            }
            if self.next.is_none()
                && let Poll::Ready(next) = self.poll_write(cx)
            {
                self.next = Some(next);
            }
            Poll::Pending
        })
        .await
    }

    /// Writes and flushes everything that is queued, leaving commands aside.
    pub(super) async fn flush(&mut self) -> Result<(), NetError> {
        loop {
            let next = poll_fn(|cx| match self.poll_write(cx) {
                Poll::Ready(next) => Poll::Ready(Some(next)),
                Poll::Pending if !self.unflushed && self.queue.bytes() == 0 => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            });
            match next.await {
                None => return Ok(()),
                Some(next) => next.map(drop)?,
            }
        }
    }

    /// Tells the peer that nothing more comes, and reads until it says so too. What it still sends is not
    /// wanted; left unread, it would make the system reset the connection and lose what we sent.
    pub(super) async fn shut_down(&mut self) {
        let closed = poll_fn(|cx| Pin::new(&mut self.io).poll_shutdown(cx)).await;
        // A peer that has gone first is as good.
        if closed.is_ok() {
            while let Ok(Some(_)) = poll_fn(|cx| self.poll_read(cx)).await {}
        }
    }

    /// Pending when everything is written, or nothing can be; ready with a command or a failure.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<Command, NetError>> {
        if let Some(next) = self.next.take() {
            return Poll::Ready(next);
        }
        loop {
            let mut state = self.queue.state();
            if state.overflow {
                let detail = format!("{} bytes wait for a server that does not read them", state.bytes);
                return Poll::Ready(Err(NetError::new(What::Overflow, detail)));
            }
            state.listen(cx);
            if matches!(state.items.front(), Some(Item::Bytes(_))) {
                let written = match write_front(&state.items, &mut self.io, cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(0)) => Err(io::ErrorKind::WriteZero.into()),
                    Poll::Ready(written) => written,
                };
                match written {
                    Ok(count) => state.consume(count),
                    Err(error) => return Poll::Ready(Err(self.broken(&error, "writing"))),
                }
                self.unflushed = true;
                if state.bytes <= self.low {
                    drop(state);
                    self.queue.drained.notify_waiters();
                }
                continue;
            }
            if self.unflushed {
                match Pin::new(&mut self.io).poll_flush(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(())) => self.unflushed = false,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(self.broken(&error, "writing"))),
                }
            }
            return match state.items.pop_front() {
                Some(Item::Command(command)) => Poll::Ready(Ok(command)),
                // Bytes were ruled out above, under the same lock.
                Some(Item::Bytes(_)) | None => Poll::Pending,
            };
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, NetError>> {
        if let Io::Web(socket) = &mut self.io {
            return socket.poll_read(cx).map_err(|error| self.broken(&error, "reading"));
        }
        let read = SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            Pin::new(&mut self.io)
                .poll_read(cx, &mut buffer)
                .map_ok(|()| (!buffer.filled().is_empty()).then(|| Bytes::copy_from_slice(buffer.filled())))
        });
        read.map_err(|error| self.broken(&error, "reading"))
    }

    fn broken(&self, error: &io::Error, doing: &str) -> NetError {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return NetError::new(What::Reset, "the server ended the connection without the TLS notice");
        }
        let explained = explain(self.domain, error, What::Reset);
        NetError { detail: format!("the connection broke while {doing}: {}", explained.detail), ..explained }
    }
}

/// Hands the bytes up to the next command to the socket, together: under TLS they share records.
fn write_front(items: &VecDeque<Item>, io: &mut Io, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
    if let Io::Web(socket) = io {
        let Some(Item::Bytes(piece)) = items.front() else { return Poll::Pending };
        return socket.poll_send(piece, cx);
    }
    let mut slices = [IoSlice::new(&[]); PIECES];
    let mut count = 0;
    for (slice, item) in slices.iter_mut().zip(items) {
        let Item::Bytes(bytes) = item else { break };
        *slice = IoSlice::new(bytes);
        count += 1;
    }
    Pin::new(io).poll_write_vectored(cx, &slices[..count])
}

impl AsyncRead for Io {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Upgrading | Self::Web(_) => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Upgrading | Self::Web(_) => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Self::Web(socket) => socket.poll_flush(cx),
            Self::Upgrading => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Web(socket) => socket.poll_close(cx),
            Self::Upgrading => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

thread_local! {
    /// An idle connection keeps no buffer of its own.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; CHUNK]);
}

/// The most that is read, and delivered, at once.
pub(super) const CHUNK: usize = 16 * 1024;

/// Pieces that are written together.
const PIECES: usize = 64;
