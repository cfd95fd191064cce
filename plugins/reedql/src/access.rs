//! How a virtual table finds the rows that a query wants: SQLite names the conditions it could use, and hears what each
//! way would cost.

use std::ffi::c_int;

use reedbase_plugin_api::Schema;
use rusqlite::vtab::{IndexConstraintOp, IndexFlags, IndexInfo};

/// All rows.
pub(crate) const ALL: c_int = 0;

/// The one row with a key.
pub(crate) const BY_KEY: c_int = 1;

/// What finding one row costs, against 1 for a row that is passed by.
const LOOKUP: f64 = 4.0;

/// Chooses a way. Conditions are only ever used to find fewer rows: SQLite looks at them again.
pub(crate) fn choose(info: &mut IndexInfo, schema: &Schema, rows: u64) -> rusqlite::Result<bool> {
    if let Some(constraints) = equal_key(info, schema)? {
        for (at, constraint) in (1..).zip(constraints) {
            info.constraint_usage(constraint).set_argv_index(at);
        }
        info.set_idx_num(BY_KEY);
        info.set_idx_flags(IndexFlags::SQLITE_INDEX_SCAN_UNIQUE);
        info.set_estimated_cost(LOOKUP);
        info.set_estimated_rows(1);
        return Ok(true);
    }
    info.set_idx_num(ALL);
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    info.set_estimated_cost(rows.max(1) as f64);
    info.set_estimated_rows(i64::try_from(rows.max(1)).unwrap_or(i64::MAX));
    Ok(true)
}

/// For each column of the key the condition that it equals something; `None` if one has none.
fn equal_key(info: &IndexInfo, schema: &Schema) -> rusqlite::Result<Option<Vec<usize>>> {
    let mut found = Vec::new();
    for column in schema.key() {
        let mut usable = None;
        for (at, constraint) in info.constraints().enumerate() {
            let equals = matches!(
                constraint.operator(),
                IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_EQ
                    | IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_IS
            );
            let here = usize::try_from(constraint.column()) == Ok(column);
            if equals && here && constraint.is_usable() && info.collation(at)? == "BINARY" {
                usable = Some(at);
                break;
            }
        }
        let Some(usable) = usable else { return Ok(None) };
        found.push(usable);
    }
    Ok(Some(found).filter(|found| !found.is_empty()))
}
