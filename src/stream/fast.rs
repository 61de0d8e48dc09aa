//! FAST, XEP-0484: a token asked for along with one login, and the next login made with it in one round trip.

use std::time::Instant;

use jiff::Timestamp;

use crate::ns;
use crate::secret::Password;
use crate::stream::core::Core;
use crate::stream::initiating::Initiator;
use crate::stream::sasl::Mechanism;
use crate::stream::sasl::channel::Binding;
use crate::stream::sasl::client::Client;
use crate::stream::sasl::token::{LONGEST_TOKEN, Token, best, usable};
use crate::stream::sasl2;
use crate::xml::Element;

/// The mechanisms that the server takes tokens for.
fn offered(features: &Element) -> Vec<String> {
    sasl2::inline(features)
        .and_then(|inline| inline.child("fast", ns::FAST))
        .into_iter()
        .flat_map(Element::children)
        .filter(|child| child.is("mechanism", ns::FAST))
        .map(|child| child.text().trim().to_owned())
        .collect()
}

/// `<request-token/>`
fn request(tie: Option<Binding>) -> Element {
    Element::new("request-token", ns::FAST).with_attr("mechanism", Mechanism::Token(tie).name())
}

/// `<fast/>`: the login is made with a token, for the `count`th time.
fn mark(count: u64) -> Element {
    Element::new("fast", ns::FAST).with_attr("count", count.to_string())
}

/// The token in `<success/>`. One that is empty or longer than any honest one is none.
fn granted(success: &Element, tie: Option<Binding>) -> Option<Token> {
    let token = success.child("token", ns::FAST)?;
    let text = token.attr("token").filter(|text| !text.is_empty() && text.len() <= LONGEST_TOKEN)?;
    let expiry = token.attr("expiry").and_then(|expiry| expiry.trim().parse::<Timestamp>().ok());
    Some(Token { tie, secret: Password::new(text.to_owned()), expiry })
}

impl Initiator {
    /// Logs in with the token, if there is one that this server takes; whether it does. On one stream it is tried once.
    pub(super) fn authenticate_by_token(&mut self, core: &mut Core, now: Instant) -> bool {
        let Some(login) = self.config.token.take() else { return false };
        let tie = login.token.tie;
        if self.config.user_agent.is_none() || !usable(tie, &offered(&self.features), &self.policy(true)) {
            return false;
        }
        let username = self.config.jid.local().unwrap_or_default().to_owned();
        // What cannot be said with the token is said with the password.
        let Ok((exchange, initial)) = Client::start_token(&login.token, &username, &self.channel) else {
            return false;
        };
        self.grants = Some(tie);
        self.begin_sasl2(core, now, exchange, Some(&initial), vec![mark(login.count)]);
        true
    }

    /// What asks for a token along with a login by password.
    pub(super) fn ask_token(&mut self) -> Vec<Element> {
        self.grants = None;
        if !self.config.want_token || self.config.user_agent.is_none() {
            return Vec::new();
        }
        self.grants = best(&offered(&self.features), &self.policy(true));
        self.grants.map(request).into_iter().collect()
    }

    /// The token that comes with a success: the one that was asked for, or the next one.
    pub(super) fn take_token(&mut self, success: &Element) -> Option<Token> {
        granted(success, self.grants.take()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::parse;

    #[test]
    fn only_what_is_offered_in_the_right_place_counts() {
        let features = |inside: &str| {
            let text = format!(
                "<features xmlns='http://etherx.jabber.org/streams'><authentication xmlns='urn:xmpp:sasl:2'>{inside}</authentication></features>"
            );
            parse(&text).expect("well-formed")
        };
        let fast = "<fast xmlns='urn:xmpp:fast:0'><mechanism> HT-SHA-256-EXPR </mechanism><other/></fast>";
        assert_eq!(offered(&features(&format!("<inline>{fast}</inline>"))), ["HT-SHA-256-EXPR"]);
        assert!(offered(&features(fast)).is_empty());
        assert!(offered(&features("<inline><mechanism>HT-SHA-256-EXPR</mechanism></inline>")).is_empty());
    }

    #[test]
    fn a_token_is_taken_only_where_it_can_be_one() {
        let success = |attributes: &str| {
            let text = format!(
                "<success xmlns='urn:xmpp:sasl:2'><token xmlns='urn:xmpp:fast:0' {attributes}/></success>"
            );
            granted(&parse(&text).expect("well-formed"), None)
        };
        let token = success("token='abc' expiry='2020-03-12T14:36:15Z'").expect("a token");
        assert_eq!(token.expiry.map(|expiry| expiry.as_second()), Some(1_584_023_775));
        assert_eq!((token.secret.reveal(), token.tie), ("abc", None));
        assert_eq!(success("token='abc' expiry='soon'").map(|token| token.expiry), Some(None));
        assert_eq!(success("token=''"), None);
        assert_eq!(success("expiry='2020-03-12T14:36:15Z'"), None);
        assert_eq!(success(&format!("token='{}'", "x".repeat(LONGEST_TOKEN + 1))), None);
    }
}
