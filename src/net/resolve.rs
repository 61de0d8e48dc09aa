//! Asks DNS where a domain's service is and which addresses a host has.

use std::borrow::Cow;
use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::rc::Rc;

use hickory_resolver::TokioResolver;
use hickory_resolver::net::{DnsError, NetError as ResolverError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{RData, RecordType};
use idna::AsciiDenyList;
use tracing::debug;

use crate::net::error::{NetError, What};
use crate::net::srv::{Record, Service, plan};
use crate::net::{Endpoint, Target, TlsMode};

/// The hosts to be tried for `target`, in order. Asks DNS unless the host is named, local, or an address.
///
/// # Errors
/// [`What::NoService`] if there is none; [`What::Resolve`] if that could not be found out now.
pub async fn endpoints(target: &Target) -> Result<Vec<Endpoint>, NetError> {
    if let Some((host, port)) = &target.server {
        let direct_tls = target.tls == TlsMode::Direct;
        return Ok(vec![Endpoint { host: ascii(host)?, port: *port, direct_tls }]);
    }
    let domain = ascii(&target.domain)?;
    let mut fractions = random_fraction;
    if local_addresses(&domain).is_some() {
        return plan(&domain, target.tls, Service::Absent, Service::Absent, &mut fractions);
    }
    let (direct, starttls) = services(&*resolver()?, &domain, target.tls).await?;
    plan(&domain, target.tls, direct, starttls, &mut fractions)
}

/// The addresses of `host`, which may be an address itself.
pub async fn addresses(host: &str) -> Result<Vec<IpAddr>, NetError> {
    if let Some(local) = local_addresses(host) {
        return Ok(local);
    }
    let found = match resolver()?.lookup_ip(host).await {
        Ok(found) => found,
        Err(error) => return Err(failure(host, &error)),
    };
    let addresses: Vec<IpAddr> = found.iter().take(MOST).collect();
    if addresses.is_empty() {
        return Err(NetError::new(What::NoService, format!("`{host}` has no address")));
    }
    Ok(addresses)
}

/// A host or domain as DNS and certificates have it: in ASCII, lower case, without brackets or final dot.
pub fn ascii(host: &str) -> Result<String, NetError> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    if bare.parse::<IpAddr>().is_ok() {
        return Ok(bare.to_owned());
    }
    let name = bare.strip_suffix('.').unwrap_or(bare);
    match idna::domain_to_ascii_cow(name.as_bytes(), AsciiDenyList::URL).map(Cow::into_owned) {
        Ok(name) if !name.is_empty() => Ok(name),
        Ok(_) | Err(_) => Err(NetError::new(What::NoService, format!("`{host}` is not a domain name"))),
    }
}

/// Direct TLS and STARTTLS, as far as `mode` wants them.
async fn services(
    resolver: &TokioResolver,
    domain: &str,
    mode: TlsMode,
) -> Result<(Service, Service), NetError> {
    if mode == TlsMode::Direct {
        return Ok((service(resolver, domain, TlsMode::Direct).await?, Service::Absent));
    }
    let direct = service(resolver, domain, TlsMode::Direct);
    let starttls = service(resolver, domain, TlsMode::StartTls);
    match tokio::join!(direct, starttls) {
        (Ok(direct), Ok(starttls)) => Ok((direct, starttls)),
        // Half of an answer will do where it names hosts.
        (Ok(direct @ Service::Offered(_)), Err(_)) => Ok((direct, Service::Absent)),
        (_, Err(error)) => Err(error),
        (Err(error), Ok(starttls)) => {
            debug!(domain, %error, "no answer about direct TLS");
            Ok((Service::Absent, starttls))
        }
    }
}

