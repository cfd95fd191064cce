//! Reading on in the journal.

use std::sync::Arc;

use reedbase_plugin_api::{Error, ErrorKind, Result, Timestamp};

use super::record::{HEADER, Header, read_frame};
use super::segment::{Before, START, Segment, State, Window, segment_name, segment_number};
use crate::frame::FrameRecord;
use crate::storage::{Access, File, MemoryStorage, Storage};

/// A place in the journal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Position {
    /// The number of the segment.
    pub segment: u64,
    /// The offset in it.
    pub offset: u64,
}

/// The journal of a database, as one handle of it sees it.
#[derive(Debug)]
pub struct Journal {
    pub(super) storage: Arc<dyn Storage>,
    pub(super) access: Access,
    pub(super) segment: Segment,
    /// Where the next record goes, as far as this handle knows.
    pub(super) end: u64,
    /// How far the file is filled with zeros.
    pub(super) allocated: u64,
    /// How many bytes this handle appended: the more, the further it fills ahead.
    pub(super) appended: u64,
    pub(super) newest: Timestamp,
    pub(super) sequence: u64,
    /// What the last look found behind the end.
    pub(super) behind: Behind,
}

/// What follows the last record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Behind {
    /// Something that is no record, and not zeros.
    pub(super) torn: bool,
    pub(super) state: State,
}

/// What a first look at the journal found.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Scan {
    /// The frames, oldest first.
    pub frames: Vec<FrameRecord>,
    /// What was cut off and kept aside: paths.
    pub torn: Vec<String>,
}

/// How the record at some place looks.
pub(super) enum Found {
    Frame(Box<FrameRecord>, u64),
    /// Zeros, or the end of the file.
    End,
    /// Neither.
    Bad,
}

impl Journal {
    /// Reads the whole journal, making its first segment if there is none. With `cut`, which needs the
    /// lock, a torn tail is cut off; without it is left alone and ignored.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorKind::Corrupt) if a record is damaged that was durable once.
    pub fn open(storage: Arc<dyn Storage>, access: Access, cut: bool) -> Result<(Self, Scan)> {
        let numbers = storage.list("journal")?;
        let mut numbers: Vec<u64> =
            numbers.iter().filter_map(|name| segment_number(name)).collect();
        numbers.sort_unstable();
        let mut segments = Vec::new();
        for number in numbers {
            segments.extend(Segment::open(&*storage, number, access)?);
        }
        let storage = match (segments.is_empty(), access) {
            // Nobody may write here, and nobody did: the journal is one that holds nothing.
            (true, Access::Read) => Arc::new(MemoryStorage::new()),
            _ => storage,
        };
        if segments.is_empty() {
            segments.push(Segment::create(&*storage, 1, Before::default())?);
        }
        let mut scan = Scan::default();
        let mut journal = None;
        for (index, segment) in segments.iter().enumerate() {
            let next = segments.get(index + 1);
            let required = next.map_or(0, |next| next.before.previous_end);
            let journal =
                journal.get_or_insert_with(|| Self::at(&storage, access, segment.clone()));
            journal.enter(segment.clone());
            scan.frames.extend(journal.scan_segment(required)?);
            if next.is_none() && cut {
                scan.torn.extend(journal.cut_torn_tail()?);
            }
        }
        let mut journal: Self =
            journal.ok_or_else(|| Error::internal("the journal has no segment"))?;
        journal.behind.state = journal.segment.state()?;
        if cut && journal.end == START {
            // Whoever made it may have failed to make its name durable.
            journal.storage.sync_folder("journal")?;
        }
        Ok((journal, scan))
    }

    pub(super) fn at(storage: &Arc<dyn Storage>, access: Access, segment: Segment) -> Self {
        let (newest, sequence) = (segment.before.newest, segment.before.sequence);
        let storage = Arc::clone(storage);
        let (end, allocated, appended) = (START, START, 0);
        let behind = Behind { torn: false, state: State::Open };
        Self { storage, access, segment, end, allocated, appended, newest, sequence, behind }
    }

    pub(super) fn enter(&mut self, segment: Segment) {
        self.segment = segment;
        (self.end, self.allocated) = (START, START);
        self.behind = Behind { torn: false, state: State::Open };
    }

    /// Where the next record goes.
    pub fn position(&self) -> Position {
        Position { segment: self.segment.number, offset: self.end }
    }

    /// The timestamp of the newest frame.
    pub fn newest(&self) -> Timestamp {
        self.newest
    }

