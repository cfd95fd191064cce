//! A commit, from start to end.
//!
//! ```text
//! lock → read on to the journal's end → fit the edits to the newest state → append → unlock → sync → show
//! ```
//!
//! The lock is held while the edits are fitted and appended, not while they are synced: other writers
//! append behind, and one sync serves them all. Merging whole tables takes longer: that is done before, and again if
//! somebody commits meanwhile.

use std::collections::BTreeSet;
use std::sync::Arc;

use reedbase_plugin_api::{Bytes, Changeset, DeltaCodec, Error, Result, TableName, Timestamp};

use super::checkpoint;
use super::fit::{fit, is_slow};
use super::fitted::{Fit, Fitted, RowName};
use super::inner::{Head, Inner};
use super::open_frame::OpenFrame;
use super::parked;
use super::table_file::TableFile;
use super::transaction::{OnConflict, Transaction};
use crate::clock::next_timestamp;
use crate::delta::{DeltaFile, RowsCodec, WrittenDelta, delta_name};
use crate::frame::{ChangeBody, FrameInfo, FrameRecord, TableChange};
use crate::mark::table_path;
use crate::merge::{Conflict, Conflicts};
use crate::state::State;
use crate::table::Table;

/// What a commit did.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Commit {
    /// The frame; `None` if there was nothing to commit.
    pub frame: Option<Arc<FrameInfo>>,
    /// The open frame that it is a step of: nothing is visible to others yet.
    pub open_frame: Option<Arc<FrameInfo>>,
    /// The tables it touched whose files were edited outside: those edits wait to be adopted or discarded.
    pub edited_outside: Vec<TableName>,
    /// The rows that others had changed meanwhile, and that hold what both wrote.
    pub merged: Vec<RowName>,
    /// What conflicts with what others committed, and waits in `reed_conflicts`.
    pub parked: Vec<Conflict>,
    /// Conflicts for which somebody wrote a pick into their table that does not count any more.
    pub stale_picks: Vec<String>,
}

impl Commit {
    /// That of nothing.
    const NONE: Self = Self {
        frame: None,
        open_frame: None,
        edited_outside: Vec::new(),
        merged: Vec::new(),
        parked: Vec::new(),
        stale_picks: Vec::new(),
    };
}

impl Transaction {
    /// Makes the changes durable and visible, all of them or, if it fails, none. What others committed since it began
    /// is merged, cell by cell.
    ///
    /// # Errors
    /// [`Conflict`](reedbase_plugin_api::ErrorKind::Conflict) if another writer changed the same cells in another way: it carries them
    /// ([`Conflicts::of`]); [`OutcomeUnknown`](reedbase_plugin_api::ErrorKind::OutcomeUnknown) if the disk failed at the last moment, or those of
    /// the storage.
    pub fn commit(self) -> Result<Commit> {
        commit(self)
    }

    /// The same, but what conflicts is parked, and the rest is committed.
    ///
    /// # Errors
    /// Those of [`commit`](Self::commit), conflicts left out.
    pub fn commit_parking(self) -> Result<Commit> {
        commit(self.on_conflict(OnConflict::Park))
    }
}

fn commit(mut transaction: Transaction) -> Result<Commit> {
    transaction.settle()?;
    if transaction.is_empty() {
        return Ok(Commit::NONE);
    }
    let inner = Arc::clone(&transaction.inner);
    check_words(&transaction)?;
    inner.check_writable()?;
    if let Some(frame) = transaction.frame.take() {
        return commit_step(transaction, &frame);
    }
    let mut needed = needed(&transaction)?;
    let mut attempt = 0;
    let (position, info, outcome) = loop {
        let ahead = Ahead::fit(&transaction, &inner, attempt)?;
        attempt += 1;
        let mut head = inner.head();
        load(&head, &needed, &inner)?;
        let _lock = inner.lock()?;
        inner.read_on(&mut head)?;
        // Somebody may have committed meanwhile: then it is fitted again, and under the lock if that goes on for long.
        let fit = match ahead {
            _ if !is_loaded(&head, &needed) => continue,
            Some(ahead) if ahead.fits(&head.state) => ahead.fit,
            _ if attempt < ATTEMPTS && is_slow(&transaction, &head.state) => continue,
            _ => fit(&transaction, &head.state, &inner)?,
        };
        if !fit.missing.is_empty() {
            needed.extend(fit.missing);
            continue;
        }
        head.journal.prepare()?;
        let wall = inner.clock.now();
        let timestamp = next_timestamp(head.journal.newest(), wall);
        let (tables, outcome) = settle(fit, &transaction, &head.state, timestamp, &inner)?;
        if tables.is_empty() {
            return Ok(Commit { merged: outcome.merged, ..Commit::NONE });
        }
        transaction.stamp.set(timestamp);
        let (frame, made) = make_frame(&transaction, tables, (timestamp, wall), &head, &inner)?;
        let state = Arc::new(head.state.advance(&frame, &made, &inner.store)?);
        let position = head.journal.append(&frame, inner.flush.synced())?;
        head.state = state;
        inner.note(&head);
        break (position, frame.info, outcome);
    };
    inner.make_durable(position)?;
    let touched: Vec<TableName> = info.tables.iter().map(|(name, _)| name.clone()).collect();
    checkpoint::if_due(&inner, &touched)?;
    let edited_outside = edited(&touched, &inner)?;
    Ok(Commit { frame: Some(info), edited_outside, ..outcome })
}

