//! Edits of single rows, made on a copy of a table that nobody else sees, and what they amount to.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use reedbase_plugin_api::{Bytes, Error, ErrorKind, Lines, Result, Shape, Timestamp};

use super::order::is_plain;
use super::view::Line;
use super::{Base, Key, Place, Table, key_of};
use crate::tree::{Tree, Weight};

/// The timestamp of a frame that may not have one yet: edits are made before the commit draws it.
#[derive(Debug, Clone)]
pub struct Stamp(Arc<AtomicI64>);

impl Stamp {
    /// The timestamp of a frame.
    pub fn new(frame: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(frame.as_micros())))
    }

    /// The timestamp, once it is known.
    pub fn get(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::Relaxed))
    }

    /// Sets it; a commit does that before anybody else sees the lines.
    pub fn set(&self, frame: Timestamp) {
        self.0.store(frame.as_micros(), Ordering::Relaxed);
    }
}

/// A table being edited.
#[derive(Debug, Clone)]
pub struct Edit {
    before: Table,
    after: Table,
    touched: Tree<Place, Touch>,
    stamp: Stamp,
}

/// That a line was touched; a copy of what was touched shares it.
#[derive(Debug, Clone, Copy)]
struct Touch;

impl Weight for Touch {
    fn weight(&self) -> i64 {
        1
    }
}

/// What an edit did to one key.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Touched {
    /// The row before; `None` if there was none.
    pub before: Option<Bytes>,
    /// The row after; `None` if there is none.
    pub after: Option<Bytes>,
}

impl Edit {
    /// Starts from this table.
    pub fn new(table: Table, stamp: Stamp) -> Self {
        Self { after: table.clone(), before: table, touched: Tree::default(), stamp }
    }

    /// The table as the edits so far left it.
    pub fn table(&self) -> &Table {
        &self.after
    }

    /// The table it started from.
    pub fn before(&self) -> &Table {
        &self.before
    }

    /// Whether nothing was edited.
    pub fn is_empty(&self) -> bool {
        self.touched.is_empty()
    }

    /// Adds a row: where its key belongs in a sorted table, else at the end. A row without a line end
    /// gets one.
    ///
    /// # Errors
    /// [`AlreadyExists`](ErrorKind::AlreadyExists) if the key is taken, or those of reading the file.
    pub fn insert(&mut self, row: Bytes) -> Result<()> {
        self.end_header()?;
        let row = self.ended(row);
        let key = self.key(&row)?.into_owned();
        if self.after.find(&key)?.is_some() {
            let shown = key.display(self.after.shape().key().len());
            return Err(Error::new(ErrorKind::AlreadyExists, "the key is taken")
                .help("use set to change the row")
                .at_key(shown));
        }
        let before = self.after.sorted_place(&key)?;
        if before.is_none() {
            self.end_last_line()?;
        }
        let Some(place) = self.after.free_place(before) else {
            self.after_flat()?;
            return self.insert(row);
        };
        self.set(place, Some(row))
    }

