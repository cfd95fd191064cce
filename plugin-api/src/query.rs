//! The seam `Dialect`: a language to ask the tables in.
//!
//! A dialect runs what it is asked in a [`QuerySession`], or is a [`Translator`] to one that does. Values never become part of a
//! text: they travel as parameters.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::{Host, Result, Snapshot, Timestamp, Value, ValueRef};

/// The values of the parameters of a query.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Params {
    /// The values of `?`, in order; `?2` is the second.
    pub positional: Vec<Value>,
    /// The values of `:name`, `@name` and `$name`; the names without that sign.
    pub named: Vec<(String, Value)>,
}

impl Params {
    /// The same with a value for `:name`.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.named.push((name.into(), value.into()));
        self
    }
}

impl From<()> for Params {
    fn from((): ()) -> Self {
        Self::default()
    }
}

impl<V: Into<Value>, const N: usize> From<[V; N]> for Params {
    fn from(values: [V; N]) -> Self {
        Self::from(values.into_iter().map(Into::into).collect::<Vec<Value>>())
    }
}

impl From<Vec<Value>> for Params {
    fn from(positional: Vec<Value>) -> Self {
        Self { positional, named: Vec::new() }
    }
}

/// How queries run, and what one may not exceed. Nothing is limited unless it is said.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct QueryOptions {
    /// How long it may take.
    pub time: Option<Duration>,
    /// How many rows it may give.
    pub rows: Option<u64>,
    /// How many bytes one value may have.
    pub value_bytes: Option<u32>,
    /// How the rows of tables are read.
    pub path: QueryPath,
    /// How many bytes of tables may be mirrored at once; 256 MB if nothing is said.
    pub mirror_bytes: Option<u64>,
}

/// How a query reads the rows of tables. All ways give the same rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueryPath {
    /// Whichever is likely to be faster.
    #[default]
    Auto,
    /// Straight from the snapshot.
    Direct,
    /// From a copy in memory, which is loaded once and then kept up to date.
    Mirror,
}

/// Stops a query that runs. Cloning gives another handle of the same.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Stops the query that runs, or the next one.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the query is to stop.
    pub fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Lets queries run again.
    pub fn reset(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// Takes the rows of a query as they are found.
pub trait RowSink {
    /// The names of the columns; called once, before the first row, also if there is none.
    ///
    /// # Errors
    /// Its own; they end the query.
    fn columns(&mut self, names: &[&str]) -> Result<()>;

    /// One row. `Break` ends the query, which then did not fail.
    ///
    /// # Errors
    /// Its own; they end the query.
    fn row(&mut self, values: &[ValueRef<'_>]) -> Result<ControlFlow<()>>;
}

/// What a statement did.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Outcome {
    /// How many rows it inserted, changed or removed.
    pub changed: u64,
    /// The frame that it committed.
    pub frame: Option<Timestamp>,
    /// The key of the last row that it inserted.
    pub key: Option<Vec<String>>,
}

/// A connection to the tables: it holds still what it reads while a transaction is open, and is used by one thread at a
/// time.
pub trait QuerySession: Send {
    /// Runs the statements of a text, one after the other; the rows of each that has columns go to the sink.
    ///
    /// # Errors
    /// What is wrong with the text, with line and column, or with what it does. Statements before the one that
    /// failed are done; the one that failed did nothing.
    fn run(&mut self, text: &str, params: &Params, rows: &mut dyn RowSink) -> Result<Outcome>;

    /// Looks at the statements of a text without running them: what is wrong is told, and what is known of them is kept.
    ///
    /// # Errors
    /// What is wrong with the text.
    fn prepare(&mut self, text: &str) -> Result<()>;

    /// How a text would be run, in words, a line each.
    ///
    /// # Errors
    /// What is wrong with the text.
    fn explain(&mut self, text: &str, params: &Params) -> Result<Vec<String>>;

    /// Whether a text ends where a statement ends: a shell asks that before it runs what was typed so far.
    fn is_complete(&self, text: &str) -> bool;

    /// How queries run from now on.
    fn set_options(&mut self, options: &QueryOptions);

    /// What stops a query of this session, from another thread.
    fn interrupt(&self) -> Interrupt;

    /// Reads all tables as they were after a frame, from now on; `None` reads the newest again.
    ///
    /// # Errors
    /// [`Usage`](crate::ErrorKind::Usage) while a transaction is open.
    fn set_instant(&mut self, frame: Option<Timestamp>) -> Result<()>;

    /// Whether a transaction is open.
    fn in_transaction(&self) -> bool;
}

/// A language to ask the tables in.
pub trait Dialect: Send + Sync {
    /// The id: 1 to 16 lower-case letters, digits or `-`.
    fn id(&self) -> &str;

    /// A session that runs texts of this dialect.
    ///
    /// # Errors
    /// Those of the engine.
    fn session(&self, host: Arc<dyn Host>) -> Result<Box<dyn QuerySession>>;
}

/// A language that is translated to ReedQL.
pub trait Translator: Send + Sync {
    /// The id: 1 to 16 lower-case letters, digits or `-`.
    fn id(&self) -> &str;

    /// What the statements of a text mean, one after the other. No value becomes part of a text. Without values for its
    /// placeholders the text is only looked at.
    ///
    /// # Errors
    /// What is wrong with the text, with line and character; [`Usage`](crate::ErrorKind::Usage) if there are not as many values
    /// as placeholders.
    fn translate(
        &self,
        text: &str,
        params: Option<&Params>,
        tables: &dyn Snapshot,
    ) -> Result<Vec<Translated>>;

    /// Whether a text ends where a statement ends.
    fn is_complete(&self, text: &str) -> bool;
}

/// A statement, translated.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "translators make it")]
pub struct Translated {
    /// The statement in ReedQL.
    pub text: String,
    /// The values of its placeholders.
    pub params: Params,
    /// The one column of its answer, which says how many rows it changed; `None` where the rows that it gives are the answer.
    pub counts: Option<String>,
    /// Which bytes of the text, ascending, came from which bytes of what was written.
    pub places: Vec<(usize, usize)>,
}
