//! The certificate authority that a coordinator makes for itself, and the certificates that it issues.
//!
//! Its directory holds `ca.pem`, `ca.key`, `server.pem` (with the authority behind it, so that clients can pin it) and `server.key`; keys
//! are readable by their owner alone.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PublicKeyData as _, SanType,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use time::{Duration, OffsetDateTime};

use super::NetError;
use crate::model::AgentId;

/// How long an agent's certificate is valid; it renews itself while it is used.
pub const AGENT_VALIDITY: Duration = Duration::days(90);
/// It does so when it is closer to its end than this.
const AGENT_RENEWAL: Duration = Duration::days(60);
/// How long the server's certificate is valid.
const SERVER_VALIDITY: Duration = Duration::days(397);
/// The server's certificate is issued anew when it is closer to its end than this.
const SERVER_RENEWAL: Duration = Duration::days(30);
/// How long the authority is valid.
const AUTHORITY_VALIDITY: Duration = Duration::days(365 * 20);
/// Clocks may differ by this much.
const CLOCK_SKEW: Duration = Duration::hours(24);
/// How an agent's id stands in its certificate.
const AGENT_URN: &str = "urn:skybridge:agent:";

/// The BLAKE3 of an authority's certificate (DER): 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Computes it.
    #[must_use]
    pub fn of(certificate: &CertificateDer<'_>) -> Self {
        Self(blake3::hash(certificate).into())
    }
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

impl std::str::FromStr for Fingerprint {
    type Err = NetError;

    fn from_str(text: &str) -> Result<Self, NetError> {
        blake3::Hash::from_hex(text.trim().to_ascii_lowercase())
            .map(|hash| Self(hash.into()))
            .map_err(|_| NetError::certificate("the fingerprint", "it must be 64 hexadecimal digits"))
    }
}

/// A coordinator's certificate authority.
pub struct Authority {
    directory: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    certificate_pem: String,
    fingerprint: Fingerprint,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("directory", &self.directory).field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

/// A certificate chain with its key, both PEM.
#[derive(Clone)]
pub struct Identity {
    /// The certificate, and those behind it.
    pub certificate_pem: String,
    /// The key.
    pub key_pem: String,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity(redacted)")
    }
}

impl Authority {
    /// Opens the authority in `directory`, or makes one.
    ///
    /// # Errors
    /// When the files cannot be read or written, or are not what they should be.
    pub fn open(directory: &Path) -> Result<Self, NetError> {
        fs::create_dir_all(directory).map_err(|source| NetError::File { path: directory.to_owned(), source })?;
        let (certificate_path, key_path) = (directory.join("ca.pem"), directory.join("ca.key"));
        if !certificate_path.exists() {
            let (certificate, key) = generate().map_err(|error| NetError::certificate("the new certificate authority", error))?;
            write(&key_path, &key, 0o600)?;
            write(&certificate_path, &certificate, 0o644)?;
        }
        let certificate_pem = read(&certificate_path)?;
        let wrong = |error: &dyn std::fmt::Display| NetError::certificate("the certificate authority", error);
        let key = KeyPair::from_pem(&read(&key_path)?).map_err(|error| wrong(&error))?;
        let der = CertificateDer::from_pem_slice(certificate_pem.as_bytes()).map_err(|error| wrong(&error))?;
        let issuer = Issuer::from_ca_cert_der(&der, key).map_err(|error| wrong(&error))?;
        Ok(Self { directory: directory.to_owned(), issuer, fingerprint: Fingerprint::of(&der), certificate_pem })
    }

    /// Returns its certificate, PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Returns what clients pin.
    #[must_use]
    pub const fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Returns the server's certificate for these names and addresses, issued anew when they changed or it is about to end.
    ///
    /// # Errors
    /// When a name cannot stand in a certificate, or the files cannot be read or written.
    pub fn server_identity(&self, names: &[String]) -> Result<Identity, NetError> {
        let (certificate_path, key_path) = (self.directory.join("server.pem"), self.directory.join("server.key"));
        if certificate_path.exists() && key_path.exists() {
            let identity = Identity { certificate_pem: read(&certificate_path)?, key_pem: read(&key_path)? };
            if identity.certificate_pem.ends_with(&self.certificate_pem) && still_good(&identity, names) {
                return Ok(identity);
            }
        }
        let wrong = |error: rcgen::Error| NetError::certificate("the server's certificate", error);
        let key = KeyPair::generate().map_err(wrong)?;
        let mut params = CertificateParams::new(names).map_err(wrong)?;
        valid_for(&mut params, SERVER_VALIDITY);
        params.distinguished_name = name_of("Skybridge coordinator");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&key, &self.issuer).map_err(wrong)?;
        let identity = Identity { certificate_pem: certificate.pem() + &self.certificate_pem, key_pem: key.serialize_pem() };
        write(&key_path, &identity.key_pem, 0o600)?;
        write(&certificate_path, &identity.certificate_pem, 0o644)?;
        Ok(identity)
    }

    /// Issues an agent's certificate. Of the request only the public key is used.
    ///
    /// # Errors
    /// When the request is no valid PKCS #10 in PEM.
    pub fn issue_agent(&self, agent: AgentId, request_pem: &str) -> Result<String, NetError> {
        let wrong = |error: rcgen::Error| NetError::certificate("the certificate request", error);
        let request = CertificateSigningRequestParams::from_pem(request_pem).map_err(wrong)?;
        let mut params = CertificateParams::default();
        valid_for(&mut params, AGENT_VALIDITY);
        params.distinguished_name = name_of(&format!("skybridge agent {agent}"));
        let urn = format!("{AGENT_URN}{agent}").try_into().map_err(wrong)?;
        params.subject_alt_names = vec![SanType::URI(urn)];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        Ok(params.signed_by(&request.public_key, &self.issuer).map_err(wrong)?.pem())
    }
}

