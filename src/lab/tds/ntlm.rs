//! NTLMv2, the server's side (MS-NLMP): a challenge in the middle of a login, and whether the answer proves the password.
//! Message integrity codes and channel bindings are not looked at.

use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;

use md4::{Digest, Md4};

use super::cursor::{Bad, Cursor, utf16};

const SIGNATURE: &[u8] = b"NTLMSSP\0";
/// A version-1 response has this length, and is not taken.
const VERSION_1: usize = 24;

/// Bits of NEGOTIATE (MS-NLMP 2.2.2.5).
mod flag {
    pub const UNICODE: u32 = 0x0000_0001;
    pub const REQUEST_TARGET: u32 = 0x0000_0004;
    pub const SIGN: u32 = 0x0000_0010;
    pub const SEAL: u32 = 0x0000_0020;
    pub const NTLM: u32 = 0x0000_0200;
    pub const ALWAYS_SIGN: u32 = 0x0000_8000;
    pub const TARGET_TYPE_DOMAIN: u32 = 0x0001_0000;
    pub const EXTENDED: u32 = 0x0008_0000;
    pub const TARGET_INFO: u32 = 0x0080_0000;
    pub const BITS_128: u32 = 0x2000_0000;
    pub const KEY_EXCHANGE: u32 = 0x4000_0000;
    pub const BITS_56: u32 = 0x8000_0000;
}

/// What a server can do, if the client wants it.
const OFFERED: u32 = flag::UNICODE
    | flag::REQUEST_TARGET
    | flag::SIGN
    | flag::SEAL
    | flag::NTLM
    | flag::ALWAYS_SIGN
    | flag::EXTENDED
    | flag::BITS_128
    | flag::KEY_EXCHANGE
    | flag::BITS_56;

/// The flags of the client's first message; an error if it is none.
pub fn read_negotiate(token: &[u8]) -> Result<u32, Bad> {
    let mut c = Cursor::new(token);
    if c.take(8)? != SIGNATURE || c.u32()? != 1 {
        return Err(Bad::Invalid("first message of NTLM"));
    }
    c.u32()
}

/// The server's message: its names, and the number that the answer must be made with.
pub fn write_challenge(asked: u32, challenge: [u8; 8], domain: &str, machine: &str) -> Vec<u8> {
    const HEAD: usize = 48;
    let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let name = wide(domain);
    let mut info = Vec::new();
    // domain and machine, each as NetBIOS and as DNS know it
    let dns = |text: &str| format!("{}.com", text.to_lowercase());
    for (id, text) in [(2_u16, domain.to_owned()), (1, machine.to_owned()), (4, dns(domain)), (3, format!("{machine}.{}", dns(domain)))] {
        let text = wide(&text);
        info.extend_from_slice(&id.to_le_bytes());
        info.extend_from_slice(&u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes());
        info.extend_from_slice(&text);
    }
    info.extend_from_slice(&[0; 4]);
    let field = |bytes: &[u8], at: usize| {
        let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_le_bytes();
        [length.as_slice(), &length, &u32::try_from(at).unwrap_or(u32::MAX).to_le_bytes()].concat()
    };
    let flags = asked & OFFERED | flag::TARGET_INFO | flag::TARGET_TYPE_DOMAIN;
    [
        SIGNATURE,
        &2_u32.to_le_bytes(),
        &field(&name, HEAD),
        &flags.to_le_bytes(),
        &challenge,
        &[0; 8],
        &field(&info, HEAD + name.len()),
        &name,
        &info,
    ]
    .concat()
}

/// The client's answer to a challenge.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub domain: String,
    pub user: String,
    /// the proof, then what it is made of
    response: Vec<u8>,
}

