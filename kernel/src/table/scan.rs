//! Reading a table from front to back, many rows at a time.

use reedbase_plugin_api::{Batch, Result};

use super::Table;

impl Table {
    /// Adds rows to a batch, beginning with the line of this ordinal: as many as stand in the next `max` lines. Gives the
    /// ordinal of the line behind them; `None` at the end of the table. A row's slot is its ordinal.
    ///
    /// # Errors
    /// Those of reading the file.
    pub fn scan(&self, from: u64, max: usize, batch: &mut Batch) -> Result<Option<u64>> {
        let Some(start) = self.place_at(from) else { return Ok(None) };
        let mut scan = Scan { table: self, next: from, end: from.saturating_add(max as u64) };
        let mut slot = start.slot();
        for (place, line) in self.lines.iter_from(&start) {
            scan.base(slot, place.slot(), batch)?;
            if scan.is_full() {
                return Ok(Some(scan.next));
            }
            slot = place.slot() + u32::from(place.base_slot().is_some());
            if let Some(bytes) = line.bytes() {
                batch.add_piece(bytes.clone());
                scan.line(0, bytes, batch);
            }
        }
        scan.base(slot, self.base.lines(), batch)?;
        Ok((scan.next < self.lines()).then_some(scan.next))
    }
}

struct Scan<'a> {
    table: &'a Table,
    /// The ordinal of the next line.
    next: u64,
    end: u64,
}

impl Scan<'_> {
    fn is_full(&self) -> bool {
        self.next >= self.end
    }

    /// Adds lines of the base, as many as still fit.
    fn base(&mut self, from: u32, to: u32, batch: &mut Batch) -> Result<()> {
        let room = u32::try_from(self.end.saturating_sub(self.next)).unwrap_or(u32::MAX);
        let to = to.min(from.saturating_add(room));
        if from >= to {
            return Ok(());
        }
        let base = &self.table.base;
        let piece = base.slice(from, to)?;
        batch.add_piece(piece.clone());
        let mut start = 0;
        for slot in from..to {
            let len = base.place_of(slot).map_or(0, |(_, len)| len);
            let end = start + usize::try_from(len).unwrap_or_default();
            self.line(start, piece.get(start..end).unwrap_or_default(), batch);
            start = end;
        }
        Ok(())
    }

    /// Adds a line of the last piece; a blank one only counts.
    fn line(&mut self, start: usize, line: &[u8], batch: &mut Batch) {
        if !self.table.shape().is_blank(line) {
            batch.add_row(self.next, start, start + line.len());
        }
        self.next += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::table::{Base, Edit, Key, Stamp};
    use proptest::prelude::*;
    use reedbase_plugin_api::{Bytes, Shape, Timestamp};

    fn table(text: &str) -> Table {
        let len = text.find('\n').unwrap() + 1;
        let header = Bytes::copy_from_slice(&text.as_bytes()[..len]);
        let shape = Arc::new(Shape::new(b',', header, vec![0]).unwrap());
        let base = Base::parse(Bytes::copy_from_slice(text.as_bytes()), shape).unwrap();
        Table::new(Arc::new(base), Timestamp::ZERO)
    }

    proptest! {
        /// Whatever was edited, batches of any size hold the rows in order, and a slot finds its row again.
        #[test]
        fn scanning_finds_what_walking_finds(
            count in 0_u32..30,
            blank in 0_u32..30,
            edits in prop::collection::vec((0_u32..40, 0_u8..3), 0..40),
            max in 1_usize..9,
        ) {
            let lines = (0..count).map(|id| match id == blank {
                true => "\n".to_owned(),
                false => format!("{id},x\n"),
            });
            let mut edit = Edit::new(
                table(&format!("id,v\n{}", lines.collect::<String>())),
                Stamp::new(Timestamp::from_micros(1)),
            );
            for (id, what) in edits {
                let id = id.to_string();
                let row = Bytes::from(format!("{id},{what}\n"));
                edit.put(&Key::from(id.as_str()), (what > 0).then_some(row)).unwrap();
            }
            let table = edit.table();
            let (mut scanned, mut next) = (Vec::new(), Some(0));
            while let Some(from) = next {
                let mut batch = Batch::default();
                next = table.scan(from, max, &mut batch).unwrap();
                prop_assert!(batch.len() <= max);
                for (slot, row) in batch.iter() {
                    prop_assert_eq!(table.row(slot).unwrap().unwrap(), row);
                    scanned.push(Bytes::copy_from_slice(row));
                }
            }
            let mut walked = Vec::new();
            table.for_each_row(|row| { walked.push(row); Ok(()) }).unwrap();
            prop_assert_eq!(scanned, walked);
        }
    }
}
