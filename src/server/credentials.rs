//! What the server keeps of passwords to check logins with.
//!
//! All accounts share one salt, drawn at start: a thousand accounts with one password cost one
//! derivation. A server for a network must not do that, since equal passwords become visible; this one
//! keeps its passwords in memory anyway and is made for trying out.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use crate::secret::Password;
use crate::stream::sasl::Mechanism;
use crate::stream::sasl::hash::Hash;
use crate::stream::sasl::keys::StoredKeys;
use crate::stream::sasl::server::AccountKeys;

/// Derivations kept; beyond this they are made again.
const MAX_CACHED: usize = 10_000;

/// Derives keys and remembers them.
pub(super) struct Credentials {
    salt: [u8; 16],
    iterations: u32,
    cached: HashMap<([u8; 32], &'static str), StoredKeys>,
}

impl Credentials {
    /// With a salt that is drawn anew at each start.
    pub fn new(salt: [u8; 16], iterations: u32) -> Self {
        Self { salt, iterations, cached: HashMap::new() }
    }

    /// The keys that check a login with this mechanism. `None` where the password breaks the rules of
    /// RFC 4013: nobody can log in with it.
    pub fn keys(&mut self, password: &Password, mechanism: Mechanism) -> Option<AccountKeys> {
        let hash = match mechanism {
            Mechanism::Scram { hash, .. } => hash,
            // A password in the clear is checked against the keys of any hash.
            Mechanism::Plain | Mechanism::External | Mechanism::Anonymous | Mechanism::Token(_) => {
                Hash::Sha256
            }
        };
        let digest = Sha256::new().chain_update(self.salt).chain_update(password.reveal()).finalize();
        let name = (digest.into(), hash.name());
        if let Some(keys) = self.cached.get(&name) {
            return Some(AccountKeys { stored: vec![keys.clone()] });
        }
        let keys = AccountKeys::derive(password, &self.salt, self.iterations, &[hash]).ok()?;
        if self.cached.len() >= MAX_CACHED {
            self.cached.clear();
        }
        self.cached.extend(keys.stored.first().map(|stored| (name, stored.clone())));
        Some(keys)
    }
}
