//! What makes one table of another, as a changeset.

use reedbase_plugin_api::{Changeset, Error, Result, SchemaText};

use crate::changes::columns_stay;
use crate::table::{Difference, Table, diff};

/// Random bytes for a changeset.
pub(super) fn draw_salt() -> Result<[u8; 16]> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt)
        .map_err(|source| Error::io("draw a random number", "", source.into()))?;
    Ok(salt)
}

/// What makes one table of another; both must be bases.
pub(crate) fn compare(before: &Table, after: &Table) -> Result<Changeset> {
    let (one, other) = (before.shape(), after.shape());
    // Where columns were put elsewhere, a line that stayed as it was says something else now.
    let comparable = one.key() == other.key()
        && one.delimiter() == other.delimiter()
        && columns_stay(one.columns(), other.columns());
    let difference = if comparable {
        diff(before.base(), after.base())?
    } else {
        Difference::whole(before.base(), after.base())?
    };
    changeset(before, after, difference)
}

/// What makes one table of another.
pub(super) fn changeset(
    before: &Table,
    after: &Table,
    difference: Difference,
) -> Result<Changeset> {
    let Difference { removed, added, moves, .. } = difference;
    Ok(Changeset {
        before: Some((**before.shape()).clone()),
        after: (**after.shape()).clone(),
        schema: schema_change(before, after),
        removed,
        added,
        moves,
        salt: draw_salt()?,
    })
}

/// The text of schema.toml on both sides, if it differs.
fn schema_change(before: &Table, after: &Table) -> Option<SchemaText> {
    let text = |table: &Table| table.schema().cloned().unwrap_or_default();
    let (before, after) = (text(before), text(after));
    (before != after).then_some(SchemaText { before, after })
}
