//! The frames of a database: the index, and what is only in the journal yet.

use std::sync::Arc;

use reedbase_plugin_api::{Error, Result, Timestamp};

use super::inner::Inner;
use super::snapshot::Snapshot;
use crate::frame::FrameInfo;
use crate::log::{KnownFrames, NotAfter};

/// All frames that a snapshot shows.
pub(super) struct Frames {
    known: Arc<KnownFrames>,
    /// Those that are only in the journal, oldest first.
    young: Vec<Arc<FrameInfo>>,
    /// The newest of the index that is shown.
    until: Timestamp,
}

impl Frames {
    pub(super) fn of(inner: &Inner, snapshot: &Snapshot) -> Result<Self> {
        let known = inner.frames.get(inner.store.storage())?;
        let state = snapshot.state();
        let until = state.until();
        let needed = state.frames().next().map_or(until, |oldest| oldest.parent);
        if known.index.newest() < needed {
            let path = inner.store.storage().full_path("frames/index.csv");
            return Err(Error::corrupt("the index lacks the newest frame")
                .at_path(path)
                .at_frame(needed)
                .help(
                    "make it anew of what is left: rdb repair; or restore the file from a backup",
                ));
        }
        let newest = known.index.newest().min(until);
        let young = snapshot.state().frames().filter(|frame| frame.timestamp > newest);
        Ok(Self { young: young.cloned().collect(), known, until })
    }

    /// Some frames that are in no index.
    #[cfg(test)]
    pub(super) fn of_list(young: Vec<Arc<FrameInfo>>) -> Self {
        use crate::log::{FrameCache, UserDictionary};
        use crate::storage::{MemoryStorage, Storage};
        let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
        UserDictionary::new(Timestamp::ZERO).write(&storage).unwrap();
        let known = FrameCache::default().get(&storage).unwrap();
        Self { known, young, until: Timestamp::MAX }
    }

    /// All of them, oldest first.
    pub(super) fn all(&self) -> Result<Vec<Arc<FrameInfo>>> {
        let mut frames = self.known.index.frames(&self.known.users)?;
        frames.retain(|frame| frame.timestamp <= self.until);
        frames.extend(self.young.iter().cloned());
        Ok(frames)
    }

    /// The newest not after an instant that is wanted.
    pub(super) fn newest_where(
        &self,
        not_after: NotAfter,
        mut wanted: impl FnMut(&FrameInfo) -> bool,
    ) -> Result<Option<Arc<FrameInfo>>> {
        let mut young = self.young.iter().rev();
        if let Some(frame) = young.find(|frame| not_after.holds(frame) && wanted(frame)) {
            return Ok(Some(Arc::clone(frame)));
        }
        let KnownFrames { index, users, .. } = &*self.known;
        index.newest_where(users, not_after, |frame| frame.timestamp <= self.until && wanted(frame))
    }

    /// The newest, or that many before it.
    pub(super) fn before_newest(&self, steps: usize) -> Result<Option<Arc<FrameInfo>>> {
        let mut left = steps;
        self.newest_where(NotAfter::Timestamp(Timestamp::MAX), |_| {
            let found = left == 0;
            left = left.saturating_sub(1);
            found
        })
    }

    /// The first of all.
    pub(super) fn first(&self) -> Result<Option<Arc<FrameInfo>>> {
        Ok(self.all()?.into_iter().next())
    }
}
