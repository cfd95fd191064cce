//! The database as plugins see it: the interfaces of `plugin-api`, over snapshots and transactions.

mod remembering;
mod tables;
mod computed;
mod index_report;
mod snapshot;
mod traces;
mod unique;
mod writer;
mod database;

pub use database::DatabaseHost;
pub use index_report::IndexStat;
pub use tables::{Plugin, Plugins};
