//! Unguessable identifiers from a secret seed, so that a test can repeat them.

use sha2::{Digest, Sha256};

/// 256 random bits that the edge hands in; whoever knows them knows all identifiers that follow.
#[derive(Clone)]
pub struct Seed(pub [u8; 32]);

/// Makes identifiers of 100 random bits: SHA-256 over the seed and a counter, in base 32.
#[derive(Clone)]
pub struct IdSource {
    seed: Seed,
    count: u64,
}

impl IdSource {
    /// A source whose whole output follows from `seed`.
    pub fn new(seed: Seed) -> Self {
        Self { seed, count: 0 }
    }

    /// The next identifier: 20 characters of `a-z2-7`.
    pub fn next_id(&mut self) -> String {
        let bytes = self.next_bytes();
        base32(&bytes[..])[..20].to_owned()
    }

    /// The next 32 random bytes, for nonces and jitter.
    pub fn next_bytes(&mut self) -> [u8; 32] {
        self.count += 1;
        let mut hash = Sha256::new();
        hash.update(self.seed.0);
        hash.update(self.count.to_be_bytes());
        hash.finalize().into()
    }

    /// The next fraction in `[0, 1)`, for jitter.
    pub fn next_fraction(&mut self) -> f64 {
        let bytes = self.next_bytes();
        let mut word = [0; 8];
        word.copy_from_slice(&bytes[..8]);
        (u64::from_be_bytes(word) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A new seed that does not tell this one's.
    pub fn fork(&mut self) -> Seed {
        Seed(self.next_bytes())
    }
}

/// Base 32 of RFC 4648 in lower case, without padding.
pub fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let (mut buffer, mut bits) = (0u32, 0u32);
    for &byte in bytes {
        buffer = (buffer << 8) | u32::from(byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(char::from(ALPHABET[(buffer >> bits) as usize & 31]));
        }
    }
    if bits > 0 {
        text.push(char::from(ALPHABET[(buffer << (5 - bits)) as usize & 31]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base32_agrees_with_rfc_4648_section_10() {
        for (plain, coded) in
            [("", ""), ("f", "my"), ("fo", "mzxq"), ("foo", "mzxw6"), ("foobar", "mzxw6ytboi")]
        {
            assert_eq!(base32(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn a_thousand_ids_share_no_counter() {
        let mut source = IdSource::new(Seed([7; 32]));
        let ids: std::collections::BTreeSet<String> = (0..1000).map(|_| source.next_id()).collect();
        assert_eq!(ids.len(), 1000);
        let prefixes: std::collections::BTreeSet<&str> = ids.iter().map(|id| &id[..6]).collect();
        assert!(prefixes.len() > 990, "ids share their beginnings");
    }
}
