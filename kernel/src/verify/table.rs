//! One table: its files against their mark, its history against itself, and what history makes against the file.

use std::collections::BTreeMap;
use std::sync::Arc;

use reedbase_plugin_api::{
    Bytes, Changeset, Error, ErrorKind, NodeId, Result, TableName, Timestamp,
};

use super::report::{Concern, Report};
use crate::cache;
use crate::delta::{Codecs, VersionInfo};
use crate::frame::Action;
use crate::history::{History, Versions, empty_table, link_of};
use crate::log::VersionLog;
use crate::look::is_file_of;
use crate::mark::{Mark, table_path};
use crate::progress::Silent;
use crate::storage::{Access, Storage, read_all};
use crate::table::{BLOCK, Base, Table};

/// What is known of a table.
#[derive(Debug, Default)]
pub(super) struct TableFacts {
    /// Each version that is on disk.
    pub(super) links: BTreeMap<Timestamp, Link>,
    /// Whether all versions could be listed.
    pub(super) whole: bool,
    /// The version that the history begins with, if it was shortened.
    pub(super) start: Option<Timestamp>,
    /// Versions that were lost: those after one and before another, which says what they did together.
    pub(super) gaps: Vec<(Timestamp, Timestamp)>,
}

/// A version.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) action: Action,
    pub(super) node: NodeId,
    /// The link of the chain, computed; `None` behind damage.
    pub(super) hash: Option<[u8; 32]>,
}

/// How many versions are read at once.
const AT_ONCE: usize = 256;

/// Checks a table.
pub(super) fn check(storage: &Arc<dyn Storage>, name: &TableName) -> Result<(TableFacts, Report)> {
    let mut report = Report::default();
    let folder = table_path(name, "");
    for file in storage.list(folder.trim_end_matches('/'))? {
        report.bytes += storage.len(&table_path(name, &file))?.unwrap_or(0);
    }
    let file = std::thread::scope(|scope| -> Result<_> {
        let beside = scope.spawn(|| check_file(&**storage, name));
        let walk = Walk::new(storage, name, &mut report).map(Walk::run);
        let (file, found) =
            beside.join().map_err(|_| Error::internal("a thread of the check failed"))??;
        report.take(found);
        Ok((file, walk))
    })?;
    let (file, walk) = file;
    let (facts, end) = walk.unwrap_or_default();
    if let Some((mark, _)) = &file
        && facts.whole
        && !facts.links.contains_key(&mark.version)
    {
        let error = Error::corrupt("the log lacks the version that the table's file holds");
        let path = storage.full_path(&table_path(name, "version.log"));
        report.add(Concern::Damaged, error.at_path(path).at_frame(mark.version));
    }
    if let (Some((mark, bytes)), Some(end)) = (file, end) {
        compare(&**storage, name, &mark, &bytes, end, &mut report)?;
    }
    Ok((facts, report.in_table(name)))
}

/// The table's file, if it is what its mark says.
fn check_file(storage: &dyn Storage, name: &TableName) -> Result<(Option<(Mark, Bytes)>, Report)> {
    let mut report = Report::default();
    let mut marks = Vec::new();
    for (file, needed) in [("mark", true), ("mark.next", false)] {
        match Mark::read(storage, name, file) {
            Ok(mark) => marks.extend(mark.map(|mark| (file, mark))),
            // One that a crash tore while it was written was never valid.
            Err(_) if !needed => {}
            Err(error) => report.add(Concern::Damaged, error),
        }
    }
    check_displaced(storage, name, &mut report)?;
    let path = table_path(name, "current.csv");
    let file = storage.open(&path, Access::Read)?;
    if marks.is_empty() {
        return Ok((None, report));
    }
    let (bytes, stat) = match &file {
        Some(file) => (read_all(&**file)?, file.stat()?),
        None => {
            report.add(Concern::Edited, edited(storage, &path, "is gone"));
            return Ok((None, report));
        }
    };
    check_schema(storage, name, &marks, &mut report)?;
    let Some((_, mark)) = marks.iter().rev().find(|(_, mark)| mark.blocks_match(&bytes)) else {
        let touched = !marks.iter().any(|(_, mark)| mark.has_stamp(&stat));
        match (touched, marks.first()) {
            (false, Some((_, mark))) => {
                report.add(Concern::Damaged, rotten(storage, &path, mark, &bytes))
            }
            _ => report.add(Concern::Edited, edited(storage, &path, "was edited outside")),
        }
        return Ok((None, report));
    };
    let at = |error: Error| error.at_path(storage.full_path(&path));
    if !mark.matches(&bytes) {
        let error = Error::corrupt("the SHA-256 of the file is not that of its mark");
        report.add(Concern::Damaged, at(error));
    }
    let parsed = mark.shape(&bytes).and_then(|shape| Base::parse(bytes.clone(), Arc::new(shape)));
    match parsed {
        Ok(base) if mark.rows.is_some_and(|rows| rows != base.rows()) => {
            report.add(
                Concern::Damaged,
                at(Error::corrupt("the mark counts other rows than there are")),
            );
        }
        Ok(_) => check_cache(storage, name, mark, &mut report)?,
        Err(error) => report.add(Concern::Damaged, at(error)),
    }
    Ok((Some((mark.clone(), bytes)), report))
}

