//! The frames of a database: the index, and what is only in the journal yet.

use std::sync::Arc;

use reedbase_plugin_api::Result;

use super::inner::Inner;
use super::snapshot::Snapshot;
use crate::frame::FrameInfo;
use crate::log::{FrameIndex, UserDictionary};

/// All frames that a snapshot shows, oldest first.
pub(super) fn frames(inner: &Inner, snapshot: &Snapshot) -> Result<Vec<Arc<FrameInfo>>> {
    let storage = inner.store.storage();
    let users = UserDictionary::read(&**storage)?;
    let index = FrameIndex::read(storage, &users)?;
    let newest = index.newest();
    let indexed = index.frames().iter().filter(|frame| frame.timestamp <= snapshot.frame());
    let mut frames: Vec<_> = indexed.cloned().collect();
    frames.extend(snapshot.state().frames().filter(|frame| frame.timestamp > newest).cloned());
    Ok(frames)
}
