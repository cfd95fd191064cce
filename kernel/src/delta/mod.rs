//! Changesets on disk: the codecs that turn them into bytes, and the files that hold those bytes.

mod rows;
mod patch;
mod compress;
mod file;

pub use compress::Compression;
pub use file::{Codecs, DeltaFile, delta_name, delta_timestamp};
pub use patch::BsdiffCodec;
pub use rows::RowsCodec;
