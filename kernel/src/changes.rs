//! Changesets as people read them: row by row, found by key.

use std::collections::HashMap;
use std::sync::Arc;

use reedbase_plugin_api::{Bytes, Changeset, Lines, Result, Shape};

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
        self.moved += changeset.moves.iter().map(|moved| moved.count).sum::<u64>();
        let mut step: Vec<(Key<'static>, Side, Bytes)> = Vec::new();
        for (shape, side, runs) in
            [(&before, Side::Before, &changeset.removed), (&after, Side::After, &changeset.added)]
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

    /// What became of each row, rows that ended as they began left out; and how many lines moved.
    pub fn finish(self) -> (Vec<RowChange>, u64) {
        let changed = self.rows.into_iter().filter(|row| row.before != row.after);
        (changed.collect(), self.moved)
    }
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
    /// The same backwards.
    #[must_use]
    pub fn inverse(self) -> Self {
        Self { key: self.key, before: self.after, after: self.before }
    }
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
        let (rows, _) = changes.finish();
        rows.into_iter()
            .map(|row| (row.key.display(1), text(row.before), text(row.after)))
            .collect()
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
