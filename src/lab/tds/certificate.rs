//! The lab's certificate: made anew for each lab, and handed out as PEM so that a client can trust exactly it.

use std::net::IpAddr;

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName};
use openssl::x509::{X509, X509NameBuilder};

const DAY: i64 = 86_400;

/// A self-signed leaf with its key.
///
/// It is no CA: a client that verifies with it as its only root accepts it, and it vouches for nothing else.
#[derive(Clone)]
pub struct Certificate {
    pub certificate: X509,
    pub key: PKey<Private>,
}

/// What a certificate is to say of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// DNS names and IP addresses of the server
    pub names: Vec<String>,
    /// it ended yesterday; otherwise it began then and is good for ten years
    pub expired: bool,
    /// an RSA key of 2048 bits, which suites from before forward secrecy need; otherwise EC P-256
    pub rsa: bool,
}

impl Default for Claims {
    /// Valid, for this machine as it calls itself.
    fn default() -> Self {
        Self { names: ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec(), expired: false, rsa: false }
    }
}

impl Certificate {
    /// Makes one with the default claims.
    pub fn new() -> Result<Self, ErrorStack> {
        Self::claiming(&Claims::default())
    }

    pub fn claiming(claims: &Claims) -> Result<Self, ErrorStack> {
        let key = match claims.rsa {
            true => PKey::from_rsa(Rsa::generate(2048)?)?,
            false => PKey::from_ec_key(EcKey::generate(&*EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?)?)?,
        };
        let mut name = X509NameBuilder::new()?;
        name.append_entry_by_nid(Nid::COMMONNAME, "cutover lab")?;
        let name = name.build();
        let mut serial = BigNum::new()?;
        serial.rand(127, MsbOption::MAYBE_ZERO, false)?;
        let yesterday = jiff::Timestamp::now().as_second().saturating_sub(DAY);
        let (from, to) = match claims.expired {
            true => (yesterday - 365 * DAY, yesterday),
            false => (yesterday, yesterday + 3650 * DAY),
        };
        let mut builder = X509::builder()?;
        builder.set_version(2)?;
        builder.set_serial_number(&*serial.to_asn1_integer()?)?;
        builder.set_subject_name(&name)?;
        builder.set_issuer_name(&name)?;
        builder.set_pubkey(&key)?;
        builder.set_not_before(&*Asn1Time::from_unix(from)?)?;
        builder.set_not_after(&*Asn1Time::from_unix(to)?)?;
        builder.append_extension(BasicConstraints::new().critical().build()?)?;
        builder.append_extension(KeyUsage::new().critical().digital_signature().key_encipherment().build()?)?;
        builder.append_extension(ExtendedKeyUsage::new().server_auth().build()?)?;
        let mut names = SubjectAlternativeName::new();
        for name in &claims.names {
            match name.parse::<IpAddr>() {
                Ok(_) => names.ip(name),
                Err(_) => names.dns(name),
            };
        }
        builder.append_extension(names.build(&builder.x509v3_context(None, None))?)?;
        builder.sign(&key, MessageDigest::sha256())?;
        Ok(Self { certificate: builder.build(), key })
    }

    /// The certificate alone, for a client's `ca = "file"`.
    pub fn pem(&self) -> Result<Vec<u8>, ErrorStack> {
        self.certificate.to_pem()
    }
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}
