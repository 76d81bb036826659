//! Windows logins from any system: NTLMv2 in and after LOGIN7 (MS-TDS 2.2.6.4 and 2.2.7.22, MS-NLMP), by the crate with which
//! tiberius does the same on Windows. A build without the feature `ntlm` has none.
//!
//! Called by `tls.rs`, between tiberius and the server. The password goes into the proof, never over the wire.

#[cfg(feature = "ntlm")]
mod with {
    use std::io;

    use winauth::{NextBytes, NtlmV2Client, NtlmV2ClientBuilder};

    /// Windows authentication is asked for (OptionFlags2 of LOGIN7).
    const INTEGRATED: u8 = 0x80;
    const FLAGS: usize = 25;
    /// Where LOGIN7 says where the token is.
    const TOKEN: usize = 78;
    /// The token that holds a challenge.
    const SSPI: u8 = 0xED;

    /// One login under way.
    pub struct Ntlm(NtlmV2Client<'static>);

    impl Ntlm {
        /// `account` is `DOMAIN\user`, `service` the name that the server is registered under: `MSSQLSvc/host:port`. The error
        /// is a fragment.
        pub fn new(account: &str, password: String, service: String) -> Result<Self, String> {
            let (domain, user) = account.split_once('\\').ok_or_else(|| format!("`{account}` has no domain"))?;
            // the crate counts the bytes of a name where it should count UTF-16
            if !account.is_ascii() {
                return Err("a Windows account with letters beyond ASCII cannot log in by NTLM here".into());
            }
            Ok(Self(NtlmV2ClientBuilder::new().target_spn(service).build(Some(domain.to_owned()), user.to_owned(), password)))
        }

        /// Makes a Windows login of LOGIN7's body: with the first token at its end.
        pub fn negotiate(&mut self, mut login: Vec<u8>) -> io::Result<Vec<u8>> {
            let token = self.0.next_bytes(None)?.unwrap_or_default();
            let place = |n: usize| u16::try_from(n).map(u16::to_le_bytes).map_err(io::Error::other);
            let at = [place(login.len())?, place(token.len())?].concat();
            let length = u32::try_from(login.len() + token.len()).map_err(io::Error::other)?;
            login.get_mut(..4).ok_or(io::ErrorKind::InvalidData)?.copy_from_slice(&length.to_le_bytes());
            *login.get_mut(FLAGS).ok_or(io::ErrorKind::InvalidData)? |= INTEGRATED;
            login.get_mut(TOKEN..TOKEN + 4).ok_or(io::ErrorKind::InvalidData)?.copy_from_slice(&at);
            login.extend_from_slice(&token);
            Ok(login)
        }

        /// The token that answers the server's challenge; `None` if the server sent something else.
        pub fn authenticate(&mut self, answer: &[u8]) -> io::Result<Option<Vec<u8>>> {
            let [SSPI, l0, l1, rest @ ..] = answer else { return Ok(None) };
            let wrong = || io::Error::new(io::ErrorKind::InvalidData, "the server's NTLM challenge is malformed");
            let challenge = rest.get(..usize::from(u16::from_le_bytes([*l0, *l1]))).filter(|c| sound(c)).ok_or_else(wrong)?;
            self.0.next_bytes(Some(challenge))?.map(Some).ok_or_else(wrong)
        }
    }

    /// True if the two fields of a challenge lie in it, one after the other: the crate takes that for granted (MS-NLMP 2.2.1.2).
    fn sound(challenge: &[u8]) -> bool {
        let number = |at: usize, bytes: usize| {
            let bytes = challenge.get(at..at + bytes)?;
            Some(bytes.iter().rev().fold(0, |number, byte| (number << 8) | usize::from(*byte)))
        };
        let field = |at: usize| {
            let (length, start) = (number(at, 2)?, number(at + 4, 4)?);
            Some((start, start.checked_add(length)?))
        };
        let (Some(name), Some(info)) = (field(12), field(40)) else { return false };
        let (first, second) = if name.0 < info.0 { (name, info) } else { (info, name) };
        first.0 >= 48 && first.1 <= second.0 && second.1 <= challenge.len()
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        fn ntlm() -> Ntlm {
            Ntlm::new(r"LITWAREINC\cutover", "secret".into(), "MSSQLSvc/sql01:1433".into()).unwrap()
        }

        #[test]
        fn the_first_token_stands_where_login7_says() {
            let login = ntlm().negotiate(vec![0; 94]).unwrap();
            let length = u32::from_le_bytes(login[..4].try_into().unwrap());
            assert_eq!((usize::try_from(length).unwrap(), login[FLAGS]), (login.len(), INTEGRATED));
            let (at, size) = (u16::from_le_bytes([login[78], login[79]]), u16::from_le_bytes([login[80], login[81]]));
            assert_eq!((usize::from(at), usize::from(at + size)), (94, login.len()));
            assert_eq!(&login[94..106], b"NTLMSSP\0\x01\0\0\0");
            assert!(ntlm().negotiate(vec![0; 80]).is_err());
        }

        #[test]
        fn a_challenge_that_points_outside_itself_is_refused() {
            let mut ntlm = ntlm();
            ntlm.negotiate(vec![0; 94]).unwrap();
            let mut challenge = [0; 64];
            challenge[..12].copy_from_slice(b"NTLMSSP\0\x02\0\0\0");
            let mut answer = |name: [u8; 8], info: [u8; 8]| {
                challenge[12..20].copy_from_slice(&name);
                challenge[40..48].copy_from_slice(&info);
                let told = ntlm.authenticate(&[&[SSPI, 64, 0], challenge.as_slice()].concat()).unwrap_err();
                told.to_string()
            };
            for (name, info) in [
                ([4, 0, 4, 0, 48, 0, 0, 0], [4, 0, 4, 0, 0xFF, 0xFF, 0xFF, 0xFF]),
                ([4, 0, 4, 0, 48, 0, 0, 0], [4, 0, 4, 0, 50, 0, 0, 0]),
                ([4, 0, 4, 0, 0xFF, 0xFF, 0xFF, 0x7F], [4, 0, 4, 0, 48, 0, 0, 0]),
                ([4, 0, 4, 0, 40, 0, 0, 0], [4, 0, 4, 0, 48, 0, 0, 0]),
            ] {
                assert_eq!(answer(name, info), "the server's NTLM challenge is malformed");
            }
            assert!(ntlm.authenticate(&[SSPI, 9]).unwrap().is_none());
            assert!(ntlm.authenticate(&[SSPI, 9, 0, 1]).is_err());
            assert!(ntlm.authenticate(&[0xAA, 1, 0]).unwrap().is_none());
        }

        #[test]
        fn an_account_without_a_domain_or_beyond_ascii_is_refused() {
            for account in ["cutover", "LITWAREINC\\größe"] {
                assert!(Ntlm::new(account, "x".into(), String::new()).is_err(), "{account}");
            }
        }
    }
}

#[cfg(not(feature = "ntlm"))]
mod without {
    use std::io;

    /// There is none.
    pub enum Ntlm {}

    impl Ntlm {
        pub fn new(_: &str, _: String, _: String) -> Result<Self, String> {
            Err("this build has no NTLM: it takes the feature `ntlm`".into())
        }

        pub fn negotiate(&mut self, _: Vec<u8>) -> io::Result<Vec<u8>> {
            match *self {}
        }

        pub fn authenticate(&mut self, _: &[u8]) -> io::Result<Option<Vec<u8>>> {
            match *self {}
        }
    }
}

#[cfg(feature = "ntlm")]
pub(super) use with::Ntlm;
#[cfg(not(feature = "ntlm"))]
pub(super) use without::Ntlm;
