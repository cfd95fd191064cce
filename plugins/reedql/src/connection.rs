//! A connection of SQLite that has no file, and is let do nothing but what a query needs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reedbase_plugin_api::sql::compare_decimals;
use reedbase_plugin_api::{Function, Interrupt, QueryOptions};
use rusqlite::config::DbConfig;
use rusqlite::functions::FunctionFlags;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::types::Null;
use rusqlite::{Connection, OpenFlags, Result};

use crate::functions;
use crate::mirror::TOUCHED;
use crate::shared::Shared;
use crate::virtual_table::{MODULE, TABLES};

/// Opens one whose tables are read through `shared`.
pub(crate) fn open(shared: &Arc<Shared>, functions: &[Function]) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_MEMORY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    // What is sorted goes through temporary files, whose file system is SQLite's own in memory. So it is sorted in pieces that
    // fit into a cache; with temp_store = MEMORY it would be one list, two to four times slower from a million rows on.
    let connection = Connection::open_with_flags_and_vfs(":memory:", flags, c"memdb")?;
    // A name in double quotes that nothing has is a mistake, not a text.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    connection.execute_batch("PRAGMA temp_store = FILE; PRAGMA journal_mode = MEMORY")?;
    connection.set_prepared_statement_cache_capacity(PLANS);
    connection.create_collation("decimal", compare_decimals)?;
    connection.execute_batch("PRAGMA recursive_triggers = 1")?;
    let noting = Arc::clone(shared);
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function(TOUCHED, -1, flags, move |context| {
        let values = (1..context.len()).map(|at| context.get(at)).collect::<Result<_>>()?;
        noting.note_touched(context.get(0)?, values);
        Ok(Null)
    })?;
    connection.create_scalar_function("reed_uuid7", 0, FunctionFlags::SQLITE_UTF8, |_| {
        Ok(uuid::Uuid::now_v7().to_string())
    })?;
    functions::register(&connection, shared, functions)?;
    connection.create_module(MODULE, TABLES, Some(Arc::clone(shared)))?;
    Ok(connection)
}

/// How many prepared statements are kept.
const PLANS: usize = 64;

/// Lets statements do nothing from now on but read and write tables, unless `internal` says that it is our own.
pub(crate) fn restrict(connection: &mut Connection, internal: &Arc<AtomicBool>) -> Result<()> {
    let internal = Arc::clone(internal);
    connection.authorizer(Some(move |context: AuthContext<'_>| {
        if internal.load(Ordering::Relaxed) || is_allowed(&context) {
            Authorization::Allow
        } else {
            Authorization::Deny
        }
    }))
}

fn is_allowed(context: &AuthContext<'_>) -> bool {
    let own = |table: &str| !table.to_ascii_lowercase().starts_with("sqlite_");
    match &context.action {
        AuthAction::Select | AuthAction::Recursive => true,
        AuthAction::Read { table_name, .. }
        | AuthAction::Insert { table_name }
        | AuthAction::Update { table_name, .. }
        | AuthAction::Delete { table_name } => own(table_name),
        AuthAction::Function { function_name } => {
            // What triggers call, nobody else does.
            (*function_name != TOUCHED || context.accessor.is_some())
                && !matches!(*function_name, "load_extension" | "fts3_tokenizer")
        }
        _ => false,
    }
}

/// What stops a statement in the middle.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watch {
    pub(crate) interrupt: Interrupt,
    deadline: Arc<Deadline>,
}

/// When a statement must be done, if ever: whoever sets it need not wait.
#[derive(Debug)]
struct Deadline {
    origin: Instant,
    /// Nanoseconds since the origin; the most there can be is never.
    at: AtomicU64,
}

impl Default for Deadline {
    fn default() -> Self {
        Self { origin: Instant::now(), at: AtomicU64::new(u64::MAX) }
    }
}

impl Watch {
    /// Sets how long a statement may take from now on.
    pub(crate) fn set_time(&self, most: Option<Duration>) {
        let at = most.map(|most| self.deadline.origin.elapsed().saturating_add(most).as_nanos());
        let at = at.and_then(|at| u64::try_from(at).ok()).unwrap_or(u64::MAX);
        self.deadline.at.store(at, Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        let at = self.deadline.at.load(Ordering::Relaxed);
        let late = || self.deadline.origin.elapsed().as_nanos() >= u128::from(at);
        self.interrupt.is_stopped() || (at < u64::MAX && late())
    }
}

/// How many steps of SQLite's machine lie between two looks at the clock.
const STEPS: i32 = 1000;

/// Stops statements from now on when the watch says so.
pub(crate) fn watch(connection: &mut Connection, watch: Watch) -> Result<()> {
    connection.progress_handler(STEPS, Some(move || watch.is_over()))
}

/// Bounds the length of values and of rows.
pub(crate) fn limit(connection: &Connection, limits: &QueryOptions) -> Result<()> {
    let bytes =
        limits.value_bytes.map_or(i32::MAX, |bytes| i32::try_from(bytes).unwrap_or(i32::MAX));
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, bytes).map(drop)
}