/// How often a transaction is fitted without the lock.
const ATTEMPTS: usize = 3;

/// What takes long is fitted before the lock is taken.
struct Ahead {
    fit: Fit,
    /// The versions it was fitted to.
    versions: Vec<(TableName, Timestamp)>,
}

impl Ahead {
    fn fit(transaction: &Transaction, inner: &Inner, attempt: usize) -> Result<Option<Self>> {
        if attempt > 0 {
            inner.refresh()?;
        }
        let state = inner.flush.visible();
        if attempt >= ATTEMPTS || !is_slow(transaction, &state) {
            return Ok(None);
        }
        let versions = state.tables().map(|table| (table.name().clone(), table.version()));
        let versions = versions.collect();
        Ok(Some(Self { fit: fit(transaction, &state, inner)?, versions }))
    }

    /// Whether nothing was committed since.
    fn fits(&self, state: &State) -> bool {
        let now = state.tables().map(|table| (table.name(), table.version()));
        now.eq(self.versions.iter().map(|(name, version)| (name, *version)))
    }
}

/// What is disputed is refused or parked, as the transaction says.
fn settle(
    fit: Fit,
    transaction: &Transaction,
    state: &State,
    frame: Timestamp,
    inner: &Inner,
) -> Result<(Vec<Fitted>, Commit)> {
    let Fit { mut tables, merged, conflicts, .. } = fit;
    if !conflicts.is_empty() {
        if transaction.on_conflict != OnConflict::Park {
            return Err(Conflicts::into_error(conflicts));
        }
        let name = parked::table_name()?;
        let table = state.table(&name);
        let table = table.map(|table| table.table(&inner.store)).transpose()?;
        let known = tables.iter().position(|fitted| fitted.name == name);
        let known = known.map(|at| tables.remove(at));
        let parked = parked::park(&conflicts, table, known, frame, &transaction.stamp)?;
        tables.extend((!parked.changeset.is_empty()).then_some(parked));
    }
    Ok((tables, Commit { merged, parked: conflicts, ..Commit::NONE }))
}

/// Adds what a transaction did to an open frame.
fn commit_step(transaction: Transaction, frame: &OpenFrame) -> Result<Commit> {
    let inner = Arc::clone(&transaction.inner);
    let snapshot = transaction.snapshot.clone();
    let Fit { tables, conflicts, .. } = fit(&transaction, snapshot.state(), &inner)?;
    if !conflicts.is_empty() {
        // What is parked is parked by a frame that others see.
        return Err(Conflicts::into_error(conflicts).help(
            "an open frame parks nothing: do it outside of the frame, or commit that first",
        ));
    }
    if tables.is_empty() {
        return Ok(Commit::NONE);
    }
    let changes = tables.into_iter().map(|fitted| fitted.into_change(|_, change| inline(change)));
    let changes = changes.map(|made| made.map(|(change, _)| change)).collect::<Result<_>>()?;
    frame.push(&inner, transaction.details, changes)?;
    Ok(Commit { open_frame: Some(frame.info()), ..Commit::NONE })
}

fn inline(changeset: Changeset) -> Result<ChangeBody> {
    let mut bytes = Vec::new();
    RowsCodec.encode(std::slice::from_ref(&changeset), &mut bytes)?;
    Ok(ChangeBody::Inline(Bytes::from(bytes)))
}

