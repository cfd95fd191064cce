//! What a reader sees of a table: the base, and over it the lines that frames touched since.

use std::fmt;
use std::sync::Arc;

use reedbase_plugin_api::{Bytes, Error, Result, Shape, Timestamp};

use super::{Base, Key, KeyOrder, Place, Stamp, key_of};
use crate::tree::{Tree, Weight};

/// A table at one instant. Cloning costs a few pointers; a clone never changes.
#[derive(Clone)]
pub struct Table {
    pub(super) base: Arc<Base>,
    pub(super) lines: Tree<Place, Line>,
    /// Where the rows are that do not stand in the base under their key.
    pub(super) keys: Tree<Vec<u8>, Place>,
    pub(super) rows: u64,
    pub(super) len: u64,
    pub(super) version: Timestamp,
    /// The version that the base holds; `None` if the lines do not tell what became of it since.
    pub(super) base_version: Option<Timestamp>,
    /// Whether the rows still stand in the order of the base.
    pub(super) sorted: bool,
    /// Whether no key may be a number in another spelling.
    pub(super) plain: bool,
    /// The text of its schema.toml, where that is known.
    pub(super) schema: Option<Bytes>,
}

/// A line that a frame touched, linked to what its key was before.
#[derive(Clone)]
pub struct Line(Arc<LineState>);

struct LineState {
    /// `None`: the line was removed.
    bytes: Option<Bytes>,
    frame: Stamp,
    previous: Option<Line>,
    weight: i64,
}

impl Line {
    pub(super) fn new(
        place: Place,
        bytes: Option<Bytes>,
        frame: Stamp,
        previous: Option<Self>,
    ) -> Self {
        // A line of the base counts already: removing it takes one away. An added one counts while it is
        // there.
        let weight = i64::from(bytes.is_some()) - i64::from(place.base_slot().is_some());
        Self(Arc::new(LineState { bytes, frame, previous, weight }))
    }

    /// Whether both are the very same.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The bytes; `None` if the frame removed it.
    pub fn bytes(&self) -> Option<&Bytes> {
        self.0.bytes.as_ref()
    }

    /// The frame that left it like this.
    pub fn frame(&self) -> Timestamp {
        self.0.frame.get()
    }

    /// What an earlier frame had left under the same key; `None` if that was the base.
    pub fn previous(&self) -> Option<&Self> {
        self.0.previous.as_ref()
    }
}

impl Drop for LineState {
    /// Takes the chain apart link by link: dropping it in one go would recurse as deep as it is long.
    fn drop(&mut self) {
        let mut next = self.previous.take();
        while let Some(line) = next {
            next = Arc::into_inner(line.0).and_then(|mut state| state.previous.take());
        }
    }
}

impl Weight for Line {
    fn weight(&self) -> i64 {
        self.0.weight
    }
}

impl Weight for Place {
    fn weight(&self) -> i64 {
        0
    }
}

impl Table {
    /// The table that a base holds, at this version.
    pub fn new(base: Arc<Base>, version: Timestamp) -> Self {
        Self {
            rows: base.rows(),
            len: base.file_len(),
            sorted: base.order().is_some(),
            plain: base.has_plain_keys(),
            lines: Tree::default(),
            keys: Tree::default(),
            version,
            base_version: Some(version),
            schema: None,
            base,
        }
    }

    /// The same table with this text of schema.toml.
    #[must_use]
    pub fn with_schema(mut self, schema: Option<Bytes>) -> Self {
        self.schema = schema;
        self
    }

    /// The text of its schema.toml; `None` if only format 1 wrote it down.
    pub fn schema(&self) -> Option<&Bytes> {
        self.schema.as_ref()
    }

    /// How its lines are cut into cells.
    pub fn shape(&self) -> &Arc<Shape> {
        self.base.shape()
    }

    /// The frame that touched it last.
    pub fn version(&self) -> Timestamp {
        self.version
    }