async fn service(resolver: &TokioResolver, domain: &str, kind: TlsMode) -> Result<Service, NetError> {
    let (label, direct_tls) = match kind {
        TlsMode::Direct => ("_xmpps-client", true),
        TlsMode::StartTls => ("_xmpp-client", false),
    };
    // The final dot keeps the system's search list out of it.
    let name = format!("{label}._tcp.{domain}.");
    let lookup = match resolver.lookup(name.as_str(), RecordType::SRV).await {
        Ok(lookup) => lookup,
        Err(error) => {
            let error = failure(&name, &error);
            return if error.what == What::NoService { Ok(Service::Absent) } else { Err(error) };
        }
    };
    let mut records = Vec::new();
    let mut refused = false;
    for answer in lookup.answers() {
        // A CNAME on the way is in the answer, too.
        let RData::SRV(srv) = &answer.data else { continue };
        if srv.target.is_root() {
            refused = true;
        } else if records.len() < MOST {
            let endpoint = Endpoint { host: srv.target.to_ascii(), port: srv.port, direct_tls };
            records.push(Record { priority: srv.priority, weight: srv.weight, endpoint });
        }
    }
    Ok(match (records.is_empty(), refused) {
        (false, _) => Service::Offered(records),
        (true, true) => Service::Refused,
        (true, false) => Service::Absent,
    })
}

/// Answers that need no DNS: addresses, and the names that RFC 6761 §6.3 keeps on this machine.
fn local_addresses(host: &str) -> Option<Vec<IpAddr>> {
    if let Ok(address) = host.parse() {
        return Some(vec![address]);
    }
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    (name == "localhost" || name.ends_with(".localhost"))
        .then(|| vec![IpAddr::V6(Ipv6Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::LOCALHOST)])
}

thread_local! {
    /// One per thread: its sockets belong to the thread's runtime.
    static RESOLVER: RefCell<Option<Rc<TokioResolver>>> = const { RefCell::new(None) };
}

fn resolver() -> Result<Rc<TokioResolver>, NetError> {
    if let Some(resolver) = RESOLVER.with_borrow(Clone::clone) {
        return Ok(resolver);
    }
    let built = TokioResolver::builder_tokio().and_then(|builder| builder.build()).map_err(|error| {
        NetError::new(What::Resolve, format!("the system's DNS settings cannot be used: {error}"))
    })?;
    let resolver = Rc::new(built);
    RESOLVER.set(Some(Rc::clone(&resolver)));
    Ok(resolver)
}

fn failure(name: &str, error: &ResolverError) -> NetError {
    if let ResolverError::Dns(DnsError::NoRecordsFound(answer)) = error
        && matches!(answer.response_code, ResponseCode::NXDomain | ResponseCode::NoError)
    {
        return NetError::new(What::NoService, format!("`{name}` is not in DNS"));
    }
    // The machine may have moved to another network: the next question reads the settings anew.
    RESOLVER.set(None);
    NetError::new(What::Resolve, format!("DNS gave no answer about `{name}`: {error}"))
}

fn random_fraction() -> f64 {
    // Without randomness the order is still a right one, only not evenly shared.
    getrandom::u64().map_or(0.0, |bits| (bits >> 11) as f64 / (1_u64 << 53) as f64)
}

/// Records or addresses of one name that are looked at.
const MOST: usize = 32;

#[cfg(test)]
mod tests {
    use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
    use hickory_resolver::net::runtime::TokioRuntimeProvider;
    use hickory_resolver::proto::op::Message;
    use hickory_resolver::proto::rr::rdata::SRV;
    use hickory_resolver::proto::rr::{Name, Record as HickoryRecord};
    use tokio::net::UdpSocket;

    use super::*;
    use crate::net::Transport;

    #[tokio::test]
    async fn a_named_host_wins_over_dns() {
        let server = Some(("[2001:db8::1]".to_owned(), 5299));
        let target = Target { server, tls: TlsMode::Direct, ..plain("example.org") };
        let expected = Endpoint { host: "2001:db8::1".into(), port: 5299, direct_tls: true };
        assert_eq!(endpoints(&target).await.unwrap(), std::slice::from_ref(&expected));
        let starttls = Target { tls: TlsMode::StartTls, ..target };
        assert_eq!(endpoints(&starttls).await.unwrap(), [Endpoint { direct_tls: false, ..expected }]);
    }

