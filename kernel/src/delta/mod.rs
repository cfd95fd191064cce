//! Changesets on disk: the codecs that turn them into bytes, and the files that hold those bytes.

mod rows;
mod patch;
mod compress;
mod file;
mod directory;
mod pack;
mod pack_writer;
mod export;

pub use compress::Compression;
pub use directory::VersionInfo;
pub use export::export_patch;
pub use file::{
    Codecs, DeltaFile, WrittenDelta, delta_name, delta_timestamp, keyframe_name, keyframe_timestamp,
};
pub use pack::{Pack, merge_from, pack_name, pack_range, without_repeated};
pub use pack_writer::PackWriter;
pub use patch::BsdiffCodec;
pub use rows::RowsCodec;
