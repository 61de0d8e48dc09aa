//! The keys that SCRAM derives from a password, RFC 5802 §3: costly to make, cheap to use.

use std::fmt;

use zeroize::Zeroizing;

use super::hash::Hash;
use crate::secret::Password;

/// The work of deriving keys: pure CPU time, in proportion to `iterations`. Run it where it
/// delays nobody.
#[derive(Clone)]
pub struct KeyRequest {
    pub(super) hash: Hash,
    /// Prepared already.
    pub(super) password: Password,
    pub(super) salt: Vec<u8>,
    pub(super) iterations: u32,
}

/// What a client keeps of a password for one salt and count. Worth the password to whoever has it
/// (on servers with this salt), so it is wiped when dropped and never printed.
#[derive(Clone)]
pub struct ScramKeys {
    hash: Hash,
    salt: Vec<u8>,
    iterations: u32,
    client_key: Zeroizing<Vec<u8>>,
    server_key: Zeroizing<Vec<u8>>,
}

/// What a server keeps of a password for one hash: enough to check a client, too little to be one.
#[derive(Clone)]
pub struct StoredKeys {
    pub hash: Hash,
    pub salt: Vec<u8>,
    pub iterations: u32,
    pub stored_key: Zeroizing<Vec<u8>>,
    pub server_key: Zeroizing<Vec<u8>>,
}

impl KeyRequest {
    /// Does the work.
    pub fn derive(&self) -> ScramKeys {
        let salted = self.hash.salted(self.password.reveal().as_bytes(), &self.salt, self.iterations);
        ScramKeys {
            hash: self.hash,
            salt: self.salt.clone(),
            iterations: self.iterations,
            client_key: self.hash.hmac(&salted, b"Client Key"),
            server_key: self.hash.hmac(&salted, b"Server Key"),
        }
    }

    /// Rounds of the hash, for whoever shares out the work.
    pub fn iterations(&self) -> u32 {
        self.iterations
    }
}

impl ScramKeys {
    /// Whether these are the keys for what the server asks.
    pub fn fits(&self, hash: Hash, salt: &[u8], iterations: u32) -> bool {
        self.hash == hash && self.salt == salt && self.iterations == iterations
    }

    /// The hash that they belong to.
    pub fn hash(&self) -> Hash {
        self.hash
    }

    pub(super) fn client_key(&self) -> &[u8] {
        &self.client_key
    }

    pub(super) fn server_key(&self) -> &[u8] {
        &self.server_key
    }

    /// An opaque form to keep somewhere safe: version, hash, count, salt, both keys.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(10 + self.salt.len() + 2 * self.hash.octets()));
        out.push(FORMAT);
        out.push(match self.hash {
            Hash::Sha1 => 1,
            Hash::Sha256 => 2,
            Hash::Sha512 => 3,
        });
        out.extend_from_slice(&self.iterations.to_be_bytes());
        out.extend_from_slice(&(self.salt.len() as u32).to_be_bytes());
        out.extend_from_slice(&self.salt);
        out.extend_from_slice(&self.client_key);
        out.extend_from_slice(&self.server_key);
        out
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote; `None` for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (head, rest) = bytes.split_at_checked(10)?;
        let hash = match (head[0], head[1]) {
            (FORMAT, 1) => Hash::Sha1,
            (FORMAT, 2) => Hash::Sha256,
            (FORMAT, 3) => Hash::Sha512,
            _ => return None,
        };
        let iterations = u32::from_be_bytes(head[2..6].try_into().ok()?);
        let salt_length = usize::try_from(u32::from_be_bytes(head[6..10].try_into().ok()?)).ok()?;
        let (salt, keys) = rest.split_at_checked(salt_length)?;
        let (client_key, server_key) = keys.split_at_checked(hash.octets())?;
        (server_key.len() == hash.octets()).then(|| Self {
            hash,
            salt: salt.to_vec(),
            iterations,
            client_key: Zeroizing::new(client_key.to_vec()),
            server_key: Zeroizing::new(server_key.to_vec()),
        })
    }
}

impl StoredKeys {
    /// Reduces a client's keys to what a server has to know.
    pub fn of(keys: &ScramKeys) -> Self {
        Self {
            hash: keys.hash,
            salt: keys.salt.clone(),
            iterations: keys.iterations,
            stored_key: Zeroizing::new(keys.hash.digest(&keys.client_key)),
            server_key: keys.server_key.clone(),
        }
    }
}

impl fmt::Debug for KeyRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyRequest({}, {} iterations)", self.hash.name(), self.iterations)
    }
}

impl fmt::Debug for ScramKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScramKeys({}, {} iterations)", self.hash.name(), self.iterations)
    }
}

impl fmt::Debug for StoredKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoredKeys({}, {} iterations)", self.hash.name(), self.iterations)
    }
}

/// First octet of the opaque form.
const FORMAT: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_survive_their_opaque_form() {
        for hash in Hash::ALL {
            let keys = request(hash).derive();
            let bytes = keys.to_bytes();
            let again = ScramKeys::from_bytes(&bytes).expect("written by to_bytes");
            assert!(again.fits(hash, b"salt", 2));
            assert_eq!(again.client_key(), keys.client_key());
            assert_eq!(again.server_key(), keys.server_key());
        }
    }

    #[test]
    fn anything_else_is_no_opaque_form() {
        let bytes = request(Hash::Sha256).derive().to_bytes();
        for length in 0..bytes.len() {
            assert!(ScramKeys::from_bytes(&bytes[..length]).is_none(), "{length} octets");
        }
        assert!(ScramKeys::from_bytes(&[&bytes[..], &[0]].concat()).is_none());
        assert!(ScramKeys::from_bytes(&[1, 2, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]).is_none());
        assert!(ScramKeys::from_bytes(&[2; 80]).is_none());
    }

    #[test]
    fn keys_fit_only_what_they_were_derived_for() {
        let keys = request(Hash::Sha256).derive();
        assert!(keys.fits(Hash::Sha256, b"salt", 2));
        assert!(!keys.fits(Hash::Sha256, b"salt", 3));
        assert!(!keys.fits(Hash::Sha256, b"Salt", 2));
        assert!(!keys.fits(Hash::Sha1, b"salt", 2));
    }

    #[test]
    fn debug_shows_no_key() {
        let request = request(Hash::Sha1);
        let keys = request.derive();
        assert_eq!(format!("{request:?}"), "KeyRequest(SHA-1, 2 iterations)");
        assert_eq!(format!("{keys:?}"), "ScramKeys(SHA-1, 2 iterations)");
        assert_eq!(format!("{:?}", StoredKeys::of(&keys)), "StoredKeys(SHA-1, 2 iterations)");
    }

    fn request(hash: Hash) -> KeyRequest {
        let password = Password::new("pencil".to_owned());
        KeyRequest { hash, password, salt: b"salt".to_vec(), iterations: 2 }
    }
}
