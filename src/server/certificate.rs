//! The certificate authority of an embedded server and the certificate that it signs.
//!
//! The authority is limited to the names of this one server (RFC 5280 §4.2.1.10): who trusts it trusts
//! it for nothing else.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, NameConstraints,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::options::Certificates;
use super::running::ServerError;

/// What the server shows, and what proves it.
pub(super) struct Identity {
    /// The server's certificate.
    pub certificate: CertificateDer<'static>,
    /// Its key.
    pub key: PrivateKeyDer<'static>,
    /// The authority that signed it.
    pub ca_pem: String,
}

/// An authority: its certificate and its key, both as PEM.
struct Authority {
    certificate: String,
    key: String,
}

/// Makes a certificate for `domain`, signed by the authority that `kept` names.
pub(super) fn identity(domain: &str, kept: &Certificates) -> Result<Identity, ServerError> {
    let authority = match kept {
        Certificates::Fresh => make(domain)?,
        Certificates::Folder(folder) => match load(folder, domain)? {
            Some(authority) => authority,
            None => {
                let authority = make(domain)?;
                save(folder, domain, &authority)?;
                authority
            }
        },
    };
    sign(domain, authority).map_err(|source| ServerError::Certificate { source })
}

fn make(domain: &str) -> Result<Authority, ServerError> {
    let make = || {
        let key = KeyPair::generate()?;
        let certificate = authority(domain)?.self_signed(&key)?;
        Ok(Authority { certificate: certificate.pem(), key: key.serialize_pem() })
    };
    make().map_err(|source| ServerError::Certificate { source })
}

/// A certificate for the domain, its rooms and this machine.
fn sign(domain: &str, authority_files: Authority) -> Result<Identity, rcgen::Error> {
    let issuer = Issuer::new(authority(domain)?, KeyPair::from_pem(&authority_files.key)?);
    let names = [domain, &format!("rooms.{domain}"), "localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, domain);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &issuer)?;
    Ok(Identity {
        certificate: certificate.der().clone(),
        key: PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        ca_pem: authority_files.certificate,
    })
}

/// The authority's own certificate, but for its key: the same for one domain at every start.
fn authority(domain: &str) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::<String>::new())?;
    params
        .distinguished_name
        .push(DnType::CommonName, format!("Rhapsode, for {domain} on this machine only"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![
            GeneralSubtree::DnsName(domain.to_owned()),
            GeneralSubtree::DnsName("localhost".to_owned()),
            GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix([127, 0, 0, 1], 32)),
            GeneralSubtree::IpAddress(CidrSubnet::from_v6_prefix(
                std::net::Ipv6Addr::LOCALHOST.octets(),
                128,
            )),
        ],
        excluded_subtrees: Vec::new(),
    });
    Ok(params)
}

/// The kept authority; `None` where there is none, or one for another domain.
fn load(folder: &Path, domain: &str) -> Result<Option<Authority>, ServerError> {
    let (Some(certificate), Some(key)) = (read(&folder.join(CERTIFICATE))?, read(&folder.join(KEY))?) else {
        return Ok(None);
    };
    Ok(key.starts_with(&note(domain)).then_some(Authority { certificate, key }))
}

fn read(path: &Path) -> Result<Option<String>, ServerError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(source) if source.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ServerError::File { path: path.to_owned(), source }),
    }
}

fn save(folder: &Path, domain: &str, authority: &Authority) -> Result<(), ServerError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| ServerError::File { path, source }
    };
    fs::create_dir_all(folder).map_err(at(folder))?;
    // The key first: a certificate without its key would be replaced under the clients that trust it.
    let key: PathBuf = folder.join(KEY);
    let text = note(domain) + authority.key.as_str();
    match fs::remove_file(&key) {
        Err(source) if source.kind() != ErrorKind::NotFound => return Err(at(&key)(source)),
        Ok(()) | Err(_) => {}
    }
    private(&key).and_then(|mut file| file.write_all(text.as_bytes())).map_err(at(&key))?;
    let certificate = folder.join(CERTIFICATE);
    fs::write(&certificate, &authority.certificate).map_err(at(&certificate))
}

/// A new file that only its owner reads, from its first moment on.
fn private(path: &Path) -> std::io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// First line of the key's file: text before the first `-----BEGIN` means nothing to readers of PEM.
fn note(domain: &str) -> String {
    format!("For {domain}, made by rhapsode.\n")
}

const CERTIFICATE: &str = "ca.pem";
const KEY: &str = "ca.key";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authority_is_kept_for_its_domain_and_the_key_is_private() {
        let folder = std::env::temp_dir().join(format!("rhapsode-ca-{}", std::process::id()));
        let kept = Certificates::Folder(folder.clone());
        let first = identity("demo.localhost", &kept).expect("a writable folder");
        let second = identity("demo.localhost", &kept).expect("a readable folder");
        assert_eq!(first.ca_pem, second.ca_pem);
        assert_ne!(first.certificate, second.certificate);
        let other = identity("other.localhost", &kept).expect("a writable folder");
        assert_ne!(first.ca_pem, other.ca_pem);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(folder.join(KEY)).expect("the key is there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        fs::remove_dir_all(folder).expect("the folder is ours");
    }
}
