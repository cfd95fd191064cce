//! `frames/index.csv`: one line for each frame.
//!
//! ```text
//! timestamp|frame_id|name|status|tables_affected|committed_at|user|details|crc32
//! ```
//!
//! `committed_at` is what the wall clock showed, in microseconds since 1970; `user` is a code of the
//! dictionary; `details` are words of the form `key=value`, percent-encoded where they hold a space, `=`,
//! `%` or `;`, joined by `;`, with the tables under the key `tables`: `pages:2,users:1` names table and
//! action. The file only grows; the last line of an id wins.
//!
//! Old lines are folded into packs (`frame_pack.rs`), which are merged like those of tables. A pack is
//! durable before the lines that it repeats are dropped, so that a crash in between leaves both.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use reedbase_plugin_api::{Error, FrameId, Result, TableName, Timestamp};

use super::frame_pack::{About, Frames, write_frames};
use super::{LogFile, UserDictionary};
use crate::delta::{Compression, merge_from, pack_name, pack_range, without_repeated};
use crate::frame::{Action, FrameInfo};
use crate::storage::{Access, Storage};

const HEADER: &str =
    "timestamp|frame_id|name|status|tables_affected|committed_at|user|details|crc32";
const CHECKSUM_CELL: usize = 8;
const FOLDER: &str = "frames";
pub(super) const PATH: &str = "frames/index.csv";

/// The index of frames.
#[derive(Debug)]
pub struct FrameIndex {
    storage: Arc<dyn Storage>,
    file: LogFile,
    /// Those that have a line, oldest first.
    lines: Vec<Arc<FrameInfo>>,
    end: u64,
    packs: Vec<FramePack>,
}

/// A pack, by its name.
#[derive(Debug, Clone)]
struct FramePack {
    first: Timestamp,
    last: Timestamp,
    len: u64,
    /// Its directory, once it was read.
    opened: OnceLock<Arc<Frames>>,
}

/// What a search goes back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a frame has these two times")]
pub enum NotAfter {
    /// Frames not after this one, or any with [`Timestamp::MAX`].
    Timestamp(Timestamp),
    /// Frames made when the wall clock showed no more than this.
    Wall(Timestamp),
}

impl NotAfter {
    /// Whether a frame is one of those searched for.
    pub fn holds(self, frame: &FrameInfo) -> bool {
        match self {
            Self::Timestamp(at) => frame.timestamp <= at,
            Self::Wall(at) => frame.wall <= at,
        }
    }

    /// Whether there may be one among these.
    fn may_hold(self, about: &About) -> bool {
        match self {
            Self::Timestamp(at) => about.first <= at,
            Self::Wall(at) => about.earliest <= at,
        }
    }
}

impl FrameIndex {
    /// Reads the lines of the index. Packs are only listed.
    ///
    /// # Errors
    /// [`Corrupt`](reedbase_plugin_api::ErrorKind::Corrupt) with the line.
    pub fn read(storage: &Arc<dyn Storage>, users: &UserDictionary) -> Result<Self> {
        // The lines first: what is folded meanwhile is then seen twice, and not missed.
        let file = file_of(storage);
        let (lines, end) = file.read(|cells| parse(cells, users).map(Arc::new))?;
        let packs = list_packs(&**storage)?;
        Ok(Self { storage: Arc::clone(storage), file, lines, end, packs })
    }

