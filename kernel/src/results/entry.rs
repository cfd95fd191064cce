//! A result, and how often those of a function were asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use reedbase_plugin_api::{Bytes, Result, Timestamp};

use super::depends::Depends;
use crate::database::Database;

/// A result.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) value: Bytes,
    /// Until when it holds.
    pub(super) until: Timestamp,
    pub(super) depends: Depends,
    /// The frame for which it was seen to hold last.
    checked: AtomicI64,
    pub(super) counts: Arc<Counts>,
}

/// What is counted of a function.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) hits: AtomicU64,
    pub(super) misses: AtomicU64,
    /// How many bytes of results are not in the file, and how many are.
    pub(super) unwritten: AtomicU64,
    pub(super) written: AtomicU64,
    /// Whether there is no file of it.
    pub(super) in_memory: bool,
}

/// After so many microseconds it is looked whether another process committed; that is at the next tick of the clock. A look
/// costs ten times what finding a result does.
const AGE: i64 = 1000;

impl Entry {
    pub(super) fn new(
        value: Bytes,
        until: Timestamp,
        depends: Depends,
        counts: &Arc<Counts>,
    ) -> Self {
        // Before the first frame there are no tables, and nothing was seen to hold.
        let checked = AtomicI64::new(Timestamp::ZERO.as_micros());
        Self { value, until, depends, checked, counts: Arc::clone(counts) }
    }

    /// Whether it still holds. Cost: a look at the clock, and one at the newest frame if it was made of tables.
    pub(super) fn holds(&self, database: &Database) -> Result<bool> {
        let now = database.last_tick();
        if self.until < now {
            return Ok(false);
        }
        if self.depends.is_empty() {
            return Ok(true);
        }
        let frame = database.recent_frame(now, AGE)?;
        if self.checked.load(Ordering::Relaxed) == frame.as_micros() && frame != Timestamp::ZERO {
            return Ok(true);
        }
        let snapshot = database.snapshot()?;
        let holds = self.depends.holds(&snapshot);
        if holds {
            self.checked.store(snapshot.frame().as_micros(), Ordering::Relaxed);
        }
        Ok(holds)
    }

    /// About how many bytes it takes, with its call.
    pub(super) fn byte_count(&self, call: &[u8]) -> u32 {
        u32::try_from(self.value.len() + call.len() + 128).unwrap_or(u32::MAX)
    }
}
