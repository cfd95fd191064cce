//! Transactions that are repeated until nobody was faster, and those of one change.

use reedbase_plugin_api::Result;

use super::commit::Commit;
use super::conditional::Amount;
use super::handle::Database;
use super::row::Cell;
use super::transaction::Transaction;
use crate::table::Key;

impl Database {
    /// Does something in a transaction and commits it; again, on the newest state, as long as another writer changed
    /// the same cells meanwhile. What is read and then written is written as if nobody else was there, in the cells
    /// that both write.
    ///
    /// # Errors
    /// Those of the act and of the commit; a conflict only after a hundred attempts.
    pub fn transact<T>(&self, mut act: impl FnMut(&mut Transaction) -> Result<T>) -> Result<T> {
        let mut attempt = 0;
        loop {
            let mut transaction = self.begin()?;
            transaction.strict = true;
            let result = act(&mut transaction).and_then(|value| {
                transaction.commit()?;
                Ok(value)
            });
            attempt += 1;
            match result {
                Err(error) if error.is_conflict() && attempt < ATTEMPTS => std::thread::yield_now(),
                done => return done,
            }
        }
    }
}

impl Database {
    /// Changes cells of a row. What others wrote meanwhile is merged; what conflicts is parked.
    ///
    /// # Errors
    /// [`NotFound`](reedbase_plugin_api::ErrorKind::NotFound) for table, row or column; those of a commit.
    pub fn set<'k, 'c, V: Into<Cell<'c>>>(
        &self,
        table: &str,
        key: impl Into<Key<'k>>,
        cells: impl IntoIterator<Item = (&'c str, V)>,
    ) -> Result<Commit> {
        let mut transaction = self.begin()?;
        transaction.update(table, key, cells)?;
        transaction.commit_parking()
    }

    /// Changes cells of a row if others hold what is expected: compare and swap.
    ///
    /// # Errors
    /// Those of [`Transaction::update_if`] and of a commit.
    pub fn update_if<'k, 'e, 'c, E: Into<Cell<'e>>, C: Into<Cell<'c>>>(
        &self,
        table: &str,
        key: impl Into<Key<'k>>,
        expected: impl IntoIterator<Item = (&'e str, E)>,
        cells: impl IntoIterator<Item = (&'c str, C)>,
    ) -> Result<Commit> {
        let mut transaction = self.begin()?;
        transaction.update_if(table, key, expected, cells)?;
        transaction.commit()
    }

    /// Adds to a number. Whatever others add at the same time is added, too.
    ///
    /// # Errors
    /// Those of [`Transaction::increment`] and of a commit.
    pub fn increment<'k>(
        &self,
        table: &str,
        key: impl Into<Key<'k>>,
        column: &str,
        by: impl Into<Amount>,
    ) -> Result<Commit> {
        let mut transaction = self.begin()?;
        transaction.increment(table, key, column, by)?;
        transaction.commit()
    }
}

/// How often something is tried before a conflict is returned.
const ATTEMPTS: usize = 100;
