//! Statements that write: each does all of what it says, or nothing.

use reedbase_plugin_api::{Gather, Outcome, Params, Result, RowSink};

use crate::plan::Plan;
use crate::session::Session;
use crate::side::Side;

/// How often a statement by itself is tried, where others changed the same cells meanwhile.
const ATTEMPTS: usize = 100;

impl Session {
    /// Begins a transaction of several statements: what they write may be undone.
    pub(crate) fn begin_several(&mut self) -> Result<()> {
        self.begin()?;
        self.shared.want_written(true);
        Ok(())
    }

    /// A statement that writes: a part of the transaction that is open, or one of its own, which is done again as long as
    /// others change the same cells meanwhile.
    pub(crate) fn write(
        &mut self,
        plan: &Plan,
        params: &Params,
        rows: &mut dyn RowSink,
    ) -> Result<Outcome> {
        self.check_present()?;
        // What RETURNING gives is told when it is so.
        let mut held = Gather::default();
        if self.transactions.is_open() {
            let outcome = self.write_step(plan, params, &mut held)?;
            return held.release(rows).map(|()| outcome);
        }
        let mut attempt = 0;
        loop {
            let done = self.in_own_frame(|session| session.write_step(plan, params, &mut held));
            attempt += 1;
            match done {
                Err(error) if error.is_conflict() && attempt < ATTEMPTS => {}
                Err(error) => return Err(error),
                Ok(outcome) => return held.release(rows).map(|()| outcome),
            }
        }
    }

    /// Does something in a transaction of its own: all of it, or nothing.
    pub(crate) fn in_own_frame(
        &mut self,
        act: impl FnOnce(&mut Self) -> Result<Outcome>,
    ) -> Result<Outcome> {
        self.begin()?;
        match act(self) {
            Ok(mut outcome) => {
                outcome.frame = self.transactions.commit(&self.shared)?.frame;
                Ok(outcome)
            }
            Err(error) => {
                self.transactions.rollback(&self.shared)?;
                Err(error)
            }
        }
    }

    /// Does something in the transaction that is open: all of it, or nothing.
    pub(crate) fn step(
        &mut self,
        act: impl FnOnce(&mut Self) -> Result<Outcome>,
    ) -> Result<Outcome> {
        let mark = self.shared.write(|writer| Ok(writer.mark()))?;
        let done = act(self);
        self.shared.write(|writer| {
            if done.is_err() {
                writer.go_back(mark)?;
            }
            writer.release(mark);
            Ok(())
        })?;
        done
    }

    /// A statement of the transaction that is open: if it fails, it did nothing.
    pub(crate) fn write_step(
        &mut self,
        plan: &Plan,
        params: &Params,
        rows: &mut dyn RowSink,
    ) -> Result<Outcome> {
        let done = self.step(|session| session.query(plan, params, rows));
        self.shared.touch();
        for (table, key) in self.shared.take_written() {
            let mut mirrors = self.mirrored.iter_mut().flat_map(Side::mirrors);
            if let Some((_, mirror)) = mirrors.find(|(name, _)| **name == table) {
                mirror.forget([key.clone()]);
            }
            self.written.entry(table).or_default().insert(key);
        }
        done
    }

    /// What a transaction wrote is undone: mirrors do not know what became of these rows.
    pub(crate) fn forget_written(&mut self) {
        for (name, mirror) in self.mirrored.iter_mut().flat_map(Side::mirrors) {
            mirror.forget(self.written.get(name).into_iter().flatten().cloned());
        }
    }
}
