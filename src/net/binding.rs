//! What ties a login to its TLS connection: `tls-exporter` (RFC 9266) and `tls-server-end-point`
//! (RFC 5929 §4).

use rustls::{ConnectionCommon, ProtocolVersion};
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

/// The `tls-exporter` data of a finished handshake; over TLS 1.3 only, as TLS 1.2 would need the extended master
/// secret to be safe.
pub fn exporter<Side>(connection: &ConnectionCommon<Side>) -> Option<Vec<u8>> {
    if connection.protocol_version() != Some(ProtocolVersion::TLSv1_3) {
        return None;
    }
    // The context is there and empty: over TLS 1.2 none at all would give other bytes.
    connection.export_keying_material(vec![0; 32], b"EXPORTER-Channel-Binding", Some(b"")).ok()
}

/// The `tls-server-end-point` data: the certificate's hash by the algorithm of its signature. None where that
/// names no single hash (Ed25519) or one that is not known here.
pub fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    Some(match signature_hash(certificate)? {
        Hash::Sha224 => Sha224::digest(certificate).to_vec(),
        Hash::Sha256 => Sha256::digest(certificate).to_vec(),
        Hash::Sha384 => Sha384::digest(certificate).to_vec(),
        Hash::Sha512 => Sha512::digest(certificate).to_vec(),
    })
}

#[derive(Clone, Copy)]
enum Hash {
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

/// `Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signatureValue }`, RFC 5280 §4.1.
fn signature_hash(certificate: &[u8]) -> Option<Hash> {
    let (SEQUENCE, content, _) = element(certificate)? else { return None };
    let (SEQUENCE, _, rest) = element(content)? else { return None };
    let (SEQUENCE, algorithm, _) = element(rest)? else { return None };
    let (OBJECT_IDENTIFIER, id, parameters) = element(algorithm)? else { return None };
    if id == RSASSA_PSS {
        return pss_hash(parameters);
    }
    SIGNATURES.iter().find(|(known, _)| *known == id).map(|(_, hash)| *hash)
}

/// `RSASSA-PSS-params ::= SEQUENCE { hashAlgorithm [0] DEFAULT sha1, … }`, RFC 4055 §3.1.
fn pss_hash(parameters: &[u8]) -> Option<Hash> {
    let (SEQUENCE, fields, _) = element(parameters)? else { return None };
    // The default is SHA-1, for which RFC 5929 takes SHA-256.
    let Some((CONTEXT_0, tagged, _)) = element(fields) else { return Some(Hash::Sha256) };
    let (SEQUENCE, algorithm, _) = element(tagged)? else { return None };
    let (OBJECT_IDENTIFIER, id, _) = element(algorithm)? else { return None };
    DIGESTS.iter().find(|(known, _)| *known == id).map(|(_, hash)| *hash)
}

/// Cuts one DER element off `input`: its tag, its content, and what follows.
fn element(input: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = input.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first >= 0x80 {
        let count = usize::from(first & 0x7F);
        // Certificates beyond 4 GiB do not come over a handshake.
        if count == 0 || count > 4 || rest.len() < count {
            return None;
        }
        let (digits, after) = rest.split_at(count);
        length = digits.iter().fold(0, |sum, digit| (sum << 8) | usize::from(*digit));
        rest = after;
    }
    let content = rest.get(..length)?;
    Some((tag, content, &rest[length..]))
}

const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;
const CONTEXT_0: u8 = 0xA0;

/// 1.2.840.113549.1.1.10
const RSASSA_PSS: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a";

/// Signature algorithms by object identifier: RFC 3279 §2.2, RFC 4055 §5, RFC 5758 §3.
const SIGNATURES: &[(&[u8], Hash)] = &[
    // MD5 and SHA-1 are replaced by SHA-256.
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04", Hash::Sha256),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05", Hash::Sha256),
    (b"\x2a\x86\x48\xce\x3d\x04\x01", Hash::Sha256),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b", Hash::Sha256),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c", Hash::Sha384),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d", Hash::Sha512),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0e", Hash::Sha224),
    (b"\x2a\x86\x48\xce\x3d\x04\x03\x01", Hash::Sha224),
    (b"\x2a\x86\x48\xce\x3d\x04\x03\x02", Hash::Sha256),
    (b"\x2a\x86\x48\xce\x3d\x04\x03\x03", Hash::Sha384),
    (b"\x2a\x86\x48\xce\x3d\x04\x03\x04", Hash::Sha512),
];

/// Hash algorithms by object identifier, RFC 4055 §2.1.
const DIGESTS: &[(&[u8], Hash)] = &[
    (b"\x2b\x0e\x03\x02\x1a", Hash::Sha256),
    (b"\x60\x86\x48\x01\x65\x03\x04\x02\x01", Hash::Sha256),
    (b"\x60\x86\x48\x01\x65\x03\x04\x02\x02", Hash::Sha384),
    (b"\x60\x86\x48\x01\x65\x03\x04\x02\x03", Hash::Sha512),
    (b"\x60\x86\x48\x01\x65\x03\x04\x02\x04", Hash::Sha224),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_the_signature_and_never_a_weak_one() {
        for (algorithm, bytes) in [
            // sha1WithRSAEncryption, sha384WithRSAEncryption, ecdsa-with-SHA256, ecdsa-with-SHA512
            (&b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05\x05\x00"[..], 32),
            (b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c\x05\x00", 48),
            (b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02", 32),
            (b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x04", 64),
            // RSASSA-PSS: by default, and with SHA-384
            (b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a\x30\x00", 32),
            (
                b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a\x30\x0f\xa0\x0d\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02",
                48,
            ),
        ] {
            let certificate = certificate(algorithm);
            let data = end_point(&certificate).unwrap();
            assert_eq!(data.len(), bytes);
            if bytes == 32 {
                assert_eq!(data, Sha256::digest(&certificate).to_vec());
            }
        }
    }

    #[test]
    fn no_data_for_ed25519_or_for_what_is_no_certificate() {
        assert_eq!(end_point(&certificate(b"\x06\x03\x2b\x65\x70")), None);
        let whole = certificate(b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02");
        // The algorithm ends before the last four bytes.
        for length in 0..whole.len() {
            assert_eq!(end_point(&whole[..length]), None, "{length}");
        }
        for text in
            [&b"\x30\x80\x00"[..], b"\x30\x85\x01\x01\x01\x01\x01", b"\x30\x84\xff\xff\xff\xff", b"\x02\x00"]
        {
            assert_eq!(end_point(text), None);
        }
    }

    /// The outer shape of a certificate with that signature algorithm.
    fn certificate(algorithm: &[u8]) -> Vec<u8> {
        let algorithm = [&[SEQUENCE, algorithm.len() as u8], algorithm].concat();
        let content = [&b"\x30\x81\x03\x02\x01\x05"[..], &algorithm, b"\x03\x02\x00\xff"].concat();
        [&[SEQUENCE, 0x82, 0, content.len() as u8], content.as_slice()].concat()
    }
}
