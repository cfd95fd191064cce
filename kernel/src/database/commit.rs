//! A commit, from start to end.
//!
//! ```text
//! lock → read on to the journal's end → fit the edits to the newest state → append → unlock → sync → show
//! ```
//!
//! The lock is held while the edits are fitted and appended, not while they are synced: other writers
//! append behind, and one sync serves them all.

use std::sync::Arc;

use reedbase_plugin_api::{
    Bytes, Changeset, DeltaCodec, Error, ErrorKind, Result, TableName, Timestamp,
};

use super::checkpoint;
use super::compare::changeset;
use super::inner::{Head, Inner};
use super::open_frame::OpenFrame;
use super::table_file::TableFile;
use super::transaction::{Transaction, Work};
use crate::clock::next_timestamp;
use crate::delta::{DeltaFile, RowsCodec, WrittenDelta, delta_name};
use crate::frame::{Action, Adopted, ChangeBody, FrameInfo, FrameRecord, TableChange};
use crate::mark::table_path;
use crate::state::State;
use crate::table::{Difference, Edit, Key, Stamp, Table};

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
}

impl Commit {
    /// That of nothing.
    const NONE: Self = Self { frame: None, open_frame: None, edited_outside: Vec::new() };
}

impl Transaction {
    /// Makes the changes durable and visible, all of them or, if it fails, none.
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict) if another writer changed the same rows since the transaction
    /// began, [`OutcomeUnknown`](ErrorKind::OutcomeUnknown) if the disk failed at the last moment, or
    /// those of the storage.
    pub fn commit(self) -> Result<Commit> {
        commit(self)
    }
}

/// What a frame does to one table, fitted to the newest state.
struct Fitted {
    name: TableName,
    base: Timestamp,
    action: Action,
    changeset: Changeset,
    after: Table,
    adopted: Option<Adopted>,
}

fn commit(mut transaction: Transaction) -> Result<Commit> {
    if transaction.is_empty() {
        return Ok(Commit::NONE);
    }
    let inner = Arc::clone(&transaction.inner);
    check_words(&transaction)?;
    inner.check_writable()?;
    if let Some(frame) = transaction.frame.take() {
        return commit_step(transaction, &frame);
    }
    let touched: Vec<TableName> = transaction.work.keys().cloned().collect();
    let mut head = inner.head();
    load_touched(&head, &touched, &inner)?;
    let (position, info) = {
        let _lock = inner.lock()?;
        inner.read_on(&mut head)?;
        head.journal.prepare()?;
        let wall = inner.clock.now();
        let timestamp = next_timestamp(head.journal.newest(), wall);
        let fitted = fit(&mut transaction, &head.state, &inner)?;
        if fitted.is_empty() {
            return Ok(Commit::NONE);
        }
        transaction.stamp.set(timestamp);
        let (frame, made) = make_frame(&transaction, fitted, (timestamp, wall), &head, &inner)?;
        let state = Arc::new(head.state.advance(&frame, &made, &inner.store)?);
        let position = head.journal.append(&frame, inner.flush.synced())?;
        head.state = state;
        inner.note(&head);
        (position, frame.info)
    };
    drop(head);
    inner.make_durable(position)?;
    checkpoint::if_due(&inner, &touched)?;
    let edited_outside = edited(&touched, &inner)?;
    Ok(Commit { frame: Some(info), open_frame: None, edited_outside })
}

/// Adds what a transaction did to an open frame.
fn commit_step(mut transaction: Transaction, frame: &OpenFrame) -> Result<Commit> {
    let inner = Arc::clone(&transaction.inner);
    let snapshot = transaction.snapshot.clone();
    let fitted = fit(&mut transaction, snapshot.state(), &inner)?;
    if fitted.is_empty() {
        return Ok(Commit::NONE);
    }
    let changes = fitted.into_iter().map(|fitted| fitted.into_change(|_, change| inline(change)));
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
        let Self { name: table, base, action, changeset, after, adopted } = self;
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

/// Loads what the commit will need while the lock is not held yet.
fn load_touched(head: &Head, touched: &[TableName], inner: &Inner) -> Result<()> {
    for name in touched {
        if let Some(table) = head.state.table(name) {
            table.table(&inner.store)?;
        }
    }
    Ok(())
}

/// Fits the edits to the newest state. Until merging exists, rows that another writer changed since the
/// transaction began are refused.
fn fit(transaction: &mut Transaction, state: &State, inner: &Inner) -> Result<Vec<Fitted>> {
    let mut fitted = Vec::new();
    for (name, work) in std::mem::take(&mut transaction.work) {
        let head = state.table(&name);
        let base = head.map_or(Timestamp::ZERO, |head| head.version());
        let (changeset, after, action, adopted) = match work {
            Work::Whole(whole) => {
                if whole.base != base {
                    return Err(conflict("the table was changed meanwhile", &name));
                }
                (whole.changeset, whole.after, whole.action, whole.adopted)
            }
            Work::Rows { edit, action } => {
                let head = head.ok_or_else(|| conflict("the table is gone", &name))?;
                let edit = fit_rows(*edit, head.table(&inner.store)?, &transaction.stamp)
                    .map_err(|error| error.at_table(name.as_str()))?;
                let before = edit.before().clone();
                let (after, removed, added) = edit.finish()?;
                let difference = Difference::lines(removed, added);
                (changeset(&before, &after, difference)?, after, action, None)
            }
        };
        if !changeset.is_empty() {
            fitted.push(Fitted { name, base, action, changeset, after, adopted });
        }
    }
    Ok(fitted)
}

/// The same edits on the newest table.
fn fit_rows(edit: Edit, head: &Table, stamp: &Stamp) -> Result<Edit> {
    let before = edit.before();
    if before.version() == head.version() && Arc::ptr_eq(before.base(), head.base()) {
        return Ok(edit);
    }
    let mut again = Edit::new(head.clone(), stamp.clone());
    for (key, touched) in edit.touched()? {
        let now = head.get(&key)?;
        if now != touched.before {
            let shown = Key::from(&key).display(head.shape().key().len());
            return Err(Error::new(
                ErrorKind::Conflict,
                "another writer changed the row meanwhile",
            )
            .help("look at it again, and repeat the change")
            .at_key(shown));
        }
        again.put(&key, touched.after)?;
    }
    Ok(again)
}

fn conflict(what: &str, table: &TableName) -> Error {
    Error::new(ErrorKind::Conflict, what)
        .help("look at it again, and repeat the change")
        .at_table(table.as_str())
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
        let base = fitted.base;
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
