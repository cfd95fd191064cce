//! Making commits durable: threads of one process share a sync.
//!
//! Whoever finds no sync under way leads the next one: it syncs everything that was appended so far, for
//! itself and for all who wait. Those who append meanwhile wait for the one after that, and one of them leads
//! it; the others are not woken before it is done. What was synced becomes visible to readers; nobody reads
//! what a power cut could still take back.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};

use reedbase_plugin_api::{Error, Result, Timestamp};

use crate::journal::{Journal, Position};
use crate::state::State;
use crate::storage::File;

/// What was appended, and what of it is durable.
#[derive(Debug)]
pub(super) struct Flush {
    progress: Mutex<Progress>,
    /// Where threads wait for syncs with even and with odd numbers.
    done: [Condvar; 2],
    visible: RwLock<Arc<State>>,
}

#[derive(Debug)]
struct Progress {
    /// The last append: where it ended, in which file, and the state it made.
    appended: (Position, Arc<dyn File>, Arc<State>),
    synced: Position,
    /// How many syncs were begun.
    syncs: usize,
    /// What the sync under way makes durable.
    under_way: Option<Position>,
    failed: bool,
}

impl Flush {
    /// Everything up to here is durable.
    pub(super) fn new(position: Position, file: Arc<dyn File>, state: Arc<State>) -> Self {
        let visible = RwLock::new(Arc::clone(&state));
        let appended = (position, file, state);
        let progress =
            Progress { appended, synced: position, syncs: 0, under_way: None, failed: false };
        Self { progress: Mutex::new(progress), done: Default::default(), visible }
    }

    /// What readers see.
    pub(super) fn visible(&self) -> Arc<State> {
        Arc::clone(&self.visible.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The newest frame that readers see.
    pub(super) fn newest(&self) -> Timestamp {
        self.visible.read().unwrap_or_else(PoisonError::into_inner).newest()
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
            if let Some(target) = progress.under_way {
                let sync = progress.syncs + usize::from(position > target);
                progress = self.done(sync).wait(progress).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            progress.syncs += 1;
            let sync = progress.syncs;
            let (target, file, state) = progress.appended.clone();
            progress.under_way = Some(target);
            drop(progress);
            let synced = file.sync();
            progress = self.lock();
            progress.under_way = None;
            self.done(sync).notify_all();
            // One of those who came too late for this one leads the next.
            self.done(sync + 1).notify_one();
            match synced {
                Ok(()) => {
                    progress.synced = progress.synced.max(target);
                    self.show(state);
                }
                Err(error) => {
                    progress.failed = true;
                    self.done(sync + 1).notify_all();
                    return Err(Journal::outcome_unknown(error));
                }
            }
        }
    }

    /// Where to wait for the sync with this number.
    fn done(&self, sync: usize) -> &Condvar {
        let [even, odd] = &self.done;
        if sync.is_multiple_of(2) { even } else { odd }
    }

    /// Shows a state though it is older than what readers see: the journal was cut, and what they see is gone.
    pub(super) fn go_back(&self, state: &Arc<State>) {
        let mut visible = self.visible.write().unwrap_or_else(PoisonError::into_inner);
        if state.newest() < visible.newest() {
            *visible = Arc::clone(state);
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
