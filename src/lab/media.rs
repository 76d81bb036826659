//! Backup files of the lab: real bytes on a real disk, with a header of our own that RESTORE HEADERONLY and its kin are
//! answered from. Written by the scenario and by BACKUP, read by RESTORE. Copying, truncating and damaging such a file
//! shows up where SQL Server would notice it. The layout is described in `docs/backup-files.md`.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::wire::lsn::Lsn;

/// The last byte is the version of the format.
const FILE_MAGIC: &[u8; 8] = b"CUTOVER\x02";
const SET_MAGIC: &[u8; 8] = b"BACKSET\x02";
/// No JSON of ours is longer; what claims to be is not ours.
const HEADER_LIMIT: u32 = 64 * 1024;
/// Payload bytes that share a checksum.
const CHUNK: u64 = 1 << 20;
const HASH: usize = blake3::OUT_LEN;

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
    /// the first log backup after the chain was broken, or ever
    #[serde(default)]
    pub begins_chain: bool,
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
    /// false while it is being written, and for ever if that was interrupted
    pub complete: bool,
    /// where the checksums begin; the payload follows them
    at: u64,
}

impl Set {
    /// Where the set ends in its file, if nothing of it is cut off.
    pub fn end(&self) -> u64 {
        self.at.saturating_add(checksums(self.payload)).saturating_add(self.payload)
    }
}

/// What a file holds.
#[derive(Debug)]
pub struct Contents {
    pub media: Media,
    pub sets: Vec<Set>,
    /// why there is no further set although the file goes on
    pub rest: Option<MediaError>,
}

/// Why a file, or a set in it, cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    #[error("cannot open the device")]
    Open(#[source] io::Error),
    #[error("the file is empty")]
    Empty,
    #[error("the file does not begin as a backup does, or a header in it is damaged or cut off")]
    Malformed,
    #[error("where a set should begin there is something else")]
    NotASet,
    #[error("a payload is shorter than its header says")]
    CutOff,
    #[error("a payload is not what was written, from byte {0} on")]
    Damaged(u64),
    #[error("reading failed")]
    Read(#[source] io::Error),
}

/// What a payload is made of.
pub enum Fill<'a> {
    Random(&'a mut fastrand::Rng),
    /// zeros that take no room on a disk that knows holes, and no time to write
    Sparse,
}

/// Writes a file that has only its media header yet.
pub fn create(path: &Path, media: &Media) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    file.write_all(FILE_MAGIC)?;
    write_json(&mut file, media)?;
    file.flush()
}

/// Adds a whole set at the end, with `bytes` of payload.
pub fn append(path: &Path, header: &Header, bytes: u64, fill: Fill<'_>) -> io::Result<()> {
    let mark = begin(path, header, bytes, fill)?;
    complete(path, mark)
}

/// Adds a set at the end that counts as unfinished; gives what [`complete`] needs.
pub fn begin(path: &Path, header: &Header, bytes: u64, fill: Fill<'_>) -> io::Result<u64> {
    let mut file = File::options().append(true).read(true).open(path)?;
    let start = file.metadata()?.len();
    let mut head = Vec::with_capacity(4096);
    head.extend_from_slice(SET_MAGIC);
    head.push(0);
    write_json(&mut head, header)?;
    head.extend_from_slice(&bytes.to_le_bytes());
    let mut chunk = vec![0; usize::try_from(bytes.min(CHUNK)).unwrap_or(0)];
    let sparse = matches!(fill, Fill::Sparse);
    if let Fill::Random(random) = fill {
        random.fill(&mut chunk);
    }
    let (whole, rest) = (bytes / CHUNK, usize::try_from(bytes % CHUNK).unwrap_or(0));
    if whole > 0 {
        let hash = blake3::hash(&chunk);
        (0..whole).for_each(|_| head.extend_from_slice(hash.as_bytes()));
    }
    if rest > 0 {
        head.extend_from_slice(blake3::hash(&chunk[..rest]).as_bytes());
    }
    file.write_all(&head)?;
    if sparse {
        file.set_len(start + head.len() as u64 + bytes)?;
        return Ok(start);
    }
    for _ in 0..whole {
        file.write_all(&chunk)?;
    }
    file.write_all(&chunk[..rest])?;
    Ok(start)
}

/// Marks a set as finished.
pub fn complete(path: &Path, mark: u64) -> io::Result<()> {
    let mut file = File::options().write(true).open(path)?;
    file.seek(SeekFrom::Start(mark + SET_MAGIC.len() as u64))?;
    file.write_all(&[1])
}

