//! The seam `FunctionCache`: results of functions, kept in memory.
//!
//! A call is bytes: which function, and what it was given. What is kept for it is opaque here. Whether a result still holds
//! (its time, and the tables that it was made of) is the kernel's business, and so is what outlives the process: a cache
//! finds, and makes room.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

/// A way to keep results.
pub trait FunctionCache: Send + Sync {
    /// The id: 1 to 16 lower-case letters, digits or `-`.
    fn id(&self) -> &str;

    /// An empty cache. What is used least goes when more than this many bytes are kept.
    fn open(&self, bytes_max: u64) -> Box<dyn KeptResults>;
}

/// A result, as a cache sees it.
pub type KeptResult = Arc<dyn Any + Send + Sync>;

/// A cache of results. It may lose any of them at any time.
pub trait KeptResults: Send + Sync {
    /// What is kept for a call.
    fn get(&self, call: &[u8]) -> Option<KeptResult>;

    /// Keeps a result of so many bytes, in the place of the one that was kept for the same call.
    fn put(&self, call: &[u8], result: KeptResult, bytes: u32);

    /// Forgets what is kept for a call.
    fn remove(&self, call: &[u8]);

    /// All that is kept, with its calls.
    fn list(&self) -> Vec<(Box<[u8]>, KeptResult)>;
}

/// For how long a result holds if nothing is said: an hour.
const USUAL: Duration = Duration::from_secs(3600);

/// A function whose results are kept: what `#[cached]` says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CachedFunction<'a> {
    name: &'a str,
    version: u64,
    ttl: Duration,
    reads: &'a [&'a str],
    outlives: bool,
}

impl<'a> CachedFunction<'a> {
    /// A function of this name, by which its results are told from those of others: `shop::revenue`.
    pub const fn new(name: &'a str) -> Self {
        Self { name, version: 0, ttl: USUAL, reads: &[], outlives: true }
    }

    /// Results of another version of the function are no results of this one.
    #[must_use]
    pub const fn version(self, version: u64) -> Self {
        Self { version, ..self }
    }

    /// For how long a result holds at most; an hour if nothing is said.
    #[must_use]
    pub const fn ttl(self, ttl: Duration) -> Self {
        Self { ttl, ..self }
    }

    /// The tables it reads: a result holds until one of them changes. Those that it is seen to read need not be said.
    #[must_use]
    pub const fn reads(self, tables: &'a [&'a str]) -> Self {
        Self { reads: tables, ..self }
    }

    /// Its results do not outlive the program: nothing tells whether the next one has the same function.
    #[must_use]
    pub const fn in_memory(self) -> Self {
        Self { outlives: false, ..self }
    }

    /// Whether its results outlive the program.
    pub const fn outlives_the_program(&self) -> bool {
        self.outlives
    }

    /// The name.
    pub const fn name(&self) -> &'a str {
        self.name
    }

    /// The version.
    pub const fn version_number(&self) -> u64 {
        self.version
    }

    /// For how long a result holds at most.
    pub const fn time_to_live(&self) -> Duration {
        self.ttl
    }

    /// The tables that it says it reads.
    pub const fn tables(&self) -> &'a [&'a str] {
        self.reads
    }
}