/// Makes a key for an agent, and the request for its certificate; both PEM.
///
/// # Errors
/// When no key can be made.
pub fn new_agent_key() -> Result<(String, String), NetError> {
    let wrong = |error: rcgen::Error| NetError::certificate("the new key", error);
    let key = KeyPair::generate().map_err(wrong)?;
    let request = CertificateParams::default().serialize_request(&key).map_err(wrong)?.pem().map_err(wrong)?;
    Ok((key.serialize_pem(), request))
}

/// Whether it is time for an agent to renew its certificate.
///
/// # Errors
/// When it is no certificate.
pub fn is_renewal_due(certificate_pem: &str) -> Result<bool, NetError> {
    let wrong = |error: &dyn std::fmt::Display| NetError::certificate("the agent's certificate", error);
    let der = CertificateDer::from_pem_slice(certificate_pem.as_bytes()).map_err(|error| wrong(&error))?;
    let (_, parsed) = x509_parser::parse_x509_certificate(&der).map_err(|error| wrong(&error))?;
    Ok(parsed.validity().not_after.timestamp() < (OffsetDateTime::now_utc() + AGENT_RENEWAL).unix_timestamp())
}

/// Reads the agent's id out of a certificate that was verified.
#[must_use]
pub fn agent_in(certificate: &CertificateDer<'_>) -> Option<AgentId> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let names = parsed.subject_alternative_name().ok()??;
    names.value.general_names.iter().find_map(|name| match name {
        x509_parser::extensions::GeneralName::URI(uri) => uri.strip_prefix(AGENT_URN)?.parse().ok(),
        _ => None,
    })
}

fn generate() -> Result<(String, String), rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    valid_for(&mut params, AUTHORITY_VALIDITY);
    params.distinguished_name = name_of("Skybridge certificate authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok((params.self_signed(&key)?.pem(), key.serialize_pem()))
}

fn name_of(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

fn valid_for(params: &mut CertificateParams, span: Duration) {
    let now = OffsetDateTime::now_utc();
    params.not_before = now - CLOCK_SKEW;
    params.not_after = now + span;
}

/// Whether a stored server certificate belongs to its key (a crash may come between the two files), names exactly these and has time left.
fn still_good(identity: &Identity, names: &[String]) -> bool {
    let Ok(der) = CertificateDer::from_pem_slice(identity.certificate_pem.as_bytes()) else { return false };
    let Ok(key) = KeyPair::from_pem(&identity.key_pem) else { return false };
    let Ok((_, parsed)) = x509_parser::parse_x509_certificate(&der) else { return false };
    let Ok(wanted) = CertificateParams::new(names) else { return false };
    let Ok(Some(found)) = parsed.subject_alternative_name() else { return false };
    let end = OffsetDateTime::now_utc() + SERVER_RENEWAL;
    let names_match = found.value.general_names.len() == wanted.subject_alt_names.len()
        && wanted.subject_alt_names.iter().all(|wanted| found.value.general_names.iter().any(|found| same_name(wanted, found)));
    let keys_match = key.subject_public_key_info() == parsed.public_key().raw;
    keys_match && names_match && parsed.validity().not_after.timestamp() > end.unix_timestamp()
}

fn same_name(wanted: &SanType, found: &x509_parser::extensions::GeneralName<'_>) -> bool {
    use x509_parser::extensions::GeneralName;
    match (wanted, found) {
        (SanType::DnsName(wanted), GeneralName::DNSName(found)) => wanted.as_str() == *found,
        (SanType::IpAddress(std::net::IpAddr::V4(wanted)), GeneralName::IPAddress(found)) => wanted.octets() == **found,
        (SanType::IpAddress(std::net::IpAddr::V6(wanted)), GeneralName::IPAddress(found)) => wanted.octets() == **found,
        _ => false,
    }
}

fn read(path: &Path) -> Result<String, NetError> {
    fs::read_to_string(path).map_err(|source| NetError::File { path: path.to_owned(), source })
}

/// Writes a file beside its place, flushes it and renames it, so that it is there in whole or not at all.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), NetError> {
    let temporary = path.with_extension("new");
    let written = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&temporary)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&temporary, path))
        .and_then(|()| fs::File::open(path.parent().unwrap_or(path))?.sync_all());
    written.map_err(|source| NetError::File { path: path.to_owned(), source })
}
