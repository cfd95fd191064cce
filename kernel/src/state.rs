//! What a database holds at one instant: its tables, and the frames that are not in the logs yet.
//!
//! A state never changes; a frame makes the next one of it, sharing all but what the frame touched. A
//! table is loaded when it is first needed: until then a state only knows which changes its file lacks.

use std::sync::{Arc, OnceLock};

use reedbase_plugin_api::{Bytes, Changeset, DeltaCodec, Error, Result, TableName, Timestamp};

use crate::delta::{DeltaFile, RowsCodec, VersionInfo, delta_name};
use crate::frame::{Action, Adopted, ChangeBody, FrameInfo, FrameRecord, TableChange};
use crate::history::{Versions, begins_later, empty_table, rebuild};
use crate::mark::{Mark, table_path};
use crate::schema;
use crate::store::{Store, retry};
use crate::table::Table;
use crate::tree::{Tree, Weight};

/// All tables at one instant.
#[derive(Debug, Clone, Default)]
pub struct State {
    newest: Timestamp,
    /// The frame it shows the instant of, if that is not the newest; what came later does not count.
    then: Option<Timestamp>,
    tables: Tree<TableName, TableState>,
    frames: Tree<Timestamp, Arc<FrameInfo>>,
}

/// One table at one instant.
#[derive(Debug, Clone)]
pub struct TableState {
    name: TableName,
    version: Timestamp,
    /// The changes that its file may lack, by frame.
    pending: Tree<Timestamp, Arc<Pending>>,
    /// How many bytes they take in the journal.
    pending_bytes: u64,
    /// The bytes and the rows of the table, where that is known without loading it.
    totals: Option<(u64, u64)>,
    /// The text of schema.toml as the mark says it.
    schema: Option<Bytes>,
    /// Whether it was dropped, where that is known without loading it.
    dropped: bool,
    /// What the files say of later versions does not count.
    until: Timestamp,
    /// The table at `version`, once it is loaded.
    loaded: Arc<OnceLock<Table>>,
}

/// A change that is in the journal.
#[derive(Debug)]
#[non_exhaustive]
pub struct Pending {
    /// The frame.
    pub info: Arc<FrameInfo>,
    /// What it did to the table.
    pub change: TableChange,
}

impl Weight for TableState {
    fn weight(&self) -> i64 {
        1
    }
}

impl Weight for Arc<FrameInfo> {
    fn weight(&self) -> i64 {
        1
    }
}

impl Weight for Arc<Pending> {
    fn weight(&self) -> i64 {
        1
    }
}

impl State {
    /// The tables that are on disk, as their marks say.
    pub fn new(tables: impl IntoIterator<Item = (TableName, Mark)>) -> Self {
        let mut state = Self::default();
        for (name, mark) in tables {
            let mut table = TableState::new(name.clone(), mark.version);
            table.totals = mark.rows.map(|rows| (mark.size, rows));
            table.dropped = mark.schema.as_ref().is_some_and(|text| schema::is_dropped(text));
            table.schema = mark.schema;
            state.tables.insert(name, table);
        }
        state
    }

    /// The newest frame.
    pub fn newest(&self) -> Timestamp {
        self.newest
    }

    /// What files say of later frames does not count.
    pub fn until(&self) -> Timestamp {
        self.then.unwrap_or(self.newest)
    }

    /// The same tables, after a frame that touched none of them.
    #[must_use]
    pub fn at(mut self, newest: Timestamp) -> Self {
        self.newest = self.newest.max(newest);
        self
    }

    /// The tables, by name.
    pub fn tables(&self) -> impl Iterator<Item = &TableState> {
        self.tables.iter().map(|(_, table)| table)
    }

    /// The table of this name.
    pub fn table(&self, name: &TableName) -> Option<&TableState> {
        self.tables.get(name)
    }

    /// The frames that are not in the index yet, oldest first.
    pub fn frames(&self) -> impl Iterator<Item = &Arc<FrameInfo>> {
        self.frames.iter().map(|(_, frame)| frame)
    }

    /// Whether no table has a change that is only in the journal.
    pub fn is_settled(&self) -> bool {
        self.tables().all(|table| table.pending.is_empty())
    }

