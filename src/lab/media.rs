//! Backup files of the lab: real bytes on a real disk, with a header of our own that RESTORE HEADERONLY and its kin are
//! answered from. Written by the scenario and by BACKUP, read by RESTORE. Copying, truncating and damaging such a file
//! shows up where SQL Server would notice it.
//!
//! Layout, integers little-endian:
//! ```text
//! file   magic "CUTOVER\x01", u32 length, JSON of Media, then one or more sets
//! set    magic "BACKSET\x01", u32 length, JSON of Header, u64 payload length, 32 bytes blake3 of the payload, payload
//! ```

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::wire::lsn::Lsn;

const FILE_MAGIC: &[u8; 8] = b"CUTOVER\x01";
const SET_MAGIC: &[u8; 8] = b"BACKSET\x01";
/// No JSON of ours is longer; what claims to be is not ours.
const HEADER_LIMIT: u32 = 64 * 1024;

/// GUIDs as text in the headers' JSON.
mod guid {
    use serde::{Deserialize, Deserializer, Serializer};
    use uuid::Uuid;

    pub fn serialize<S: Serializer>(guid: &Uuid, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(guid)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Uuid, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What RESTORE LABELONLY tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Media {
    #[serde(with = "guid")]
    pub set_id: Uuid,
    #[serde(with = "guid")]
    pub family_id: Uuid,
    pub date: DateTime,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Database,
    Log,
    Differential,
}

impl Kind {
    /// RESTORE HEADERONLY's BackupType.
    pub fn number(self) -> i16 {
        match self {
            Self::Database => 1,
            Self::Log => 2,
            Self::Differential => 5,
        }
    }

    /// RESTORE HEADERONLY's BackupTypeDescription.
    pub fn description(self) -> &'static str {
        match self {
            Self::Database => "Database",
            Self::Log => "Transaction Log",
            Self::Differential => "Database Differential",
        }
    }

    /// `msdb.dbo.backupset.type`.
    pub fn letter(self) -> &'static str {
        match self {
            Self::Database => "D",
            Self::Log => "L",
            Self::Differential => "I",
        }
    }
}

/// One file of the database that was backed up (RESTORE FILELISTONLY).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataFile {
    pub id: i32,
    pub logical: String,
    pub physical: String,
    /// `D` or `L`
    pub kind: char,
    /// in pages of 8 KiB
    pub pages: u64,
    #[serde(with = "guid")]
    pub unique: Uuid,
}

/// One backup set (RESTORE HEADERONLY). Dates are local to the server that wrote them, without a zone, as in real headers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    pub name: Option<String>,
    pub kind: Kind,
    pub user: String,
    pub server: String,
    pub machine: String,
    pub database: String,
    pub database_created: DateTime,
    pub first_lsn: Lsn,
    pub last_lsn: Lsn,
    pub checkpoint_lsn: Lsn,
    pub database_backup_lsn: Lsn,
    pub start: DateTime,
    pub finish: DateTime,
    pub version: (i32, i32, i32),
    pub flags: i32,
    #[serde(with = "guid")]
    pub binding: Uuid,
    #[serde(with = "guid")]
    pub family: Uuid,
    #[serde(with = "guid")]
    pub first_fork: Uuid,
    #[serde(with = "guid")]
    pub last_fork: Uuid,
    pub fork_point: Option<Lsn>,
    pub collation: String,
    pub recovery_model: String,
    pub copy_only: bool,
    pub checksums: bool,
    #[serde(with = "guid")]
    pub set: Uuid,
    pub files: Vec<DataFile>,
}

/// One set as found in a file; `position` counts from 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Set {
    pub position: usize,
    pub header: Header,
    pub payload: u64,
    hash: [u8; 32],
    at: u64,
}

/// Why a file, or a set in it, cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    #[error("cannot open the device")]
    Open(#[source] io::Error),
    #[error("the file is empty")]
    Empty,
    #[error("the file does not begin as a backup does, or a header in it is cut off")]
    Malformed,
    #[error("a payload is shorter than its header says")]
    CutOff,
    #[error("a payload is not what was written")]
    Damaged,
    #[error("reading failed")]
    Read(#[source] io::Error),
}

/// Writes a file that has only its media header yet.
pub fn create(path: &Path, media: &Media) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    file.write_all(FILE_MAGIC)?;
    write_json(&mut file, media)?;
    file.flush()
}

