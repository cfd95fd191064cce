//! The frames of a database: the index, and what is only in the journal yet.

use std::sync::Arc;

use reedbase_plugin_api::Result;

use super::inner::{Inner, retry};
use super::snapshot::Snapshot;
use crate::frame::FrameInfo;
use crate::log::{FrameIndex, UserDictionary};

/// All frames that a snapshot shows, oldest first.
pub(super) fn frames(inner: &Inner, snapshot: &Snapshot) -> Result<Vec<Arc<FrameInfo>>> {
    let storage = inner.store.storage();
    let users = UserDictionary::read(&**storage)?;
    let (mut frames, newest) = retry(|| {
        let index = FrameIndex::read(storage, &users)?;
        Ok((index.frames(&users)?, index.newest()))
    })?;
    frames.retain(|frame| frame.timestamp <= snapshot.frame());
    frames.extend(snapshot.state().frames().filter(|frame| frame.timestamp > newest).cloned());
    Ok(frames)
}
