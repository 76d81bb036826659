//! Log sequence numbers as SQL Server's catalogue and backup headers give them: `numeric(25,0)`, which no 64-bit integer
//! holds.

use std::fmt;
use std::str::FromStr;

/// A log sequence number: VLF × 10^15 + log block × 10^5 + slot (`sys.master_files.redo_start_lsn`, RESTORE HEADERONLY).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u128);

/// The largest value of a `numeric(25,0)`.
const MAX: u128 = 9_999_999_999_999_999_999_999_999;

impl Lsn {
    /// From VLF sequence number, log block and slot.
    pub const fn new(vlf: u32, block: u64, slot: u32) -> Self {
        Self(vlf as u128 * 1_000_000_000_000_000 + block as u128 * 100_000 + slot as u128)
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Text that is not a `numeric(25,0)` of digits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a log sequence number: expected up to 25 digits")]
pub struct BadLsn(String);

impl FromStr for Lsn {
    type Err = BadLsn;
    fn from_str(text: &str) -> Result<Self, BadLsn> {
        match text.trim().parse::<u128>() {
            Ok(value) if value <= MAX => Ok(Self(value)),
            _ => Err(BadLsn(text.to_owned())),
        }
    }
}

impl serde::Serialize for Lsn {
    /// As text: JSON numbers lose digits past 2^53.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Lsn {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
