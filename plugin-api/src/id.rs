//! The names of things: newtypes, so that one is never taken for another.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// Microseconds since 1970-01-01T00:00:00Z; strictly increasing within a database.
///
/// It is a hybrid logical clock: the wall clock where that moves forward, one more than the newest
/// frame where it does not. A frame is named by it, and so is the version of every table it touched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Before every frame: the version of a table that does not exist yet.
    pub const ZERO: Self = Self(0);
    /// After every frame.
    pub const MAX: Self = Self(i64::MAX);

    /// From microseconds since 1970.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// The last timestamp before this one.
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// The first timestamp after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// One location of a database, drawn at random when the database is made: 48 bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u64);

impl NodeId {
    const BITS: u64 = 0xffff_ffff_ffff;

    /// Keeps the low 48 bits.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits & Self::BITS)
    }

    /// The 48 bits.
    pub const fn as_bits(self) -> u64 {
        self.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012x}", self.0)
    }
}

impl FromStr for NodeId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = || Error::invalid(format!("`{text}` is not a node id of 12 hexadecimal digits"));
        if text.len() != 12 {
            return Err(bad());
        }
        u64::from_str_radix(text, 16).map(Self).map_err(|_| bad())
    }
}

/// The id of a frame: a UUID of version 8 (RFC 9562, section 5.8) computed from its timestamp and
/// node, so that it never needs to be stored beside them.
///
/// Bits 127 to 80 are the upper 48 bits of the timestamp, 79 to 76 the version, 75 to 64 the next 12
/// bits, 63 to 62 the variant, 61 to 58 the last 4 bits, 57 to 48 are zero, 47 to 0 the node. Ids sort
/// by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrameId(u128);

impl FrameId {
    /// The id of the frame that this node made at this instant.
    pub const fn new(timestamp: Timestamp, node: NodeId) -> Self {
        let time = timestamp.0 as u64;
        let high = (time >> 16) as u128;
        let middle = ((time >> 4) & 0xfff) as u128;
        let low = (time & 0xf) as u128;
        Self(
            high << 80 | 0x8 << 76 | middle << 64 | 0b10 << 62 | low << 58 | node.as_bits() as u128,
        )
    }

    /// The instant of the frame.
    pub const fn timestamp(self) -> Timestamp {
        let high = (self.0 >> 80) as u64;
        let middle = (self.0 >> 64) as u64 & 0xfff;
        let low = (self.0 >> 58) as u64 & 0xf;
        Timestamp((high << 16 | middle << 4 | low) as i64)
    }

    /// The node that made the frame.
    pub const fn node(self) -> NodeId {
        NodeId::from_bits(self.0 as u64)
    }
}

impl fmt::Display for FrameId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |shift: u32, bits: u32| (self.0 >> shift) & ((1 << bits) - 1);
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            part(96, 32),
            part(80, 16),
            part(64, 16),
            part(48, 16),
            part(0, 48)
        )
    }
}

impl FromStr for FrameId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = || Error::invalid(format!("`{text}` is not a frame id"));
        let dashes = text.bytes().enumerate().filter(|(_, byte)| *byte == b'-').map(|(at, _)| at);
        if text.len() != 36 || !dashes.eq([8, 13, 18, 23]) {
            return Err(bad());
        }
        let bits = u128::from_str_radix(&text.replace('-', ""), 16).map_err(|_| bad())?;
        let id = Self(bits);
        let again = Self::new(id.timestamp(), id.node());
        if again == id { Ok(id) } else { Err(bad()) }
    }
}

/// The name of a table: 1 to 64 letters, digits, `_`, `-` or `.`, starting with a letter, a digit or
/// `_`. It is the name of a folder, and names are unique ignoring ASCII case. Names that begin with `reed_` or `sqlite_` are
/// reserved.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName(std::sync::Arc<str>);

impl TableName {
    /// Checks the name.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) with what is wrong.
    pub fn new(name: &str) -> Result<Self> {
        let fault = if name.is_empty() || name.len() > 64 {
            "it must have 1 to 64 characters"
        } else if !name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
            "it must start with a letter, a digit or `_`"
        } else if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b)) {
            "it may hold only letters, digits, `_`, `-` and `.`"
        } else {
            return Ok(Self(name.into()));
        };
        Err(bad_name(name, fault))
    }

    /// Whether the name belongs to ReedBase or SQLite. The table of views is everybody's.
    pub fn is_reserved(&self) -> bool {
        &*self.0 != "reed_views"
            && ["reed_", "sqlite_"].iter().any(|prefix| {
                self.0.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
            })
    }

    /// That somebody may call a table so.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) if the name is reserved.
    pub fn check_unreserved(&self) -> Result<()> {
        match self.is_reserved() {
            true => Err(bad_name(&self.0, "the prefixes `reed_` and `sqlite_` are reserved")),
            false => Ok(()),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn bad_name(name: &str, fault: &str) -> Error {
    Error::usage(format!("`{name}` cannot name a table: {fault}"))
        .help("choose another name with --table")
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_ids_give_back_time_and_node_and_sort_by_time() {
        let node = NodeId::from_bits(0x1234_5678_9abc);
        let mut last = None;
        for micros in [0, 1, 15, 16, 4095, 65_536, 1_763_700_000_123_456, i64::MAX] {
            let id = FrameId::new(Timestamp::from_micros(micros), node);
            assert_eq!(id.timestamp().as_micros(), micros);
            assert_eq!(id.node(), node);
            assert_eq!(id.to_string().parse::<FrameId>().unwrap(), id);
            assert!(Some(id) > last, "{id} sorts after the one before");
            last = Some(id);
        }
        let id = last.unwrap().to_string();
        assert_eq!(id.as_bytes()[14], b'8', "{id} has version 8");
        assert!(b"89ab".contains(&id.as_bytes()[19]), "{id} has the variant of RFC 9562");
    }

    #[test]
    fn other_uuids_are_no_frame_ids() {
        for text in ["", "x", "3f2504e0-4f89-41d3-9a0c-0305e82c3301", "-".repeat(36).as_str()] {
            assert!(text.parse::<FrameId>().is_err(), "{text}");
        }
    }

    #[test]
    fn table_names() {
        for good in ["pages", "2024", "_x", "airport-frequencies", "a.b", &"x".repeat(64)] {
            assert!(TableName::new(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "-a", "a/b", "a b", "ä", &"x".repeat(65)] {
            assert!(TableName::new(bad).is_err(), "{bad}");
        }
        for reserved in ["Reed_x", "sqlite_x"] {
            assert!(TableName::new(reserved).unwrap().check_unreserved().is_err(), "{reserved}");
        }
        assert!(TableName::new("reeds").unwrap().check_unreserved().is_ok());
    }
}
