//! The index of frames as it was read last: it is read anew only if one of its files changed.

use std::sync::{Arc, Mutex, PoisonError};

use reedbase_plugin_api::Result;

use super::{FrameIndex, UserDictionary};
use crate::registry::MARK_PATH;
use crate::storage::{Stat, Storage};

/// The index of frames, kept in memory.
#[derive(Debug, Default)]
pub struct FrameCache(Mutex<Option<Arc<KnownFrames>>>);

/// The index, and the users that its codes stand for.
#[derive(Debug)]
#[non_exhaustive]
pub struct KnownFrames {
    files: Files,
    /// The index.
    pub index: FrameIndex,
    /// The users.
    pub users: UserDictionary,
}

/// How the files of the index look.
type Files = (Vec<String>, Option<Stat>, Option<Stat>);

impl FrameCache {
    /// The index as it stands.
    ///
    /// # Errors
    /// Damage of the index or of the dictionary, or those of the storage.
    pub fn get(&self, storage: &Arc<dyn Storage>) -> Result<Arc<KnownFrames>> {
        let files = look(&**storage)?;
        let last = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = last().as_ref().filter(|known| known.files == files) {
            return Ok(Arc::clone(known));
        }
        let users = UserDictionary::read(&**storage)?;
        let index = FrameIndex::read(storage, &users)?;
        let known = Arc::new(KnownFrames { files, index, users });
        *last() = Some(Arc::clone(&known));
        Ok(known)
    }
}

/// How the files look; the index is read after that, so that it is never older than they are.
fn look(storage: &dyn Storage) -> Result<Files> {
    Ok((storage.list("frames")?, storage.stat("frames/index.csv")?, storage.stat(MARK_PATH)?))
}