impl Fitted {
    /// What the frame says of it, with the changeset where `place` puts it; and the table it makes.
    fn into_change(
        self,
        place: impl FnOnce(&TableName, Changeset) -> Result<ChangeBody>,
    ) -> Result<(TableChange, Table)> {
        let base = self.base();
        let Self { name: table, action, changeset, after, adopted, .. } = self;
        let body = place(&table, changeset)?;
        let (size, rows) = (after.file_len(), after.rows());
        Ok((TableChange { table, action, base, size, rows, adopted, body }, after))
    }
}

/// Of these tables, those that were edited outside. Until a table has a file nobody can have.
fn edited(touched: &[TableName], inner: &Inner) -> Result<Vec<TableName>> {
    let state = inner.flush.visible();
    let mut edited = Vec::new();
    for table in touched.iter().filter_map(|name| state.table(name)) {
        if TableFile::new(inner, table).is_edited()? {
            edited.push(table.name().clone());
        }
    }
    Ok(edited)
}

/// The words of a frame stand in logs of one line each.
fn check_words(transaction: &Transaction) -> Result<()> {
    let words = transaction.name.iter().chain(transaction.user.iter());
    match words.into_iter().find(|word| word.contains(['\n', '\r'])) {
        Some(_) => Err(Error::usage("the name of a frame, or of a user, must be one line")),
        None => Ok(()),
    }
}

/// The tables that a commit needs: those it touches, those it relies on, and the one for conflicts.
fn needed(transaction: &Transaction) -> Result<BTreeSet<TableName>> {
    let mut needed: BTreeSet<TableName> = transaction.work.keys().cloned().collect();
    needed.extend(transaction.expected.iter().map(|expected| expected.table.clone()));
    if transaction.on_conflict == OnConflict::Park {
        needed.insert(parked::table_name()?);
    }
    Ok(needed)
}

/// Loads what the commit will need while the lock is not held yet.
fn load(head: &Head, needed: &BTreeSet<TableName>, inner: &Inner) -> Result<()> {
    let mut tables = needed.iter().filter_map(|name| head.state.table(name));
    tables.try_for_each(|table| table.table(&inner.store).map(drop))
}

/// Whether what the commit needs is loaded: another process may have made a table since.
fn is_loaded(head: &Head, needed: &BTreeSet<TableName>) -> bool {
    let mut tables = needed.iter().filter_map(|name| head.state.table(name));
    tables.all(|table| table.loaded().is_some())
}

/// The frame, with large changesets written to their files, and the tables it makes.
fn make_frame(
    transaction: &Transaction,
    fitted: Vec<Fitted>,
    (timestamp, wall): (Timestamp, Timestamp),
    head: &Head,
    inner: &Inner,
) -> Result<(FrameRecord, Vec<(TableName, Table)>)> {
    let (mut changes, mut made) = (Vec::new(), Vec::new());
    for fitted in fitted {
        let base = fitted.base();
        let (change, after) = fitted.into_change(|name, changeset| {
            match changeset.touched_bytes() > inner.store.limits().large_changeset {
                true => write_large(name, timestamp, base, changeset, inner),
                false => inline(changeset),
            }
        })?;
        made.push((change.table.clone(), after.at_version(timestamp)));
        changes.push(change);
    }
    let info = FrameInfo {
        timestamp,
        node: inner.config.node,
        wall,
        parent: head.journal.newest(),
        sequence: head.journal.sequence() + 1,
        user: transaction.user.clone().unwrap_or_else(|| inner.user.clone()),
        name: transaction.name.clone(),
        details: transaction.details.clone(),
        tables: changes.iter().map(|change| (change.table.clone(), change.action)).collect(),
    };
    Ok((FrameRecord { info: Arc::new(info), changes }, made))
}

/// Writes a large changeset as its delta file, durable before the frame that names it.
fn write_large(
    name: &TableName,
    timestamp: Timestamp,
    base: Timestamp,
    changeset: Changeset,
    inner: &Inner,
) -> Result<ChangeBody> {
    let storage = &**inner.store.storage();
    let folder = table_path(name, "");
    let folder = folder.trim_end_matches('/');
    storage.create_folder(folder)?;
    let path = table_path(name, &delta_name(timestamp));
    let schema = changeset.schema.as_ref().map(|text| text.after.clone());
    let written = DeltaFile::new(timestamp, base, changeset).write(storage, &path, 0)?;
    storage.sync_folder(folder)?;
    storage.sync_folder("tables")?;
    let WrittenDelta { len, sha256, content } = written;
    Ok(ChangeBody::File { len, sha256, content, schema })
}