fn write_json(file: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    let json = serde_json::to_vec(value)?;
    let length = u32::try_from(json.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    file.write_all(&length.to_le_bytes())?;
    file.write_all(blake3::hash(&json).as_bytes())?;
    file.write_all(&json)
}

/// Reads the media header alone.
pub fn label(path: &Path) -> Result<Media, MediaError> {
    open(path).map(|(_, media)| media)
}

/// Reads the media header and the header of every set, skipping payloads. A cut payload is no error here.
pub fn contents(path: &Path) -> Result<Contents, MediaError> {
    let (mut file, media) = open(path)?;
    let length = file.get_ref().metadata().map_err(MediaError::Read)?.len();
    let mut found = Contents { media, sets: Vec::new(), rest: None };
    let mut at = file.stream_position().map_err(MediaError::Read)?;
    while at < length {
        match next_set(&mut file, found.sets.len() + 1) {
            Ok((set, end)) => {
                found.sets.push(set);
                at = end;
            }
            Err(error) => {
                found.rest = Some(error);
                break;
            }
        }
    }
    match found.rest.take_if(|_| found.sets.is_empty()) {
        Some(error) => Err(error),
        None if found.sets.is_empty() => Err(MediaError::Malformed),
        None => Ok(found),
    }
}

/// The set that begins here, and where the next one would.
fn next_set(file: &mut BufReader<File>, position: usize) -> Result<(Set, u64), MediaError> {
    let mut magic = [0; 8];
    exact(file, &mut magic)?;
    if &magic != SET_MAGIC {
        return Err(MediaError::NotASet);
    }
    let mut mark = [0; 1];
    exact(file, &mut mark)?;
    let header = read_json(file)?;
    let mut size = [0; 8];
    exact(file, &mut size)?;
    let payload = u64::from_le_bytes(size);
    let at = file.stream_position().map_err(MediaError::Read)?;
    let step = checksums(payload).checked_add(payload).and_then(|step| i64::try_from(step).ok()).ok_or(MediaError::Malformed)?;
    let end = at.checked_add(step.unsigned_abs()).ok_or(MediaError::Malformed)?;
    // a seek within the buffer keeps it: headers of small files cost one read
    file.seek_relative(step).map_err(MediaError::Read)?;
    Ok((Set { position, header, payload, complete: mark == [1], at }, end))
}

/// Bytes of checksums before a payload.
fn checksums(payload: u64) -> u64 {
    payload.div_ceil(CHUNK).saturating_mul(HASH as u64)
}

/// Reads every byte of a set's payload and compares it with what was written.
pub fn verify(path: &Path, set: &Set) -> Result<(), MediaError> {
    let mut hashes = File::open(path).map_err(MediaError::Open)?;
    let mut file = File::open(path).map_err(MediaError::Open)?;
    hashes.seek(SeekFrom::Start(set.at)).map_err(MediaError::Read)?;
    file.seek(SeekFrom::Start(set.at + checksums(set.payload))).map_err(MediaError::Read)?;
    let mut hashes = BufReader::new(hashes);
    let mut buffer = vec![0; usize::try_from(set.payload.min(CHUNK)).unwrap_or(0)];
    let zeros = (set.payload >= CHUNK).then(|| (vec![0; buffer.len()], blake3::hash(&vec![0; buffer.len()])));
    let mut done = 0;
    while done < set.payload {
        let part = &mut buffer[..usize::try_from((set.payload - done).min(CHUNK)).unwrap_or(0)];
        let mut expected = [0; HASH];
        whole(&mut hashes, &mut expected)?;
        whole(&mut file, part)?;
        // a chunk of zeros is compared, which is faster than hashing it
        let hash = match &zeros {
            Some((zeros, hash)) if *part == **zeros => *hash,
            _ => blake3::hash(part),
        };
        if hash != blake3::Hash::from_bytes(expected) {
            return Err(MediaError::Damaged(done));
        }
        done += part.len() as u64;
    }
    Ok(())
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

/// Header bytes that must be there.
fn exact(file: &mut impl Read, buffer: &mut [u8]) -> Result<(), MediaError> {
    filled(file, buffer, MediaError::Malformed)
}

/// Payload bytes that must be there.
fn whole(file: &mut impl Read, buffer: &mut [u8]) -> Result<(), MediaError> {
    filled(file, buffer, MediaError::CutOff)
}

fn filled(file: &mut impl Read, buffer: &mut [u8], short: MediaError) -> Result<(), MediaError> {
    file.read_exact(buffer).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => short,
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
    let mut hash = [0; HASH];
    exact(file, &mut hash)?;
    let mut json = vec![0; length as usize];
    exact(file, &mut json)?;
    if blake3::hash(&json) != blake3::Hash::from_bytes(hash) {
        return Err(MediaError::Malformed);
    }
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
            begins_chain: false,
            set: Uuid::from_u128(first),
            files: Vec::new(),
        }
    }

    fn media() -> Media {
        Media { set_id: Uuid::from_u128(7), family_id: Uuid::from_u128(8), date: "2026-01-02T03:00:00".parse().unwrap() }
    }

    fn file_of_two(folder: &Path) -> std::path::PathBuf {
        let path = folder.join("a.trn");
        let mut random = fastrand::Rng::with_seed(1);
        create(&path, &media()).unwrap();
        append(&path, &header(10, 20), 3 << 20, Fill::Random(&mut random)).unwrap();
        append(&path, &header(20, 20), 0, Fill::Random(&mut random)).unwrap();
        path
    }

    #[test]
    fn sets_come_back_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = file_of_two(folder.path());
        let found = contents(&path).unwrap();
        assert_eq!((found.media, found.rest.is_none()), (media(), true));
        let shown: Vec<_> = found.sets.iter().map(|set| (set.position, &set.header, set.payload, set.complete)).collect();
        assert_eq!(shown, [(1, &header(10, 20), 3 << 20, true), (2, &header(20, 20), 0, true)]);
        for set in &found.sets {
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
        assert!(matches!(contents(&path), Err(MediaError::Empty)));
        cut(4);
        assert!(matches!(label(&path), Err(MediaError::Malformed)));
        cut(400);
        assert!(label(&path).is_ok());
        assert!(matches!(contents(&path), Err(MediaError::Malformed)));
        cut(2 << 20);
        let found = contents(&path).unwrap();
        assert_eq!((found.sets.len(), found.rest.is_none()), (1, true));
        assert!(matches!(verify(&path, &found.sets[0]), Err(MediaError::CutOff)));
        // a bit in the payload, in a header, in the mark between two sets, in the file's own header
        let second = whole.windows(8).rposition(|window| window == SET_MAGIC).unwrap();
        let first = whole.windows(8).position(|window| window == SET_MAGIC).unwrap();
        let flip = |at: usize| {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            std::fs::write(&path, changed).unwrap();
            contents(&path)
        };
        let found = flip(2 << 20).unwrap();
        assert!(matches!(verify(&path, &found.sets[0]), Err(MediaError::Damaged(at)) if at == 1 << 20));
        assert!(matches!(flip(first + 60), Err(MediaError::Malformed)));
        assert!(matches!(flip(second + 3).unwrap().rest, Some(MediaError::NotASet)));
        assert!(matches!(flip(second + 60).unwrap().rest, Some(MediaError::Malformed)));
        assert!(matches!(flip(7), Err(MediaError::Malformed)));
        assert!(matches!(flip(30), Err(MediaError::Malformed)));
        std::fs::write(&path, b"this is not a backup at all").unwrap();
        assert!(matches!(contents(&path), Err(MediaError::Malformed)));
    }

    #[test]
    fn a_set_counts_when_it_is_finished() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.trn");
        create(&path, &media()).unwrap();
        let mark = begin(&path, &header(10, 20), 5000, Fill::Random(&mut fastrand::Rng::with_seed(1))).unwrap();
        assert!(!contents(&path).unwrap().sets[0].complete);
        complete(&path, mark).unwrap();
        let found = contents(&path).unwrap();
        assert!(found.sets[0].complete);
        verify(&path, &found.sets[0]).unwrap();
    }

    /// Ten gigabytes, of which the disk holds the headers and the checksums.
    #[test]
    fn a_large_set_can_be_written_as_a_hole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.trn");
        create(&path, &media()).unwrap();
        append(&path, &header(10, 20), 10 << 30, Fill::Sparse).unwrap();
        append(&path, &header(20, 30), 3 << 20, Fill::Sparse).unwrap();
        let found = contents(&path).unwrap();
        assert_eq!((found.sets[0].payload, found.sets[1].payload), (10 << 30, 3 << 20));
        #[cfg(target_os = "linux")]
        assert!(std::os::unix::fs::MetadataExt::blocks(&std::fs::metadata(&path).unwrap()) * 512 < 1 << 20);
        verify(&path, &found.sets[1]).unwrap();
        let mut file = File::options().write(true).open(&path).unwrap();
        file.seek(SeekFrom::End(-1)).unwrap();
        file.write_all(&[1]).unwrap();
        assert!(matches!(verify(&path, &found.sets[1]), Err(MediaError::Damaged(at)) if at == 2 << 20));
    }
}