    /// The state after a frame. `made` holds the tables that the frame's maker has at hand.
    ///
    /// # Errors
    /// [`Corrupt`](reedbase_plugin_api::ErrorKind::Corrupt) if the frame does not fit.
    pub fn advance(
        &self,
        frame: &FrameRecord,
        made: &[(TableName, Table)],
        store: &Store,
    ) -> Result<Self> {
        let mut next = self.clone();
        let info = &frame.info;
        for change in &frame.changes {
            let old = self.table(&change.table);
            let made = made.iter().find(|(name, _)| *name == change.table).map(|(_, table)| table);
            let table = advance_table(old, made, change, info, store)
                .map_err(|error| error.at_table(change.table.as_str()).at_frame(info.timestamp))?;
            next.tables.insert(change.table.clone(), table);
        }
        next.newest = info.timestamp;
        next.frames.insert(info.timestamp, Arc::clone(info));
        Ok(next)
    }

    /// The state after an older frame. Cost: a look at the versions of each table that changed since; tables are rebuilt
    /// when they are first read.
    ///
    /// # Errors
    /// Damage of a log.
    pub fn as_of(&self, at: Timestamp, store: &Store) -> Result<Self> {
        let newest = at.min(self.newest);
        let mut then = Self { newest, then: Some(newest), ..Self::default() };
        for table in self.tables() {
            if let Some(table) = table.as_of(at, store)? {
                then.tables.insert(table.name.clone(), table);
            }
        }
        for (timestamp, frame) in self.frames.iter().filter(|(frame, _)| **frame <= at) {
            then.frames.insert(*timestamp, Arc::clone(frame));
        }
        Ok(then)
    }

    /// The state after a checkpoint put a table on disk: `base` is what its file holds now, and what came
    /// later is applied to that.
    ///
    /// # Errors
    /// [`Corrupt`](reedbase_plugin_api::ErrorKind::Corrupt) if a change does not fit.
    pub fn settle(&self, name: &TableName, base: &Table, store: &Store) -> Result<Self> {
        let mut next = self.clone();
        if let Some(table) = self.table(name) {
            next.tables.insert(name.clone(), table.settle(base, store)?);
        }
        Ok(next)
    }

    /// The state after a checkpoint put frames into the index.
    #[must_use]
    pub fn without_frames(&self, until: Timestamp) -> Self {
        let mut next = self.clone();
        next.frames = Tree::default();
        for (timestamp, frame) in self.frames.iter().filter(|(at, _)| **at > until) {
            next.frames.insert(*timestamp, Arc::clone(frame));
        }
        next
    }
}

fn advance_table(
    old: Option<&TableState>,
    made: Option<&Table>,
    change: &TableChange,
    info: &Arc<FrameInfo>,
    store: &Store,
) -> Result<TableState> {
    let mut next = match old {
        Some(old) => old.clone(),
        None => TableState::new(change.table.clone(), Timestamp::ZERO),
    };
    if info.timestamp <= next.version {
        // The file holds this change already.
        return Ok(next);
    }
    if change.base != next.version {
        return Err(Error::corrupt("a frame of the table is missing"));
    }
    let loaded = match (made, next.loaded.get()) {
        (Some(made), _) => Some(made.clone()),
        (None, Some(table)) => {
            Some(table.apply(&read_change(change, info.timestamp, store)?, info.timestamp)?)
        }
        (None, None) => None,
    };
    let pending = Arc::new(Pending { info: Arc::clone(info), change: change.clone() });
    next.pending_bytes += pending.change.bytes();
    next.pending.insert(info.timestamp, pending);
    next.version = info.timestamp;
    next.dropped = change.action == Action::DROP;
    next.totals = Some((change.size, change.rows));
    next.loaded = Arc::new(loaded.map_or_else(OnceLock::new, OnceLock::from));
    Ok(next)
}

impl TableState {
    fn new(name: TableName, version: Timestamp) -> Self {
        let (pending, loaded) = (Tree::default(), Arc::default());
        let until = Timestamp::MAX;
        let (totals, schema) = (None, None);
        let dropped = false;
        Self { name, version, pending, pending_bytes: 0, totals, schema, dropped, until, loaded }
    }