    /// Later frames come after this one, whether or not the journal knows it.
    pub fn go_on_from(&mut self, newest: Timestamp) {
        self.newest = self.newest.max(newest);
    }

    /// How many frames this node made.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The file that the next record goes to, to sync it.
    pub fn file(&self) -> Arc<dyn File> {
        Arc::clone(&self.segment.file)
    }

    /// The frames that others appended since this handle looked last. Needs no lock.
    ///
    /// # Errors
    /// Those of the storage. [`NotFound`](ErrorKind::NotFound) if the segments in between were removed:
    /// then the database must be opened again.
    pub fn tail(&mut self) -> Result<Vec<FrameRecord>> {
        let mut frames = Vec::new();
        loop {
            self.read_on(&mut frames)?;
            self.behind.state = self.segment.state()?;
            if self.behind.state == State::Open && !self.has_next()? {
                return Ok(frames);
            }
            // The state may have been set after the last record was read: look again before leaving.
            self.read_on(&mut frames)?;
            let next = self.segment.number + 1;
            match Segment::open(&*self.storage, next, self.access)? {
                Some(segment) => self.enter(segment),
                None if self.later_segment()? => {
                    return Err(Error::not_found("a part of the journal was removed meanwhile"));
                }
                None => return Ok(frames),
            }
        }
    }

    /// Whether the next segment was begun. Whoever began it may have died, or failed, before the state of this one could say
    /// so: that there is one counts.
    fn has_next(&self) -> Result<bool> {
        Ok(self.storage.stat(&segment_name(self.segment.number + 1))?.is_some())
    }

    fn later_segment(&self) -> Result<bool> {
        let names = self.storage.list("journal")?;
        let mut numbers = names.iter().filter_map(|name| segment_number(name));
        Ok(numbers.any(|number| number > self.segment.number))
    }

    fn read_on(&mut self, frames: &mut Vec<FrameRecord>) -> Result<()> {
        let mut window = Window::new();
        loop {
            match self.record(&mut window, self.end)? {
                Found::Frame(frame, len) => {
                    self.end += len;
                    if frame.info.timestamp > self.newest {
                        self.newest = frame.info.timestamp;
                        self.sequence = self.sequence.max(frame.info.sequence);
                        frames.push(*frame);
                    }
                }
                found => {
                    self.behind.torn = matches!(found, Found::Bad);
                    break;
                }
            }
        }
        self.allocated = self.allocated.max(self.end);
        Ok(())
    }

    /// Reads a segment from its start; its records must reach `required`.
    pub(super) fn scan_segment(&mut self, required: u64) -> Result<Vec<FrameRecord>> {
        let mut frames = Vec::new();
        self.read_on(&mut frames)?;
        let durable = self.durable_beyond(self.end)?.max(required);
        if durable > self.end {
            return Err(Error::corrupt("a record of the journal is damaged")
                .at_path(self.storage.full_path(&segment_name(self.segment.number)))
                .at_byte(self.end)
                .help(
                    "restore the file from a backup, or cut the journal there: rdb verify --cut",
                ));
        }
        Ok(frames)
    }

    /// How far the segment was once known to be synced, by what the records behind a bad one say.
    fn durable_beyond(&self, from: u64) -> Result<u64> {
        let mut window = Window::new();
        let len = self.segment.file.stat()?.len;
        let mut durable = 0;
        for offset in (from..len).step_by(8) {
            let bytes = window.get(&*self.segment.file, offset, HEADER as u64)?;
            if bytes.starts_with(b"RDBF")
                && let Ok(Some(header)) = Header::read(&bytes, self.segment.number, offset)
            {
                durable = durable.max(header.synced_to);
            }
        }
        Ok(durable)
    }

    pub(super) fn record(&self, window: &mut Window, offset: u64) -> Result<Found> {
        let file = &*self.segment.file;
        let bytes = window.get(file, offset, HEADER as u64)?;
        if bytes.iter().all(|byte| *byte == 0) {
            return Ok(Found::End);
        }
        let path = || self.storage.full_path(&segment_name(self.segment.number));
        let header = Header::read(&bytes, self.segment.number, offset);
        let Some(header) = header.map_err(|error| error.at_path(path()))? else {
            return Ok(Found::Bad);
        };
        let len = u64::from(header.payload_len);
        let payload = window.get(file, offset + HEADER as u64, len)?;
        if payload.len() as u64 != len || crc32fast::hash(&payload) != header.payload_crc {
            return Ok(Found::Bad);
        }
        let frame = read_frame(&header, payload);
        let frame = frame.map_err(|error| error.at_path(path()).at_byte(offset))?;
        Ok(Found::Frame(Box::new(frame), header.record_len()))
    }