    /// Adds a row behind the row with this key, or as the first: behind those, too, that follow it and are not old.
    /// In a sorted table it goes where its key belongs.
    ///
    /// # Errors
    /// Those of [`insert`](Self::insert) and of `is_old`.
    pub fn insert_behind(
        &mut self,
        key: Option<&Key<'_>>,
        is_old: &dyn Fn(&Key<'_>) -> Result<bool>,
        row: Bytes,
    ) -> Result<()> {
        let new = self.key(&row)?.into_owned();
        let anchor = match key {
            Some(key) => self.after.find(key)?.map(|(place, _)| self.after.ordinal(place) + 1),
            None => Some(0),
        };
        let anchor = anchor.filter(|_| self.after.base.order().is_none() || !self.after.sorted);
        let Some(mut ordinal) = anchor else { return self.insert(row) };
        if self.after.find(&new)?.is_some() {
            return self.insert(row);
        }
        while let Some(place) = self.after.place_at(ordinal) {
            let line = self.after.line(place)?.unwrap_or_default();
            match self.after.key_of(&line) {
                Some(next) if !is_old(&next)? => ordinal += 1,
                _ => break,
            }
        }
        self.end_header()?;
        let before = self.after.place_at(ordinal);
        if before.is_none() {
            self.end_last_line()?;
        }
        match self.after.free_place(before) {
            Some(place) => {
                let row = self.ended(row);
                self.set(place, Some(row))
            }
            // No room for a label: at the end, where there always is.
            None => self.insert(row),
        }
    }

    /// Replaces the row with this key. The new row may have another key.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) if there is none, [`AlreadyExists`](ErrorKind::AlreadyExists) if
    /// the new key is taken, or those of reading the file.
    pub fn replace(&mut self, key: &Key<'_>, row: Bytes) -> Result<()> {
        let found = self.after.find(key)?.ok_or_else(|| self.no_such_row(key))?;
        self.replace_at(found, key, row)
    }

    /// Replaces a row that was found by its key.
    fn replace_at(
        &mut self,
        (place, old): (Place, Bytes),
        key: &Key<'_>,
        row: Bytes,
    ) -> Result<()> {
        if self.key(&row)? == *key {
            let row = if self.after.is_last(place) { row } else { self.ended(row) };
            return if old == row { Ok(()) } else { self.set(place, Some(row)) };
        }
        self.remove(key)?;
        self.insert(row)
    }

    /// Removes the row with this key.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) if there is none, or those of reading the file.
    pub fn remove(&mut self, key: &Key<'_>) -> Result<()> {
        let (place, _) = self.after.find(key)?.ok_or_else(|| self.no_such_row(key))?;
        self.set(place, None)
    }

    /// Makes the row with this key what it is given: removes, replaces or inserts.
    ///
    /// # Errors
    /// Those of reading the file.
    pub fn put(&mut self, key: &Key<'_>, row: Option<Bytes>) -> Result<()> {
        match (row, self.after.find(key)?) {
            (Some(row), Some(found)) => self.replace_at(found, key, row),
            (Some(row), None) => self.insert(row),
            (None, Some((place, _))) => self.set(place, None),
            (None, None) => Ok(()),
        }
    }

    /// How many lines were touched.
    pub fn touched_count(&self) -> usize {
        usize::try_from(self.touched.weight()).unwrap_or_default()
    }

    /// What was done to each key, in the order of the table.
    ///
    /// # Errors
    /// Those of reading the file.
    pub fn touched(&self) -> Result<Vec<(Key<'static>, Touched)>> {
        let mut keys = Vec::new();
        let mut seen = BTreeSet::new();
        for (place, _) in self.touched.iter() {
            for line in [self.before.line(*place)?, self.after.line(*place)?].into_iter().flatten()
            {
                let Some(key) = self.after.key_of(&line).map(Key::into_owned) else { continue };
                if seen.insert(key.clone()) {
                    let touched =
                        Touched { before: self.before.get(&key)?, after: self.after.get(&key)? };
                    keys.push((key, touched));
                }
            }
        }
        Ok(keys)
    }

    /// The table after all edits, and the lines that were removed and added.
    ///
    /// # Errors
    /// Those of reading the file.
    pub fn finish(&self) -> Result<(Table, Vec<Lines>, Vec<Lines>)> {
        let (mut removed, mut added) = (Runs::default(), Runs::default());
        for (place, _) in self.touched.iter() {
            let (old, new) = (self.before.line(*place)?, self.after.line(*place)?);
            if old == new {
                continue;
            }
            if let Some(line) = old {
                removed.push(self.before.ordinal(*place), line);
            }
            if let Some(line) = new {
                added.push(self.after.ordinal(*place), line);
            }
        }
        Ok((self.after.clone(), removed.finish(), added.finish()))
    }

    fn set(&mut self, place: Place, bytes: Option<Bytes>) -> Result<()> {
        self.touched.insert(place, Touch);
        self.after.set_line(place, bytes, &self.stamp)
    }

    /// Gives the header of a file without rows a line end, so that a row can follow.
    fn end_header(&mut self) -> Result<()> {
        let shape = self.after.shape();
        if shape.header().ends_with(b"\n") {
            return Ok(());
        }
        let header = Bytes::from([shape.header().as_ref(), b"\n"].concat());
        let shape = Arc::new(Shape::new(shape.delimiter(), header, shape.key().to_vec())?);
        let schema = self.after.schema().cloned();
        let base = Arc::new(Base::empty(shape)?);
        self.after = Table::new(base, self.after.version()).with_schema(schema);
        Ok(())
    }

    /// Gives the last line of a file a line end, so that another can follow.
    fn end_last_line(&mut self) -> Result<()> {
        let line_end = self.after.shape().line_end().as_bytes();
        if self.after.lines() == 0 {
            return Ok(());
        }
        let Some(last) = self.after.place_at(self.after.lines() - 1) else { return Ok(()) };
        match self.after.line(last)? {
            Some(line) if !line.ends_with(b"\n") => {
                self.set(last, Some(with_line_end(line, line_end)))
            }
            _ => Ok(()),
        }
    }

    /// Starts over on flat copies of both tables, when the labels between two lines ran out. Places of
    /// the two then no longer agree, so the edits so far are made again.
    fn after_flat(&mut self) -> Result<()> {
        let touched = self.touched()?;
        *self = Self::new(self.before.flatten()?, self.stamp.clone());
        touched.into_iter().try_for_each(|(key, touched)| self.put(&key, touched.after))
    }

    /// The row with a line end: only the last row of a file may lack one.
    fn ended(&self, row: Bytes) -> Bytes {
        with_line_end(row, self.after.shape().line_end().as_bytes())
    }

    fn key<'a>(&self, row: &'a [u8]) -> Result<Key<'a>> {
        key_of(row, self.after.shape()).ok_or_else(|| Error::invalid("the row has no key"))
    }

    fn no_such_row(&self, key: &Key<'_>) -> Error {
        let shown = key.display(self.after.shape().key().len());
        Error::not_found("there is no row with this key")
            .help("look whether there ever was one: rdb history TABLE KEY")
            .at_key(shown)
    }
}