    /// The name.
    pub fn name(&self) -> &TableName {
        &self.name
    }

    /// The frame that touched it last.
    pub fn version(&self) -> Timestamp {
        self.version
    }

    /// What the files say of later versions does not count: they are those of frames that this table does not show.
    pub fn until(&self) -> Timestamp {
        self.until.min(self.version)
    }

    /// The changes that are only in the journal, oldest first.
    pub fn pending(&self) -> impl Iterator<Item = &Arc<Pending>> {
        self.pending.iter().map(|(_, pending)| pending)
    }

    /// How many changes are only in the journal.
    pub fn pending_len(&self) -> u64 {
        self.pending.weight().unsigned_abs()
    }

    /// How many bytes these take in the journal.
    pub fn pending_bytes(&self) -> u64 {
        self.pending_bytes
    }

    /// The outside edits that these took in.
    pub fn adopted(&self) -> impl Iterator<Item = &Adopted> {
        self.pending().filter_map(|pending| pending.change.adopted.as_ref())
    }

    /// The bytes and the rows of the table. Loads it only where a mark of format 1 does not tell.
    ///
    /// # Errors
    /// Those of [`table`](Self::table).
    pub fn totals(&self, store: &Store) -> Result<(u64, u64)> {
        match self.totals {
            Some(totals) => Ok(totals),
            None => self.table(store).map(|table| (table.file_len(), table.rows())),
        }
    }

    /// The text of its schema.toml; where it is not loaded, that of its file.
    pub fn schema_text(&self) -> Option<&Bytes> {
        self.loaded.get().map_or(self.schema.as_ref(), Table::schema)
    }

    /// Whether it was dropped: it has no rows and is not seen, but it has a past.
    pub fn is_dropped(&self) -> bool {
        match self.loaded.get() {
            Some(table) => {
                table.rows() == 0 && table.schema().is_some_and(|text| schema::is_dropped(text))
            }
            None => self.dropped,
        }
    }

    /// The table, if it is loaded.
    pub fn loaded(&self) -> Option<&Table> {
        self.loaded.get()
    }

    /// The table, loaded if need be. Must not be called by a holder of the database's lock unless it is
    /// loaded already.
    ///
    /// # Errors
    /// Damage, or those of the storage.
    pub fn table(&self, store: &Store) -> Result<&Table> {
        if let Some(table) = self.loaded.get() {
            return Ok(table);
        }
        let table =
            retry(|| self.load(store)).map_err(|error| error.at_table(self.name.as_str()))?;
        Ok(self.loaded.get_or_init(|| table))
    }

    /// The table after an older frame; `None` if it did not exist yet.
    fn as_of(&self, at: Timestamp, store: &Store) -> Result<Option<Self>> {
        if self.version <= at {
            return Ok(Some(Self { until: self.until.min(at), ..self.clone() }));
        }
        let mut then = Self::new(self.name.clone(), Timestamp::ZERO);
        then.until = self.until.min(at);
        let versions = self.versions(store)?;
        let logged = versions.list().iter().take_while(|version| version.timestamp <= then.until);
        if let Some(version) = logged.last() {
            then.version = version.timestamp;
            then.totals = Some((version.size, version.rows));
            then.dropped = version.action == Action::DROP;
        } else if let Some(start) = versions.start() {
            return Err(begins_later(start).at_table(self.name.as_str()));
        }
        for (timestamp, pending) in self.pending.iter().filter(|(frame, _)| **frame <= at) {
            then.pending_bytes += pending.change.bytes();
            then.version = then.version.max(*timestamp);
            then.dropped = pending.change.action == Action::DROP;
            then.totals = Some((pending.change.size, pending.change.rows));
            then.pending.insert(*timestamp, Arc::clone(pending));
        }
        Ok((then.version > Timestamp::ZERO).then_some(then))
    }

