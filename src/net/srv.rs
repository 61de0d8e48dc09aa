//! From SRV records to the hosts to be tried, in order: RFC 2782, RFC 6120 §3.2, XEP-0368.

use crate::net::error::{NetError, What};
use crate::net::{Endpoint, TlsMode};

/// One SRV record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Lower ones are tried first.
    pub priority: u16,
    /// Share among those of one priority.
    pub weight: u16,
    /// The host to be tried.
    pub endpoint: Endpoint,
}

/// What DNS says about one service of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Service {
    /// Nothing.
    Absent,
    /// Where it is.
    Offered(Vec<Record>),
    /// That it is decidedly not there: the only target is `.`.
    Refused,
}

/// The hosts to be tried for `domain`. `direct` is `_xmpps-client`, `starttls` is `_xmpp-client`; `fractions`
/// gives random numbers in `[0, 1)`.
///
/// # Errors
/// [`What::NoService`] if the domain refuses the service; the domain's own addresses are not tried then.
pub fn plan(
    domain: &str,
    mode: TlsMode,
    direct: Service,
    starttls: Service,
    fractions: &mut dyn FnMut() -> f64,
) -> Result<Vec<Endpoint>, NetError> {
    let (main, other) = match mode {
        TlsMode::Direct => (direct, Service::Absent),
        TlsMode::StartTls => (starttls, direct),
    };
    let mut records = Vec::new();
    let refused = main == Service::Refused;
    for service in [main, other] {
        if let Service::Offered(offered) = service {
            records.extend(offered);
        }
    }
    if !records.is_empty() {
        return Ok(order(records, fractions).into_iter().map(|record| record.endpoint).collect());
    }
    if refused {
        return Err(NetError::new(
            What::NoService,
            format!("the DNS of `{domain}` says that it offers no XMPP service for clients"),
        ));
    }
    let (port, direct_tls) = match mode {
        TlsMode::Direct => (5223, true),
        TlsMode::StartTls => (5222, false),
    };
    Ok(vec![Endpoint { host: domain.to_owned(), port, direct_tls }])
}

/// Puts `records` in the order of RFC 2782: by priority, and drawn by weight within one priority.
pub fn order(mut records: Vec<Record>, fractions: &mut dyn FnMut() -> f64) -> Vec<Record> {
    // Weight 0 stands first, so that it has a small chance beside others.
    records.sort_by_key(|record| (record.priority, record.weight > 0));
    let mut ordered = Vec::with_capacity(records.len());
    while let Some(first) = records.first() {
        let priority = first.priority;
        let group = records.iter().take_while(|record| record.priority == priority);
        let sum: u64 = group.map(|record| u64::from(record.weight)).sum();
        // A whole number from 0 to the sum, both included.
        let drawn = (fractions().clamp(0.0, 1.0) * (sum + 1) as f64) as u64;
        let mut running = 0;
        let chosen = records
            .iter()
            .position(|record| {
                running += u64::from(record.weight);
                running >= drawn.min(sum)
            })
            .unwrap_or(0);
        ordered.push(records.remove(chosen));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lower_priorities_come_first_whatever_is_drawn() {
        for fraction in [0.0, 0.5, 0.999] {
            let records =
                vec![record(20, 0, "c"), record(10, 0, "a"), record(10, 5, "b"), record(30, 9, "d")];
            let ordered = order(records, &mut || fraction);
            let names = hosts(&ordered);
            assert_eq!(names[2..], ["c", "d"], "{fraction}");
        }
    }

    #[test]
    fn weights_are_running_sums_as_in_rfc_2782() {
        let records = || vec![record(1, 1, "one"), record(1, 3, "three"), record(1, 0, "zero")];
        // The order of the sums is zero 0, one 1, three 4; a whole number of 0..=4 is drawn.
        for (fraction, first) in [(0.0, "zero"), (0.2, "one"), (0.4, "three"), (0.99, "three")] {
            assert_eq!(hosts(&order(records(), &mut || fraction))[0], first, "{fraction}");
        }
        let mut fractions = [0.5, 0.9, 0.0].into_iter();
        let all = order(records(), &mut || fractions.next().unwrap());
        assert_eq!(hosts(&all), ["three", "one", "zero"]);
    }

    #[test]
    fn shares_follow_the_weights() {
        let mut state = 1_u64;
        let mut fraction = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        let first = |fraction: &mut dyn FnMut() -> f64| {
            order(vec![record(1, 100, "a"), record(1, 300, "b")], fraction)[0].endpoint.host == "b"
        };
        let count = (0..10_000).filter(|_| first(&mut fraction)).count();
        assert!((7_300..7_700).contains(&count), "{count}");
    }

    #[test]
    fn direct_and_starttls_records_are_mixed_by_priority() {
        // XEP-0368 §3
        let direct = Service::Offered(vec![Record { endpoint: to("tls", 443, true), ..record(5, 0, "") }]);
        let starttls = Service::Offered(vec![record(1, 0, "first"), record(9, 0, "last")]);
        let both = plan("d", TlsMode::StartTls, direct.clone(), starttls.clone(), &mut || 0.0).unwrap();
        assert_eq!(both, [to("first", 5222, false), to("tls", 443, true), to("last", 5222, false)]);
        let only = plan("d", TlsMode::Direct, direct, starttls, &mut || 0.0).unwrap();
        assert_eq!(only, [to("tls", 443, true)]);
    }

    #[test]
    fn a_refused_service_is_not_looked_for_at_the_domain_itself() {
        // RFC 6120 §3.2.1, step 9
        let ask = |mode, direct, starttls| plan("d", mode, direct, starttls, &mut || 0.0);
        for (mode, direct, starttls) in [
            (TlsMode::StartTls, Service::Absent, Service::Refused),
            (TlsMode::StartTls, Service::Refused, Service::Refused),
            (TlsMode::Direct, Service::Refused, Service::Absent),
        ] {
            let error = ask(mode, direct, starttls).unwrap_err();
            assert_eq!(error.what, What::NoService);
        }
        let offered = Service::Offered(vec![record(1, 0, "h")]);
        assert_eq!(ask(TlsMode::StartTls, offered, Service::Refused).unwrap().len(), 1);
        assert_eq!(ask(TlsMode::StartTls, Service::Absent, Service::Absent).unwrap(), [to("d", 5222, false)]);
        assert_eq!(
            ask(TlsMode::StartTls, Service::Refused, Service::Absent).unwrap(),
            [to("d", 5222, false)]
        );
        assert_eq!(ask(TlsMode::Direct, Service::Absent, Service::Refused).unwrap(), [to("d", 5223, true)]);
    }

    fn record(priority: u16, weight: u16, host: &str) -> Record {
        Record { priority, weight, endpoint: to(host, 5222, false) }
    }

    fn to(host: &str, port: u16, direct_tls: bool) -> Endpoint {
        Endpoint { host: host.to_owned(), port, direct_tls }
    }

    fn hosts(records: &[Record]) -> Vec<&str> {
        records.iter().map(|record| record.endpoint.host.as_str()).collect()
    }
}
