//! XEP-0388: Extensible SASL Profile. Spoken by the stream, before there are stanzas.

use super::{Extension, Xep};
use crate::ns;

/// The extension.
pub struct Sasl2;

impl Extension for Sasl2 {
    fn xep(&self) -> Xep {
        let scope = "logs in so where the server offers it, without a restart of the stream; further tasks are told to the operator";
        Xep { number: 388, name: "Extensible SASL Profile", version: "1.0.1", scope }
    }

    fn namespaces(&self) -> &'static [&'static str] {
        &[ns::SASL2]
    }
}
