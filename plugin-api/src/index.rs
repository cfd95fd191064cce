//! Indices: from what cells say to the keys of rows.
//!
//! A plugin brings a kind of index, such as a hash table, and knows nothing of tables. It is given entries: a *value*,
//! the cells of the indexed columns as bytes that compare as the cells do ([`sql::encode`](crate::sql::encode)), and the *key*
//! of the row, which are bytes that mean nothing to it. All else is the kernel's work: which entries there are, what changed
//! since, where it is kept.
//!
//! An index never changes: [`Index::with`] gives another one, which shares what stayed the same. So whoever reads the one of
//! an older frame is not disturbed by writers. What an index finds may be too much, never too little: whoever asks looks
//! at the rows again.

use std::sync::Arc;

use crate::sql::{Collation, just_behind};
use crate::{Bytes, ColumnType, Error, IndexSpec, Result};

/// An index of a table, as somebody who searches sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexView {
    /// What is said of it.
    pub spec: IndexSpec,
    /// Its columns.
    pub columns: Vec<IndexedColumn>,
    /// Whether it finds ranges, and gives rows in their order; else only equal values.
    pub ordered: bool,
}

/// A column of an index, by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "there is nothing else to say")]
pub struct IndexedColumn {
    /// The position in the table.
    pub at: usize,
    /// What the cells mean.
    pub kind: ColumnType,
    /// How they compare.
    pub collation: Collation,
}

/// Which entries are searched for, by the bytes of their values.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "an index must know all of them")]
pub enum Range {
    /// Those with exactly this value.
    Equal(Vec<u8>),
    /// Those whose values are at least `from` and less than `to`. Only an ordered kind is asked for these.
    Between {
        /// Where it begins.
        from: Vec<u8>,
        /// Where it ends; `None` is the end of all.
        to: Option<Vec<u8>>,
        /// Whether the last comes first.
        reversed: bool,
    },
}

impl Range {
    /// All values that begin with these bytes.
    pub fn starting_with(bytes: Vec<u8>, reversed: bool) -> Self {
        let to = just_behind(&bytes);
        Self::Between { from: bytes, to, reversed }
    }
}

/// A kind of index.
pub trait IndexKind: Send + Sync {
    /// The word behind `USING`, such as `hash`.
    fn id(&self) -> &str;

    /// How many columns an index of this kind may have.
    fn max_columns(&self) -> usize;

    /// Whether it finds ranges, and gives entries in their order.
    fn is_ordered(&self) -> bool;

    /// An index of these entries, which come in any order.
    ///
    /// # Errors
    /// [`Limit`](crate::ErrorKind::Limit) if there are more than it can hold.
    fn build(&self, entries: &Entries) -> Result<Arc<dyn Index>>;

    /// The index that was written by [`Index::to_bytes`], of the same version of the plugin; the bytes are undamaged.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) if they are no index.
    fn open(&self, bytes: Bytes) -> Result<Arc<dyn Index>>;
}

/// An index, which never changes.
pub trait Index: Send + Sync {
    /// How many entries it has.
    fn len(&self) -> u64;

    /// Whether it has none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// About how many bytes it takes in memory.
    fn byte_count(&self) -> u64;

    /// This index without some of its entries and with others. Where nobody else holds this one, it may be changed in place.
    ///
    /// # Errors
    /// [`Limit`](crate::ErrorKind::Limit) if there are more than it can hold.
    fn with(self: Arc<Self>, changes: &Changes) -> Result<Arc<dyn Index>>;

    /// Begins a search.
    fn search(self: Arc<Self>, range: &Range) -> Box<dyn IndexSearch>;

    /// What is written to a file.
    fn to_bytes(&self) -> Vec<u8>;
}

/// A search that is under way.
pub trait IndexSearch: Send {
    /// Adds the keys of the next entries, at most `max`; `false` if there are no more behind them.
    fn next(&mut self, max: usize, keys: &mut Keys) -> bool;
}

/// What becomes of the entries of an index.
#[derive(Debug, Clone, Default)]
#[expect(clippy::exhaustive_structs, reason = "entries go or come, there is nothing else")]
pub struct Changes {
    /// Entries that are there, and go.
    pub removed: Entries,
    /// Entries that are not there, and come.
    pub added: Entries,
}

/// Entries, one behind the other in one piece of memory.
#[derive(Debug, Clone, Default)]
pub struct Entries {
    bytes: Vec<u8>,
    ends: Vec<(u32, u32)>,
}

impl Entries {
    /// Adds an entry.
    ///
    /// # Errors
    /// [`Limit`](crate::ErrorKind::Limit) beyond 4 GiB.
    pub fn push(&mut self, value: &[u8], key: &[u8]) -> Result<()> {
        self.bytes.reserve(value.len() + key.len());
        self.bytes.extend_from_slice(value);
        let value_end = self.place()?;
        self.bytes.extend_from_slice(key);
        let end = self.place()?;
        self.ends.push((value_end, end));
        Ok(())
    }

    fn place(&self) -> Result<u32> {
        u32::try_from(self.bytes.len()).map_err(|_| {
            Error::new(crate::ErrorKind::Limit, "an index cannot be larger than 4 GiB")
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// An entry: its value, and its key. Nothing beyond the last.
    pub fn get(&self, at: usize) -> (&[u8], &[u8]) {
        let start = at.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |e| e.1);
        let (value_end, end) = self.ends.get(at).copied().unwrap_or_default();
        let part = |from: u32, to: u32| self.bytes.get(from as usize..to as usize);
        (part(start, value_end).unwrap_or_default(), part(value_end, end).unwrap_or_default())
    }

    /// The value and the key of an entry, one behind the other.
    pub fn whole(&self, at: usize) -> &[u8] {
        let start = at.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |e| e.1);
        let end = self.ends.get(at).map_or(start, |end| end.1);
        self.bytes.get(start as usize..end as usize).unwrap_or_default()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
        (0..self.len()).map(|at| self.get(at))
    }
}

/// Keys that a search found, one behind the other in one piece of memory.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Keys {
    /// Takes all out, and keeps the memory for others.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Adds a key.
    pub fn push(&mut self, key: &[u8]) {
        self.bytes.extend_from_slice(key);
        self.ends.push(self.bytes.len());
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// All of them, in the order in which they were found.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(from, to)| self.bytes.get(from..*to).unwrap_or_default())
    }
}
