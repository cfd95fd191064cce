//! What a plugin may ask of the database that it works for.

use std::sync::Arc;

use crate::{Result, Snapshot, Timestamp};

/// The database, as a plugin sees it.
pub trait Host: Send + Sync {
    /// All tables as they are now; sees what other processes committed.
    ///
    /// # Errors
    /// Damage of the journal, or those of the storage.
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>>;

    /// The frame that an instant means: its number, id or name, `HEAD~3`, a date, a time, `20 minutes ago`. Zero for an
    /// instant before the first frame.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) if it means no frame and no instant.
    fn instant(&self, text: &str) -> Result<Timestamp>;
}