/// Adds a set at the end, with `bytes` of payload drawn from `random`.
pub fn append(path: &Path, header: &Header, bytes: u64, random: &mut fastrand::Rng) -> io::Result<()> {
    let mut file = File::options().append(true).read(true).open(path)?;
    let mut payload = vec![0; usize::try_from(bytes.min(1 << 20)).unwrap_or(1 << 20)];
    random.fill(&mut payload);
    let mut hasher = blake3::Hasher::new();
    let mut left = bytes;
    while left > 0 {
        let part = usize::try_from(left.min(payload.len() as u64)).unwrap_or(payload.len());
        hasher.update(&payload[..part]);
        left -= part as u64;
    }
    let mut head = Vec::with_capacity(4096);
    head.extend_from_slice(SET_MAGIC);
    write_json(&mut head, header)?;
    head.extend_from_slice(&bytes.to_le_bytes());
    head.extend_from_slice(hasher.finalize().as_bytes());
    file.write_all(&head)?;
    let mut left = bytes;
    while left > 0 {
        let part = usize::try_from(left.min(payload.len() as u64)).unwrap_or(payload.len());
        file.write_all(&payload[..part])?;
        left -= part as u64;
    }
    Ok(())
}

fn write_json(file: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    let json = serde_json::to_vec(value)?;
    let length = u32::try_from(json.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    file.write_all(&length.to_le_bytes())?;
    file.write_all(&json)
}

/// Reads the media header alone.
pub fn label(path: &Path) -> Result<Media, MediaError> {
    open(path).map(|(_, media)| media)
}

/// Reads the media header and the header of every set, skipping payloads. A cut payload is no error here, a cut header is.
pub fn headers(path: &Path) -> Result<(Media, Vec<Set>), MediaError> {
    let (mut file, media) = open(path)?;
    let length = file.get_ref().metadata().map_err(MediaError::Read)?.len();
    let mut sets = Vec::new();
    let mut at = file.stream_position().map_err(MediaError::Read)?;
    while at < length {
        let mut magic = [0; 8];
        exact(&mut file, &mut magic)?;
        if &magic != SET_MAGIC {
            return Err(MediaError::Malformed);
        }
        let header = read_json(&mut file)?;
        let mut size = [0; 8];
        exact(&mut file, &mut size)?;
        let payload = u64::from_le_bytes(size);
        let mut hash = [0; 32];
        exact(&mut file, &mut hash)?;
        let start = file.stream_position().map_err(MediaError::Read)?;
        at = start.checked_add(payload).ok_or(MediaError::Malformed)?;
        sets.push(Set { position: sets.len() + 1, header, payload, hash, at: start });
        // a seek within the buffer keeps it: headers of small files cost one read
        let step = i64::try_from(payload).map_err(|_| MediaError::Malformed)?;
        file.seek_relative(step).map_err(MediaError::Read)?;
    }
    if sets.is_empty() { Err(MediaError::Malformed) } else { Ok((media, sets)) }
}

/// Reads every byte of a set's payload and compares it with what was written.
pub fn verify(path: &Path, set: &Set) -> Result<(), MediaError> {
    let mut file = File::open(path).map_err(MediaError::Open)?;
    file.seek(SeekFrom::Start(set.at)).map_err(MediaError::Read)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; usize::try_from(set.payload.min(1 << 18)).unwrap_or(1 << 18)];
    let mut left = set.payload;
    while left > 0 {
        let part = usize::try_from(left.min(buffer.len() as u64)).unwrap_or(buffer.len());
        match file.read(&mut buffer[..part]).map_err(MediaError::Read)? {
            0 => return Err(MediaError::CutOff),
            read => {
                hasher.update(&buffer[..read]);
                left -= read as u64;
            }
        }
    }
    if hasher.finalize().as_bytes() == &set.hash { Ok(()) } else { Err(MediaError::Damaged) }
}

fn open(path: &Path) -> Result<(BufReader<File>, Media), MediaError> {
    let file = File::open(path).map_err(MediaError::Open)?;
    let details = file.metadata().map_err(MediaError::Open)?;
    if details.is_dir() {
        return Err(MediaError::Open(io::ErrorKind::PermissionDenied.into()));
    }
    if details.len() == 0 {
        return Err(MediaError::Empty);
    }
    let mut file = BufReader::with_capacity(8192, file);
    let mut magic = [0; 8];
    exact(&mut file, &mut magic)?;
    if &magic != FILE_MAGIC {
        return Err(MediaError::Malformed);
    }
    let media = read_json(&mut file)?;
    Ok((file, media))
}