    /// The version that chains reach back to: that of the base, or the table's own if it was made by going back.
    pub fn base_version(&self) -> Timestamp {
        self.base_version.unwrap_or(self.version)
    }

    /// The row as it was at [`base_version`](Self::base_version).
    ///
    /// # Errors
    /// Those of reading the file.
    pub fn at_base(&self, key: &Key<'_>) -> Result<Option<Bytes>> {
        match self.base_version {
            Some(_) => Ok(self.base.find(key)?.map(|(_, row)| row)),
            None => self.get(key),
        }
    }

    /// The same table, which was made by undoing what later frames did: its lines do not tell what earlier ones did.
    #[must_use]
    pub fn rewound(mut self) -> Self {
        self.base_version = None;
        self
    }

    /// The same content at another version.
    #[must_use]
    pub fn at_version(mut self, version: Timestamp) -> Self {
        if self.lines.is_empty() {
            self.base_version = Some(version);
        }
        self.version = version;
        self
    }

    /// How many rows there are.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// How long the file is, in bytes.
    pub fn file_len(&self) -> u64 {
        self.len
    }

    /// How many lines there are, blank ones included.
    pub fn lines(&self) -> u64 {
        u64::from(self.base.lines()).saturating_add_signed(self.lines.weight())
    }

    /// Whether no key may be a number in another spelling, so that a number finds its row by its text. It may say no
    /// after such a key is gone.
    pub fn has_plain_keys(&self) -> bool {
        self.plain
    }

    /// How the rows are sorted by their keys, if they are.
    pub fn order(&self) -> Option<KeyOrder> {
        self.base.order().filter(|_| self.sorted)
    }

    /// Whether no frame touched it since its base.
    pub fn is_base(&self) -> bool {
        self.lines.is_empty()
    }

    /// The base.
    pub fn base(&self) -> &Arc<Base> {
        &self.base
    }

    /// The row with this key. Cost: one probe of the index, whatever the size of the table.
    ///
    /// # Errors
    /// Those of reading the file.
    pub fn get(&self, key: &Key<'_>) -> Result<Option<Bytes>> {
        Ok(self.find(key)?.map(|(_, bytes)| bytes))
    }