fn with_line_end(row: Bytes, line_end: &[u8]) -> Bytes {
    if row.ends_with(b"\n") {
        return row;
    }
    Bytes::from([&row, line_end].concat())
}

/// Lines in ascending order, gathered into runs.
#[derive(Debug, Default)]
struct Runs {
    runs: Vec<Lines>,
    /// The lines of the last run.
    last: Vec<Bytes>,
}

impl Runs {
    fn push(&mut self, ordinal: u64, line: Bytes) {
        match self.runs.last_mut() {
            Some(run) if run.start + run.count == ordinal => run.count += 1,
            _ => {
                self.end_run();
                self.runs.push(Lines { start: ordinal, count: 1, bytes: Bytes::new() });
            }
        }
        self.last.push(line);
    }

    /// Puts the lines of the last run together, all at once.
    fn end_run(&mut self) {
        let Some(run) = self.runs.last_mut() else { return };
        run.bytes = match self.last.as_slice() {
            [line] => line.clone(),
            lines => Bytes::from(lines.concat()),
        };
        self.last.clear();
    }

    fn finish(mut self) -> Vec<Lines> {
        self.end_run();
        self.runs
    }
}

impl Table {
    /// Puts a line at a place, or takes the line there away, and keeps all that is known of it. A place
    /// holds one key for ever.
    pub(super) fn set_line(
        &mut self,
        place: Place,
        bytes: Option<Bytes>,
        stamp: &Stamp,
    ) -> Result<()> {
        let old = self.line(place)?;
        let keyed = bytes.as_ref().or(old.as_ref());
        let key = keyed.and_then(|line| self.key_of(line)).map(|key| key.as_bytes().to_vec());
        let elsewhere = match &key {
            Some(key) if !self.keys.is_empty() => self.keys.get(key).copied(),
            _ => None,
        };
        let previous = match (&key, self.lines.get(&place)) {
            (_, Some(line)) => Some(line.clone()),
            (Some(key), None) => self.previous_of(key, elsewhere)?,
            (None, None) => None,
        };
        self.count(old.as_deref(), bytes.as_deref());
        if let Some(key) = key
            && (place.base_slot().is_none() || elsewhere.is_some())
            && bytes.is_some()
        {
            self.plain = self.plain && is_plain(&Key::from_bytes(&key), self.shape().key().len());
            self.keys.insert(key, place);
        }
        self.lines.insert(place, Line::new(place, bytes, stamp.clone(), previous));
        Ok(())
    }