fn exact(file: &mut impl Read, buffer: &mut [u8]) -> Result<(), MediaError> {
    file.read_exact(buffer).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => MediaError::Malformed,
        _ => MediaError::Read(error),
    })
}

fn read_json<T: for<'de> Deserialize<'de>>(file: &mut impl Read) -> Result<T, MediaError> {
    let mut length = [0; 4];
    exact(file, &mut length)?;
    let length = u32::from_le_bytes(length);
    if length > HEADER_LIMIT {
        return Err(MediaError::Malformed);
    }
    let mut json = vec![0; length as usize];
    exact(file, &mut json)?;
    serde_json::from_slice(&json).map_err(|_| MediaError::Malformed)
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn header(first: u128, last: u128) -> Header {
        let at: DateTime = "2026-01-02T03:00:00".parse().unwrap();
        Header {
            name: None,
            kind: Kind::Log,
            user: "LITWAREINC\\sqlagent".into(),
            server: "PCHAT-SQL-01".into(),
            machine: "PCHAT-SQL-01".into(),
            database: "mgc".into(),
            database_created: at,
            first_lsn: Lsn(first),
            last_lsn: Lsn(last),
            checkpoint_lsn: Lsn(first),
            database_backup_lsn: Lsn(1),
            start: at,
            finish: at,
            version: (12, 0, 6024),
            flags: 0,
            binding: Uuid::from_u128(1),
            family: Uuid::from_u128(2),
            first_fork: Uuid::from_u128(3),
            last_fork: Uuid::from_u128(3),
            fork_point: None,
            collation: "SQL_Latin1_General_CP1_CI_AS".into(),
            recovery_model: "FULL".into(),
            copy_only: false,
            checksums: false,
            set: Uuid::from_u128(first),
            files: Vec::new(),
        }
    }

    fn file_of_two(folder: &Path) -> std::path::PathBuf {
        let path = folder.join("a.trn");
        let media = Media { set_id: Uuid::from_u128(7), family_id: Uuid::from_u128(8), date: "2026-01-02T03:00:00".parse().unwrap() };
        let mut random = fastrand::Rng::with_seed(1);
        create(&path, &media).unwrap();
        append(&path, &header(10, 20), 3 << 20, &mut random).unwrap();
        append(&path, &header(20, 20), 0, &mut random).unwrap();
        path
    }

    #[test]
    fn sets_come_back_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = file_of_two(folder.path());
        let (media, sets) = headers(&path).unwrap();
        assert_eq!(media.set_id, Uuid::from_u128(7));
        assert_eq!(sets.len(), 2);
        assert_eq!((sets[0].position, &sets[0].header, sets[0].payload), (1, &header(10, 20), 3 << 20));
        assert_eq!((sets[1].position, &sets[1].header, sets[1].payload), (2, &header(20, 20), 0));
        for set in &sets {
            verify(&path, set).unwrap();
        }
    }

    #[test]
    fn damage_is_told_by_what_it_hit() {
        let folder = tempfile::tempdir().unwrap();
        let path = file_of_two(folder.path());
        let whole = std::fs::read(&path).unwrap();
        let cut = |at: usize| std::fs::write(&path, &whole[..at]).unwrap();
        cut(0);
        assert!(matches!(headers(&path), Err(MediaError::Empty)));
        cut(4);
        assert!(matches!(label(&path), Err(MediaError::Malformed)));
        cut(400);
        assert!(label(&path).is_ok());
        assert!(matches!(headers(&path), Err(MediaError::Malformed)));
        cut(2 << 20);
        let (_, sets) = headers(&path).unwrap();
        assert_eq!(sets.len(), 1);
        assert!(matches!(verify(&path, &sets[0]), Err(MediaError::CutOff)));
        let mut changed = whole.clone();
        changed[2 << 20] ^= 1;
        std::fs::write(&path, changed).unwrap();
        let (_, sets) = headers(&path).unwrap();
        assert!(matches!(verify(&path, &sets[0]), Err(MediaError::Damaged)));
        std::fs::write(&path, b"this is not a backup at all").unwrap();
        assert!(matches!(headers(&path), Err(MediaError::Malformed)));
    }
}
