//! ReedQL: SQL over the tables of ReedBase, with time in it.
//!
//! SQLite's own machine runs the queries; what it runs them over is a snapshot of the database. Read the modules in the
//! order of the `mod` lines below: each uses only those above it.

mod tokens;
mod script;
mod cell;
mod declare;
mod source;
mod rewrite;
mod ddl;
mod views;
mod view_ddl;
mod probe;
mod way;
mod access;
mod sought;
mod shared;
mod guard;
mod cursor;
mod virtual_table;
mod mirror;
mod functions;
mod connection;
mod side;
mod plan;
mod visible;
mod explain;
mod failure;
mod transaction;
mod run;
mod session;
mod query;
mod change;
mod stored;
mod shape;
mod engine;

use std::sync::Arc;

use reedbase_plugin_api::{Dialect, Host, QuerySession, Result};

/// The dialect `reedql`.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReedQl;

impl Dialect for ReedQl {
    fn id(&self) -> &str {
        "reedql"
    }

    fn session(&self, host: Arc<dyn Host>) -> Result<Box<dyn QuerySession>> {
        Ok(Box::new(session::Session::open(host)?))
    }
}
