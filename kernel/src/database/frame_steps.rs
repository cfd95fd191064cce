//! What came of the steps of an open frame, and its commit.

use std::collections::BTreeMap;
use std::sync::Arc;

use reedbase_plugin_api::{Result, TableName};

use super::commit::Commit;
use super::inner::Inner;
use super::open_frame::OpenFrame;
use super::snapshot::Snapshot;
use super::transaction::{OnConflict, Transaction};
use super::uncommitted::OPENED;
use super::work::{Whole, Work};
use crate::changes::RowChanges;
use crate::frame::{Action, FrameRecord};
use crate::state::read_change;
use crate::table::{Edit, Stamp};

impl OpenFrame {
    /// What came of all steps, as a transaction on the frame it was begun on.
    pub(super) fn transaction(&self, inner: &Arc<Inner>, newest: &Snapshot) -> Result<Transaction> {
        let (info, steps) = (self.info(), self.steps());
        let (before, after) = (newest.as_of(info.parent)?, self.snapshot(inner, newest)?);
        let mut transaction = Transaction::new(Arc::clone(inner), before.clone());
        transaction.user = Some(info.user.clone());
        transaction.name.clone_from(&info.name);
        transaction.details.insert(OPENED.to_owned(), self.id().to_string());
        for (name, action) in actions(&steps) {
            let net = Net { name: &name, action, steps: &steps };
            if let Some(work) = net.work(&before, &after, transaction.stamp.clone())? {
                transaction.work.insert(name, work);
            }
        }
        Ok(transaction)
    }

    /// Commits what came of all steps.
    pub(super) fn commit(
        &self,
        inner: &Arc<Inner>,
        newest: &Snapshot,
        on_conflict: OnConflict,
    ) -> Result<Commit> {
        let commit = self.transaction(inner, newest)?.on_conflict(on_conflict).commit()?;
        self.remove()?;
        Ok(commit)
    }
}

/// What all steps did to each table.
fn actions(steps: &[FrameRecord]) -> BTreeMap<TableName, Action> {
    let mut actions: BTreeMap<TableName, Action> = BTreeMap::new();
    for change in steps.iter().flat_map(|step| &step.changes) {
        let action = actions.entry(change.table.clone()).or_insert(change.action);
        if *action != change.action && *action != Action::INIT {
            *action = Action::UPDATE;
        }
    }
    actions
}

/// What all steps came to in one table.
struct Net<'a> {
    name: &'a TableName,
    action: Action,
    steps: &'a [FrameRecord],
}

impl Net<'_> {
    /// Edits of rows where it is no more than that; else the table as it is in the end.
    fn work(&self, before: &Snapshot, after: &Snapshot, stamp: Stamp) -> Result<Option<Work>> {
        let table = after.table(self.name.as_str())?;
        let Some(state) = before.state().table(self.name) else {
            return Ok(Some(Work::Whole(Box::new(Whole::new_table(table.flatten()?)?))));
        };
        let base = state.table(before.store())?;
        let Some(rows) = self.rows(before)? else {
            let after = table.flatten()?;
            let whole = Whole::replacing(&base.flatten()?, after, self.action)?;
            return Ok(whole.map(|whole| Work::Whole(Box::new(whole))));
        };
        let mut edit = Edit::new(base.clone(), stamp);
        for change in rows.every_row() {
            edit.put(&change.key, change.after.map(|(row, _)| row))?;
        }
        let work = Work::Rows { edit: Box::new(edit), action: self.action };
        Ok(Some(work).filter(|work| !work.is_empty()))
    }

    /// What became of each row; `None` if more than rows was changed: columns, the order, how all is written.
    fn rows(&self, snapshot: &Snapshot) -> Result<Option<RowChanges>> {
        let mut rows = RowChanges::default();
        for step in self.steps {
            for change in step.changes.iter().filter(|change| change.table == *self.name) {
                let changeset = read_change(change, step.info.timestamp, snapshot.store())?;
                let same_shape = changeset.before.as_ref() == Some(&changeset.after);
                if !same_shape || changeset.schema.is_some() || !changeset.moves.is_empty() {
                    return Ok(None);
                }
                rows.add(&changeset)?;
            }
        }
        Ok(Some(rows))
    }
}
