//! A frame that is not committed yet: `frames/<id>.open`, a journal of its own.
//!
//! Its records are those of the journal. The first says who began the frame, when, under which name and on which frame
//! (its parent), and changes nothing; each further one is a step: what one command did. The number of the segment is the
//! instant at which the frame was begun, so that no record counts in another file.
//!
//! Each step is synced before its command ends, and says so in `synced_to`. A bad record that nothing good follows
//! was torn by a crash: the next step takes its place. One that a good record follows is damage.

use std::collections::BTreeMap;
use std::sync::Arc;

use reedbase_plugin_api::{Bytes, Error, FrameId, Result, Timestamp};

use super::record::{HEADER, Header, encode_frame, read_frame};
use crate::frame::{FrameInfo, FrameRecord, TableChange};
use crate::storage::{Access, File, Storage, read_all};

/// The folder of these files.
const FOLDER: &str = "frames";

/// What the name of a file says of its frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the file has one of these names")]
pub enum Standing {
    /// It may be committed.
    Open,
    /// The process that had begun it died.
    Crashed,
    /// Somebody gave it up.
    Abandoned,
}

impl Standing {
    const ALL: [(Self, &'static str); 3] =
        [(Self::Open, "open"), (Self::Crashed, "crashed"), (Self::Abandoned, "abandoned")];

    fn extension(self) -> &'static str {
        Self::ALL.iter().find(|(standing, _)| *standing == self).map_or("", |(_, name)| name)
    }
}

/// The file of a frame that is not committed.
#[derive(Debug)]
pub struct OpenFile {
    storage: Arc<dyn Storage>,
    file: Arc<dyn File>,
    standing: Standing,
    info: Arc<FrameInfo>,
    steps: Vec<FrameRecord>,
    end: u64,
}

impl OpenFile {
    /// Begins a frame. Its file and name are durable when this returns.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn create(storage: &Arc<dyn Storage>, info: FrameInfo) -> Result<Self> {
        let (storage, info) = (Arc::clone(storage), Arc::new(info));
        let path = path_of(info.id(), Standing::Open);
        let first = FrameRecord { info: Arc::clone(&info), changes: Vec::new() };
        let record = encode_frame(&first, segment(&info), 0, 0)?;
        let file = storage.create(&path)?;
        file.write_at(&record, 0)?;
        file.sync()?;
        storage.sync_folder(FOLDER)?;
        let (standing, steps) = (Standing::Open, Vec::new());
        Ok(Self { storage, file, standing, info, steps, end: record.len() as u64 })
    }

    /// Reads the file of a frame; `None` if there is none, or if it was torn when the frame was begun.
    ///
    /// # Errors
    /// [`Corrupt`](reedbase_plugin_api::ErrorKind::Corrupt) with the byte.
    pub fn read(
        storage: &Arc<dyn Storage>,
        id: FrameId,
        standing: Standing,
    ) -> Result<Option<Self>> {
        let path = path_of(id, standing);
        let file = match storage.open(&path, Access::Write) {
            Err(_) => storage.open(&path, Access::Read)?,
            file => file?,
        };
        let Some(file) = file else { return Ok(None) };
        let damaged = |at: u64| {
            Error::corrupt("the record of an open frame is damaged")
                .at_path(storage.full_path(&path))
                .at_byte(at)
                .help("give the frame up: rdb frame:abandon ID")
        };
        let (mut records, end) = read_records(&*file, id, &damaged)?;
        if records.is_empty() {
            return Ok(None);
        }
        let info = records.remove(0).info;
        let storage = Arc::clone(storage);
        Ok(Some(Self { storage, file, standing, info, steps: records, end }))
    }

    /// The ids of the frames that have such a file, with what its name says of them.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn list(storage: &dyn Storage) -> Result<Vec<(FrameId, Standing)>> {
        let mut found = Vec::new();
        for name in storage.list(FOLDER)? {
            let Some((id, extension)) = name.split_once('.') else { continue };
            let standing = Standing::ALL.iter().find(|(_, name)| *name == extension);
            if let (Ok(id), Some((standing, _))) = (id.parse(), standing) {
                found.push((id, *standing));
            }
        }
        Ok(found)
    }

    /// Who began it, when and on which frame.
    pub fn info(&self) -> &Arc<FrameInfo> {
        &self.info
    }

    /// What it did so far, oldest first.
    pub fn steps(&self) -> &[FrameRecord] {
        &self.steps
    }

    /// What its name says.
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// Whether something that is no step follows the last one.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn is_torn(&self) -> Result<bool> {
        Ok(self.file.stat()?.len > self.end)
    }

    /// Where the next step goes.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// The path of the file.
    pub fn path(&self) -> String {
        path_of(self.info.id(), self.standing)
    }

    /// The instant of the next step: it only orders the steps among themselves.
    fn next_instant(&self) -> Timestamp {
        let last = self.steps.last().map_or(&self.info, |step| &step.info);
        last.timestamp.next()
    }

    /// Adds a step; it is durable when this returns.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn push(
        &mut self,
        wall: Timestamp,
        details: BTreeMap<String, String>,
        changes: Vec<TableChange>,
    ) -> Result<()> {
        let tables = changes.iter().map(|change| (change.table.clone(), change.action)).collect();
        let timestamp = self.next_instant();
        let info = FrameInfo { timestamp, wall, details, tables, ..(*self.info).clone() };
        let step = FrameRecord { info: Arc::new(info), changes };
        let record = encode_frame(&step, segment(&self.info), self.end, self.end)?;
        self.file.write_at(&record, self.end)?;
        self.file.set_len(self.end + record.len() as u64)?;
        self.file.sync()?;
        self.end += record.len() as u64;
        self.steps.push(step);
        Ok(())
    }

    /// Gives the file the name of another standing.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn rename(&mut self, standing: Standing) -> Result<()> {
        self.storage.rename(&self.path(), &path_of(self.info.id(), standing))?;
        self.standing = standing;
        self.storage.sync_folder(FOLDER)
    }

    /// Removes the file.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn remove(&self) -> Result<()> {
        self.storage.remove(&self.path())?;
        self.storage.sync_folder(FOLDER)
    }
}