    /// Cuts off what is behind the last good record, if it is not zeros, and keeps it aside. Needs the
    /// lock.
    pub(super) fn cut_torn_tail(&mut self) -> Result<Option<String>> {
        let file = Arc::clone(&self.segment.file);
        let len = file.stat()?.len;
        let rest = crate::storage::read_range(&*file, self.end, len.saturating_sub(self.end))?;
        let torn = rest.len() - rest.iter().rev().take_while(|byte| **byte == 0).count();
        if torn == 0 {
            return Ok(None);
        }
        let aside = format!("journal/{:010}.torn-{}", self.segment.number, self.end);
        self.storage.write_new(&aside, rest.get(..torn).unwrap_or_default())?;
        file.set_len(self.end)?;
        file.sync()?;
        self.storage.sync_folder("journal")?;
        self.allocated = self.end;
        self.behind.torn = false;
        Ok(Some(aside))
    }

    /// Whether something that is no record follows the last one.
    pub fn is_torn(&self) -> bool {
        self.behind.torn
    }

    /// Whether a sync failed in this segment. What was written since the one before may never reach the disk,
    /// though it can be read and further syncs succeed: [`prepare`](Self::prepare) before it is shown.
    pub fn has_failed(&self) -> bool {
        matches!(self.behind.state, State::Failed(_))
    }

    /// How many bytes of records the current segment holds.
    pub fn bytes(&self) -> u64 {
        self.end - START
    }

