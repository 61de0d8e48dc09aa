//! TLS sessions to be resumed: as many per server as it has accounts here, not the library's eight.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;

/// Sessions of one trust policy, in memory only.
#[derive(Default)]
pub(super) struct Tickets {
    servers: Mutex<HashMap<ServerName<'static>, Sessions>>,
}

#[derive(Default)]
struct Sessions {
    group: Option<NamedGroup>,
    tls12: Option<Tls12ClientSessionValue>,
    /// The oldest first. Each is used once, so that connections cannot be linked.
    tls13: VecDeque<Tls13ClientSessionValue>,
}

impl Tickets {
    fn servers(&self) -> MutexGuard<'_, HashMap<ServerName<'static>, Sessions>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn edit(&self, server: ServerName<'static>, change: impl FnOnce(&mut Sessions)) {
        let mut servers = self.servers();
        if servers.len() >= SERVERS && !servers.contains_key(&server) {
            // Any one will do: it costs that server's accounts one full handshake.
            if let Some(victim) = servers.keys().next().cloned() {
                servers.remove(&victim);
            }
        }
        change(servers.entry(server).or_default());
    }
}

impl ClientSessionStore for Tickets {
    fn set_kx_hint(&self, server: ServerName<'static>, group: NamedGroup) {
        self.edit(server, |sessions| sessions.group = Some(group));
    }

    fn kx_hint(&self, server: &ServerName<'_>) -> Option<NamedGroup> {
        self.servers().get(server).and_then(|sessions| sessions.group)
    }

    fn set_tls12_session(&self, server: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.edit(server, |sessions| sessions.tls12 = Some(value));
    }

    fn tls12_session(&self, server: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.servers().get(server).and_then(|sessions| sessions.tls12.clone())
    }

    fn remove_tls12_session(&self, server: &ServerName<'static>) {
        if let Some(sessions) = self.servers().get_mut(server) {
            sessions.tls12 = None;
        }
    }

    fn insert_tls13_ticket(&self, server: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.edit(server, |sessions| {
            if sessions.tls13.len() >= TICKETS {
                sessions.tls13.pop_front();
            }
            sessions.tls13.push_back(value);
        });
    }

    fn take_tls13_ticket(&self, server: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.servers().get_mut(server)?.tls13.pop_back()
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tickets").field("servers", &self.servers().len()).finish_non_exhaustive()
    }
}

/// Tickets of one server: about 1 KB each.
const TICKETS: usize = 4096;

const SERVERS: usize = 1024;
