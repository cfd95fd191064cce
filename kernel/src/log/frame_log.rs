//! `frames/frame.log`: what happened to frames that is out of the ordinary. A commit is not: it has its line in the index.
//!
//! ```text
//! time|event|frame_id|name|user|crc32
//! 1795238120342946|crashed|000660c2-7273-845a-8800-4c953d1d42e3|migration|jane|1F2E3D4C
//! ```

use std::borrow::Cow;
use std::sync::Arc;

use reedbase_plugin_api::{FrameId, Result, Timestamp};

use super::LogFile;
use crate::storage::Storage;

const HEADER: &str = "time|event|frame_id|name|user|crc32";
const CHECKSUM_CELL: usize = 5;

/// Something out of the ordinary.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FrameEvent {
    /// When it was noticed, by the wall clock.
    pub time: Timestamp,
    /// What: crashed, abandoned.
    pub what: String,
    /// The frame.
    pub frame: FrameId,
    /// Its name, or nothing.
    pub name: String,
    /// Who noticed it.
    pub user: String,
}

/// The log.
#[derive(Debug)]
pub struct FrameLog {
    file: LogFile,
    end: u64,
}

impl FrameLog {
    /// Reads the log, to know that it is whole and where it ends: it is people who want to know what it says.
    ///
    /// # Errors
    /// [`Corrupt`](reedbase_plugin_api::ErrorKind::Corrupt) with the line.
    pub fn open(storage: &Arc<dyn Storage>) -> Result<Self> {
        let file = file_of(storage);
        let (_, end) = file.read(parse)?;
        Ok(Self { file, end })
    }

    /// The lines that are whole, whatever else the file holds; and how much else there is.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn salvage(storage: &Arc<dyn Storage>) -> Result<(Vec<FrameEvent>, u64)> {
        file_of(storage).salvage(parse)
    }

    /// Whether something follows the last good line.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn is_torn(&self) -> Result<bool> {
        self.file.is_torn(self.end)
    }

    /// Adds a line and syncs.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn add(&mut self, event: &FrameEvent) -> Result<()> {
        let FrameEvent { time, what, frame, name, user } = event.clone();
        let cells = vec![time.to_string(), what, frame.to_string(), name, user];
        self.end = self.file.append(self.end, &[cells])?;
        Ok(())
    }
}

fn file_of(storage: &Arc<dyn Storage>) -> LogFile {
    let path = "frames/frame.log".to_owned();
    LogFile::new(Arc::clone(storage), path, HEADER, CHECKSUM_CELL)
}

fn parse(cells: &[Cow<'_, str>]) -> Option<FrameEvent> {
    let [time, what, frame, name, user, _crc32] = cells else { return None };
    Some(FrameEvent {
        time: Timestamp::from_micros(time.parse().ok()?),
        what: what.to_string(),
        frame: frame.parse().ok()?,
        name: name.to_string(),
        user: user.to_string(),
    })
}