impl Answer {
    pub fn read(token: &[u8]) -> Result<Self, Bad> {
        let mut c = Cursor::new(token);
        if c.take(8)? != SIGNATURE || c.u32()? != 3 {
            return Err(Bad::Invalid("last message of NTLM"));
        }
        let mut part = || -> Result<&[u8], Bad> {
            let length = usize::from(c.u16()?);
            c.u16()?;
            let start = c.size()?;
            let whole = start.checked_add(length).and_then(|end| token.get(start..end));
            whole.ok_or(Bad::Short { wanted: length, left: token.len() })
        };
        part()?; // the LM response
        let response = part()?.to_vec();
        Ok(Self { domain: utf16(part()?)?, user: utf16(part()?)?, response })
    }

    /// True if whoever made this answer to `challenge` knew the password (MS-NLMP 3.3.2).
    pub fn proves(&self, password: &str, challenge: [u8; 8]) -> Result<bool, ErrorStack> {
        let Some((proof, rest)) = self.response.split_at_checked(16) else { return Ok(false) };
        if self.response.len() <= VERSION_1 {
            return Ok(false);
        }
        let key = key(&self.user, &self.domain, password)?;
        let expected = hmac(&key, &[&challenge, rest])?;
        Ok(openssl::memcmp::eq(&expected, proof))
    }
}

/// NTOWFv2
fn key(user: &str, domain: &str, password: &str) -> Result<Vec<u8>, ErrorStack> {
    let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    hmac(&Md4::digest(wide(password)), &[&wide(&user.to_uppercase()), &wide(domain)])
}

/// HMAC-MD5; all keys here have 16 bytes, as have the results.
fn hmac(key: &[u8], parts: &[&[u8]]) -> Result<Vec<u8>, ErrorStack> {
    let key = PKey::hmac(key)?;
    let mut signer = Signer::new(MessageDigest::md5(), &key)?;
    for part in parts {
        signer.update(part)?;
    }
    signer.sign_to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    }

    /// The example of MS-NLMP 4.2.4.
    #[test]
    fn the_specification_s_own_example_comes_out() {
        assert_eq!(key("User", "Domain", "Password").unwrap(), hex("0c868a403bfd7a93a3001ef22ef02e3f"));
        let rest = hex(concat!(
            "01010000000000000000000000000000aaaaaaaaaaaaaaaa00000000",
            "02000c0044006f006d00610069006e0001000c00530065007200760065007200",
            "0000000000000000"
        ));
        let response = [hex("68cd0ab851e51c96aabc927bebef6a1c"), rest].concat();
        let answer = Answer { domain: "Domain".into(), user: "User".into(), response };
        let challenge = [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef];
        assert!(answer.proves("Password", challenge).unwrap());
        assert!(!answer.proves("password", challenge).unwrap());
        assert!(!answer.proves("Password", [0; 8]).unwrap());
        let other = Answer { user: "Other".into(), ..answer };
        assert!(!other.proves("Password", challenge).unwrap());
    }

    #[test]
    fn messages_that_point_outside_themselves_are_refused() {
        assert!(read_negotiate(b"NTLMSSP\0\x01\0\0\0\x05\0\0\0").is_ok());
        for token in [b"".as_slice(), b"NTLMSSP\0\x03\0\0\0\0\0\0\0", b"Kerberos\x01\0\0\0\0\0\0\0", b"NTLMSSP\0\x01\0\0\0"] {
            assert!(read_negotiate(token).is_err(), "{token:?}");
        }
        let mut token = [SIGNATURE, &3_u32.to_le_bytes(), &[0; 32]].concat();
        assert_eq!(Answer::read(&token), Ok(Answer { domain: String::new(), user: String::new(), response: Vec::new() }));
        assert!(!Answer::read(&token).unwrap().proves("", [0; 8]).unwrap());
        token[20..28].copy_from_slice(&[8, 0, 8, 0, 0xFF, 0xFF, 0xFF, 0xFF]);
        assert!(Answer::read(&token).is_err());
        assert!(Answer::read(&token[..30]).is_err());
    }
}
