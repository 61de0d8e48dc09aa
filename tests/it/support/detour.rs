//! Another way to a server: a port that carries what comes to wherever it is told to.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The port.
pub struct Detour {
    address: SocketAddr,
    shared: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    to: Option<SocketAddr>,
    accepted: usize,
    closed: bool,
}

impl Detour {
    /// A port of its own that leads nowhere yet.
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Mutex::new(State::default()));
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || accept(&listener, &accepting));
        Self { address, shared }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it leads from now on.
    pub fn lead_to(&self, to: SocketAddr) {
        lock(&self.shared).to = Some(to);
    }

    /// Connections taken so far.
    pub fn accepted(&self) -> usize {
        lock(&self.shared).accepted
    }

    /// Nobody is here any more; what is carried goes on.
    pub fn close(&self) {
        lock(&self.shared).closed = true;
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
    }
}

impl Drop for Detour {
    fn drop(&mut self) {
        self.close();
    }
}

fn lock(shared: &Mutex<State>) -> MutexGuard<'_, State> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn accept(listener: &TcpListener, shared: &Mutex<State>) {
    for client in listener.incoming().flatten() {
        let mut state = lock(shared);
        if state.closed {
            return;
        }
        state.accepted += 1;
        let Some(Ok(server)) = state.to.map(TcpStream::connect) else { continue };
        drop(state);
        let again = [&server, &client].map(|stream| stream.try_clone().expect("descriptors are left"));
        carry(client, server);
        let [server, client] = again;
        carry(server, client);
    }
}

/// Carries bytes one way on a thread of its own, until either end closes.
fn carry(mut from: TcpStream, mut to: TcpStream) {
    std::thread::spawn(move || {
        let mut chunk = [0; 16 * 1024];
        while let Ok(count @ 1..) = from.read(&mut chunk) {
            if to.write_all(&chunk[..count]).is_err() {
                break;
            }
        }
        // The other side may be gone already.
        drop(from.shutdown(Shutdown::Both));
        drop(to.shutdown(Shutdown::Both));
    });
}
