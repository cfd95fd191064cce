//! `frames/index.csv`: one line for each frame.
//!
//! ```text
//! timestamp|frame_id|name|status|tables_affected|committed_at|user|details|crc32
//! ```
//!
//! `committed_at` is what the wall clock showed, in microseconds since 1970; `user` is a code of the
//! dictionary; `details` are words of the form `key=value`, percent-encoded where they hold a space, `=`,
//! `%` or `;`, joined by `;`, with the tables under the key `tables`: `pages:2,users:1` names table and
//! action. The file only grows; the last line of an id wins.

use std::collections::BTreeMap;
use std::sync::Arc;

use reedbase_plugin_api::{Error, FrameId, Result, TableName, Timestamp};

use super::{LogFile, UserDictionary};
use crate::frame::{Action, FrameInfo};
use crate::storage::Storage;

const HEADER: &str =
    "timestamp|frame_id|name|status|tables_affected|committed_at|user|details|crc32";
const CHECKSUM_CELL: usize = 8;
const PATH: &str = "frames/index.csv";

/// The index of frames.
#[derive(Debug)]
pub struct FrameIndex {
    file: LogFile,
    frames: Vec<Arc<FrameInfo>>,
    end: u64,
}

impl FrameIndex {
    /// Reads the index.
    ///
    /// # Errors
    /// [`Corrupt`](reedbase_plugin_api::ErrorKind::Corrupt) with the line.
    pub fn read(storage: &Arc<dyn Storage>, users: &UserDictionary) -> Result<Self> {
        let file = LogFile::new(Arc::clone(storage), PATH.to_owned(), HEADER, CHECKSUM_CELL);
        let (lines, end) = file.read()?;
        let mut frames = Vec::with_capacity(lines.len());
        for (number, cells) in (2_u64..).zip(&lines) {
            let frame = parse(cells, users).ok_or_else(|| {
                Error::corrupt("the line is damaged")
                    .at_path(storage.full_path(PATH))
                    .at_line(number)
            })?;
            frames.push(Arc::new(frame));
        }
        Ok(Self { file, frames, end })
    }

    /// The frames, oldest first.
    pub fn frames(&self) -> &[Arc<FrameInfo>] {
        &self.frames
    }

    /// The newest frame that is in the index; zero if none is.
    pub fn newest(&self) -> Timestamp {
        self.frames.last().map_or(Timestamp::ZERO, |frame| frame.timestamp)
    }

    /// Appends frames and syncs.
    ///
    /// # Errors
    /// Those of the storage, or a user without a code.
    pub fn append(
        &mut self,
        frames: Vec<Arc<FrameInfo>>,
        users: &mut UserDictionary,
    ) -> Result<()> {
        if frames.is_empty() {
            return Ok(());
        }
        let lines: Vec<_> = frames.iter().map(|frame| to_cells(frame, users)).collect();
        self.end = self.file.append(self.end, &lines)?;
        self.frames.extend(frames);
        Ok(())
    }
}

fn to_cells(frame: &FrameInfo, users: &mut UserDictionary) -> Vec<String> {
    let tables: Vec<_> =
        frame.tables.iter().map(|(name, action)| format!("{name}:{}", action.code())).collect();
    let mut details = vec![format!("tables={}", tables.join(","))];
    details.extend(
        frame.details.iter().map(|(key, value)| format!("{}={}", escape(key), escape(value))),
    );
    vec![
        frame.timestamp.to_string(),
        frame.id().to_string(),
        frame.name.clone().unwrap_or_default(),
        "committed".to_owned(),
        frame.tables.len().to_string(),
        frame.wall.to_string(),
        users.code(&frame.user, frame.timestamp).to_string(),
        details.join(";"),
    ]
}

fn parse(cells: &[String], users: &UserDictionary) -> Option<FrameInfo> {
    let [timestamp, id, name, _status, _count, wall, user, details, _crc32] = cells else {
        return None;
    };
    let timestamp = Timestamp::from_micros(timestamp.parse().ok()?);
    let id: FrameId = id.parse().ok()?;
    let mut details: BTreeMap<String, String> = details
        .split(';')
        .filter_map(|word| word.split_once('='))
        .map(|(key, value)| Some((unescape(key)?, unescape(value)?)))
        .collect::<Option<_>>()?;
    let tables = details.remove("tables")?;
    let table = |word: &str| {
        let (name, code) = word.rsplit_once(':')?;
        Some((TableName::new(name).ok()?, Action::from_code(code.parse().ok()?)))
    };
    let words = tables.split(',').filter(|word| !word.is_empty());
    (id.timestamp() == timestamp).then_some(())?;
    Some(FrameInfo {
        timestamp,
        node: id.node(),
        wall: Timestamp::from_micros(wall.parse().ok()?),
        parent: Timestamp::ZERO,
        sequence: 0,
        user: users.name(user.parse().ok()?)?.to_owned(),
        name: (!name.is_empty()).then(|| name.clone()),
        details,
        tables: words.map(table).collect::<Option<_>>()?,
    })
}

fn escape(text: &str) -> String {
    let mut out = String::new();
    for char in text.chars() {
        match char {
            ' ' | '=' | '%' | ';' | '|' | '\n' | '\r' | '"' => {
                out.push_str(&format!("%{:02X}", u32::from(char)));
            }
            _ => out.push(char),
        }
    }
    out
}

fn unescape(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut out = parts.next()?.to_owned();
    for part in parts {
        let code = u8::from_str_radix(part.get(..2)?, 16).ok()?;
        out.push(char::from(code));
        out.push_str(part.get(2..)?);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::MemoryStorage;
    use reedbase_plugin_api::NodeId;

    #[test]
    fn frames_come_back() {
        let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
        let mut users = UserDictionary::new(Timestamp::ZERO);
        let mut index = FrameIndex::read(&storage, &users).unwrap();
        let frame = |n: i64, name: Option<&str>| {
            Arc::new(FrameInfo {
                timestamp: Timestamp::from_micros(n),
                node: NodeId::from_bits(5),
                wall: Timestamp::from_micros(n - 3),
                parent: Timestamp::ZERO,
                sequence: 0,
                user: "jane".into(),
                name: name.map(str::to_owned),
                details: [("client".into(), "rdb 0.1; 100%\n".into())].into(),
                tables: vec![(TableName::new("t").unwrap(), Action::INIT)],
            })
        };
        let frames = vec![frame(10, None), frame(20, Some("a | \"name\""))];
        index.append(frames.clone(), &mut users).unwrap();
        assert_eq!(FrameIndex::read(&storage, &users).unwrap().frames(), frames);
        assert_eq!(index.newest(), Timestamp::from_micros(20));
    }
}
