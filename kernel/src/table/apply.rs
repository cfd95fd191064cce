//! A changeset applied to a table: forwards when the journal is read, backwards when an older version is
//! made from a newer one.
//!
//! A changeset that touches few lines becomes entries of the tree. One that touches many, or that changes
//! the header, the delimiter or the key, makes a new base: then the whole file is put together from the
//! lines that stay and those that are added, and parsed.

use std::collections::HashMap;
use std::sync::Arc;

use reedbase_plugin_api::{
    Bytes, Changeset, Error, Lines, Move, Result, SchemaText, Shape, Timestamp,
};

use super::{Base, Key, Place, Stamp, Table};
use crate::csv::next_record;

/// A changeset that touches more lines than this, and more than a quarter of the table, makes a new base.
const MANY: u64 = if cfg!(test) { 6 } else { 4096 };

/// One line that is put somewhere.
struct Put {
    ordinal: u64,
    bytes: Bytes,
}

impl Table {
    /// The table after the changeset, which the frame with this timestamp made.
    ///
    /// # Errors
    /// [`Corrupt`](reedbase_plugin_api::ErrorKind::Corrupt) if the changeset was not made from this table.
    pub fn apply(&self, changeset: &Changeset, frame: Timestamp) -> Result<Self> {
        if changeset.before.as_ref().is_some_and(|before| before != &**self.shape()) {
            return Err(mismatch("the header before is another"));
        }
        let (removed, added) = (changeset.removed_count(), changeset.added_count());
        let moved: u64 = changeset.moves.iter().map(|moved| moved.count).sum();
        let many = removed + moved + added > MANY.max(self.lines() / 4);
        let same_shape = changeset.before.as_ref() == Some(&changeset.after);
        let table = if many || !same_shape { None } else { self.apply_lines(changeset, frame)? };
        let table = match table {
            Some(table) => table,
            None => self.rebuild(changeset)?,
        };
        let expected = (self.lines() + added).checked_sub(removed);
        if Some(table.lines()) != expected {
            return Err(mismatch("the number of lines does not fit"));
        }
        let schema = match &changeset.schema {
            Some(text) => Some(text.after.clone()),
            None => self.schema.clone(),
        };
        Ok(table.with_schema(schema).at_version(frame))
    }

    /// Applies line by line. `None` if there is no room for a label.
    fn apply_lines(&self, changeset: &Changeset, frame: Timestamp) -> Result<Option<Self>> {
        let stamp = Stamp::new(frame);
        let delimiter = self.shape().delimiter();
        let mut table = self.clone();
        let mut puts = Vec::new();
        let mut freed: HashMap<Key<'static>, Place> = HashMap::new();
        let mut gone = Vec::new();
        for lines in &changeset.removed {
            for (ordinal, line) in split(lines, delimiter)? {
                let place = self.expect_line(ordinal, Some(&line))?;
                gone.push(place);
                freed.extend(self.key_of(&line).map(|key| (key.into_owned(), place)));
            }
        }
        for Move { from, to, count } in &changeset.moves {
            for step in 0..*count {
                let place = self.expect_line(from + step, None)?;
                let bytes = self.line(place)?.unwrap_or_default();
                gone.push(place);
                puts.push(Put { ordinal: to + step, bytes });
            }
        }
        for lines in &changeset.added {
            let lines = split(lines, delimiter)?;
            puts.extend(lines.into_iter().map(|(ordinal, bytes)| Put { ordinal, bytes }));
        }
        for place in gone {
            table.set_line(place, None, &stamp)?;
        }
        puts.sort_by_key(|put| put.ordinal);
        for put in puts {
            let freed = self.key_of(&put.bytes).and_then(|key| freed.get(&key.into_owned()));
            let Some(place) = table.place_for(put.ordinal, freed.copied())? else {
                return Ok(None);
            };
            table.set_line(place, Some(put.bytes), &stamp)?;
        }
        // Whoever wrote the changeset may have put lines anywhere.
        table.sorted &= changeset.moves.is_empty() && table.added_in_order(changeset)?;
        Ok(Some(table))
    }

    /// The place of a line, which must hold these bytes.
    fn expect_line(&self, ordinal: u64, bytes: Option<&Bytes>) -> Result<Place> {
        let place = self.place_at(ordinal).ok_or_else(|| mismatch("a line is missing"))?;
        match bytes {
            Some(bytes) if self.line(place)?.as_ref() != Some(bytes) => {
                Err(mismatch("a line is not what it was").at_line(ordinal + 1))
            }
            _ => Ok(place),
        }
    }

    /// Where a line goes that shall have this ordinal: back to the place it was just taken from if that
    /// lies right, else to a new one.
    fn place_for(&self, ordinal: u64, freed: Option<Place>) -> Result<Option<Place>> {
        if ordinal > self.lines() {
            return Err(mismatch("a line would follow the end"));
        }
        let next = self.place_at(ordinal);
        let fits = |place: &Place| {
            self.ordinal(*place) == ordinal
                && self.lines.get(place).is_none_or(|line| line.bytes().is_none())
        };
        Ok(freed.filter(fits).or_else(|| self.free_place(next)))
    }