/// The path of the file of a frame.
pub fn path_of(id: FrameId, standing: Standing) -> String {
    format!("{FOLDER}/{id}.{}", standing.extension())
}

/// No record counts in the file of another frame.
fn segment(info: &FrameInfo) -> u64 {
    info.timestamp.as_micros().unsigned_abs()
}

/// The good records of a file, and where they end.
fn read_records(
    file: &dyn File,
    id: FrameId,
    damaged: &dyn Fn(u64) -> Error,
) -> Result<(Vec<FrameRecord>, u64)> {
    let segment = id.timestamp().as_micros().unsigned_abs();
    let bytes = read_all(file)?;
    let (mut records, mut offset) = (Vec::new(), 0);
    while let Some((record, len)) = read_record(&bytes, segment, offset)? {
        records.push(record);
        offset += len;
    }
    let good_behind = |at: u64| read_record(&bytes, segment, at).is_ok_and(|found| found.is_some());
    if (offset..bytes.len() as u64).step_by(8).any(good_behind) {
        return Err(damaged(offset));
    }
    Ok((records, offset))
}

/// The record at a place, and how long it is; `None` if there is no whole one.
fn read_record(bytes: &Bytes, segment: u64, offset: u64) -> Result<Option<(FrameRecord, u64)>> {
    let at = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
    let rest = bytes.slice(at..);
    let Some(header) = Header::read(&rest, segment, offset)? else { return Ok(None) };
    let end = HEADER + header.payload_len as usize;
    let Some(payload) = rest.get(HEADER..end) else { return Ok(None) };
    if crc32fast::hash(payload) != header.payload_crc {
        return Ok(None);
    }
    let record = read_frame(&header, rest.slice(HEADER..end))?;
    Ok(Some((record, header.record_len())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::MemoryStorage;
    use reedbase_plugin_api::NodeId;

    fn begin(storage: &Arc<dyn Storage>) -> OpenFile {
        let info = FrameInfo {
            timestamp: Timestamp::from_micros(1_000),
            node: NodeId::from_bits(7),
            wall: Timestamp::from_micros(1_000),
            parent: Timestamp::from_micros(900),
            sequence: 0,
            user: "jane".into(),
            name: Some("spring".into()),
            details: BTreeMap::new(),
            tables: Vec::new(),
        };
        OpenFile::create(storage, info).unwrap()
    }

    fn step(file: &mut OpenFile, what: &str) {
        let details = [("what".to_owned(), what.to_owned())].into();
        file.push(Timestamp::from_micros(2_000), details, Vec::new()).unwrap();
    }

    fn words(file: &OpenFile) -> Vec<&str> {
        file.steps().iter().map(|step| step.info.details["what"].as_str()).collect()
    }

    #[test]
    fn steps_come_back_and_a_torn_one_is_written_over() {
        let memory = MemoryStorage::new();
        let storage: Arc<dyn Storage> = Arc::new(memory.clone());
        let mut file = begin(&storage);
        step(&mut file, "one");
        step(&mut file, "two");
        let (id, path, whole) =
            (file.info().id(), file.path(), memory.files()[&file.path()].clone());
        assert_eq!(OpenFile::list(&*storage).unwrap(), [(id, Standing::Open)]);
        let read = |bytes: Vec<u8>| {
            let storage: Arc<dyn Storage> =
                Arc::new(MemoryStorage::from_files([(path.clone(), bytes)].into()));
            OpenFile::read(&storage, id, Standing::Open)
        };
        let start = read(whole.clone()).unwrap().unwrap();
        assert_eq!((words(&start), start.info()), (vec!["one", "two"], file.info()));
        for cut in 1..whole.len() {
            let Some(mut torn) = read(whole[..whole.len() - cut].to_vec()).unwrap() else {
                continue;
            };
            // What a record is filled up with does not count.
            assert!(torn.steps().len() < 2 || cut < 8);
            step(&mut torn, "three");
            let again = OpenFile::read(&torn.storage, id, Standing::Open).unwrap().unwrap();
            assert_eq!(words(&again).last(), Some(&"three"), "{cut}");
        }
        // No byte changes unnoticed: the last step is left out as torn, damage before it is named.
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            match read(changed) {
                Ok(None) => panic!("{at}"),
                Ok(Some(file)) => {
                    assert!(words(&file).len() < 2 || file.steps() == start.steps(), "{at}")
                }
                Err(error) => assert!(error.is_corrupt(), "{at} {error}"),
            }
        }
    }
}