    #[tokio::test]
    async fn local_names_and_addresses_need_no_dns() {
        for domain in ["localhost", "Bots.localhost", "127.0.0.1", "[::1]"] {
            let target = plain(domain);
            let found = endpoints(&target).await.unwrap();
            assert_eq!((found.len(), found[0].port), (1, 5222), "{domain}");
            let addresses = addresses(&found[0].host).await.unwrap();
            assert!(addresses.iter().all(IpAddr::is_loopback), "{domain}: {addresses:?}");
        }
    }

    #[tokio::test]
    async fn dns_answers_become_services_and_failures_are_told_from_absence() {
        let resolver = fake_dns().await;
        let ask = async |domain: &str, kind| service(&resolver, domain, kind).await;
        let found = ask("good.example", TlsMode::StartTls).await.unwrap();
        let endpoint = Endpoint { host: "h.good.example.".into(), port: 5222, direct_tls: false };
        assert_eq!(found, Service::Offered(vec![Record { priority: 5, weight: 7, endpoint }]));
        assert_eq!(ask("good.example", TlsMode::Direct).await.unwrap(), Service::Absent);
        assert_eq!(ask("closed.example", TlsMode::StartTls).await.unwrap(), Service::Refused);
        assert_eq!(ask("nowhere.example", TlsMode::StartTls).await.unwrap(), Service::Absent);
        let error = ask("broken.example", TlsMode::StartTls).await.unwrap_err();
        assert_eq!(error.what, What::Resolve, "{error}");
        let error = services(&resolver, "broken.example", TlsMode::StartTls).await.unwrap_err();
        assert_eq!(error.what, What::Resolve);
    }

    #[test]
    fn domains_are_asked_for_in_ascii() {
        for (domain, expected) in
            [("BÜCHER.example.", "xn--bcher-kva.example"), ("[::1]", "::1"), ("10.0.0.1", "10.0.0.1")]
        {
            assert_eq!(ascii(domain).unwrap(), expected);
        }
        for domain in ["", ".", "[example.org", "a b"] {
            assert!(ascii(domain).is_err(), "{domain:?}");
        }
    }

    fn plain(domain: &str) -> Target {
        let transport = Transport::Tcp;
        Target { domain: domain.into(), server: None, transport, tls: TlsMode::StartTls, ca: None }
    }

    /// A resolver that asks a server in this process.
    async fn fake_dns() -> TokioResolver {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut packet = [0; 1500];
            loop {
                let (length, from) = socket.recv_from(&mut packet).await.unwrap();
                let answer = answer(&Message::from_vec(&packet[..length]).unwrap());
                socket.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
            }
        });
        let mut udp = ConnectionConfig::udp();
        udp.port = address.port();
        let server = NameServerConfig::new(address.ip(), true, vec![udp]);
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).build().unwrap()
    }

    fn answer(question: &Message) -> Message {
        let query = question.queries[0].clone();
        let name = query.name().to_ascii();
        let mut answer = Message::response(question.id, question.op_code);
        let srv = |target: &str| RData::SRV(SRV::new(5, 7, 5222, Name::from_ascii(target).unwrap()));
        let mut give = |data| answer.answers.push(HickoryRecord::from_rdata(query.name().clone(), 60, data));
        match name.as_str() {
            "_xmpp-client._tcp.good.example." => give(srv("h.good.example.")),
            "_xmpp-client._tcp.closed.example." => give(srv(".")),
            name if name.ends_with("broken.example.") => {
                answer.metadata.response_code = ResponseCode::ServFail
            }
            _ => answer.metadata.response_code = ResponseCode::NXDomain,
        }
        answer.queries.push(query);
        answer
    }
}
