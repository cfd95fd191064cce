//! Appending to the journal.

use reedbase_plugin_api::Result;

use super::record::encode_frame;
use super::segment::{Before, START, Segment, State, Window, segment_number};
use super::tail::{Found, Journal, Position};
use crate::frame::FrameRecord;
use crate::storage::Access;

/// How far a handle fills ahead: a page at first, more the more it appends.
const AHEAD_MIN: u64 = 4096;
const AHEAD_MAX: u64 = 1 << 20;

impl Journal {
    /// Makes sure that records can be appended here: moves on if a sync failed in this segment, and cuts
    /// the half-written record of a peer that died. Needs the lock, after [`tail`](Self::tail).
    ///
    /// # Errors
    /// Those of the storage.
    pub fn prepare(&mut self) -> Result<()> {
        if self.behind.torn {
            self.cut_torn_tail()?;
        }
        match self.behind.state {
            State::Failed(durable) => self.leave_failed(durable),
            _ => Ok(()),
        }
    }

    /// Copies every whole record past the last known sync into a new segment, and goes on there.
    fn leave_failed(&mut self, durable: u64) -> Result<()> {
        let mut window = Window::new();
        let (mut offset, mut records) = (durable, Vec::new());
        while let Found::Frame(frame, len) = self.record(&mut window, offset)? {
            records.push(frame);
            offset += len;
        }
        let oldest = records.first().map(|frame| &frame.info);
        let before = Before {
            newest: oldest.map_or(self.newest, |info| info.parent),
            sequence: oldest.map_or(self.sequence, |info| info.sequence.saturating_sub(1)),
            previous_end: durable,
        };
        let segment = Segment::create(&*self.storage, self.segment.number + 1, before)?;
        let mut end = START;
        for frame in records {
            let record = encode_frame(&frame, segment.number, end, START)?;
            segment.file.write_at(&record, end)?;
            end += record.len() as u64;
        }
        segment.file.sync()?;
        self.enter(segment);
        (self.end, self.allocated) = (end, end);
        Ok(())
    }

    /// Writes a frame behind the last. Needs the lock, after [`tail`](Self::tail) and
    /// [`prepare`](Self::prepare). It is durable once [`file`](Self::file) is synced.
    ///
    /// # Errors
    /// Those of the storage; then nothing was appended.
    pub fn append(&mut self, frame: &FrameRecord, synced_to: Position) -> Result<Position> {
        let known = if synced_to.segment == self.segment.number { synced_to.offset } else { START };
        let record = encode_frame(frame, self.segment.number, self.end, known)?;
        let end = self.end + record.len() as u64;
        if end > self.allocated {
            self.fill_ahead(end);
        }
        if let Err(error) = self.segment.file.write_at(&record, self.end) {
            self.wipe(record.len());
            return Err(error);
        }
        self.end = end;
        self.appended += record.len() as u64;
        self.newest = frame.info.timestamp;
        self.sequence = frame.info.sequence;
        Ok(self.position())
    }

    /// Fills the file with zeros ahead of need, so that a sync has only data to write. It does not
    /// matter if it fails: then the record itself makes the file longer.
    fn fill_ahead(&mut self, end: u64) {
        let ahead = self.appended.clamp(AHEAD_MIN, AHEAD_MAX);
        let target = (end + ahead).next_multiple_of(4096);
        if self.write_zeros(self.allocated, target).is_ok() {
            self.allocated = target;
        }
    }

    fn write_zeros(&self, from: u64, to: u64) -> Result<()> {
        // Not made anew each time: memory that nobody touched yet is slow to write from.
        static ZEROS: [u8; 1 << 16] = [0; 1 << 16];
        let mut at = from;
        while at < to {
            let len = usize::try_from(to - at).unwrap_or(usize::MAX).min(ZEROS.len());
            self.segment.file.write_at(ZEROS.get(..len).unwrap_or_default(), at)?;
            at += len as u64;
        }
        Ok(())
    }

    /// Takes back a record that was perhaps written in part.
    fn wipe(&mut self, len: usize) {
        // If this fails too, the torn record is cut by whoever comes next.
        drop(self.write_zeros(self.end, self.end + len as u64));
    }

    /// Marks the segment after a failed sync: only what lies below is known durable.
    pub fn mark_failed(&self, durable: Position) {
        let offset = if durable.segment == self.segment.number { durable.offset } else { START };
        // If not even this can be written, the records are torn for whoever comes next, and cut.
        drop(self.segment.set_state(State::Failed(offset.max(START))));
    }

    /// Begins a new segment. Needs the lock, after [`tail`](Self::tail) and [`prepare`](Self::prepare).
    ///
    /// # Errors
    /// Those of the storage.
    pub fn roll(&mut self) -> Result<()> {
        if self.end == START {
            return Ok(());
        }
        self.segment.file.sync()?;
        let (newest, sequence) = (self.newest, self.sequence);
        let before = Before { newest, sequence, previous_end: self.end };
        let next = Segment::create(&*self.storage, self.segment.number + 1, before)?;
        self.segment.set_state(State::Rolled)?;
        self.enter(next);
        Ok(())
    }

    /// Removes all segments before the current one: what they say stands elsewhere.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn remove_old_segments(&self) -> Result<()> {
        for name in self.storage.list("journal")? {
            let Some(number) = segment_number(&name).filter(|n| *n < self.segment.number) else {
                continue;
            };
            // Those at work in it see its state, not that its name is gone.
            if let Some(segment) = Segment::open(&*self.storage, number, Access::Write)?
                && segment.state()? == State::Open
            {
                segment.set_state(State::Rolled)?;
            }
            self.storage.remove(&format!("journal/{name}"))?;
        }
        Ok(())
    }

    /// Gives back what was filled ahead. Needs the lock, after [`tail`](Self::tail).
    ///
    /// # Errors
    /// Those of the storage.
    pub fn give_back(&mut self) -> Result<()> {
        if self.segment.state()? == State::Open && self.allocated > self.end {
            self.segment.file.set_len(self.end)?;
            self.allocated = self.end;
        }
        Ok(())
    }
}