    /// A failure that says that the outcome of a commit is unknown.
    pub fn outcome_unknown(source: Error) -> Error {
        Error::new(
            ErrorKind::OutcomeUnknown,
            "the disk failed while the commit was made durable; whether it survives a power cut is unknown",
        )
        .help("open the database again and look: rdb log")
        .caused_by(source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Action, Adopted, ChangeBody, FrameInfo, TableChange};
    use crate::storage::MemoryStorage;
    use reedbase_plugin_api::{Bytes, NodeId, TableName};

    fn frame(n: i64) -> FrameRecord {
        let table = TableName::new("t").unwrap();
        let info = FrameInfo {
            timestamp: Timestamp::from_micros(n),
            node: NodeId::from_bits(1),
            wall: Timestamp::from_micros(n),
            parent: Timestamp::from_micros(n - 1),
            sequence: n as u64,
            user: "u".into(),
            name: (n % 2 == 0).then(|| format!("frame {n}")),
            details: [("client".to_owned(), "test".to_owned())].into(),
            tables: vec![(table.clone(), Action::UPDATE)],
        };
        let body = if n % 3 == 0 {
            ChangeBody::File { len: 5, sha256: [9; 32], content: [8; 32], schema: Some("x".into()) }
        } else {
            ChangeBody::Inline(Bytes::from(vec![n as u8; 20 + n as usize]))
        };
        let adopted = (n % 4 == 1).then_some(Adopted { table: [3; 32], schema: [4; 32] });
        let base = Timestamp::from_micros(n - 1);
        let changes = vec![TableChange {
            table,
            action: Action::UPDATE,
            base,
            size: 7,
            rows: 1,
            adopted,
            body,
        }];
        FrameRecord { info: Arc::new(info), changes }
    }

    fn open(storage: &MemoryStorage) -> (Journal, Scan) {
        Journal::open(Arc::new(storage.clone()), Access::Write, true).unwrap()
    }

    fn append(journal: &mut Journal, n: i64) {
        let synced = journal.position();
        journal.prepare().unwrap();
        journal.append(&frame(n), synced).unwrap();
    }

    fn numbers(frames: &[FrameRecord]) -> Vec<i64> {
        frames.iter().map(|frame| frame.info.timestamp.as_micros()).collect()
    }

    #[test]
    fn frames_come_back_and_others_see_them() {
        let storage = MemoryStorage::new();
        let (mut one, _) = open(&storage);
        let (mut other, _) = open(&storage);
        append(&mut one, 1);
        append(&mut one, 2);
        assert_eq!(other.tail().unwrap(), [frame(1), frame(2)]);
        append(&mut other, 3);
        assert_eq!(one.tail().unwrap(), [frame(3)]);
        one.roll().unwrap();
        append(&mut one, 4);
        assert_eq!(other.tail().unwrap(), [frame(4)]);
        assert_eq!(numbers(&open(&storage).1.frames), [1, 2, 3, 4]);
        one.remove_old_segments().unwrap();
        let (journal, scan) = open(&storage);
        assert_eq!(numbers(&scan.frames), [4]);
        assert_eq!((journal.newest().as_micros(), journal.sequence()), (4, 4));
        one.roll().unwrap();
        one.remove_old_segments().unwrap();
        assert_eq!(open(&storage).0.newest().as_micros(), 4);
        one.roll().unwrap();
        append(&mut one, 5);
        one.roll().unwrap();
        one.remove_old_segments().unwrap();
        assert!(other.tail().unwrap_err().is_not_found());
    }

    #[test]
    fn a_torn_tail_is_cut_and_kept_and_damage_is_named() {
        let storage = MemoryStorage::new();
        let (mut journal, _) = open(&storage);
        let mut ends = Vec::new();
        for n in 1..=3 {
            append(&mut journal, n);
            ends.push(journal.position().offset as usize);
        }
        let path = segment_name(1);
        let whole = storage.files()[&path].clone();
        for at in 64..ends[2] {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            let storage = MemoryStorage::from_files([(path.clone(), damaged)].into());
            let opened = Journal::open(Arc::new(storage.clone()), Access::Write, true);
            let padding = ends.iter().any(|end| (end - 8..*end).contains(&at));
            if padding && opened.as_ref().is_ok_and(|(_, scan)| scan.frames.len() == 3) {
                // The zeros behind a payload say nothing.
            } else if at < ends[1] {
                // A later record says that this one was durable.
                let error = opened.unwrap_err();
                assert!(error.is_corrupt(), "{at}");
                assert!(error.to_string().contains(&path), "{error}");
            } else {
                let (mut journal, scan) = opened.unwrap();
                assert_eq!(numbers(&scan.frames), [1, 2], "{at}");
                assert_eq!(scan.torn.len(), 1, "{at}");
                append(&mut journal, 9);
                assert_eq!(numbers(&open(&storage).1.frames), [1, 2, 9]);
            }
        }
    }

    /// Found by a disk that was full just then: two handles went on in two segments, each acknowledging what the other
    /// never saw.
    #[test]
    fn a_segment_that_was_begun_and_not_announced_is_where_all_go_on() {
        let storage = MemoryStorage::new();
        let (mut one, _) = open(&storage);
        append(&mut one, 1);
        let before = Before { newest: one.newest, sequence: one.sequence, previous_end: one.end };
        Segment::create(&storage, 2, before).unwrap();
        let (mut other, _) = open(&storage);
        append(&mut other, 2);
        assert_eq!(numbers(&one.tail().unwrap()), [2]);
        append(&mut one, 3);
        assert_eq!(numbers(&other.tail().unwrap()), [3]);
        assert_eq!(one.position(), other.position());
        assert_eq!(numbers(&open(&storage).1.frames), [1, 2, 3]);
        // The same if it is removed meanwhile, with the one before.
        let (mut late, _) = open(&storage);
        let before = Before { newest: one.newest, sequence: one.sequence, previous_end: one.end };
        Segment::create(&storage, 3, before).unwrap();
        let (mut third, _) = open(&storage);
        append(&mut third, 4);
        third.roll().unwrap();
        third.remove_old_segments().unwrap();
        assert!(late.tail().unwrap_err().is_not_found());
    }

    #[test]
    fn after_a_failed_sync_the_journal_goes_on_in_a_new_segment() {
        let storage = MemoryStorage::new();
        let (mut one, _) = open(&storage);
        let (mut other, _) = open(&storage);
        append(&mut one, 1);
        let durable = one.position();
        append(&mut one, 2);
        one.mark_failed(durable);
        assert_eq!(numbers(&other.tail().unwrap()), [1, 2]);
        other.prepare().unwrap();
        append(&mut other, 3);
        assert_eq!(other.position().segment, 2);
        assert_eq!(numbers(&open(&storage).1.frames), [1, 2, 3]);
        assert_eq!(numbers(&one.tail().unwrap()), [3]);
        // What was not durable in the first segment may be lost there: the second repeats it.
        let mut files = storage.files();
        files.get_mut(&segment_name(1)).unwrap().truncate(durable.offset as usize);
        let storage = MemoryStorage::from_files(files.clone());
        assert_eq!(numbers(&open(&storage).1.frames), [1, 2, 3]);
        files.get_mut(&segment_name(1)).unwrap().truncate(durable.offset as usize - 8);
        let storage = Arc::new(MemoryStorage::from_files(files));
        assert!(Journal::open(storage, Access::Write, true).unwrap_err().is_corrupt());
    }
}
