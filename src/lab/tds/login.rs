//! LOGIN7, read with suspicion: its offsets are the client's (MS-TDS 2.2.6.4).

use super::Login;
use super::cursor::{Bad, Cursor, utf16};

/// What LOGIN7 says beyond [`Login`].
#[derive(Clone, Debug, Default)]
pub struct Login7 {
    pub login: Login,
    /// as a number whose first byte is the major version: 0x74000004 is TDS 7.4
    pub tds_version: u32,
    /// 0: the server's choice
    pub packet_size: u32,
    /// the first token of a Windows login, if it is one
    pub token: Option<Vec<u8>>,
    /// ids of the feature extensions that were asked for
    pub features: Vec<u8>,
}

/// Windows authentication (OptionFlags2).
const INTEGRATED: u8 = 0x80;
/// A feature extension block follows (OptionFlags3).
const EXTENSION: u8 = 0x10;

/// Reads the message's body.
pub fn read(body: &[u8]) -> Result<Login7, Bad> {
    let mut c = Cursor::new(body);
    if c.size()? > body.len() {
        return Err(Bad::Invalid("length of LOGIN7"));
    }
    let tds_version = c.u32()?;
    let packet_size = c.u32()?;
    c.take(4)?; // client program version
    let process_id = c.u32()?;
    c.take(4)?; // connection id
    c.take(1)?; // option flags 1
    let flags2 = c.u8()?;
    c.take(1)?; // type flags
    let flags3 = c.u8()?;
    c.take(8)?; // time zone, locale
    let mut part = || -> Result<&[u8], Bad> {
        let (offset, chars) = (usize::from(c.u16()?), usize::from(c.u16()?));
        at(body, offset, chars * 2)
    };
    let host = utf16(part()?)?;
    let user = utf16(part()?)?;
    let password = utf16(&unscrambled(part()?))?;
    let program = utf16(part()?)?;
    part()?; // server name
    let (extension_offset, extension_length) = (usize::from(c.u16()?), usize::from(c.u16()?));
    let mut part = || -> Result<&[u8], Bad> {
        let (offset, chars) = (usize::from(c.u16()?), usize::from(c.u16()?));
        at(body, offset, chars * 2)
    };
    part()?; // client library
    part()?; // language
    let database = utf16(part()?)?;
    let mut token = None;
    if flags2 & INTEGRATED != 0 {
        c.take(6)?; // client id
        let (offset, length) = (usize::from(c.u16()?), usize::from(c.u16()?));
        token = Some(at(body, offset, length)?.to_vec());
    }
    let mut features = Vec::new();
    if flags3 & EXTENSION != 0 && extension_length >= 4 {
        let start = Cursor::new(at(body, extension_offset, 4)?).size()?;
        let mut block = Cursor::new(body.get(start..).ok_or(Bad::Invalid("offset of the feature extensions"))?);
        loop {
            let id = block.u8()?;
            if id == 0xFF {
                break;
            }
            features.push(id);
            let length = block.size()?;
            block.take(length)?;
        }
    }
    Ok(Login7 {
        login: Login { user, password, database, host, program, process_id, windows: false, encrypted: false },
        tds_version,
        packet_size,
        token,
        features,
    })
}

fn at(body: &[u8], offset: usize, length: usize) -> Result<&[u8], Bad> {
    match length {
        0 => Ok(&[]),
        _ => body.get(offset..offset + length).ok_or(Bad::Short { wanted: offset + length, left: body.len() }),
    }
}

/// Clients swap the nibbles of each byte and xor with 0xA5 (MS-TDS 2.2.6.4, under `ibPassword`).
fn unscrambled(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|byte| (byte ^ 0xA5).rotate_left(4)).collect()
}
