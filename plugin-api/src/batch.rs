//! Rows on their way to a plugin: the bytes of the file, and where each row starts and ends in them.

use bytes::Bytes;

/// Rows of a table, as they stand in its file. Their bytes are shared with the table, not copied.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    pieces: Vec<Bytes>,
    rows: Vec<Place>,
}

/// A row in a batch.
#[derive(Debug, Clone, Copy)]
struct Place {
    slot: u64,
    piece: u32,
    from: u32,
    to: u32,
}

impl Batch {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Takes all rows out, and keeps the memory for others.
    pub fn clear(&mut self) {
        self.pieces.clear();
        self.rows.clear();
    }

    /// Adds bytes in which the rows stand that are added next.
    pub fn add_piece(&mut self, bytes: Bytes) {
        self.pieces.push(bytes);
    }

    /// Adds a row of the last piece. What lies beyond its end is left out.
    pub fn add_row(&mut self, slot: u64, from: usize, to: usize) {
        let piece = u32::try_from(self.pieces.len().saturating_sub(1)).unwrap_or(u32::MAX);
        let narrow = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        self.rows.push(Place { slot, piece, from: narrow(from), to: narrow(to) });
    }

    /// The bytes of a row, line end included; nothing beyond the last row.
    pub fn row(&self, index: usize) -> &[u8] {
        let Some(row) = self.rows.get(index) else { return &[] };
        let piece = self.pieces.get(row.piece as usize);
        piece.and_then(|piece| piece.get(row.from as usize..row.to as usize)).unwrap_or_default()
    }

    /// Which row of its snapshot it is; zero beyond the last row.
    pub fn slot(&self, index: usize) -> u64 {
        self.rows.get(index).map_or(0, |row| row.slot)
    }

    /// The rows, each with its slot.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &[u8])> {
        (0..self.rows.len()).map(|index| (self.slot(index), self.row(index)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_from_their_pieces() {
        let mut batch = Batch::default();
        batch.add_piece(Bytes::from("1,a\n2,b\n"));
        batch.add_row(7, 0, 4);
        batch.add_row(8, 4, 8);
        batch.add_piece(Bytes::from("3,c\n"));
        batch.add_row(9, 0, 4);
        let rows: Vec<_> = batch.iter().collect();
        assert_eq!(rows, [(7, &b"1,a\n"[..]), (8, b"2,b\n"), (9, b"3,c\n")]);
        assert_eq!((batch.row(3), batch.slot(3)), (&b""[..], 0));
        batch.clear();
        assert!(batch.is_empty());
    }
}
