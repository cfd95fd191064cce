//! Making commits durable: threads of one process share a sync.
//!
//! Whoever finds no sync under way leads the next one: it syncs everything that was appended so far, for
//! itself and for all who wait. Those who come meanwhile wait for it, and one of them leads the next. What
//! was synced becomes visible to readers; nobody reads what a power cut could still take back.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};

use reedbase_plugin_api::{Error, Result};

use crate::journal::{Journal, Position};
use crate::state::State;
use crate::storage::File;

/// What was appended, and what of it is durable.
#[derive(Debug)]
pub(super) struct Flush {
    progress: Mutex<Progress>,
    changed: Condvar,
    visible: RwLock<Arc<State>>,
}

#[derive(Debug)]
struct Progress {
    /// The last append: where it ended, in which file, and the state it made.
    appended: (Position, Arc<dyn File>, Arc<State>),
    synced: Position,
    leading: bool,
    failed: bool,
}

impl Flush {
    /// Everything up to here is durable.
    pub(super) fn new(position: Position, file: Arc<dyn File>, state: Arc<State>) -> Self {
        let visible = RwLock::new(Arc::clone(&state));
        let appended = (position, file, state);
        let progress = Progress { appended, synced: position, leading: false, failed: false };
        Self { progress: Mutex::new(progress), changed: Condvar::new(), visible }
    }

    /// What readers see.
    pub(super) fn visible(&self) -> Arc<State> {
        Arc::clone(&self.visible.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// How far the journal is known durable.
    pub(super) fn synced(&self) -> Position {
        self.lock().synced
    }

    /// Fails if an earlier sync failed.
    pub(super) fn check(&self) -> Result<()> {
        if self.lock().failed {
            return Err(Journal::outcome_unknown(Error::internal("an earlier sync failed")));
        }
        Ok(())
    }

    /// Notes what was appended. Called in the order of the journal.
    pub(super) fn appended(&self, position: Position, file: Arc<dyn File>, state: Arc<State>) {
        let mut progress = self.lock();
        progress.appended = (position, file, state);
    }

    /// Replaces what readers see by a state that shows the same, as a checkpoint does. `newest` is that of
    /// the last append, replaced already.
    pub(super) fn replace(
        &self,
        newest: &Arc<State>,
        change: impl Fn(&State) -> Result<State>,
    ) -> Result<()> {
        let mut progress = self.lock();
        progress.appended.2 = Arc::clone(newest);
        let mut visible = self.visible.write().unwrap_or_else(PoisonError::into_inner);
        *visible = if visible.newest() == newest.newest() {
            Arc::clone(newest)
        } else {
            Arc::new(change(&visible)?)
        };
        Ok(())
    }

    /// Waits until everything up to here is durable, syncing if nobody else does.
    ///
    /// # Errors
    /// [`OutcomeUnknown`](reedbase_plugin_api::ErrorKind::OutcomeUnknown) if a sync failed.
    pub(super) fn wait(&self, position: Position) -> Result<()> {
        let mut progress = self.lock();
        loop {
            if progress.synced >= position {
                return Ok(());
            }
            if progress.failed {
                let source = Error::internal("the sync of another thread failed");
                return Err(Journal::outcome_unknown(source));
            }
            if progress.leading {
                progress = self.changed.wait(progress).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            progress.leading = true;
            let (target, file, state) = progress.appended.clone();
            drop(progress);
            let synced = file.sync();
            progress = self.lock();
            progress.leading = false;
            match synced {
                Ok(()) => {
                    progress.synced = progress.synced.max(target);
                    self.show(state);
                }
                Err(error) => {
                    progress.failed = true;
                    self.changed.notify_all();
                    return Err(Journal::outcome_unknown(error));
                }
            }
            self.changed.notify_all();
        }
    }

    fn show(&self, state: Arc<State>) {
        let mut visible = self.visible.write().unwrap_or_else(PoisonError::into_inner);
        if visible.newest() < state.newest() {
            *visible = state;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        // Nothing in here panics while it holds the lock.
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