    /// The rows with these keys, in their order, each with its ordinal; what is not there is left out. Cost: less than a
    /// [`find_row`](Self::find_row) for each.
    ///
    /// # Errors
    /// Those of reading the file.
    pub fn find_rows(&self, keys: &[Key<'_>], visit: &mut dyn FnMut(u64, Bytes)) -> Result<()> {
        if let [key] = keys {
            if let Some((ordinal, row)) = self.find_row(key)? {
                visit(ordinal, row);
            }
            return Ok(());
        }
        for (key, found) in keys.iter().zip(self.base.find_all(keys)?) {
            if let Some((place, row)) = self.over_base(key, found) {
                visit(self.ordinal(place), row);
            }
        }
        Ok(())
    }

    /// The row with this key, and where it stands.
    pub(super) fn find(&self, key: &Key<'_>) -> Result<Option<(Place, Bytes)>> {
        if let Some(place) = self.added_place(key) {
            return Ok(self.added_line(place));
        }
        Ok(self.base.find(key)?.and_then(|found| self.edited(found)))
    }

    /// The row of a key of which the base has this.
    fn over_base(&self, key: &Key<'_>, of_base: Option<(u32, Bytes)>) -> Option<(Place, Bytes)> {
        match self.added_place(key) {
            Some(place) => self.added_line(place),
            None => of_base.and_then(|found| self.edited(found)),
        }
    }

    /// Where the row of a key stands that was added since the base.
    fn added_place(&self, key: &Key<'_>) -> Option<Place> {
        if self.keys.is_empty() { None } else { self.keys.get(&key.as_bytes().to_vec()).copied() }
    }

    fn added_line(&self, place: Place) -> Option<(Place, Bytes)> {
        let line = self.lines.get(&place).and_then(Line::bytes);
        line.map(|bytes| (place, bytes.clone()))
    }

    /// What became of a line of the base.
    fn edited(&self, (slot, bytes): (u32, Bytes)) -> Option<(Place, Bytes)> {
        let place = Place::base(slot);
        match self.lines.get(&place) {
            Some(line) => line.bytes().map(|bytes| (place, bytes.clone())),
            None => Some((place, bytes)),
        }
    }

    /// The newest link of the chain of a key: what frames since the base left under it.
    ///
    /// # Errors
    /// Those of reading the file.
    pub fn chain(&self, key: &Key<'_>) -> Result<Option<Line>> {
        if self.lines.is_empty() || self.base_version.is_none() {
            return Ok(None);
        }
        if let Some(place) = self.keys.get(&key.as_bytes().to_vec()) {
            return Ok(self.lines.get(place).cloned());
        }
        let Some((slot, _)) = self.base.find(key)? else { return Ok(None) };
        Ok(self.lines.get(&Place::base(slot)).cloned())
    }

    /// When a row was written last, as far as the lines tell: not later than this.
    ///
    /// # Errors
    /// Those of reading the file.
    pub fn written_at(&self, key: &Key<'_>) -> Result<Timestamp> {
        Ok(self.chain(key)?.map_or(self.base_version(), |line| line.frame()))
    }

    /// The bytes of the line at a place, if it is there.
    pub(super) fn line(&self, place: Place) -> Result<Option<Bytes>> {
        match (self.lines.get(&place), place.base_slot()) {
            (Some(line), _) => Ok(line.bytes().cloned()),
            (None, Some(slot)) => self.base.line(slot).map(Some),
            (None, None) => Ok(None),
        }
    }

    /// The row with this ordinal; `None` for a blank line, and beyond the last.
    ///
    /// # Errors
    /// Those of reading the file.
    pub fn row(&self, ordinal: u64) -> Result<Option<Bytes>> {
        let Some(place) = self.place_at(ordinal) else { return Ok(None) };
        Ok(self.line(place)?.filter(|line| !self.shape().is_blank(line)))
    }

    /// The row with this key, and its ordinal.
    ///
    /// # Errors
    /// Those of reading the file.
    pub fn find_row(&self, key: &Key<'_>) -> Result<Option<(u64, Bytes)>> {
        Ok(self.find(key)?.map(|(place, bytes)| (self.ordinal(place), bytes)))
    }

    /// Whether no line stands behind a place.
    pub(super) fn is_last(&self, place: Place) -> bool {
        self.lines().checked_sub(1).is_none_or(|last| self.place_at(last) == Some(place))
    }

    /// How many lines stand before a place.
    pub(super) fn ordinal(&self, place: Place) -> u64 {
        u64::from(place.slot()).saturating_add_signed(self.lines.weight_before(&place))
    }

    /// The place of the line with this ordinal.
    pub(super) fn place_at(&self, ordinal: u64) -> Option<Place> {
        if ordinal >= self.lines() {
            return None;
        }
        let before =
            |place: &Place, weight: i64| u64::from(place.slot()).saturating_add_signed(weight);
        let last = self.lines.last_where(|place, weight| before(place, weight) <= ordinal);
        let Some((place, line, weight)) = last else {
            return Some(Place::base(u32::try_from(ordinal).ok()?));
        };
        // All lines between this one and the wanted one are untouched lines of the base.
        let steps = ordinal - before(place, weight);
        let here = u64::from(line.bytes().is_some());
        if steps == 0 && here == 1 {
            return Some(*place);
        }
        let next = u64::from(place.slot()) + u64::from(place.base_slot().is_some());
        Some(Place::base(u32::try_from(next + steps - here).ok()?))
    }

    /// Calls `visit` with every line, in order; runs of untouched lines of the base come as one piece if
    /// `pieces` is set.
    fn walk(&self, pieces: bool, mut visit: impl FnMut(Bytes) -> Result<()>) -> Result<()> {
        let mut slot = 0;
        let base = |from: u32, to: u32, visit: &mut dyn FnMut(Bytes) -> Result<()>| {
            if pieces {
                // Pieces of a few blocks: the file is read in order and nothing large is copied.
                return (from..to).step_by(PIECE).try_for_each(|start| {
                    let end = to.min(start.saturating_add(PIECE as u32));
                    visit(self.base.slice(start, end)?)
                });
            }
            (from..to).try_for_each(|slot| visit(self.base.line(slot)?))
        };
        for (place, line) in self.lines.iter() {
            base(slot, place.slot(), &mut visit)?;
            slot = place.slot() + u32::from(place.base_slot().is_some());
            if let Some(bytes) = line.bytes() {
                visit(bytes.clone())?;
            }
        }
        base(slot, self.base.lines(), &mut visit)
    }

    /// Calls `visit` with every line in order, blank ones included.
    ///
    /// # Errors
    /// Those of reading the file and of `visit`.
    pub fn for_each_line(&self, visit: impl FnMut(Bytes) -> Result<()>) -> Result<()> {
        self.walk(false, visit)
    }

    /// Calls `visit` with every row in order.
    ///
    /// # Errors
    /// Those of reading the file and of `visit`.
    pub fn for_each_row(&self, mut visit: impl FnMut(Bytes) -> Result<()>) -> Result<()> {
        let shape = self.shape();
        self.walk(false, |line| if shape.is_blank(&line) { Ok(()) } else { visit(line) })
    }

    /// Calls `visit` with the bytes of the file, piece by piece.
    ///
    /// # Errors
    /// Those of reading the file and of `visit`.
    pub fn for_each_piece(&self, mut visit: impl FnMut(Bytes) -> Result<()>) -> Result<()> {
        visit(self.shape().header().clone())?;
        self.walk(true, visit)
    }

    /// The rows in order, one at a time.
    pub fn rows_iter(&self) -> Rows {
        Rows { table: self.clone(), next: 0 }
    }

    /// The bytes of the whole file.
    ///
    /// # Errors
    /// Those of reading the file.
    pub fn to_bytes(&self) -> Result<Bytes> {
        if let Some(text) = self.base.text().filter(|_| self.is_base()) {
            return Ok(text.clone());
        }
        let mut file = Vec::with_capacity(usize::try_from(self.len).unwrap_or_default());
        self.for_each_piece(|piece| {
            file.extend_from_slice(&piece);
            Ok(())
        })?;
        Ok(Bytes::from(file))
    }

    /// The same table as a base of its own, parsed afresh.
    ///
    /// # Errors
    /// Those of reading the file.
    pub fn flatten(&self) -> Result<Self> {
        if self.is_base() {
            return Ok(self.clone());
        }
        let base = Base::parse(self.to_bytes()?, Arc::clone(self.shape()))
            .map_err(|error| Error::internal("a table does not parse any more").caused_by(error))?;
        Ok(Self::new(Arc::new(base), self.version).with_schema(self.schema.clone()))
    }

    /// The key of a line; `None` for a blank line.
    pub(super) fn key_of<'a>(&self, line: &'a [u8]) -> Option<Key<'a>> {
        if self.shape().is_blank(line) { None } else { key_of(line, self.shape()) }
    }
}

/// How many lines of the base are handed on as one piece.
const PIECE: usize = if cfg!(test) { 3 } else { 4096 };

/// The rows of a table, in order.
#[derive(Debug, Clone)]
pub struct Rows {
    table: Table,
    next: u64,
}

impl Iterator for Rows {
    type Item = Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let place = self.table.place_at(self.next)?;
            self.next += 1;
            match self.table.line(place).transpose()? {
                Ok(line) if self.table.shape().is_blank(&line) => {}
                line => return Some(line),
            }
        }
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("version", &self.version).field("rows", &self.rows).finish()
    }
}