    /// Whether something follows the last good line.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn is_torn(&self) -> Result<bool> {
        self.file.is_torn(self.end)
    }

    /// All frames, oldest first.
    ///
    /// # Errors
    /// [`Corrupt`](reedbase_plugin_api::ErrorKind::Corrupt) with the pack.
    pub fn frames(&self, users: &UserDictionary) -> Result<Vec<Arc<FrameInfo>>> {
        let mut frames = Vec::new();
        for pack in &self.packs {
            frames.extend(self.read_pack(pack, users)?);
        }
        if frames.is_empty() {
            return Ok(self.lines.clone());
        }
        let all = frames.into_iter().chain(self.lines.iter().cloned());
        let by_id: BTreeMap<_, _> =
            all.map(|frame| ((frame.timestamp, frame.node.as_bits()), frame)).collect();
        Ok(by_id.into_values().collect())
    }

    /// The newest frame that `wanted` wants, among those not after an instant. Cost: O(chunks of a thousand frames)
    /// looks at directories, and one chunk is read for each that may hold it.
    ///
    /// # Errors
    /// [`Corrupt`](reedbase_plugin_api::ErrorKind::Corrupt) with the pack.
    pub fn newest_where(
        &self,
        users: &UserDictionary,
        not_after: NotAfter,
        mut wanted: impl FnMut(&FrameInfo) -> bool,
    ) -> Result<Option<Arc<FrameInfo>>> {
        let mut wanted = |frame: &&Arc<FrameInfo>| not_after.holds(frame) && wanted(frame);
        if let Some(frame) = self.lines.iter().rev().find(&mut wanted) {
            return Ok(Some(Arc::clone(frame)));
        }
        for pack in self.packs.iter().rev() {
            let frames = self.open_pack(pack)?;
            for chunk in (0..frames.chunks()).rev() {
                if not_after.may_hold(&frames.about(chunk)) {
                    let read = self.read_chunk(pack, &frames, chunk, users)?;
                    if let Some(frame) = read.iter().rev().find(&mut wanted) {
                        return Ok(Some(Arc::clone(frame)));
                    }
                }
            }
        }
        Ok(None)
    }

    /// The newest frame that is in the index; zero if none is.
    pub fn newest(&self) -> Timestamp {
        let line = self.lines.last().map(|frame| frame.timestamp);
        let packed = self.packs.iter().map(|pack| pack.last);
        packed.chain(line).max().unwrap_or_default()
    }

    /// Adds frames and syncs: the newest `kept` as lines, and if there are more, those into a pack. Needs
    /// the checkpoint's lock, as all that writes.
    ///
    /// # Errors
    /// Those of the storage, or damage.
    pub fn append(
        &mut self,
        mut frames: Vec<Arc<FrameInfo>>,
        users: &mut UserDictionary,
        kept: usize,
    ) -> Result<()> {
        let newer = frames.split_off(frames.len().saturating_sub(kept));
        if !frames.is_empty() {
            // The lines that are there are older: they go first.
            self.pack_lines(users, 0)?;
            self.write_pack(frames, users, Compression::Zstd)?;
        }
        let lines: Vec<_> = newer.iter().map(|frame| to_cells(frame, users)).collect();
        self.end = self.file.append(self.end, &lines)?;
        self.lines.extend(newer);
        // Some slack, so that the file is not written anew for every line.
        if self.lines.len() > kept + kept / 4 {
            self.pack_lines(users, kept)?;
        }
        self.merge_packs(users)
    }

    /// Puts all frames but the newest into one pack, as tightly as it gets.
    ///
    /// # Errors
    /// Those of the storage, or damage.
    pub fn pack_everything(&mut self, users: &mut UserDictionary) -> Result<()> {
        if self.lines.len() <= 1 && self.packs.len() <= 1 {
            return Ok(());
        }
        let mut frames = self.frames(users)?;
        let newest = frames.pop();
        self.write_pack(frames, users, Compression::Xz)?;
        self.keep_lines(newest.into_iter().collect(), users)
    }

    /// Leaves frames out, and tells how many. Memory: the frames of the largest pack.
    ///
    /// # Errors
    /// Those of the storage, or damage.
    pub fn forget(
        &mut self,
        users: &mut UserDictionary,
        is_gone: impl Fn(&FrameInfo) -> bool,
    ) -> Result<u64> {
        let mut gone = 0;
        for pack in self.packs.clone() {
            let (old, kept): (Vec<_>, _) =
                self.read_pack(&pack, users)?.into_iter().partition(|frame| is_gone(frame));
            if old.is_empty() {
                continue;
            }
            gone += old.len() as u64;
            let compression = self.open_pack(&pack)?.compression();
            let path = path_of(pack.first, pack.last);
            let ends = kept.first().zip(kept.last());
            let anew = ends.map(|(first, last)| path_of(first.timestamp, last.timestamp));
            if let Some(anew) = &anew {
                write_frames(&*self.storage, anew, &kept, users, compression)?;
                self.storage.sync_folder(FOLDER)?;
            }
            if anew.as_ref() != Some(&path) {
                self.storage.remove(&path)?;
            }
        }
        if gone > 0 {
            self.storage.sync_folder(FOLDER)?;
            self.packs = list_packs(&*self.storage)?;
        }
        let (old, kept): (Vec<_>, _) = self.lines.iter().cloned().partition(|frame| is_gone(frame));
        if !old.is_empty() {
            self.keep_lines(kept, users)?;
        }
        Ok(gone + old.len() as u64)
    }

    /// Writes an index of these frames, oldest first: the newest `kept` as lines, the others as a pack.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn rewrite(
        storage: &Arc<dyn Storage>,
        mut frames: Vec<Arc<FrameInfo>>,
        users: &mut UserDictionary,
        kept: usize,
    ) -> Result<()> {
        let file = file_of(storage);
        let packs = list_packs(&**storage)?;
        let mut index =
            Self { storage: Arc::clone(storage), file, lines: Vec::new(), end: 0, packs };
        let newer = frames.split_off(frames.len().saturating_sub(kept));
        index.write_pack(frames, users, Compression::Zstd)?;
        index.keep_lines(newer, users)
    }

    /// Moves all lines but the newest `kept` into a pack.
    fn pack_lines(&mut self, users: &mut UserDictionary, kept: usize) -> Result<()> {
        let mut old = self.lines.clone();
        let newer = old.split_off(old.len().saturating_sub(kept));
        if old.is_empty() {
            return Ok(());
        }
        self.write_pack(old, users, Compression::Zstd)?;
        self.keep_lines(newer, users)
    }

    fn keep_lines(&mut self, lines: Vec<Arc<FrameInfo>>, users: &mut UserDictionary) -> Result<()> {
        let cells: Vec<_> = lines.iter().map(|frame| to_cells(frame, users)).collect();
        self.end = self.file.replace(&cells)?;
        self.lines = lines;
        Ok(())
    }

    /// Writes a pack, and removes those that it repeats.
    fn write_pack(
        &mut self,
        frames: Vec<Arc<FrameInfo>>,
        users: &mut UserDictionary,
        compression: Compression,
    ) -> Result<()> {
        let (Some(first), Some(last)) = (frames.first(), frames.last()) else { return Ok(()) };
        let path = path_of(first.timestamp, last.timestamp);
        write_frames(&*self.storage, &path, &frames, users, compression)?;
        self.storage.sync_folder(FOLDER)?;
        for old in &self.packs {
            let old_path = path_of(old.first, old.last);
            let inside = old.first >= first.timestamp && old.last <= last.timestamp;
            if inside && old_path != path {
                self.storage.remove(&old_path)?;
            }
        }
        self.packs = list_packs(&*self.storage)?;
        Ok(())
    }

    /// Merges the newest packs while they have grown to half of the one before.
    fn merge_packs(&mut self, users: &mut UserDictionary) -> Result<()> {
        let sizes: Vec<_> = self.packs.iter().map(|pack| pack.len).collect();
        let Some(start) = merge_from(&sizes, |_| true) else { return Ok(()) };
        let mut frames = Vec::new();
        for pack in self.packs.get(start..).unwrap_or_default() {
            frames.extend(self.read_pack(pack, users)?);
        }
        self.write_pack(frames, users, Compression::Zstd)
    }

    fn read_pack(&self, pack: &FramePack, users: &UserDictionary) -> Result<Vec<Arc<FrameInfo>>> {
        let frames = self.open_pack(pack)?;
        let chunks = (0..frames.chunks()).map(|chunk| self.read_chunk(pack, &frames, chunk, users));
        Ok(chunks.collect::<Result<Vec<_>>>()?.concat())
    }

    fn read_chunk(
        &self,
        pack: &FramePack,
        frames: &Frames,
        chunk: usize,
        users: &UserDictionary,
    ) -> Result<Vec<Arc<FrameInfo>>> {
        frames.read(chunk, users).map_err(|error| self.in_pack(pack, error))
    }

    fn open_pack(&self, pack: &FramePack) -> Result<Arc<Frames>> {
        if let Some(frames) = pack.opened.get() {
            return Ok(Arc::clone(frames));
        }
        let file = self.storage.open(&path_of(pack.first, pack.last), Access::Read)?;
        let file = file.ok_or_else(|| Error::corrupt("the pack was removed"));
        let frames = file.and_then(Frames::open).map_err(|error| self.in_pack(pack, error))?;
        Ok(Arc::clone(pack.opened.get_or_init(|| Arc::new(frames))))
    }

    fn in_pack(&self, pack: &FramePack, error: Error) -> Error {
        let path = self.storage.full_path(&path_of(pack.first, pack.last));
        error
            .at_path(path)
            .help("make it anew of what is left: rdb repair; or restore the file from a backup")
    }
}

