//! The files of a table: whether they are ours, and what becomes of those that are not.
//!
//! Nothing is ever removed that is not known to be ours: it is renamed to `current.csv.edited-<version it was made
//! from>`. What an exchange displaced stays in the folder as `current.csv.old`, described by `mark.old`, until the next
//! time: an editor that had the file open may still write into it.

use std::cell::RefCell;
use std::sync::PoisonError;

use reedbase_plugin_api::{Bytes, Result, Timestamp};

use super::inner::Inner;
use crate::look::{Edited, Look, is_file_of};
use crate::mark::{Mark, table_path};
use crate::state::TableState;
use crate::storage::{Access, Storage, read_all};
use crate::table::Table;

pub(super) const CURRENT: &str = "current.csv";
pub(super) const SCHEMA: &str = "schema.toml";

/// What stands between the name of a file and the version it was made from, if it is an edit that was kept.
pub(super) const EDITED: &str = ".edited-";

/// What stands between the name of a file and the time, if it was discarded.
pub(super) const DISCARDED: &str = ".discarded-";

/// The files of one table.
pub(super) struct TableFile<'a> {
    pub(super) inner: &'a Inner,
    pub(super) state: &'a TableState,
    /// The files that were kept so far.
    kept: RefCell<Vec<String>>,
}

impl<'a> TableFile<'a> {
    pub(super) fn new(inner: &'a Inner, state: &'a TableState) -> Self {
        Self { inner, state, kept: RefCell::default() }
    }

    /// The files that were kept since they could not stay in their place.
    pub(super) fn into_kept(self) -> Vec<String> {
        self.kept.into_inner()
    }

    pub(super) fn storage(&self) -> &dyn Storage {
        &**self.inner.store.storage()
    }

    /// The path of a file of the table.
    pub(super) fn path(&self, name: &str) -> String {
        table_path(self.state.name(), name)
    }

    pub(super) fn sync_folder(&self) -> Result<()> {
        self.storage().sync_folder(self.path("").trim_end_matches('/'))
    }

    /// What was edited outside. Files that a frame adopted are ours, though no mark names them yet.
    pub(super) fn edited(&self) -> Result<Edited> {
        self.edited_of(self.inner.store.look(self.state.name())?)
    }

    /// The same, of files that were looked at.
    pub(super) fn edited_of(&self, look: Option<Look>) -> Result<Edited> {
        match look {
            Some(Look { edited, .. }) => Ok(Edited {
                table: edited.table && !self.is_adopted(CURRENT)?,
                schema: edited.schema && !self.is_schema_ours()?,
            }),
            None => Ok(Edited { table: self.read(CURRENT)?.is_some(), schema: false }),
        }
    }

    /// Whether anything was edited outside. Cost: one look at each of the files, unless one changed since the last.
    pub(super) fn is_edited(&self) -> Result<bool> {
        let name = self.state.name();
        let ours = || self.inner.ours.lock().unwrap_or_else(PoisonError::into_inner);
        let version = |name: &str| -> Result<_> {
            Ok(self.storage().stat(&self.path(name))?.map(|stat| stat.version()))
        };
        let files = (version(CURRENT)?, version(SCHEMA)?);
        if ours().get(name) == Some(&files) {
            return Ok(false);
        }
        if files.0.is_none() && self.storage().stat(&self.path("mark"))?.is_none() {
            // It was never written.
            return Ok(false);
        }
        let edited = self.edited()?.any();
        if !edited {
            ours().insert(name.clone(), files);
        }
        Ok(edited)
    }

    /// The names of the files that hold an edit which could not stay in its place.
    pub(super) fn kept(&self) -> Result<Vec<String>> {
        let names = self.storage().list(self.path("").trim_end_matches('/'))?;
        Ok(names.into_iter().filter(|name| name.contains(EDITED)).collect())
    }

    pub(super) fn read(&self, name: &str) -> Result<Option<Bytes>> {
        self.storage().read(&self.path(name))
    }

    /// Whether a file is what a frame adopted that no mark names yet.
    pub(super) fn is_adopted(&self, name: &str) -> Result<bool> {
        if self.state.adopted().next().is_none() {
            return Ok(false);
        }
        let path = self.path(name);
        let Some(file) = self.storage().open(&path, Access::Read)? else { return Ok(false) };
        let sha256 = self.inner.store.hashes().of(&path, &*file)?;
        Ok(self.state.adopted().any(|adopted| match name.starts_with(CURRENT) {
            true => adopted.table == sha256,
            false => adopted.schema == sha256,
        }))
    }

