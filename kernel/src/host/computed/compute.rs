//! Which computed table is which.

use std::sync::Arc;

use reedbase_plugin_api::{Computed, Error, Result, TableView};

use super::computing::Computing;
use crate::database::{Database, Snapshot};
use crate::host::tables::Catalog;

/// Computes a table.
pub(in crate::host) fn compute(
    what: &Computed,
    snapshot: &Snapshot,
    database: &Database,
    catalog: &Catalog,
) -> Result<Arc<dyn TableView>> {
    let computing = Computing { snapshot, database, catalog };
    let sheet = match what {
        Computed::Tables => computing.tables(),
        Computed::Columns => computing.columns(),
        Computed::Frames => computing.frames(),
        Computed::Indices => computing.indices(),
        Computed::Searches => computing.searches(),
        Computed::Plugins => computing.plugins(),
        Computed::Conflicts => computing.no_conflicts(),
        Computed::Empty { name, columns } => computing.sheet(name, columns.clone()),
        Computed::History { table, key } => computing.history(table, key.as_deref()),
        Computed::Diff { table, from, to } => computing.diff(table, *from, *to),
        Computed::Blame { table } => computing.blame(table),
        Computed::Versions { table } => computing.versions(table),
        other => Err(Error::not_found(format!("there is no computed table {other:?}"))),
    };
    Ok(Arc::new(sheet?))
}
