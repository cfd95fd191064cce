//! Taking in what happened to another copy of the same database, frame by frame.
//!
//! Both copies began as one, and went on apart. Each frame that only theirs has is merged into ours as a frame of its own, by the
//! same user and under the same name: what it changed is merged with what ours has become, cell by cell, from the frame on
//! that both have. Its id stands in the new frame's details, so that nothing is taken in twice. Our own frames
//! stay as they are.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use reedbase_plugin_api::{Error, FrameId, Result, TableName, Timestamp};

use super::handle::Database;
use super::past::Past;
use super::snapshot::{Snapshot, find_table};
use super::transaction::Transaction;
use super::work::{Whole, Work};
use crate::frame::{Action, FrameInfo};
use crate::history::empty_table;
use crate::merge::Conflict;
use crate::table::Table;

/// The detail of a frame that holds what a frame of another copy did.
const FROM: &str = "from";

/// What was taken in.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TakenIn {
    /// The newest frame that both copies had.
    pub fork: Arc<FrameInfo>,
    /// The frames that were made, oldest first.
    pub frames: Vec<Arc<FrameInfo>>,
    /// How many rows both sides had changed, and hold what both wrote.
    pub merged: u64,
    /// What conflicts, and waits in `reed_conflicts`.
    pub parked: Vec<Conflict>,
}

impl Database {
    /// Takes in the frames of another copy of this database that this one lacks. What conflicts is parked. Cost: a commit for
    /// each frame, and what it changed.
    ///
    /// # Errors
    /// [`Usage`](reedbase_plugin_api::ErrorKind::Usage) if the two have no frame in common; damage of a history, or those
    /// of a commit. What was taken in before stays.
    pub fn take_in(&self, theirs: &Self) -> Result<TakenIn> {
        let (ours, frames) = (self.frames()?, theirs.frames()?);
        let known: HashSet<FrameId> = ours.iter().map(|frame| frame.id()).collect();
        let taken: HashSet<FrameId> = ours.iter().filter_map(|frame| origin(frame)).collect();
        let fork =
            frames.iter().rev().find(|frame| known.contains(&frame.id())).ok_or_else(|| {
                Error::usage("the two databases have no frame in common: they are no copies of one")
            })?;
        let is_new = |frame: &&Arc<FrameInfo>| {
            let is_ours = origin(frame).is_some_and(|from| known.contains(&from));
            !known.contains(&frame.id()) && !taken.contains(&frame.id()) && !is_ours
        };
        let taking = Taking {
            ours: self,
            theirs: theirs.snapshot()?,
            then: self.snapshot()?.as_of(fork.timestamp)?,
        };
        let mut result =
            TakenIn { fork: Arc::clone(fork), frames: Vec::new(), merged: 0, parked: Vec::new() };
        let mut tables = BTreeMap::new();
        for frame in frames.iter().filter(is_new) {
            let at = |error: Error| error.at_frame(frame.timestamp);
            let commit = taking.transaction(frame, &mut tables).map_err(at)?.commit_parking()?;
            result.frames.extend(commit.frame);
            result.merged += commit.merged.len() as u64;
            result.parked.extend(commit.parked);
        }
        Ok(result)
    }
}

/// The frame of another copy that this one holds.
fn origin(frame: &FrameInfo) -> Option<FrameId> {
    frame.details.get(FROM)?.parse().ok()
}

struct Taking<'a> {
    ours: &'a Database,
    theirs: Snapshot,
    /// Ours, when both were one.
    then: Snapshot,
}

impl Taking<'_> {
    /// What a frame of theirs did, to be done to ours. `tables` are theirs, as earlier frames left them.
    fn transaction(
        &self,
        frame: &FrameInfo,
        tables: &mut BTreeMap<TableName, Table>,
    ) -> Result<Transaction> {
        let mut transaction = Transaction::new(Arc::clone(&self.ours.inner), self.then.clone());
        transaction.user = Some(frame.user.clone());
        transaction.name.clone_from(&frame.name);
        transaction.details.clone_from(&frame.details);
        transaction.details.insert(FROM.to_owned(), frame.id().to_string());
        transaction.written_at = Some(frame.wall);
        let now = self.ours.snapshot()?;
        for (name, action) in &frame.tables {
            let is_there = find_table(now.state(), name.as_str()).is_ok();
            let whole =
                self.whole(name, *action, frame.timestamp, tables.remove(name), is_there)?;
            tables.insert(name.clone(), whole.after.clone());
            transaction.work.insert(name.clone(), Work::Whole(Box::new(whole)));
        }
        Ok(transaction)
    }

    /// A table of theirs before and after a frame. `held` is that table after some earlier frame.
    fn whole(
        &self,
        name: &TableName,
        action: Action,
        frame: Timestamp,
        held: Option<Table>,
        is_there: bool,
    ) -> Result<Whole> {
        let past = Past::of(&self.theirs, name.as_str())?;
        let base = past.timestamps().filter(|version| *version < frame).max();
        let missing = || Error::corrupt("the version that the frame made is missing");
        let (_, changeset) = past.changes(frame.previous(), frame)?.pop().ok_or_else(missing)?;
        let before = match (base, held) {
            (Some(base), Some(held)) if held.version() == base => Some(held),
            (Some(base), _) => Some(past.table_at(base)?),
            (None, _) => None,
        };
        let empty = empty_table(&changeset)?;
        let after = before.clone().unwrap_or_else(|| empty.clone()).apply(&changeset, frame)?;
        // Both sides made it: what each put in is merged.
        let both = before.is_none() && is_there;
        let before = before.or_else(|| both.then(|| empty.with_schema(after.schema().cloned())));
        let action = if both { Action::AUTOMERGE } else { action };
        Ok(Whole { before, after, changeset, action })
    }
}
