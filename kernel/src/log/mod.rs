//! What a person reads to see what happened: the dictionaries, each table's `version.log`, and the index
//! of frames. All are lines of text, appended at a checkpoint, each with a checksum; old lines go into packs.

mod lines;
mod dictionary;
mod versions;
mod frame_pack;
mod frames;
mod salvage;
mod frame_cache;
mod frame_log;

pub use dictionary::{UserDictionary, actions_text, check_actions, complete_actions};
pub use frame_cache::{FrameCache, KnownFrames};
pub use frame_log::{FrameEvent, FrameLog};
pub use frames::{FrameIndex, NotAfter};
pub use lines::LogFile;
pub use salvage::Salvaged;
pub use versions::{Version, VersionLog, chain_hash, from_hex, to_hex};
