//! The history of a table, made whole again.
//!
//! Versions whose file is there get their line back. Where what some versions changed is lost, but the table before them and the
//! one after them can both be made, what they did together takes their place: a version with the action `repair`, under
//! the number of the last of them. Where there is nothing before them, the history begins with the one after.

use std::collections::BTreeMap;
use std::ops::Bound;

use reedbase_plugin_api::{Bytes, Changeset, Error, Result, TableName, Timestamp};

use super::Repairing;
use super::found::{Found, Place, Version, read_delta, totals_after};
use super::report::{Repair, counted};
use crate::database::compare;
use crate::delta::{DeltaFile, Pack, VersionInfo, delta_name, keyframe_name, keyframe_timestamp};
use crate::frame::Action;
use crate::history::{empty_table, link_of};
use crate::log::{Version as Line, VersionLog};
use crate::mark::{Mark, table_path};
use crate::storage::{Access, read_all};
use crate::table::{Base, Table, inverse};

/// Mends the history of a table.
///
/// # Errors
/// [`Corrupt`](reedbase_plugin_api::ErrorKind::Corrupt) if the journal goes on from a version that is lost for good, or those of
/// the storage.
pub(super) fn mend(repairing: &Repairing, table: &TableName, report: &mut Repair) -> Result<()> {
    let limit = repairing.newest_in_files(table);
    let found = Found::read(repairing, table, limit)?;
    let mut mending = Mending { repairing, table, found, report };
    if mending.is_whole() {
        return Ok(());
    }
    mending.close_gaps()?;
    mending.write()
}

struct Mending<'a> {
    repairing: &'a Repairing,
    table: &'a TableName,
    found: Found,
    report: &'a mut Repair,
}

