//! Frames that are not committed: which there are, and what becomes of those that never will be.

use std::sync::Arc;

use reedbase_plugin_api::{Error, ErrorKind, FrameId, Result, Timestamp};

use super::frames::Frames;
use super::inner::Inner;
use super::snapshot::Snapshot;
use crate::frame::FrameInfo;
use crate::journal::{OpenFile, Standing, path_of};
use crate::log::{FrameEvent, FrameLog, NotAfter};
use crate::storage::LockMode;

/// The detail of a committed frame that names the open frame it was.
pub(super) const OPENED: &str = "opened";

/// The detail of an open frame whose changes a program holds.
pub(super) const HOLDER: &str = "holder";

/// A frame that is not committed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct UncommittedFrame {
    /// Who began it, when and on which frame. Its timestamp names it until it is committed.
    pub info: Arc<FrameInfo>,
    /// Whether it may be committed.
    pub standing: Standing,
    /// Whether a program holds its changes; else they stand in its file.
    pub in_memory: bool,
    /// What was done so far, oldest first.
    pub steps: Vec<Arc<FrameInfo>>,
}

/// The frames that are not committed, oldest first.
pub(super) fn uncommitted(inner: &Inner) -> Result<Vec<UncommittedFrame>> {
    let mut frames = Vec::new();
    for (id, standing) in OpenFile::list(&**inner.store.storage())? {
        if let Some(file) = OpenFile::read(inner.store.storage(), id, standing)? {
            frames.push(describe(&file));
        }
    }
    frames.sort_by_key(|frame| frame.info.timestamp);
    Ok(frames)
}

fn describe(file: &OpenFile) -> UncommittedFrame {
    UncommittedFrame {
        info: Arc::clone(file.info()),
        standing: file.standing(),
        in_memory: file.info().details.contains_key(HOLDER),
        steps: file.steps().iter().map(|step| Arc::clone(&step.info)).collect(),
    }
}

/// The uncommitted frame that a text means: its number, its id, or its name if no other has it.
pub(super) fn find(inner: &Inner, text: &str) -> Result<UncommittedFrame> {
    let text = text.trim();
    let is_meant = |frame: &UncommittedFrame| {
        frame.info.timestamp.to_string() == text || frame.info.id().to_string() == text
    };
    let mut frames = uncommitted(inner)?;
    if let Some(at) = frames.iter().position(is_meant) {
        return Ok(frames.swap_remove(at));
    }
    frames.retain(|frame| frame.info.name.as_deref() == Some(text));
    match frames.len() {
        0 | 1 => frames.pop().ok_or_else(|| not_found(text)),
        _ => Err(Error::usage(format!("several frames are called `{text}`"))
            .help("name it by its number: rdb frame:list --open")),
    }
}

pub(super) fn not_found(text: &str) -> Error {
    Error::new(ErrorKind::FrameNotFound, format!("there is no open frame `{text}`"))
        .help("rdb frame:list --open names those there are; rdb frame:begin NAME begins one")
}

/// The frame that an open one became, if it was committed.
pub(super) fn committed_as(
    inner: &Inner,
    snapshot: &Snapshot,
    open: &FrameInfo,
) -> Result<Option<Arc<FrameInfo>>> {
    let id = open.id().to_string();
    let opened = |frame: &FrameInfo| frame.details.get(OPENED) == Some(&id);
    let any = NotAfter::Timestamp(Timestamp::MAX);
    let frames = Frames::of(inner, snapshot)?;
    let found = frames.newest_where(any, |f| opened(f) || f.timestamp <= open.parent)?;
    Ok(found.filter(|frame| opened(frame)))
}

/// Gives an open frame up. What it did stays in its file.
pub(super) fn abandon(inner: &Inner, text: &str) -> Result<UncommittedFrame> {
    inner.check_writable()?;
    let found = find(inner, text)?;
    let file = OpenFile::read(inner.store.storage(), found.info.id(), found.standing)?;
    let mut file = file.ok_or_else(|| not_found(text))?;
    if found.in_memory && found.standing == Standing::Open && !is_free(inner, found.info.id())? {
        return Err(Error::new(ErrorKind::Busy, "a program works on the frame")
            .at_frame(found.info.timestamp)
            .help("end the program: its frame is rolled back then"));
    }
    file.rename(Standing::Abandoned)?;
    FrameLog::open(inner.store.storage())?.add(&event("abandoned", &found.info, inner))?;
    Ok(describe(&file))
}

fn event(what: &'static str, frame: &FrameInfo, inner: &Inner) -> FrameEvent {
    FrameEvent {
        time: inner.clock.now(),
        what: what.to_owned(),
        frame: frame.id(),
        name: frame.name.clone().unwrap_or_default(),
        user: inner.user.clone(),
    }
}

/// Whether nobody holds the file of a frame.
fn is_free(inner: &Inner, id: FrameId) -> Result<bool> {
    let lock = inner.store.storage().lock_file(&path_of(id, Standing::Open))?;
    lock.map_or(Ok(false), |lock| lock.try_lock(LockMode::Exclusive))
}

/// Finds frames whose program died: notes them as crashed, and says so. None of what they did was ever visible.
pub(super) fn note_crashed(inner: &Inner) -> Result<Vec<String>> {
    let mut notices = Vec::new();
    let storage = inner.store.storage();
    let open = OpenFile::list(&**storage)?;
    if inner.check_writable().is_err() {
        return Ok(notices);
    }
    let snapshot = Snapshot::new(inner.flush.visible(), Arc::clone(&inner.store));
    for (id, _) in open.into_iter().filter(|(_, standing)| *standing == Standing::Open) {
        let Ok(Some(mut file)) = OpenFile::read(storage, id, Standing::Open) else { continue };
        if !describe(&file).in_memory || !is_free(inner, id)? {
            continue;
        }
        if committed_as(inner, &snapshot, file.info())?.is_some() {
            file.remove()?;
            continue;
        }
        let info = Arc::clone(file.info());
        match file.rename(Standing::Crashed) {
            // Another process was faster.
            Err(_) if !OpenFile::list(&**storage)?.contains(&(id, Standing::Open)) => continue,
            renamed => renamed?,
        }
        FrameLog::open(storage)?.add(&event("crashed", &info, inner))?;
        let name = info.name.as_deref().unwrap_or("without a name");
        notices.push(format!(
            "the frame {} ({name}) was begun by {} and never committed: its program died. Nothing of it is in the database",
            info.timestamp, info.user
        ));
    }
    Ok(notices)
}

/// That there is no frame whose program died.
pub(super) fn check_none_crashed(inner: &Inner) -> Result<()> {
    let crashed = uncommitted(inner)?.into_iter().find(|f| f.standing == Standing::Crashed);
    match crashed {
        Some(frame) => Err(Error::new(
            ErrorKind::ServerStartAborted,
            "a frame crashed, and nobody has looked at it yet",
        )
        .at_frame(frame.info.timestamp)
        .help("see rdb frame:list --crashed, then rdb frame:cleanup")),
        None => Ok(()),
    }
}

/// Removes the files of frames that crashed or were given up, and tells which.
pub(super) fn clean_up(inner: &Inner) -> Result<Vec<Arc<FrameInfo>>> {
    inner.check_writable()?;
    let mut removed = Vec::new();
    for (id, standing) in OpenFile::list(&**inner.store.storage())? {
        if standing == Standing::Open {
            continue;
        }
        if let Some(file) = OpenFile::read(inner.store.storage(), id, standing)? {
            removed.push(Arc::clone(file.info()));
        }
        inner.store.storage().remove(&path_of(id, standing))?;
    }
    Ok(removed)
}
