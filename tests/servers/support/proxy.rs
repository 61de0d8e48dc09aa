//! A wire that can be cut: a TCP proxy that bots connect to in place of the server.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// What happens to bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// They stop where they are, and go on later.
    Held,
    /// They pass.
    Open,
    /// They are lost although the sender has written them: what a dead link does until somebody notices.
    Swallowing,
}

/// The proxy; dropping it closes everything.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    wire: Wire,
    /// New connections are closed at once.
    refusing: bool,
    ended: bool,
    accepted: usize,
    swallowed: usize,
    open: Vec<TcpStream>,
}

impl Proxy {
    /// A proxy in front of `server`, on a port of its own.
    pub fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        let address = listener.local_addr().expect("it is bound");
        let state = State {
            wire: Wire::Open,
            refusing: false,
            ended: false,
            accepted: 0,
            swallowed: 0,
            open: Vec::new(),
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || accept(&listener, server, &accepting));
        Self { address, shared }
    }

    /// Where bots connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections taken so far.
    pub fn accepted(&self) -> usize {
        self.shared.lock().accepted
    }

    /// Bytes swallowed so far.
    pub fn swallowed(&self) -> usize {
        self.shared.lock().swallowed
    }

    /// Changes what happens to bytes.
    pub fn set(&self, wire: Wire) {
        self.shared.lock().wire = wire;
        self.shared.changed.notify_all();
    }

    /// Breaks every connection without a word, and refuses new ones until [`Self::mend`].
    pub fn cut(&self) {
        let mut state = self.shared.lock();
        state.refusing = true;
        for stream in state.open.drain(..) {
            // Closed already: that is what is wanted.
            drop(stream.shutdown(Shutdown::Both));
        }
    }

    /// Everything passes again.
    pub fn mend(&self) {
        let mut state = self.shared.lock();
        state.refusing = false;
        state.wire = Wire::Open;
        self.shared.changed.notify_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.cut();
        self.shared.changed.notify_all();
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while bytes are held; `None` at the end of the proxy.
    fn wire(&self) -> Option<Wire> {
        let mut state = self.lock();
        while state.wire == Wire::Held && !state.ended {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        (!state.ended).then_some(state.wire)
    }
}

fn accept(listener: &TcpListener, server: SocketAddr, shared: &Arc<Shared>) {
    for client in listener.incoming().flatten() {
        let mut state = shared.lock();
        if state.ended {
            return;
        }
        state.accepted += 1;
        if state.refusing {
            continue;
        }
        // The server is down: the client sees its connection end.
        let Ok(upstream) = TcpStream::connect(server) else { continue };
        state
            .open
            .extend([&client, &upstream].map(|stream| stream.try_clone().expect("descriptors are left")));
        drop(state);
        let back = [&upstream, &client].map(|stream| stream.try_clone().expect("descriptors are left"));
        carry(client, upstream, Arc::clone(shared));
        let [upstream, client] = back;
        carry(upstream, client, Arc::clone(shared));
    }
}

/// Carries bytes one way on a thread of its own, until either end closes.
fn carry(mut from: TcpStream, mut to: TcpStream, shared: Arc<Shared>) {
    std::thread::spawn(move || {
        let mut chunk = [0; 16 * 1024];
        loop {
            let count = from.read(&mut chunk).unwrap_or(0);
            let passes = match (count, shared.wire()) {
                (0, _) | (_, None) => false,
                (_, Some(Wire::Swallowing)) => {
                    shared.lock().swallowed += count;
                    continue;
                }
                (_, Some(Wire::Held | Wire::Open)) => to.write_all(&chunk[..count]).is_ok(),
            };
            if !passes {
                // The other side may be gone already.
                drop(from.shutdown(Shutdown::Both));
                drop(to.shutdown(Shutdown::Both));
                return;
            }
        }
    });
}
