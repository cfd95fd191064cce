//! Transactions of a session. SQLite never hears of them: each statement runs there by itself, over what the
//! transaction of the database holds, and what a statement did is undone by going back to a mark.

use reedbase_plugin_api::{Committed, Error, Host, Result};

use crate::shared::Shared;

/// The transaction that is open, if one is.
#[derive(Debug, Default)]
pub(crate) struct Transactions {
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    /// Whether a savepoint began it: then its release commits.
    by_savepoint: bool,
    savepoints: Vec<(String, usize)>,
}

impl Transactions {
    /// Whether one is open.
    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// BEGIN.
    pub(crate) fn begin(&mut self, host: &dyn Host, shared: &Shared) -> Result<()> {
        if self.is_open() {
            return Err(Error::usage("a transaction is open already")
                .help("end it with COMMIT or ROLLBACK, or set a SAVEPOINT inside it"));
        }
        let writer = host.begin()?;
        shared.show(writer.snapshot());
        shared.set_writer(Some(writer));
        self.open = Some(Open { by_savepoint: false, savepoints: Vec::new() });
        Ok(())
    }

    /// COMMIT. Whatever becomes of it, the transaction is over.
    pub(crate) fn commit(&mut self, shared: &Shared) -> Result<Committed> {
        if self.open.take().is_none() {
            return Err(none_open());
        }
        match shared.set_writer(None) {
            Some(writer) => writer.commit(),
            None => Ok(Committed::default()),
        }
    }

    /// ROLLBACK.
    pub(crate) fn rollback(&mut self, shared: &Shared) -> Result<()> {
        drop(shared.set_writer(None));
        self.open.take().map(drop).ok_or_else(none_open)
    }

    /// A savepoint began the transaction that is open.
    pub(crate) fn begun_by_savepoint(&mut self) {
        if let Some(open) = &mut self.open {
            open.by_savepoint = true;
        }
    }

    /// SAVEPOINT.
    pub(crate) fn savepoint(&mut self, name: String, shared: &Shared) -> Result<()> {
        let mark = shared.write(|writer| Ok(writer.mark()))?;
        if let Some(open) = &mut self.open {
            open.savepoints.push((name, mark));
        }
        Ok(())
    }

    /// ROLLBACK TO. The savepoint stays.
    pub(crate) fn rollback_to(&mut self, name: &str, shared: &Shared) -> Result<()> {
        let (open, at, mark) = self.find(name)?;
        open.savepoints.truncate(at + 1);
        shared.write(|writer| writer.go_back(mark))?;
        shared.touch();
        Ok(())
    }

    /// RELEASE. What was done stays; the savepoint that began the transaction commits it.
    pub(crate) fn release(&mut self, name: &str, shared: &Shared) -> Result<Committed> {
        let (open, at, mark) = self.find(name)?;
        open.savepoints.truncate(at);
        if at == 0 && open.by_savepoint {
            return self.commit(shared);
        }
        shared.write(|writer| {
            writer.release(mark);
            Ok(Committed::default())
        })
    }

    /// The newest savepoint of this name: its place, and its mark.
    fn find(&mut self, name: &str) -> Result<(&mut Open, usize, usize)> {
        let open = self.open.as_mut().ok_or_else(|| no_such(name))?;
        let at = open.savepoints.iter().rposition(|(known, _)| known == name);
        let at = at.ok_or_else(|| no_such(name))?;
        let mark = open.savepoints.get(at).map_or(0, |(_, mark)| *mark);
        Ok((open, at, mark))
    }
}

fn none_open() -> Error {
    Error::usage("no transaction is open").help("begin one with BEGIN")
}

fn no_such(name: &str) -> Error {
    Error::not_found(format!("there is no savepoint `{name}`"))
}