impl Mending<'_> {
    /// Whether nothing has to be done.
    fn is_whole(&self) -> bool {
        let good = |version: &Version| match version.place {
            Place::Pack(_) => true,
            Place::File => version.has_line,
            _ => false,
        };
        self.found.damaged.is_empty()
            && self.found.log_is_whole
            && self.found.versions.values().all(good)
            && self.found.versions.values().next_back().is_none_or(|newest| newest.has_line)
            && self.lost().is_empty()
    }

    /// The runs of versions that cannot be read, or that do not follow the one before: first and last.
    fn lost(&self) -> Vec<(Timestamp, Timestamp)> {
        let (mut runs, mut open, mut before) = (Vec::new(), None, Timestamp::ZERO);
        for (at, version) in &self.found.versions {
            let follows =
                !version.has_base || version.info.base == before || self.found.start == Some(*at);
            let is_lost = matches!(version.place, Place::Lost) || !follows;
            match (is_lost, open) {
                (true, None) => open = Some((*at, *at)),
                (true, Some((first, _))) => open = Some((first, *at)),
                (false, _) => runs.extend(open.take()),
            }
            before = *at;
        }
        runs.extend(open);
        runs
    }

    /// Puts one version in the place of each run of lost ones.
    fn close_gaps(&mut self) -> Result<()> {
        for (first, last) in self.lost() {
            let before = self.found.versions.range(..first).next_back().map(|(at, _)| *at);
            let Some(after) = self.backwards_to(last)? else {
                self.drop_from(first)?;
                return Ok(());
            };
            let lost: Vec<Timestamp> =
                self.found.versions.range(first..=last).map(|(at, _)| *at).collect();
            for at in &lost {
                if *at != last {
                    self.found.versions.remove(at);
                }
            }
            let before = match before {
                Some(before) => self.forwards_to(before)?,
                None => None,
            };
            let table = self.table;
            match (lost.as_slice(), &before) {
                ([one], Some(_)) => self.report.made(format!(
                    "{table}: what version {one} changed, from the table before and after it"
                )),
                ([one], None) => {
                    self.report.lost(format!("{table}: what was before version {one}"));
                }
                _ => self.report.lost(format!(
                    "{table}: what each of {} versions up to {last} changed",
                    lost.len()
                )),
            }
            self.put_bridge(before, after, last)?;
        }
        Ok(())
    }

    fn put_bridge(&mut self, before: Option<Table>, after: Table, at: Timestamp) -> Result<()> {
        let Some(version) = self.found.versions.get(&at) else { return Ok(()) };
        let link = version.link;
        let info = version.info.clone().totals(after.file_len(), after.rows());
        let after = after.flatten()?;
        let (info, place) = match before {
            Some(before) => {
                let info = VersionInfo { base: before.version(), action: Action::REPAIR, ..info };
                (info, Place::Memory(compare(&before.flatten()?, &after)?))
            }
            None => {
                // The whole copy stands in its keyframe.
                self.put_aside_damaged(&keyframe_name(at))?;
                self.repairing.history(self.table).write_keyframe(&after.at_version(at))?;
                self.found.start = Some(at);
                (VersionInfo { action: Action::COMPACT, ..info }, Place::File)
            }
        };
        let (has_base, has_totals, has_line) = (true, true, false);
        let bridge = Version { info, has_base, has_totals, link, has_line, place };
        self.found.versions.insert(at, bridge);
        Ok(())
    }

    /// Nothing says what the table was from here on.
    fn drop_from(&mut self, first: Timestamp) -> Result<()> {
        let lost = self.found.versions.split_off(&first);
        let newest = self.found.versions.keys().next_back().copied().unwrap_or_default();
        let later = |change: &Timestamp| *change >= first;
        let bases = self.repairing.changes_of(self.table).map(|change| change.base);
        if bases.into_iter().any(|base| later(&base)) || newest == Timestamp::ZERO {
            return Err(Error::corrupt("neither the table nor its history can be made anew")
                .at_table(self.table.as_str())
                .at_frame(first)
                .help("restore the folder from a backup: rdb backup:restore"));
        }
        let lost = counted(lost.len(), "version");
        self.report.lost(format!(
            "{}: {lost} from {first} on: the table goes on from version {newest}",
            self.table
        ));
        Ok(())
    }

    fn changeset(&self, version: &Version) -> Result<Changeset> {
        let at = version.info.timestamp;
        let missing = || Error::internal("a version that was read before is gone").at_frame(at);
        match &version.place {
            Place::Memory(changeset) => Ok(changeset.clone()),
            Place::Pack(pack) => {
                let pack: &Pack = self.found.packs.get(*pack).ok_or_else(missing)?;
                let number = pack.versions().partition_point(|packed| packed.timestamp < at);
                let mut found = None;
                pack.read(&[number], |_, changeset| {
                    found = Some(changeset);
                    Ok(())
                })?;
                found.ok_or_else(missing)
            }
            Place::File => {
                let name = match self.found.start == Some(at) {
                    true => keyframe_name(at),
                    false => delta_name(at),
                };
                let delta = read_delta(self.repairing, self.table, &name, at)?;
                delta.map(|delta| delta.changeset).ok_or_else(missing)
            }
            Place::Lost => Err(missing()),
        }
    }

    /// The table at a version, made of those before it.
    fn forwards_to(&self, version: Timestamp) -> Result<Option<Table>> {
        let mut table: Option<Table> = None;
        for (at, step) in self.found.versions.range(..=version) {
            let changeset = self.changeset(step)?;
            let before = match table {
                Some(table) => table,
                None => empty_table(&changeset)?,
            };
            table = Some(before.apply(&changeset, *at)?);
        }
        Ok(table)
    }

    /// The table at a version, made of a whole copy of it or of a later one; `None` if there is none.
    fn backwards_to(&self, version: Timestamp) -> Result<Option<Table>> {
        for copy in self.copies(version)? {
            if let Ok(table) = self.backwards(copy, version) {
                return Ok(Some(table));
            }
        }
        Ok(None)
    }

    fn backwards(&self, mut table: Table, version: Timestamp) -> Result<Table> {
        let later = (Bound::Excluded(version), Bound::Included(table.version()));
        let later = self.found.versions.range(later);
        for (_, step) in later.rev() {
            let changeset = self.changeset(step)?;
            let shape = (**table.shape()).clone();
            table = table.apply(&inverse(&changeset, &shape), step.info.base)?;
        }
        Ok(table.at_version(version))
    }

    /// Whole copies of this version or later ones, the nearest first: keyframes, and the table's file.
    fn copies(&self, version: Timestamp) -> Result<Vec<Table>> {
        let (history, mut copies) = (self.repairing.history(self.table), BTreeMap::new());
        let folder = table_path(self.table, "");
        let names = self.repairing.storage.list(folder.trim_end_matches('/'))?;
        let keyframes = names.iter().filter_map(|name| keyframe_timestamp(name));
        for at in keyframes.filter(|at| *at >= version && self.found.versions.contains_key(at)) {
            copies.extend(history.keyframe(at).ok().map(|table| (at, table)));
        }
        if let Some(table) = self.repairing.table_in_file(self.table)?
            && table.version() >= version
        {
            copies.insert(table.version(), table);
        }
        Ok(copies.into_values().collect())
    }

    /// Writes files and lines, then puts aside what was damaged.
    fn write(&mut self) -> Result<()> {
        let storage = &self.repairing.storage;
        let folder = table_path(self.table, "");
        let folder = folder.trim_end_matches('/');
        let (lines, files) = self.lines()?;
        for delta in &files {
            let path = table_path(self.table, &delta_name(delta.timestamp));
            self.put_aside_damaged(&delta_name(delta.timestamp))?;
            delta.write(&**storage, &path, self.repairing.limits.large_changeset)?;
        }
        storage.sync_folder(folder)?;
        for name in std::mem::take(&mut self.found.damaged) {
            self.put_aside(&name)?;
        }
        if !self.found.log_is_whole {
            self.put_aside("version.log")?;
        }
        VersionLog::rewrite(storage, self.table, lines)?;
        storage.sync_folder(folder)?;
        self.report.made(format!("{}: the log of its versions", self.table));
        Ok(())
    }

    /// The lines of all versions that are in no pack, and the files that these lack.
    fn lines(&self) -> Result<(Vec<Line>, Vec<DeltaFile>)> {
        let (mut lines, mut files) = (Vec::new(), Vec::new());
        let (mut totals, mut link) = ((0, 0), Some([0; 32]));
        let starts: BTreeMap<Timestamp, [u8; 32]> = self
            .found
            .packs
            .iter()
            .filter_map(|pack| Some((pack.versions().first()?.base, *pack.hashes().0)))
            .filter(|(_, hash)| *hash != [0; 32])
            .collect();
        let newest = self.found.versions.keys().next_back().copied();
        let mut before = Timestamp::ZERO;
        for (at, version) in &self.found.versions {
            let mut info = version.info.clone();
            info.base = if version.has_base { info.base } else { before };
            before = *at;
            let stands_in = info.action.stands_in();
            let written = version.link.or_else(|| starts.get(at).copied());
            let is_packed = matches!(version.place, Place::Pack(_));
            let needed = !is_packed
                && (!version.has_totals || (written.is_none() && !stands_in && link.is_some()));
            let changeset = match needed || matches!(version.place, Place::Memory(_)) {
                true => Some(self.changeset(version)?),
                false => None,
            };
            if let (false, Some(changeset)) = (version.has_totals, &changeset) {
                let (size, rows) = totals_after(totals, changeset)?;
                info = info.totals(size, rows);
            }
            totals = (info.size, info.rows);
            let computed = || link_of(&link?, &info, changeset.as_ref()?).ok();
            link = if stands_in { written } else { written.or_else(computed) };
            // Of what is in packs only the newest needs a line.
            if is_packed && !version.has_line && Some(at) != newest.as_ref() {
                continue;
            }
            if let (Place::Memory(_), Some(changeset)) = (&version.place, changeset) {
                files.push(DeltaFile::new(*at, info.base, changeset));
            }
            lines.push(Line { hash: link.unwrap_or_default(), ..Line::of(&info) });
        }
        Ok((lines, files))
    }

    /// Makes room for a file that is made anew.
    fn put_aside_damaged(&mut self, name: &str) -> Result<()> {
        let Some(at) = self.found.damaged.iter().position(|damaged| damaged == name) else {
            return Ok(());
        };
        self.found.damaged.remove(at);
        self.put_aside(name)
    }

    fn put_aside(&mut self, name: &str) -> Result<()> {
        let path = table_path(self.table, name);
        self.report.kept.extend(self.repairing.put_aside(&path)?);
        Ok(())
    }
}

impl Repairing {
    /// The table that `current.csv` holds, if it is what a mark says.
    pub(super) fn table_in_file(&self, table: &TableName) -> Result<Option<Table>> {
        let path = table_path(table, "current.csv");
        let Some(file) = self.storage.open(&path, Access::Read)? else { return Ok(None) };
        let bytes: Bytes = read_all(&*file)?;
        for name in ["mark.next", "mark"] {
            let Ok(Some(mark)) = Mark::read(&*self.storage, table, name) else { continue };
            if mark.matches(&bytes) {
                let base = Base::parse(bytes.clone(), mark.shape(&bytes)?.into())?;
                let made = Table::new(base.into(), mark.version);
                return Ok(Some(made.with_schema(mark.schema)));
            }
        }
        Ok(None)
    }
}
