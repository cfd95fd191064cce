//! The seam `DeltaCodec`: changesets to bytes and back.

use bytes::Bytes;

use crate::{Changeset, Result};

/// Turns changesets into bytes and back.
///
/// The id stands in every file the codec wrote, and the kernel finds the codec by it when it reads the
/// file, so an id means one format for ever. What a codec writes need not be compressed and has no
/// checksum: the file around it does both.
pub trait DeltaCodec: Send + Sync {
    /// The id: 1 to 16 lower-case letters, digits or `-`.
    fn id(&self) -> &str;

    /// Appends the changesets to `out`, in order.
    ///
    /// # Errors
    /// Only if the changesets break their own rules, such as lines out of order.
    fn encode(&self, changesets: &[Changeset], out: &mut dyn std::io::Write) -> Result<()>;

    /// Reads back what [`encode`](Self::encode) wrote: equal changesets, byte for byte. Memory stays
    /// within a small multiple of what the changesets hold, whatever the bytes claim.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) if the bytes are not a whole encoding.
    fn decode(&self, bytes: &Bytes) -> Result<Vec<Changeset>>;
}
