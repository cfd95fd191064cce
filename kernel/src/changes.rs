//! Changesets as people read them: row by row, found by key.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use reedbase_plugin_api::{Bytes, Changeset, Lines, Result, SchemaText, Shape, row};

use crate::table::{Key, key_of, split};

/// What became of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RowChange {
    /// The key.
    pub key: Key<'static>,
    /// The row before; `None` if there was none.
    pub before: Option<(Bytes, Arc<Shape>)>,
    /// The row after; `None` if there is none.
    pub after: Option<(Bytes, Arc<Shape>)>,
}

/// Gathers what several changesets, one after the other, did to each row.
#[derive(Debug, Default)]
pub struct RowChanges {
    rows: Vec<RowChange>,
    places: HashMap<Key<'static>, usize>,
    moved: u64,
    shapes: Option<(Shape, Shape)>,
    /// Whether some step put a column elsewhere, added or removed one.
    columns_moved: bool,
    schema: Option<SchemaText>,
}

/// What several changesets came to.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Changes {
    /// The rows whose cells differ.
    pub rows: Vec<RowChange>,
    /// How many lines changed place on the way.
    pub moved: u64,
    /// How many rows have the same cells in other bytes.
    pub respelled: u64,
    /// How the table was cut into cells before and after; `None` if nothing changed.
    pub shapes: Option<(Shape, Shape)>,
    /// Whether each column is where it was, under another name at most.
    pub columns_stay: bool,
    /// The text of schema.toml before and after, if it differs.
    pub schema: Option<SchemaText>,
}

impl RowChanges {
    /// Adds what the next changeset did.
    ///
    /// # Errors
    /// Damage of the changeset.
    pub fn add(&mut self, changeset: &Changeset) -> Result<()> {
        let after = Arc::new(changeset.after.clone());
        let before = match &changeset.before {
            Some(shape) if *shape == changeset.after => Arc::clone(&after),
            Some(shape) => Arc::new(shape.clone()),
            None => Arc::clone(&after),
        };
        self.note_shape(changeset);
        self.moved += changeset.moves.iter().map(|moved| moved.count).sum::<u64>();
        let mut step: Vec<(Key<'static>, Side, Bytes)> = Vec::new();
        // Where another column becomes the key, a row is still the row that has the new key.
        let keyed = same_key(&before, &after).unwrap_or_else(|| (*before).clone());
        for (shape, side, runs) in
            [(&keyed, Side::Before, &changeset.removed), (&*after, Side::After, &changeset.added)]
        {
            for run in runs {
                for (_, line) in split(run, shape.delimiter())? {
                    if let Some(key) = key_of(&line, shape).filter(|_| !shape.is_blank(&line)) {
                        step.push((key.into_owned(), side, line.clone()));
                    }
                }
            }
        }
        for (key, side, line) in step {
            let place = self.place(key, side == Side::Before, &line, &before);
            let Some(row) = self.rows.get_mut(place) else { continue };
            match side {
                Side::Before => row.after = None,
                Side::After => row.after = Some((line, Arc::clone(&after))),
            }
        }
        Ok(())
    }

    fn note_shape(&mut self, changeset: &Changeset) {
        let before = || changeset.before.as_ref().unwrap_or(&changeset.after).clone();
        let columns = before().columns().to_vec();
        self.columns_moved |= !columns_stay(&columns, changeset.after.columns());
        let first = self.shapes.take().map_or_else(before, |(first, _)| first);
        self.shapes = Some((first, changeset.after.clone()));
        if let Some(text) = &changeset.schema {
            let before = self.schema.take().map_or_else(|| text.before.clone(), |old| old.before);
            self.schema = Some(SchemaText { before, after: text.after.clone() });
        }
    }

    /// The place of a key, which is new if no changeset touched it before.
    fn place(
        &mut self,
        key: Key<'static>,
        existed: bool,
        line: &Bytes,
        shape: &Arc<Shape>,
    ) -> usize {
        let rows = &mut self.rows;
        *self.places.entry(key).or_insert_with_key(|key| {
            let before = existed.then(|| (line.clone(), Arc::clone(shape)));
            rows.push(RowChange { key: key.clone(), before, after: None });
            rows.len() - 1
        })
    }

    /// Every row that was touched, also those that ended as they began or are only written otherwise.
    pub fn every_row(self) -> impl Iterator<Item = RowChange> {
        let shapes = self.shapes.map(|(first, last)| (Arc::new(first), Arc::new(last)));
        self.rows.into_iter().map(move |row| match &shapes {
            // A line that a step did not touch stood under the header of before already, and stands under that of after
            // still: these say what its cells are, not the header of the step that touched it.
            Some((first, last)) => RowChange {
                key: row.key,
                before: row.before.map(|(line, _)| (line, Arc::clone(first))),
                after: row.after.map(|(line, _)| (line, Arc::clone(last))),
            },
            None => row,
        })
    }

    /// What it comes to; rows that ended as they began are left out.
    pub fn finish(mut self) -> Changes {
        let (moved, shapes, schema) = (self.moved, self.shapes.clone(), self.schema.take());
        let columns_stay = !self.columns_moved;
        let text = |side: &Option<(Bytes, _)>| side.as_ref().map(|(line, _)| line.clone());
        let unchanged =
            move |row: &RowChange| columns_stay && text(&row.before) == text(&row.after);
        let changed = self.every_row().filter(|row| row.before != row.after && !unchanged(row));
        let (respelled, rows): (Vec<_>, Vec<_>) =
            changed.partition(|row| row.is_respelling(columns_stay));
        let schema = schema.filter(|text| text.before != text.after);
        Changes { rows, moved, respelled: respelled.len() as u64, shapes, columns_stay, schema }
    }
}

/// The shape before with the key of the shape after, if that is another and all its columns were there.
fn same_key(before: &Shape, after: &Shape) -> Option<Shape> {
    let names = |shape: &Shape| -> Vec<String> {
        let names = shape.key().iter().filter_map(|at| shape.columns().get(*at));
        names.map(|name| name.to_ascii_lowercase()).collect()
    };
    let wanted = names(after);
    if names(before) == wanted {
        return None;
    }
    let key: Option<Vec<usize>> = wanted.iter().map(|name| before.column(name)).collect();
    Shape::new(before.delimiter(), before.header().clone(), key?).ok()
}

/// A row before and after; `None` is no row.
pub type BeforeAfter = (Option<Bytes>, Option<Bytes>);

/// What a changeset made of the row with this key: nothing, if it did not touch it; else the row before and
/// the row after.
///
/// # Errors
/// Damage of the changeset.
pub fn row_change(changeset: &Changeset, key: &Key<'_>) -> Result<Option<BeforeAfter>> {
    let find = |runs: &[Lines], shape: &Shape| -> Result<Option<Bytes>> {
        for run in runs {
            for (_, line) in split(run, shape.delimiter())? {
                if key_of(&line, shape).as_ref() == Some(key) && !shape.is_blank(&line) {
                    return Ok(Some(line));
                }
            }
        }
        Ok(None)
    };
    let before = find(&changeset.removed, changeset.before.as_ref().unwrap_or(&changeset.after))?;
    let after = find(&changeset.added, &changeset.after)?;
    Ok((before != after).then_some((before, after)))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Before,
    After,
}

impl RowChange {
    /// Whether the row has the same cells as before, in other bytes. Where columns stay, they may have other names.
    pub fn is_respelling(&self, columns_stay: bool) -> bool {
        match (&self.before, &self.after) {
            (Some((before, one)), Some((after, other))) if columns_stay => {
                let cells = row::cells(before, one.delimiter());
                let pairs = cells.zip(row::cells(after, other.delimiter()));
                pairs.into_iter().all(|(one, other)| one.text() == other.text())
            }
            (Some((before, one)), Some((after, other))) => same_cells(before, one, after, other),
            _ => false,
        }
    }