    /// Whether schema.toml is what a frame adopted, or what the table's newest version says.
    fn is_schema_ours(&self) -> Result<bool> {
        let newest = self.state.loaded().and_then(Table::schema);
        let is_newest = newest.is_some() && self.read(SCHEMA)?.as_ref() == newest;
        Ok(is_newest || self.is_adopted(SCHEMA)?)
    }

    /// Whether an editor wrote into the file that was displaced last: then it is kept.
    pub(super) fn look_at_old(&self) -> Result<()> {
        let old = Mark::read(self.storage(), self.state.name(), "mark.old").ok().flatten();
        let Some(file) = self.storage().open(&self.path("current.csv.old"), Access::Read)? else {
            return Ok(());
        };
        match &old {
            Some(mark) if is_file_of(&file, mark)? => Ok(()),
            _ => self.keep("current.csv.old", EDITED, old.map_or(Timestamp::ZERO, |m| m.version)),
        }
    }

    /// Removes the file that was displaced last, unless an editor wrote into it: then it is kept.
    pub(super) fn remove_old(&self) -> Result<()> {
        if self.storage().len(&self.path("mark.old"))?.is_none() {
            return Ok(());
        }
        self.look_at_old()?;
        self.storage().remove(&self.path("current.csv.old"))?;
        self.storage().remove(&self.path("mark.old"))
    }

    /// What came out of an exchange stays for a while, with its mark.
    pub(super) fn keep_displaced(&self, old: Option<&Mark>) -> Result<()> {
        let displaced = self.path(&aside(CURRENT));
        let Some(file) = self.storage().open(&displaced, Access::Read)? else { return Ok(()) };
        self.look_at_old()?;
        match old {
            Some(mark) if is_file_of(&file, mark)? => {
                self.storage().rename(&displaced, &self.path("current.csv.old"))?;
                // A copy: without its mark nobody would know what the table is, if this is as far as it gets.
                self.storage().replace(&self.path("mark.old"), mark.to_text().as_bytes())
            }
            Some(mark) if self.is_adopted(&aside(CURRENT))? => {
                let mark = mark.of_file(&read_all(&*file)?, &file.stat()?);
                self.storage().rename(&displaced, &self.path("current.csv.old"))?;
                self.storage().replace(&self.path("mark.old"), mark.to_text().as_bytes())
            }
            _ => self.keep(&aside(CURRENT), EDITED, old.map_or(Timestamp::ZERO, |m| m.version)),
        }
    }

    /// What an exchange that was taken back left aside. Our new file had its name for a moment: an editor may have
    /// opened it, so it stays for a while like one that was displaced. If somebody saved between the two
    /// exchanges, that is kept.
    pub(super) fn keep_taken_back(&self, new: &Mark, old: Option<&Mark>) -> Result<()> {
        let left = self.path(&aside(CURRENT));
        let Some(file) = self.storage().open(&left, Access::Read)? else { return Ok(()) };
        let known = [Some(new), old].into_iter().flatten();
        let known = known.map(|mark| Ok(is_file_of(&file, mark)?.then_some(mark)));
        let known = known.collect::<Result<Vec<_>>>()?;
        match known.into_iter().flatten().next() {
            Some(mark) => {
                self.look_at_old()?;
                self.storage().rename(&left, &self.path("current.csv.old"))?;
                self.storage().replace(&self.path("mark.old"), mark.to_text().as_bytes())
            }
            None => self.keep(&aside(CURRENT), EDITED, old.map_or(Timestamp::ZERO, |m| m.version)),
        }
    }

    /// Gives a file that is not ours a name under which it stays.
    pub(super) fn keep(&self, name: &str, why: &str, number: Timestamp) -> Result<()> {
        let file = name.trim_end_matches(".new").trim_end_matches(".old");
        let kept = self.storage().free_name(self.path(&format!("{file}{why}{number}")))?;
        self.storage().rename(&self.path(name), &kept)?;
        self.kept.borrow_mut().push(kept);
        Ok(())
    }
}

/// Whether a file of this name holds an edit that stands beside the table: one that was kept or discarded.
pub(super) fn is_beside(name: &str) -> bool {
    let rest = name.strip_prefix(CURRENT);
    rest.is_some_and(|rest| rest.starts_with(EDITED) || rest.starts_with(DISCARDED))
}

/// The version that an edit was made from which is kept under this name.
pub(super) fn edited_from(name: &str) -> Option<Timestamp> {
    let (_, number) = name.split_once(EDITED)?;
    let number = number.split('-').next()?;
    number.parse().ok().map(Timestamp::from_micros)
}

/// The name of a file that is about to take this name, or was displaced from it.
pub(super) fn aside(name: &str) -> String {
    format!("{name}.new")
}
