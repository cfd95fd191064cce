//! The highlighter format of the daff tools, as <https://paulfitz.github.io/daff-doc/spec.html> has it: a CSV file whose
//! first column says what became of each row. `daff patch` makes one table of the other with it; where rows that were added
//! stand among the others is not in it.

use std::borrow::Cow;

use reedbase::RowDiff;

use super::sheet::{Change, Column, Sheet, Standing};

pub(super) fn patch(sheet: &Sheet<'_>) -> String {
    let (arrow, mut lines) = (arrow(sheet), String::new());
    let tag = |column: &Column<'_>| match column.standing {
        Standing::Kept if column.was != column.name => format!("({})", column.was),
        Standing::Kept if column.is_moved => ":".to_owned(),
        Standing::Kept => String::new(),
        Standing::Added => "+++".to_owned(),
        Standing::Removed => "---".to_owned(),
    };
    let tags: Vec<String> = sheet.columns.iter().map(tag).collect();
    if tags.iter().any(|tag| !tag.is_empty()) {
        push_line(&mut lines, "!", tags.into_iter().map(Cow::from));
    }
    push_line(&mut lines, "@@", sheet.columns.iter().map(|column| Cow::from(column.name)));
    for row in &sheet.diff.rows {
        push_row(&mut lines, sheet, row, &arrow);
    }
    lines
}

/// What stands between before and after: longer than any such sign in a cell.
fn arrow(sheet: &Sheet<'_>) -> String {
    let rows = sheet.diff.rows.iter();
    let sides = rows.flat_map(|row| row.before.iter().chain(&row.after));
    let mut arrow = "->".to_owned();
    for cell in sides.flat_map(|row| row.cells().flatten().map(Cow::into_owned).collect::<Vec<_>>())
    {
        while cell.contains(&arrow) {
            arrow.insert(0, '-');
        }
    }
    arrow
}

fn push_row(lines: &mut String, sheet: &Sheet<'_>, row: &RowDiff, arrow: &str) {
    let (mut updated, mut filled) = (false, false);
    let mut cells = Vec::new();
    for column in &sheet.columns {
        let before = row.before.as_ref().and_then(|row| column.before(row)).map(text);
        let after = row.after.as_ref().and_then(|row| column.after(row)).map(text);
        // daff's word for no cell at all.
        let [before, after] = [before, after].map(|side| side.unwrap_or_else(|| "NULL".into()));
        cells.push(match (Change::of(row), column.standing) {
            (Change::Insert, _) => after,
            (Change::Delete, _) | (Change::Update, Standing::Removed) => before,
            (Change::Update, Standing::Added) => {
                filled |= !after.is_empty();
                after
            }
            (Change::Update, Standing::Kept) if before == after => after,
            (Change::Update, Standing::Kept) => {
                updated = true;
                format!("{before}{arrow}{after}")
            }
        });
    }
    let tag = match Change::of(row) {
        Change::Insert => "+++",
        Change::Delete => "---",
        Change::Update if updated => arrow,
        Change::Update if filled => "+",
        // Only what a removed column held is gone.
        Change::Update => return,
    };
    push_line(lines, tag, cells.into_iter().map(Cow::from));
}

/// An empty cell is the empty text to daff, as any CSV file has it.
fn text(cell: Option<Cow<'_, str>>) -> String {
    cell.unwrap_or_default().into_owned()
}

fn push_line<'c>(lines: &mut String, tag: &'c str, cells: impl Iterator<Item = Cow<'c, str>>) {
    let quoted = |cell: Cow<'_, str>| {
        let edge = cell.starts_with(' ') || cell.ends_with(' ');
        match edge || cell.contains([',', '"', '\n', '\r']) {
            true => format!("\"{}\"", cell.replace('"', "\"\"")),
            false => cell.into_owned(),
        }
    };
    let cells: Vec<String> = std::iter::once(Cow::from(tag)).chain(cells).map(quoted).collect();
    lines.push_str(&cells.join(","));
    lines.push('\n');
}