    fn load(&self, store: &Store) -> Result<Table> {
        let mut table = store.open(&self.name)?.map(|stored| stored.table);
        if table.as_ref().is_some_and(|table| table.version() > self.until()) {
            // The file holds a later version, of another process or of a later frame: go back from there.
            table = self.rewind(table.as_ref(), store)?;
        }
        let at = table.as_ref().map_or(Timestamp::ZERO, Table::version);
        for pending in self.pending().filter(|pending| pending.info.timestamp > at) {
            let timestamp = pending.info.timestamp;
            let changeset = read_change(&pending.change, timestamp, store)?;
            let before = match table {
                Some(table) => table,
                None => empty_table(&changeset)?,
            };
            table = Some(before.apply(&changeset, timestamp)?);
        }
        match table {
            Some(table) if table.version() == self.version => Ok(table),
            _ => Err(lost()),
        }
    }

    /// The versions on disk: all that the journal does not hold must be there.
    ///
    /// # Errors
    /// [`Corrupt`](reedbase_plugin_api::ErrorKind::Corrupt) with the log or the pack.
    pub fn versions(&self, store: &Store) -> Result<Arc<Versions>> {
        let versions = store.versions(&self.name)?;
        let needed = self.pending().next().map_or(self.version, |oldest| oldest.change.base);
        if versions.newest() < needed {
            let path = store.storage().full_path(&table_path(&self.name, "version.log"));
            return Err(Error::corrupt("the log lacks the newest version")
                .at_path(path)
                .at_frame(needed)
                .help(
                    "make it anew of what is left: rdb repair; or restore the file from a backup",
                ));
        }
        Ok(versions)
    }

    /// The newest version in the log that counts, made of the one on disk; `None` if there is none.
    fn rewind(&self, table: Option<&Table>, store: &Store) -> Result<Option<Table>> {
        let versions = self.versions(store)?;
        let version = self.newest_logged(&versions).map(|version| version.timestamp);
        version.map(|version| Ok(rebuild(&versions, version, table)?.rewound())).transpose()
    }

    /// The newest version in the log that counts.
    fn newest_logged<'v>(&self, versions: &'v Versions) -> Option<&'v VersionInfo> {
        let until = self.until();
        versions.list().iter().take_while(|version| version.timestamp <= until).last()
    }

    fn settle(&self, base: &Table, store: &Store) -> Result<Self> {
        let mut next = self.clone();
        if base.version() > self.version {
            // Readers that are behind keep what they have.
            return Ok(next);
        }
        (next.pending, next.pending_bytes) = (Tree::default(), 0);
        let mut table = base.clone();
        for pending in self.pending().filter(|pending| pending.info.timestamp > base.version()) {
            let timestamp = pending.info.timestamp;
            table = table.apply(&read_change(&pending.change, timestamp, store)?, timestamp)?;
            next.pending_bytes += pending.change.bytes();
            next.pending.insert(timestamp, Arc::clone(pending));
        }
        next.loaded = Arc::new(OnceLock::from(table));
        Ok(next)
    }
}

fn lost() -> Error {
    Error::corrupt("the journal lacks a version of the table")
}

/// What a frame did to a table, from the journal or from its delta file.
///
/// # Errors
/// Damage.
pub fn read_change(change: &TableChange, frame: Timestamp, store: &Store) -> Result<Changeset> {
    let (len, sha256) = match &change.body {
        ChangeBody::Inline(bytes) => {
            let changesets = RowsCodec.decode(bytes)?;
            return <[Changeset; 1]>::try_from(changesets)
                .map(|[changeset]| changeset)
                .map_err(|_| Error::corrupt("a frame does not hold exactly one changeset"));
        }
        ChangeBody::File { len, sha256, .. } => (*len, sha256),
    };
    let path = table_path(&change.table, &delta_name(frame));
    let full = store.storage().full_path(&path);
    let damaged = |what: &str| {
        Error::corrupt(format!("the delta that the journal names {what}"))
            .at_path(&full)
            .help("restore the file from a backup")
    };
    let bytes = store.storage().read(&path)?.ok_or_else(|| damaged("is missing"))?;
    if bytes.len() as u64 != len || sha256_of(&bytes) != *sha256 {
        return Err(damaged("is not what it was"));
    }
    let delta = DeltaFile::decode(&bytes, store.codecs()).map_err(|error| error.at_path(&full))?;
    Ok(delta.changeset)
}

fn sha256_of(bytes: &[u8]) -> [u8; 32] {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes).into()
}