    /// The same backwards.
    #[must_use]
    pub fn inverse(self) -> Self {
        Self { key: self.key, before: self.after, after: self.before }
    }
}

/// Whether lines that stay as they are say the same under other columns: each is where it was, some under a new name.
pub fn columns_stay(before: &[String], after: &[String]) -> bool {
    let is_in = |side: &[String], name: &str| side.iter().any(|n| n.eq_ignore_ascii_case(name));
    let same = |(one, other): (&String, &String)| {
        one.eq_ignore_ascii_case(other) || (!is_in(after, one) && !is_in(before, other))
    };
    before.len() == after.len() && before.iter().zip(after).all(same)
}

/// Whether two rows say the same: each column that one of them has, the other has with the same cell, or lacks while the
/// cell is NULL.
pub fn same_cells(one: &[u8], shape: &Shape, other: &[u8], other_shape: &Shape) -> bool {
    let cells = |row, shape: &Shape| row::cells(row, shape.delimiter());
    if shape.columns() == other_shape.columns() {
        let pairs = cells(one, shape).zip(cells(other, other_shape));
        return pairs.into_iter().all(|(a, b)| a.text() == b.text());
    }
    let text = |row, shape: &Shape, name: &str| {
        let index = shape.column(name)?;
        cells(row, shape).nth(index)?.text().map(Cow::into_owned)
    };
    let mut names = shape.columns().iter().chain(other_shape.columns());
    names.all(|name| text(one, shape, name) == text(other, other_shape, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changeset(removed: &str, added: &str) -> Changeset {
        let shape = Shape::new(b',', Bytes::from("id,x\n"), vec![0]).unwrap();
        let run = |text: &str| Lines {
            start: 0,
            count: text.lines().count() as u64,
            bytes: Bytes::copy_from_slice(text.as_bytes()),
        };
        Changeset {
            before: Some(shape.clone()),
            after: shape,
            schema: None,
            removed: vec![run(removed)],
            added: vec![run(added)],
            moves: Vec::new(),
            salt: [0; 16],
        }
    }

    fn net(steps: &[(&str, &str)]) -> Vec<(String, Option<String>, Option<String>)> {
        let mut changes = RowChanges::default();
        for (removed, added) in steps {
            changes.add(&changeset(removed, added)).unwrap();
        }
        let text = |side: Option<(Bytes, Arc<Shape>)>| {
            side.map(|(line, _)| String::from_utf8(line.to_vec()).unwrap())
        };
        let rows = changes.finish().rows.into_iter();
        rows.map(|row| (row.key.display(1), text(row.before), text(row.after))).collect()
    }

    #[test]
    fn columns_stay_if_only_their_names_change() {
        let stay = |before: &str, after: &str| {
            let names = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
            columns_stay(&names(before), &names(after))
        };
        assert!(stay("a b c", "a b c") && stay("a b c", "a B c") && stay("a b c", "x b y"));
        assert!(!stay("a b", "b a") && !stay("a b c", "a c d") && !stay("a b", "a b c"));
    }

    #[test]
    fn several_changesets_become_their_net_effect() {
        let some = |text: &str| Some(text.to_owned());
        let changes =
            net(&[("1,a\n2,b\n", "1,A\n3,c\n"), ("1,A\n3,c\n", "2,new\n"), ("", "1,a\n")]);
        assert_eq!(changes, [("2".to_owned(), some("2,b\n"), some("2,new\n"))]);
        assert_eq!(
            net(&[("", "9,x\n"), ("9,x\n", "9,y\n")]),
            [("9".to_owned(), None, some("9,y\n"))]
        );
    }
}
