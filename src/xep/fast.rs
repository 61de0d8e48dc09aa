//! XEP-0484: Fast Authentication Streamlining Tokens. Spoken by the stream, before there are stanzas.

use super::{Extension, Xep};
use crate::ns;

/// The extension.
pub struct Fast;

impl Extension for Fast {
    fn xep(&self) -> Xep {
        let scope = "asks for a token and logs in with it in one round trip, bound to TLS where both ends can; the password is used again when it is refused. Not over 0-RTT";
        Xep { number: 484, name: "Fast Authentication Streamlining Tokens", version: "0.2.0", scope }
    }

    fn namespaces(&self) -> &'static [&'static str] {
        &[ns::FAST]
    }
}