    /// Whether each added line stands in order between its neighbours.
    fn added_in_order(&self, changeset: &Changeset) -> Result<bool> {
        let Some(order) = self.base.order().filter(|_| self.sorted) else { return Ok(false) };
        let line = |ordinal: u64| match self.place_at(ordinal) {
            Some(place) => self.line(place),
            None => Ok(None),
        };
        for lines in &changeset.added {
            let before = lines.start.saturating_sub(1);
            let mut last = line(before)?;
            for ordinal in before + 1..=lines.start + lines.count {
                let (Some(one), Some(other)) = (last, line(ordinal)?) else { break };
                let keys = self.key_of(&one).zip(self.key_of(&other));
                let ascends = keys.and_then(|(one, other)| order.compare(&one, &other));
                if ascends != Some(std::cmp::Ordering::Less) {
                    return Ok(false);
                }
                last = Some(other);
            }
        }
        Ok(true)
    }

    /// Puts the whole file together and parses it.
    fn rebuild(&self, changeset: &Changeset) -> Result<Self> {
        let mut file = Vec::with_capacity(changeset.touched_bytes());
        file.extend_from_slice(changeset.after.header());
        let kept = self.kept_lines(changeset)?;
        let mut kept = kept.into_iter();
        let mut next = 0;
        let (mut added, mut moves) = (changeset.added.iter().peekable(), changeset.moves.clone());
        moves.sort_by_key(|moved| moved.to);
        let mut moves = moves.into_iter().peekable();
        loop {
            if let Some(lines) = added.next_if(|lines| lines.start == next) {
                file.extend_from_slice(&lines.bytes);
                next += lines.count;
            } else if let Some(moved) = moves.next_if(|moved| moved.to == next) {
                for ordinal in moved.from..moved.from + moved.count {
                    let place = self.expect_line(ordinal, None)?;
                    file.extend_from_slice(&self.line(place)?.unwrap_or_default());
                }
                next += moved.count;
            } else if let Some(line) = kept.next() {
                file.extend_from_slice(&line);
                next += 1;
            } else {
                break;
            }
        }
        if added.next().is_some() || moves.next().is_some() {
            return Err(mismatch("a line would follow the end"));
        }
        let shape = if changeset.before.as_ref() == Some(&changeset.after) {
            Arc::clone(self.shape())
        } else {
            Arc::new(changeset.after.clone())
        };
        let base = Base::parse(Bytes::from(file), shape)
            .map_err(|error| mismatch("the table does not parse any more").caused_by(error))?;
        Ok(Self::new(Arc::new(base), self.version))
    }

    /// The lines that are neither removed nor moved.
    fn kept_lines(&self, changeset: &Changeset) -> Result<Vec<Bytes>> {
        let mut gone: Vec<(u64, u64, Option<&Bytes>)> = Vec::new();
        gone.extend(changeset.removed.iter().map(|run| (run.start, run.count, Some(&run.bytes))));
        gone.extend(changeset.moves.iter().map(|moved| (moved.from, moved.count, None)));
        gone.sort_by_key(|(start, ..)| *start);
        let mut gone = gone.into_iter().peekable();
        let mut kept = Vec::new();
        let mut expected: &[u8] = &[];
        let (mut ordinal, mut until, mut checked) = (0, 0, false);
        self.for_each_line(|line| {
            if let Some((_, count, bytes)) = gone.next_if(|(start, ..)| *start == ordinal) {
                until = ordinal + count;
                checked = bytes.is_some();
                expected = bytes.map(|bytes| bytes.as_ref()).unwrap_or_default();
            }
            if ordinal >= until {
                kept.push(line);
            } else if checked {
                expected = expected
                    .strip_prefix(&*line)
                    .ok_or_else(|| mismatch("a line is not what it was").at_line(ordinal + 1))?;
            }
            ordinal += 1;
            Ok(())
        })?;
        if gone.next().is_some() || until > ordinal {
            return Err(mismatch("a line is missing"));
        }
        Ok(kept)
    }
}

/// The lines of a run, with their ordinals.
pub fn split(lines: &Lines, delimiter: u8) -> Result<Vec<(u64, Bytes)>> {
    let mut found = Vec::new();
    let mut start = 0;
    while start < lines.bytes.len() {
        let record =
            next_record(&lines.bytes, start, delimiter, |_, _, _| {}).map_err(|fault| {
                mismatch("a line is broken").caused_by(fault.into_error(&lines.bytes))
            })?;
        found.push((lines.start + found.len() as u64, lines.bytes.slice(start..record.end)));
        start = record.end;
    }
    if found.len() as u64 == lines.count {
        return Ok(found);
    }
    Err(mismatch(&format!("{} lines are said to be {}", found.len(), lines.count)))
}

fn mismatch(what: &str) -> Error {
    Error::corrupt(format!("a changeset does not fit its table: {what}"))
}

/// The same changeset backwards: what it removed is added, and the other way round.
pub fn inverse(changeset: &Changeset, empty: &Shape) -> Changeset {
    let mut moves: Vec<Move> = changeset
        .moves
        .iter()
        .map(|Move { from, to, count }| Move { from: *to, to: *from, count: *count })
        .collect();
    moves.sort_by_key(|moved| moved.from);
    Changeset {
        before: Some(changeset.after.clone()),
        after: changeset.before.clone().unwrap_or_else(|| empty.clone()),
        schema: changeset
            .schema
            .as_ref()
            .map(|text| SchemaText { before: text.after.clone(), after: text.before.clone() }),
        removed: changeset.added.clone(),
        added: changeset.removed.clone(),
        moves,
        salt: changeset.salt,
    }
}