/// The file of the lines.
pub(super) fn file_of(storage: &Arc<dyn Storage>) -> LogFile {
    LogFile::new(Arc::clone(storage), PATH.to_owned(), HEADER, CHECKSUM_CELL)
}

fn path_of(first: Timestamp, last: Timestamp) -> String {
    format!("{FOLDER}/{}", pack_name(first, last))
}

/// The packs, oldest first; those that a larger one repeats, as a crash leaves them, are left out. What was
/// never whole is left out too.
fn list_packs(storage: &dyn Storage) -> Result<Vec<FramePack>> {
    let mut packs = Vec::new();
    for name in storage.list(FOLDER)? {
        let Some((first, last)) = pack_range(&name) else { continue };
        let len = storage.len(&path_of(first, last))?;
        let opened = OnceLock::new();
        packs.extend(len.map(|len| FramePack { first, last, len, opened }));
    }
    without_repeated(&mut packs, |pack| (pack.first, pack.last));
    Ok(packs)
}

fn to_cells(frame: &FrameInfo, users: &mut UserDictionary) -> Vec<String> {
    let tables: Vec<_> =
        frame.tables.iter().map(|(name, action)| format!("{name}:{}", action.code())).collect();
    let mut details = vec![format!("tables={}", tables.join(","))];
    details.extend(
        frame.details.iter().map(|(key, value)| format!("{}={}", escape(key), escape(value))),
    );
    vec![
        frame.timestamp.to_string(),
        frame.id().to_string(),
        frame.name.clone().unwrap_or_default(),
        "committed".to_owned(),
        frame.tables.len().to_string(),
        frame.wall.to_string(),
        users.code(&frame.user, frame.timestamp).to_string(),
        details.join(";"),
    ]
}

