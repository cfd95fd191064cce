//! The vocabulary of ReedBase and the seams that plugins implement.
//!
//! This crate is what the kernel and every plugin have in common, and nothing else: the names of
//! things ([`Timestamp`], [`FrameId`], [`TableName`]), what a cell means ([`Value`]), what a table
//! looks like ([`Schema`], [`Shape`]), how the bytes of a row become cells ([`row`]), what one frame
//! did to one table ([`Changeset`]), how things fail ([`Error`]), what is measured ([`Metric`]), and the traits a plugin may
//! implement ([`DeltaCodec`], [`Format`], [`MergeDriver`], [`IndexKind`], [`FunctionSet`],
//! [`FunctionCache`], [`Dialect`], [`Translator`]). A plugin reads by [`Snapshot`] and [`TableView`].
//!
//! It does no I/O and knows no engine. The traits take and give owned values and plain slices: no
//! generics, no async, no borrow that outlives a call. That is what lets a frozen binary interface be
//! put under them without changing a line of a plugin. The bytes of rows are the exception: a
//! [`bytes::Bytes`] is reference counted and stays valid for as long as somebody holds it.

#![forbid(unsafe_code)]

mod error;
mod nearest;
mod id;
mod value;
pub mod row;
mod schema;
pub mod sql;
mod index;
mod changeset;
mod metric;
mod codec;
mod merge;
mod format;
mod function;
mod function_cache;
mod batch;
mod read;
mod host;
mod query;
mod gather;

pub use batch::Batch;
pub use bytes::Bytes;
pub use changeset::{Changeset, Lines, Move, SchemaText, Shape};
pub use codec::DeltaCodec;
pub use error::{Error, ErrorKind, Position, Result};
pub use format::{Document, Format, ImportOptions};
pub use function::{Aggregate, Compare, Function, FunctionBody, FunctionSet, Scalar};
pub use function_cache::{CachedFunction, FunctionCache, KeptResult, KeptResults};
pub use gather::Gather;
pub use host::{Committed, Host, Writer};
pub use id::{FrameId, NodeId, TableName, Timestamp};
pub use index::{
    Changes, Entries, Index, IndexKind, IndexSearch, IndexView, IndexedColumn, Keys, Range,
};
pub use merge::{Decision, MergeCell, MergeDriver};
pub use metric::{Metric, MetricKind, Unit};
pub use nearest::nearest;
pub use query::{
    Dialect, Interrupt, Outcome, Params, QueryOptions, QueryPath, QuerySession, RowSink,
    Translated, Translator,
};
pub use read::{Computed, RowSearch, Snapshot, TableView};
pub use reedbase_plugin_macros::cached;
pub use schema::{
    Column, ColumnStep, ColumnType, IndexColumn, IndexSpec, KeyRule, LineEnd, Schema,
};
pub use value::{Value, ValueRef};