    /// The line that had this key last, at another place.
    fn previous_of(&self, key: &[u8], elsewhere: Option<Place>) -> Result<Option<Line>> {
        if let Some(place) = elsewhere {
            return Ok(self.lines.get(&place).cloned());
        }
        if self.lines.is_empty() {
            return Ok(None);
        }
        let found = self.base.find(&Key::from_bytes(key))?;
        Ok(found.and_then(|(slot, _)| self.lines.get(&Place::base(slot)).cloned()))
    }

    /// Keeps the number of rows and bytes right.
    fn count(&mut self, old: Option<&[u8]>, new: Option<&[u8]>) {
        if let Some(line) = old {
            self.len -= line.len() as u64;
            self.rows -= u64::from(!self.shape().is_blank(line));
        }
        if let Some(line) = new {
            self.len += line.len() as u64;
            self.rows += u64::from(!self.shape().is_blank(line));
        }
    }

    /// A place for a new line directly before the line at `before`, or at the end. `None` if there is no
    /// room for a label.
    pub(super) fn free_place(&self, before: Option<Place>) -> Option<Place> {
        let end = Place::before_slot(self.base.lines());
        let last = match before {
            Some(before) => self.lines.last_where(|place, _| *place < before),
            None => self.lines.last_where(|_, _| true),
        };
        let after =
            last.map(|(place, _, _)| *place).filter(|place| *place > end || before.is_some());
        Place::between(after, before, self.base.lines())
    }