pub(super) fn parse(cells: &[Cow<'_, str>], users: &UserDictionary) -> Option<FrameInfo> {
    let [timestamp, id, name, _status, _count, wall, user, details, _crc32] = cells else {
        return None;
    };
    let timestamp = Timestamp::from_micros(timestamp.parse().ok()?);
    let id: FrameId = id.parse().ok()?;
    let mut details: BTreeMap<String, String> = details
        .split(';')
        .filter_map(|word| word.split_once('='))
        .map(|(key, value)| Some((unescape(key)?, unescape(value)?)))
        .collect::<Option<_>>()?;
    let tables = details.remove("tables")?;
    let table = |word: &str| {
        let (name, code) = word.rsplit_once(':')?;
        Some((TableName::new(name).ok()?, Action::from_code(code.parse().ok()?)))
    };
    let words = tables.split(',').filter(|word| !word.is_empty());
    (id.timestamp() == timestamp).then_some(())?;
    Some(FrameInfo {
        timestamp,
        node: id.node(),
        wall: Timestamp::from_micros(wall.parse().ok()?),
        parent: Timestamp::ZERO,
        sequence: 0,
        user: users.name(user.parse().ok()?)?.to_owned(),
        name: (!name.is_empty()).then(|| name.to_string()),
        details,
        tables: words.map(table).collect::<Option<_>>()?,
    })
}

fn escape(text: &str) -> String {
    let mut out = String::new();
    for char in text.chars() {
        match char {
            ' ' | '=' | '%' | ';' | '|' | '\n' | '\r' | '"' => {
                out.push_str(&format!("%{:02X}", u32::from(char)));
            }
            _ => out.push(char),
        }
    }
    out
}

fn unescape(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut out = parts.next()?.to_owned();
    for part in parts {
        let code = u8::from_str_radix(part.get(..2)?, 16).ok()?;
        out.push(char::from(code));
        out.push_str(part.get(2..)?);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::MemoryStorage;
    use reedbase_plugin_api::NodeId;

    #[test]
    fn frames_come_back() {
        let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
        let mut users = UserDictionary::new(Timestamp::ZERO);
        let mut index = FrameIndex::read(&storage, &users).unwrap();
        let frame = |n: i64, name: Option<&str>| {
            Arc::new(FrameInfo {
                timestamp: Timestamp::from_micros(n),
                node: NodeId::from_bits(5),
                wall: Timestamp::from_micros(n - 3),
                parent: Timestamp::ZERO,
                sequence: 0,
                user: "jane".into(),
                name: name.map(str::to_owned),
                details: [("client".into(), "rdb 0.1; 100%\n".into())].into(),
                tables: vec![(TableName::new("t").unwrap(), Action::INIT)],
            })
        };
        let frames = vec![frame(10, None), frame(20, Some("a | \"name\""))];
        index.append(frames.clone(), &mut users, 4).unwrap();
        let read = |users: &UserDictionary| FrameIndex::read(&storage, users).unwrap();
        assert_eq!(read(&users).frames(&users).unwrap(), frames);
        assert_eq!(index.newest(), Timestamp::from_micros(20));
        // One by one, then many at once: what is old goes into packs, and all comes back.
        let mut all = frames;
        for step in [1, 1, 1, 1, 1, 9, 1, 30, 2, 1] {
            let start = all.len() as i64;
            let more: Vec<_> = (start..start + step).map(|n| frame(10 * n + 10, None)).collect();
            all.extend(more.clone());
            let mut index = read(&users);
            index.append(more, &mut users, 4).unwrap();
            assert!(index.lines.len() <= 5 && index.packs.len() <= 4);
            assert_eq!(read(&users).frames(&users).unwrap(), all);
            assert_eq!(read(&users).newest(), all.last().unwrap().timestamp);
        }
        read(&users).pack_everything(&mut users).unwrap();
        assert_eq!((read(&users).lines.len(), read(&users).packs.len()), (1, 1));
        assert_eq!(read(&users).frames(&users).unwrap(), all);
        // Any instant, by either time, as a search through all frames finds it.
        let index = read(&users);
        for n in (0..10 * all.len() as i64 + 20).step_by(3).map(Timestamp::from_micros) {
            for at in [NotAfter::Timestamp(n), NotAfter::Wall(n)] {
                let expected = all.iter().rev().find(|frame| at.holds(frame)).cloned();
                assert_eq!(index.newest_where(&users, at, |_| true).unwrap(), expected);
            }
        }
    }
}
