//! The one way this room reads what a client sent: every read is checked, so that a wrong length ends a connection and
//! never the program.

/// Why a client's message cannot be read. The connection is closed, except for [`Bad::Type`], which SQL Server answers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Bad {
    /// A length or offset points past the end of the message.
    #[error("{wanted} bytes wanted, {left} left")]
    Short { wanted: usize, left: usize },
    /// A field holds what the protocol does not allow there.
    #[error("invalid {0}")]
    Invalid(&'static str),
    /// A data type that the lab does not read as a parameter (error 8009).
    #[error("data type {0:#04x} is unknown")]
    Type(u8),
}

/// A position in a message. All numbers are little-endian (MS-TDS 2.2.5).
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next byte, left in place.
    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Everything that is left.
    pub fn all(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    pub fn take(&mut self, n: usize) -> Result<&'a [u8], Bad> {
        let short = Bad::Short { wanted: n, left: self.rest.len() };
        let (now, later) = self.rest.split_at_checked(n).ok_or(short)?;
        self.rest = later;
        Ok(now)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Bad> {
        let short = Bad::Short { wanted: N, left: self.rest.len() };
        self.take(N)?.try_into().map_err(|_| short)
    }

    pub fn u8(&mut self) -> Result<u8, Bad> {
        self.array().map(u8::from_le_bytes)
    }

    pub fn u16(&mut self) -> Result<u16, Bad> {
        self.array().map(u16::from_le_bytes)
    }

    pub fn u32(&mut self) -> Result<u32, Bad> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Result<u64, Bad> {
        self.array().map(u64::from_le_bytes)
    }

    /// A `u32` that counts bytes.
    pub fn size(&mut self) -> Result<usize, Bad> {
        Ok(usize::try_from(self.u32()?).unwrap_or(usize::MAX))
    }

    /// `n` UTF-16 code units.
    pub fn chars(&mut self, n: usize) -> Result<String, Bad> {
        utf16(self.take(n.saturating_mul(2))?)
    }

    /// Text after one byte of length in characters (B_VARCHAR).
    pub fn short_text(&mut self) -> Result<String, Bad> {
        let n = self.u8()?;
        self.chars(n.into())
    }
}

/// Text from UTF-16LE bytes; a lone surrogate becomes U+FFFD.
pub fn utf16(bytes: &[u8]) -> Result<String, Bad> {
    let (units, odd) = bytes.as_chunks::<2>();
    if !odd.is_empty() {
        return Err(Bad::Invalid("length of a Unicode text"));
    }
    let units = units.iter().map(|unit| u16::from_le_bytes(*unit));
    Ok(char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect())
}
