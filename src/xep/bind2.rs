//! XEP-0386: Bind 2. Spoken by the stream, before there are stanzas.

use super::{Extension, Xep};
use crate::ns;

/// The extension.
pub struct Bind2;

impl Extension for Bind2 {
    fn xep(&self) -> Xep {
        let scope = "resource, stream management and carbons within the login, with the tag `rhapsode`; a configured resource is bound the old way";
        Xep { number: 386, name: "Bind 2", version: "1.0.0", scope }
    }

    fn namespaces(&self) -> &'static [&'static str] {
        &[ns::BIND2]
    }
}
