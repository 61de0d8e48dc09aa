//! Tries hosts and their addresses until one takes the connection, RFC 8305.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::net::Endpoint;
use crate::net::error::{NetError, What};
use crate::net::resolve::addresses;

/// A connection that stands.
pub struct Dialled {
    /// The connection, without Nagle's delay.
    pub stream: TcpStream,
    /// The address that took it.
    pub peer: SocketAddr,
    /// The host it was for.
    pub endpoint: Endpoint,
}

/// Takes hosts off `endpoints` until one can be connected to. What went wrong is added to `tried`, also when
/// the caller gives up waiting.
pub async fn dial(endpoints: &mut VecDeque<Endpoint>, tried: &mut Vec<String>) -> Result<Dialled, NetError> {
    dial_within(PATIENCE, endpoints, tried).await
}

/// Gives each host but the last this long; the last has what the caller has left.
async fn dial_within(
    patience: Duration,
    endpoints: &mut VecDeque<Endpoint>,
    tried: &mut Vec<String>,
) -> Result<Dialled, NetError> {
    // The gravest kind of failure so far: an address that refuses says more than a name that does not exist.
    let mut what = What::NoService;
    while let Some(endpoint) = endpoints.pop_front() {
        let found = match addresses(&endpoint.host).await {
            Ok(found) => found,
            Err(error) => {
                if error.what == What::Resolve && what == What::NoService {
                    what = What::Resolve;
                }
                tried.push(error.detail);
                continue;
            }
        };
        what = What::Dial;
        let addresses = interleave(found).into_iter().map(|ip| SocketAddr::new(ip, endpoint.port));
        let patience = if endpoints.is_empty() { Duration::MAX } else { patience };
        match timeout(patience, race(addresses.collect(), &endpoint.host, tried)).await {
            Ok(Some((stream, peer))) => return Ok(Dialled { stream, peer, endpoint }),
            Ok(None) => {}
            Err(_) => tried.push(format!("{}: no answer within {} s", endpoint.host, patience.as_secs_f32())),
        }
    }
    Err(NetError::new(what, format!("no server could be reached: {}", tried.join("; "))))
}

/// IPv6 and IPv4 by turns, each in its own order: RFC 8305 §4.
pub fn interleave(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let count = addresses.len();
    let (six, four): (Vec<_>, Vec<_>) = addresses.into_iter().partition(IpAddr::is_ipv6);
    let (mut six, mut four) = (six.into_iter(), four.into_iter());
    let mut mixed = Vec::with_capacity(count);
    while mixed.len() < count {
        mixed.extend(six.next());
        mixed.extend(four.next());
    }
    mixed
}

/// The first of `addresses` to take a connection; a further one is tried whenever one fails or takes long.
pub(super) async fn race(
    addresses: VecDeque<SocketAddr>,
    host: &str,
    tried: &mut Vec<String>,
) -> Option<(TcpStream, SocketAddr)> {
    let mut waiting = addresses;
    let mut attempts: JoinSet<(SocketAddr, io::Result<TcpStream>)> = JoinSet::new();
    loop {
        if let Some(address) = waiting.pop_front() {
            attempts.spawn(async move { (address, connect(address).await) });
        }
        tokio::select! {
            ended = attempts.join_next() => match ended {
                Some(Ok((address, Ok(stream)))) => return Some((stream, address)),
                Some(Ok((address, Err(error)))) => tried.push(format!("{host} ({address}): {error}")),
                // The tasks neither panic nor are they stopped by anyone else.
                Some(Err(stopped)) => tried.push(format!("{host}: {stopped}")),
                None => return None,
            },
            () = sleep(STAGGER), if !waiting.is_empty() => {}
        }
    }
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    // Replies are small and wanted at once; what belongs together is written together anyway.
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// How long a host may let its connections wait while there is another one: less than a third of
/// what the whole attempt has, so that one that drops packets costs a detour and not the login.
const PATIENCE: Duration = Duration::from_secs(8);

/// RFC 8305 §5: how long an attempt has for itself.
const STAGGER: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn address_families_take_turns() {
        let parse = |list: &str| list.split(' ').map(|ip| ip.parse().unwrap()).collect::<Vec<IpAddr>>();
        for (given, mixed) in [
            ("1.1.1.1 1.1.1.2 ::1 1.1.1.3 ::2", "::1 1.1.1.1 ::2 1.1.1.2 1.1.1.3"),
            ("::1 ::2", "::1 ::2"),
            ("1.1.1.1", "1.1.1.1"),
        ] {
            assert_eq!(interleave(parse(given)), parse(mixed));
        }
    }

    #[tokio::test]
    async fn goes_on_to_the_next_host_and_says_what_was_tried() {
        let closed = {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            listener.local_addr().unwrap().port()
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap();
        let to = |port| Endpoint { host: "127.0.0.1".into(), port, direct_tls: false };
        let mut tried = Vec::new();
        let mut endpoints = VecDeque::from([to(closed), to(open.port()), to(1)]);
        let dialled = dial(&mut endpoints, &mut tried).await.unwrap();
        assert_eq!((dialled.peer, dialled.endpoint), (open, to(open.port())));
        assert!(dialled.stream.nodelay().unwrap());
        assert_eq!(endpoints, [to(1)]);
        assert_eq!(tried.len(), 1);
        let error = dial(&mut VecDeque::from([to(closed)]), &mut Vec::new()).await.err().unwrap();
        assert_eq!(error.what, What::Dial);
        assert!(error.detail.contains(&format!("127.0.0.1 (127.0.0.1:{closed}): ")), "{error}");
    }

    /// A listener whose queue is full drops what comes.
    #[tokio::test]
    async fn a_host_that_does_not_answer_makes_room_for_the_next() {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let silent = socket.listen(1).unwrap();
        let full = silent.local_addr().unwrap();
        let mut queued = Vec::new();
        while let Ok(Ok(stream)) = timeout(Duration::from_millis(200), TcpStream::connect(full)).await {
            queued.push(stream);
            assert!(queued.len() < 100, "the queue has no end");
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap();
        let to = |port| Endpoint { host: "127.0.0.1".into(), port, direct_tls: false };
        let mut endpoints = VecDeque::from([to(full.port()), to(open.port())]);
        let mut tried = Vec::new();
        let patience = Duration::from_millis(100);
        let dialled = timeout(Duration::from_secs(5), dial_within(patience, &mut endpoints, &mut tried));
        assert_eq!(dialled.await.unwrap().unwrap().peer, open);
        assert_eq!(tried, ["127.0.0.1: no answer within 0.1 s"]);
    }

    #[tokio::test]
    async fn an_address_that_does_not_answer_is_overtaken() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap();
        // TEST-NET-1 (RFC 5737): dropped, or refused at once where there is no route.
        let silent = SocketAddr::new("192.0.2.1".parse().unwrap(), 5222);
        let winner = race(VecDeque::from([silent, open]), "h", &mut Vec::new()).await.unwrap();
        assert_eq!(winner.1, open);
    }
}
