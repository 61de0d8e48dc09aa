//! Stream features, RFC 6120 §4.3: which there are, what each needs and which ends it.

use crate::ns;
use crate::stream::Stream;
use crate::xml::Element;

/// How far a stream has come. Each value includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// Anybody reads along.
    Open,
    /// TLS is up.
    Secured,
    /// Both sides have proved who they are.
    Authenticated,
    /// There is an address.
    Bound,
}

/// A step of the negotiation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Authenticate,
    Bind,
    Enable,
    OpenSession,
    Resume,
    /// Log in by XEP-0388.
    Sasl2,
    Secure,
}

/// One row of the table.
#[derive(Debug)]
pub(super) struct Feature {
    name: &'static str,
    ns: &'static str,
    /// The step makes sense from here on …
    needs: Standing,
    /// … and no more from here on.
    forbids: Option<Standing>,
    pub step: Step,
}

/// All features that are negotiated, in the order of XEP-0170.
pub(super) const FEATURES: [Feature; 7] = [
    row("starttls", ns::TLS, Standing::Open, Some(Standing::Secured), Step::Secure),
    row("authentication", ns::SASL2, Standing::Secured, Some(Standing::Authenticated), Step::Sasl2),
    row("mechanisms", ns::SASL, Standing::Secured, Some(Standing::Authenticated), Step::Authenticate),
    row("sm", ns::SM, Standing::Authenticated, Some(Standing::Bound), Step::Resume),
    row("bind", ns::BIND, Standing::Authenticated, Some(Standing::Bound), Step::Bind),
    row("session", ns::SESSION, Standing::Bound, None, Step::OpenSession),
    row("sm", ns::SM, Standing::Bound, None, Step::Enable),
];

const fn row(
    name: &'static str,
    ns: &'static str,
    needs: Standing,
    forbids: Option<Standing>,
    step: Step,
) -> Feature {
    Feature { name, ns, needs, forbids, step }
}

impl Feature {
    /// Whether the step can be taken now.
    fn fits(&self, standing: Standing) -> bool {
        self.needs <= standing && self.forbids.is_none_or(|end| standing < end)
    }
}

/// The steps that `features` allow now, the first one first.
pub(super) fn steps(standing: Standing, features: &Element) -> impl Iterator<Item = Step> {
    FEATURES
        .iter()
        .filter(move |row| row.fits(standing) && features.has_child(row.name, row.ns))
        .map(|row| row.step)
}

/// Whether the other side may ask for this step now.
pub(super) fn allows(standing: Standing, step: Step) -> bool {
    FEATURES.iter().any(|row| row.step == step && row.fits(standing))
}

/// The steps to announce at a stream header. There is none after binding, so what comes after that
/// is announced together with it.
pub(super) fn announced(standing: Standing) -> impl Iterator<Item = Step> {
    FEATURES
        .iter()
        .filter(move |row| {
            row.fits(standing) || (standing == Standing::Authenticated && row.needs == Standing::Bound)
        })
        .map(|row| row.step)
}

/// Whether the server insists on the session request of RFC 3921.
pub(super) fn needs_session(features: &Element) -> bool {
    features.child("session", ns::SESSION).is_some_and(|session| !session.has_child("optional", ns::SESSION))
}

impl Stream {
    /// Bytes of the largest stanza that the peer takes, once it has said so, or what servers take by default.
    pub fn stanza_limit(&self) -> Option<usize> {
        Some(self.core.stanza_limit).filter(|bytes| *bytes < usize::MAX)
    }
}

/// Bytes of the largest stanza the peer accepts, XEP-0478; what servers take by default if it says nothing.
pub(super) fn stanza_limit(features: &Element) -> usize {
    const USUAL: usize = 262_144;
    /// The least a server may announce, XEP-0478 §2.
    const LEAST: usize = 10_000;
    features
        .child("limits", STREAM_LIMITS)
        .and_then(|limits| limits.child_text("max-bytes", STREAM_LIMITS))
        .and_then(|bytes| bytes.trim().parse::<usize>().ok())
        .map_or(USUAL, |bytes| bytes.max(LEAST))
}

/// XEP-0478.
const STREAM_LIMITS: &str = "urn:xmpp:stream-limits:0";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::parse;

    /// RFC 6120 §5.3.1, §6.3.4, §7.1; XEP-0170
    #[test]
    fn each_standing_has_its_own_steps() {
        let all = "<f xmlns='a'><sm xmlns='urn:xmpp:sm:3'/><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>\
                   <session xmlns='urn:ietf:params:xml:ns:xmpp-session'/>\
                   <mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/><authentication xmlns='urn:xmpp:sasl:2'/>\
                   <starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></f>";
        let all = parse(all).expect("well-formed");
        let cases = [
            (Standing::Open, vec![Step::Secure]),
            (Standing::Secured, vec![Step::Sasl2, Step::Authenticate]),
            (Standing::Authenticated, vec![Step::Resume, Step::Bind]),
            (Standing::Bound, vec![Step::OpenSession, Step::Enable]),
        ];
        for (standing, expected) in cases {
            assert_eq!(steps(standing, &all).collect::<Vec<_>>(), expected, "{standing:?}");
        }
    }

    /// T-16: three features are called `register` somewhere; only the namespace tells them apart.
    #[test]
    fn a_local_name_alone_is_no_feature() {
        let features = parse("<f xmlns='a'><starttls xmlns='b'/><bind/></f>").expect("well-formed");
        for standing in [Standing::Open, Standing::Authenticated] {
            assert_eq!(steps(standing, &features).count(), 0);
        }
    }

    #[test]
    fn an_absurd_limit_does_not_silence_the_account() {
        for (text, expected) in [("20000", 20_000), ("1", 10_000), ("-5", 262_144), ("", 262_144)] {
            let features = Element::new("f", "a").with_child(
                Element::new("limits", STREAM_LIMITS)
                    .with_child(Element::new("max-bytes", STREAM_LIMITS).with_text(text)),
            );
            assert_eq!(stanza_limit(&features), expected);
        }
    }
}
