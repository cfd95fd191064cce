//! What is left of a damaged index of frames.

use std::collections::BTreeMap;
use std::sync::Arc;

use reedbase_plugin_api::{Result, Timestamp};

use super::UserDictionary;
use super::frame_pack::Frames;
use super::frames::{FrameIndex, PATH, file_of, parse};
use crate::delta::pack_range;
use crate::frame::FrameInfo;
use crate::storage::{Access, Storage};

/// The frames that can still be read, and what cannot.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Salvaged {
    /// The frames, by their number.
    pub frames: BTreeMap<Timestamp, Arc<FrameInfo>>,
    /// The paths of the files that are damaged.
    pub damaged: Vec<String>,
}

impl FrameIndex {
    /// Reads what can be read: each line that is whole, each chunk of each pack.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn salvage(storage: &Arc<dyn Storage>, users: &UserDictionary) -> Result<Salvaged> {
        let mut salvaged = Salvaged::default();
        for name in storage.list("frames")? {
            if pack_range(&name).is_some() {
                salvaged.read_pack(&**storage, format!("frames/{name}"), users)?;
            }
        }
        let (lines, bad) = file_of(storage).salvage(|cells| parse(cells, users).map(Arc::new))?;
        if bad > 0 {
            salvaged.damaged.push(PATH.to_owned());
        }
        salvaged.frames.extend(lines.into_iter().map(|frame| (frame.timestamp, frame)));
        Ok(salvaged)
    }
}

impl Salvaged {
    fn read_pack(
        &mut self,
        storage: &dyn Storage,
        path: String,
        users: &UserDictionary,
    ) -> Result<()> {
        let Some(file) = storage.open(&path, Access::Read)? else { return Ok(()) };
        let mut is_whole = false;
        if let Ok(frames) = Frames::open(file) {
            let chunks: Vec<_> =
                (0..frames.chunks()).map(|chunk| frames.read(chunk, users)).collect();
            is_whole = chunks.iter().all(Result::is_ok);
            let read = chunks.into_iter().flatten().flatten();
            self.frames.extend(read.map(|frame| (frame.timestamp, frame)));
        }
        if !is_whole {
            self.damaged.push(path);
        }
        Ok(())
    }
}