    /// The place of the row before which a new key belongs in a sorted table; `None` is the end.
    fn sorted_place(&self, key: &Key<'_>) -> Result<Option<Place>> {
        let Some(order) = self.base.order().filter(|_| self.sorted) else { return Ok(None) };
        let (mut low, mut high) = (0, self.lines());
        // Most new keys are the largest: look at the end first.
        let mut middle = high.saturating_sub(1);
        while low < high {
            let Some(place) = self.place_at(middle) else { return Ok(None) };
            let line = self.line(place)?.unwrap_or_default();
            match self.key_of(&line).and_then(|other| order.compare(&other, key)) {
                Some(std::cmp::Ordering::Less) => low = middle + 1,
                Some(_) => high = middle,
                // A blank line, or a key that is no number, has no place in the order.
                None => return Ok(None),
            }
            middle = low + (high - low) / 2;
        }
        Ok(self.place_at(low))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Table {
        let len = text.find('\n').map_or(text.len(), |at| at + 1);
        let header = Bytes::copy_from_slice(&text.as_bytes()[..len]);
        let shape = Arc::new(Shape::new(b',', header, vec![0]).unwrap());
        let base = Base::parse(Bytes::copy_from_slice(text.as_bytes()), shape).unwrap();
        Table::new(Arc::new(base), Timestamp::ZERO)
    }

    fn edit(text: &str, edits: impl FnOnce(&mut Edit)) -> (String, Vec<Lines>, Vec<Lines>) {
        let mut edit = Edit::new(table(text), Stamp::new(Timestamp::from_micros(1)));
        edits(&mut edit);
        let (table, removed, added) = edit.finish().unwrap();
        (String::from_utf8(table.to_bytes().unwrap().to_vec()).unwrap(), removed, added)
    }

    fn row(text: &str) -> Bytes {
        Bytes::copy_from_slice(text.as_bytes())
    }

    #[test]
    fn an_update_is_a_line_removed_and_added_at_its_place() {
        let (text, removed, added) = edit("id,x\n1,a\n2,b\n3,c\n", |edit| {
            edit.replace(&Key::from("2"), row("2,B\n")).unwrap();
        });
        assert_eq!(text, "id,x\n1,a\n2,B\n3,c\n");
        assert_eq!(removed, [Lines { start: 1, count: 1, bytes: row("2,b\n") }]);
        assert_eq!(added, [Lines { start: 1, count: 1, bytes: row("2,B\n") }]);
    }

    #[test]
    fn rows_are_added_at_the_end_and_a_missing_line_end_is_made_up_for() {
        let (text, removed, added) = edit("id,x\r\nb,1\r\na,2", |edit| {
            edit.insert(row("c,3")).unwrap();
        });
        assert_eq!(text, "id,x\r\nb,1\r\na,2\r\nc,3\r\n");
        assert_eq!(removed, [Lines { start: 1, count: 1, bytes: row("a,2") }]);
        assert_eq!(added, [Lines { start: 1, count: 2, bytes: row("a,2\r\nc,3\r\n") }]);
    }

    #[test]
    fn a_sorted_table_stays_sorted() {
        let (text, ..) = edit("id,x\n1,a\n5,b\n10,c\n", |edit| {
            for id in ["7", "11", "0", "6", "8", "2"] {
                edit.insert(row(&format!("{id},\n"))).unwrap();
            }
        });
        assert_eq!(text, "id,x\n0,\n1,a\n2,\n5,b\n6,\n7,\n8,\n10,c\n11,\n");
    }

    #[test]
    fn labels_that_run_out_make_no_difference() {
        let mut text = "id,x\n1000,a\n2000,b\n".to_owned();
        let (edited, ..) = edit(&text, |edit| {
            for id in 0..40 {
                let id = if id % 2 == 0 { 1001 + id } else { 1999 - id };
                edit.insert(row(&format!("{id},\n"))).unwrap();
            }
        });
        let mut ids: Vec<u64> =
            (0..40).map(|id| if id % 2 == 0 { 1001 + id } else { 1999 - id }).collect();
        ids.sort_unstable();
        text.truncate("id,x\n1000,a\n".len());
        let rows: String = ids.iter().map(|id| format!("{id},\n")).collect();
        assert_eq!(edited, format!("{text}{rows}2000,b\n"));
    }

    #[test]
    fn keys_can_change_come_back_and_change_place() {
        let (text, removed, added) = edit("id,x\nb,1\na,2\nc,3\n", |edit| {
            edit.remove(&Key::from("b")).unwrap();
            assert!(edit.replace(&Key::from("b"), row("b,9\n")).unwrap_err().is_not_found());
            edit.insert(row("b,4\n")).unwrap();
            edit.replace(&Key::from("a"), row("d,2\n")).unwrap();
            assert_eq!(edit.insert(row("d,0\n")).unwrap_err().kind(), ErrorKind::AlreadyExists);
            edit.remove(&Key::from("b")).unwrap();
            edit.insert(row("b,5\n")).unwrap();
        });
        assert_eq!(text, "id,x\nc,3\nd,2\nb,5\n");
        assert_eq!(removed, [Lines { start: 0, count: 2, bytes: row("b,1\na,2\n") }]);
        assert_eq!(added, [Lines { start: 1, count: 2, bytes: row("d,2\nb,5\n") }]);
    }

    #[test]
    fn the_chain_of_a_key_leads_back_to_the_base() {
        let mut table = table("id,x\nb,1\na,2\n");
        let key = Key::from("b");
        for frame in 1..5 {
            let mut edit = Edit::new(table, Stamp::new(Timestamp::from_micros(frame)));
            let row = row(&format!("b,{frame}\n"));
            if frame == 3 {
                edit.remove(&key).unwrap()
            } else {
                edit.put(&key, Some(row)).unwrap()
            }
            table = edit.finish().unwrap().0;
        }
        let mut frames = Vec::new();
        let mut line = table.chain(&key).unwrap();
        while let Some(link) = line {
            frames.push((link.frame().as_micros(), link.bytes().is_some()));
            line = link.previous().cloned();
        }
        // Frame 1 changed nothing.
        assert_eq!(frames, [(4, true), (3, false), (2, true)]);
    }
}