/// The file that was displaced last: an editor may have written into it.
fn check_displaced(storage: &dyn Storage, name: &TableName, report: &mut Report) -> Result<()> {
    let path = table_path(name, "current.csv.old");
    match (Mark::read(storage, name, "mark.old"), storage.open(&path, Access::Read)?) {
        (Err(error), _) => report.add(Concern::Damaged, error),
        (Ok(Some(mark)), Some(file)) if !is_file_of(&file, &mark)? => {
            let error = Error::new(
                ErrorKind::OutsideEdit,
                "an editor wrote into the table's file of before",
            )
            .at_path(storage.full_path(&path))
            .help("the next checkpoint keeps it beside the table, and rdb status names it then");
            report.add(Concern::Edited, error);
        }
        _ => {}
    }
    Ok(())
}

/// schema.toml against the marks.
fn check_schema(
    storage: &dyn Storage,
    name: &TableName,
    marks: &[(&str, Mark)],
    report: &mut Report,
) -> Result<()> {
    let path = table_path(name, "schema.toml");
    let text = storage.read(&path)?;
    let mut known = marks.iter().filter_map(|(_, mark)| mark.schema.as_ref()).peekable();
    if known.peek().is_some() && !known.any(|schema| Some(schema) == text.as_ref()) {
        let what = if text.is_some() { "was edited outside" } else { "is gone" };
        report.add(Concern::Edited, edited(storage, &path, what));
    }
    Ok(())
}

/// The cache is never needed: one that is damaged is only told.
fn check_cache(
    storage: &dyn Storage,
    name: &TableName,
    mark: &Mark,
    report: &mut Report,
) -> Result<()> {
    let path = cache::layout_path(name);
    if let Some(bytes) = storage.read(&path)? {
        report.bytes += bytes.len() as u64;
        let meant = bytes.get(16..48) == Some(mark.sha256.as_slice());
        // One of an older version is as good as none.
        if meant
            && !cache::is_older(&bytes)
            && cache::read_layout(storage, name, &mark.sha256).is_none()
        {
            let error = Error::corrupt("the cache of the table is damaged");
            let error =
                error.at_path(storage.full_path(&path)).help("delete it: it comes back by itself");
            report.add(Concern::Derived, error);
        }
    }
    Ok(())
}

fn edited(storage: &dyn Storage, path: &str, what: &str) -> Error {
    Error::new(ErrorKind::OutsideEdit, format!("the file {what}"))
        .at_path(storage.full_path(path))
        .help("see the edit with rdb diff --outside, then rdb adopt or rdb discard")
}

/// That a file changed which nobody wrote to.
fn rotten(storage: &dyn Storage, path: &str, mark: &Mark, bytes: &Bytes) -> Error {
    let block = usize::try_from(BLOCK).unwrap_or(usize::MAX);
    let blocks = bytes.chunks(block).zip(&mark.checksums);
    let good = blocks.take_while(|(block, crc)| crc32fast::hash(block) == **crc).count();
    Error::corrupt(
        "the file is not what was written, though nobody changed it since: the disk may be failing",
    )
    .at_path(storage.full_path(path))
    .at_byte(good as u64 * BLOCK)
    .help("the history has the table: rdb discard TABLE writes it anew")
}

/// Walks from the empty table through all versions.
struct Walk<'a> {
    versions: Versions,
    report: &'a mut Report,
    facts: TableFacts,
    /// The link of the version before, while the chain holds.
    hash: Option<[u8; 32]>,
    table: Option<Table>,
    /// Whether changesets could be applied so far.
    applies: bool,
    end: Tables,
}

/// Tables that were made of history, by version: the last of all, and those that a mark or a keyframe may name.
type Tables = Option<Vec<Table>>;

impl<'a> Walk<'a> {
    fn new(storage: &Arc<dyn Storage>, name: &TableName, report: &'a mut Report) -> Option<Self> {
        let (codecs, silent) = (Codecs::built_in(), Arc::new(Silent));
        let history = History::new(Arc::clone(storage), codecs, name.clone(), silent);
        match history.versions() {
            Ok(versions) => {
                let torn = VersionLog::read(storage, name).and_then(|log| log.is_torn());
                report.note_torn(storage.full_path(&table_path(name, "version.log")), torn);
                let start = versions.start();
                let bridges = versions.list().iter().filter(|v| v.action == Action::REPAIR);
                let gaps = bridges.map(|version| (version.base, version.timestamp)).collect();
                Some(Self {
                    versions,
                    report,
                    facts: TableFacts { whole: true, start, gaps, ..TableFacts::default() },
                    hash: Some([0; 32]),
                    table: None,
                    applies: true,
                    end: Some(Vec::new()),
                })
            }
            Err(error) => {
                report.add(Concern::Damaged, error);
                None
            }
        }
    }

