//! What is known of the indices of a database, for people.

use std::sync::Arc;

use reedbase_plugin_api::{Error, IndexSpec, IndexView, Result, TableName, TableView, nearest};

use super::tables::{Catalog, HostTable};
use crate::database::Snapshot;
use crate::index::At;

/// An index, and what it takes.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct IndexStat {
    /// The table.
    pub table: TableName,
    /// What is said of it.
    pub spec: IndexSpec,
    /// How many entries it has.
    pub entries: u64,
    /// About how many bytes it takes in memory.
    pub bytes: u64,
}

/// Where an index of this name is: its table, and its number there.
///
/// # Errors
/// [`NotFound`](reedbase_plugin_api::ErrorKind::NotFound) with the nearest name.
pub(super) fn find(
    snapshot: &Snapshot,
    catalog: &Arc<Catalog>,
    name: &str,
) -> Result<(HostTable, usize)> {
    let mut names = Vec::new();
    for table in snapshot.tables() {
        let (exact, now) = snapshot.named_table(table.as_str())?;
        let table = HostTable::new(exact, now.clone(), snapshot.clone(), None, catalog);
        let named = |index: &IndexView| index.spec.name.eq_ignore_ascii_case(name);
        if let Some(at) = table.indices().iter().position(named) {
            return Ok((table, at));
        }
        names.extend(table.indices().iter().map(|index| index.spec.name.clone()));
    }
    let error = Error::not_found(format!("there is no index `{name}`"));
    Err(nearest(error, "index", name, names.iter().map(String::as_str)))
}

/// What an index takes; it is made if need be, and if it is to be made anew in any case.
///
/// # Errors
/// Those of [`find`], and of reading the table.
pub(super) fn stat(
    snapshot: &Snapshot,
    catalog: &Arc<Catalog>,
    name: &str,
    anew: bool,
) -> Result<IndexStat> {
    let (table, number) = find(snapshot, catalog, name)?;
    let Some(view) = table.indices().get(number) else {
        return Err(Error::internal("an index that was found is gone"));
    };
    if anew {
        catalog.indices.forget(snapshot, table.name(), &view.spec.name);
    }
    let at = At { name: table.name(), table: table.table(), snapshot };
    let index = catalog.indices.get(at, view)?;
    let index = index.ok_or_else(|| Error::internal("an index was not made"))?;
    Ok(IndexStat {
        table: table.name().clone(),
        spec: view.spec.clone(),
        entries: index.len(),
        bytes: index.byte_count(),
    })
}
