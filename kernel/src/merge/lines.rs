//! A file that is put together line by line.

use reedbase_plugin_api::{Bytes, LineEnd};

/// The file so far.
#[derive(Debug)]
pub(super) struct Lines {
    out: Vec<u8>,
    ends: LineEnd,
}

impl Lines {
    /// Begins with a header.
    pub(super) fn new(header: &[u8], ends: LineEnd) -> Self {
        Self { out: header.to_vec(), ends }
    }

    /// Adds a line; the one before gets a line end if it has none.
    pub(super) fn push(&mut self, line: &[u8]) {
        if !self.out.is_empty() && !self.out.ends_with(b"\n") {
            self.out.extend_from_slice(self.ends.as_bytes());
        }
        self.out.extend_from_slice(line);
    }

    pub(super) fn finish(self) -> Bytes {
        Bytes::from(self.out)
    }
}
