//! What two sides changed, each in another way, as a person reads it.

use reedbase::{Conflict, ConflictKind, Conflicts, Error, Result};
use serde_json::{Map, Value};

use super::words::{shown, visible};
use crate::output::{Output, Style, counted};

/// How many conflicts are shown before it is only told how many more there are.
const SHOWN_MAX: usize = 20;

/// What conflicts are about, and what each side says.
pub(crate) fn conflicts(conflicts: &[Conflict], output: &mut Output) -> Result<()> {
    for conflict in conflicts.iter().take(SHOWN_MAX) {
        let head = format!("! {}: {}", place(conflict), conflict.summary());
        let head = output.styled(Style::Changed, &head);
        output.line(&head)?;
        for (name, text) in sides(conflict) {
            let name = output.styled(Style::Dim, &format!("{name:<6}"));
            output.line(&format!("    {name}  {}", said(conflict, text)))?;
        }
    }
    match conflicts.len().checked_sub(SHOWN_MAX) {
        Some(more @ 1..) => {
            output.line(&format!("… and {}", counted(more as u64, "more conflict")))
        }
        _ => Ok(()),
    }
}

/// The conflicts that an error carries.
pub(crate) fn refused(error: &Error, output: &mut Output) -> Result<()> {
    match output.is_json() {
        true => Ok(()),
        false => conflicts(Conflicts::of(error), output),
    }
}

/// The table, the row and the column that a conflict is about.
pub(crate) fn place(conflict: &Conflict) -> String {
    let mut words = vec![conflict.table.to_string()];
    if conflict.kind == ConflictKind::Schema {
        words.push("schema.toml".to_owned());
        words.extend(conflict.column.clone());
        words.push(conflict.key_text());
        return visible(&words.join(" "));
    }
    words.extend((!conflict.key.is_empty()).then(|| conflict.key_text()));
    words.extend(conflict.column.clone());
    visible(&words.join(" "))
}

/// The sides of a conflict with their names.
pub(crate) fn sides(conflict: &Conflict) -> [(&'static str, Option<&String>); 3] {
    [
        ("base", conflict.base.as_ref()),
        ("ours", conflict.ours.as_ref()),
        ("theirs", conflict.theirs.as_ref()),
    ]
}

/// What a side says.
pub(crate) fn said(conflict: &Conflict, text: Option<&String>) -> String {
    let row = conflict.kind.is_of_rows() || conflict.column.is_none();
    match text {
        None if conflict.kind == ConflictKind::Column => "(no such column)".to_owned(),
        None if row => "(no row)".to_owned(),
        None => "NULL".to_owned(),
        Some(text) if row => row_said(conflict, text),
        Some(text) => shown(text),
    }
}

/// What a side made of a row: the cells that are not those of the base.
fn row_said(conflict: &Conflict, text: &str) -> String {
    let row = |text: &str| serde_json::from_str::<Map<String, Value>>(text).unwrap_or_default();
    let base = conflict.base.as_deref().filter(|base| *base != text).map(row).unwrap_or_default();
    let cells = row(text).into_iter().filter(|(name, cell)| base.get(name) != Some(cell));
    let cells: Vec<String> = cells
        .map(|(name, cell)| {
            let cell = cell.as_str().map_or_else(|| "NULL".to_owned(), shown);
            format!("{}={cell}", visible(&name))
        })
        .collect();
    cells.join(" ")
}