    fn run(mut self) -> (TableFacts, Tables) {
        let list = self.versions.list().to_vec();
        for some in list.chunks(AT_ONCE) {
            let (Some(first), Some(last)) = (some.first(), some.last()) else { continue };
            match self.versions.changes(first.timestamp.previous(), last.timestamp) {
                Ok(changes) => changes.iter().for_each(|(version, set)| self.step(version, set)),
                Err(_) => self.one_by_one(some),
            }
        }
        self.check_keyframes();
        (self.facts, self.end)
    }

    /// Some of these are damaged: tells which.
    fn one_by_one(&mut self, some: &[VersionInfo]) {
        let mut told: Option<String> = None;
        for version in some {
            match self.versions.changes(version.timestamp.previous(), version.timestamp) {
                Ok(changes) => changes.iter().for_each(|(version, set)| self.step(version, set)),
                Err(error) => {
                    (self.hash, self.applies) = (None, false);
                    self.facts.links.insert(
                        version.timestamp,
                        Link { action: version.action, node: version.node, hash: None },
                    );
                    // One damaged chunk of a pack holds many versions.
                    let text = error.to_string();
                    if told.as_ref() != Some(&text) {
                        self.report.add(Concern::Damaged, error.at_frame(version.timestamp));
                        told = Some(text);
                    }
                }
            }
        }
    }

    fn step(&mut self, version: &VersionInfo, changeset: &Changeset) {
        let hash = self.link(version, changeset);
        self.hash = hash;
        self.facts
            .links
            .insert(version.timestamp, Link { action: version.action, node: version.node, hash });
        if self.applies {
            let applied = self.apply(version, changeset);
            self.applies = applied.is_ok();
            self.report.note(applied.map_err(|error| error.at_frame(version.timestamp)));
        }
    }

    /// The next link of the chain, held against the one that is written down.
    fn link(&mut self, version: &VersionInfo, changeset: &Changeset) -> Option<[u8; 32]> {
        let stored = self.versions.link(version.timestamp);
        if version.action.stands_in() {
            return stored;
        }
        let before = self.hash.or_else(|| self.versions.link(version.base));
        let hash = before.and_then(|before| link_of(&before, version, changeset).ok());
        let Some(hash) = hash else { return stored };
        if stored.is_some_and(|stored| stored != hash) {
            let error =
                Error::corrupt("the hash chain is broken: the version is not what was written");
            self.report.add(Concern::Damaged, error.at_frame(version.timestamp));
            return stored;
        }
        Some(hash)
    }

    fn apply(&mut self, version: &VersionInfo, changeset: &Changeset) -> Result<()> {
        let before = match self.table.take() {
            Some(table) => table,
            None => empty_table(changeset)?,
        };
        let starts = self.versions.start() == Some(version.timestamp);
        if before.version() != version.base && !starts {
            return Err(Error::corrupt("a version before it is missing"));
        }
        let table = before.apply(changeset, version.timestamp)?;
        if (table.file_len(), table.rows()) != (version.size, version.rows) {
            return Err(Error::corrupt("the version has another size than the log says"));
        }
        if let Some(ends) = &mut self.end {
            let wanted = self.versions.has_keyframe(version.timestamp)
                || version.timestamp == self.versions.newest();
            ends.extend(wanted.then(|| table.clone()));
        }
        self.table = Some(table);
        Ok(())
    }

    /// Whole copies against what history makes.
    fn check_keyframes(&mut self) {
        for table in self.end.iter().flatten() {
            let Some(copy) = self.versions.keyframe_at(table.version()) else { continue };
            let same = copy.and_then(|copy| Ok(copy.to_bytes()? == table.to_bytes()?));
            match same {
                Ok(true) => {}
                Ok(false) => {
                    let error =
                        Error::corrupt("the whole copy is not what history makes of the version");
                    self.report.add(Concern::Damaged, error.at_frame(table.version()));
                }
                Err(error) => self.report.add(Concern::Damaged, error),
            }
        }
    }
}

/// What history makes against the file.
fn compare(
    storage: &dyn Storage,
    name: &TableName,
    mark: &Mark,
    bytes: &Bytes,
    ends: Vec<Table>,
    report: &mut Report,
) -> Result<()> {
    let Some(table) = ends.iter().find(|table| table.version() == mark.version) else {
        return Ok(());
    };
    if table.to_bytes()? != *bytes {
        let error = Error::corrupt("the table is not what its history makes");
        let path = storage.full_path(&table_path(name, "current.csv"));
        report.add(Concern::Damaged, error.at_path(path).at_frame(mark.version));
    }
    Ok(())
}
