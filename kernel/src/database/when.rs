//! Instants as people write them.
//!
//! | written | means |
//! |---|---|
//! | `HEAD`, `HEAD~3` | the newest frame, the third before it |
//! | `000660c2-7273-845a-8800-4c953d1d42e3` | the frame with this id |
//! | `1795238120342946` | the newest frame not after these microseconds since 1970 |
//! | `2026-11-20T14:30:00Z`, `2026-11-20 14:30` | the newest frame not after that, by the wall clock |
//! | `2026-11-20` | the newest frame of that day or before, in the local time zone |
//! | `20 minutes ago`, `yesterday` | the newest frame not after that, by the wall clock |
//! | `first pages`: anything else | the newest frame of that name |
//!
//! All but names cost a look at the directories of packs, and one chunk of a thousand frames.

use std::sync::Arc;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp as Instant, Zoned};
use reedbase_plugin_api::{Error, ErrorKind, FrameId, Result, Timestamp};

use super::frames::Frames;
use crate::frame::FrameInfo;
use crate::log::NotAfter;

/// The frame that a text means.
pub(super) fn resolve(text: &str, frames: &Frames, now: Timestamp) -> Result<Arc<FrameInfo>> {
    find(text.trim(), frames, now)?.ok_or_else(|| before_first(text.trim(), frames))
}

/// The timestamp of the frame that a text means; zero for an instant before the first.
pub(super) fn instant(text: &str, frames: &Frames, now: Timestamp) -> Result<Timestamp> {
    let found = find(text.trim(), frames, now)?;
    Ok(found.map_or(Timestamp::ZERO, |frame| frame.timestamp))
}

/// `None` for an instant before the first frame.
fn find(text: &str, frames: &Frames, now: Timestamp) -> Result<Option<Arc<FrameInfo>>> {
    let unknown = || {
        Error::new(ErrorKind::FrameNotFound, format!("`{text}` names no frame and no time"))
            .help("write a frame's number, id or name, HEAD~1, a date, a time, or `20 minutes ago`")
    };
    if let Some(steps) = text.strip_prefix("HEAD") {
        let steps = if steps.is_empty() {
            Some(0)
        } else {
            steps.strip_prefix('~').and_then(|n| n.parse().ok())
        };
        let steps: usize = steps.ok_or_else(unknown)?;
        let frame = frames.before_newest(steps)?;
        return frame.map(Some).ok_or_else(|| before_first(text, frames));
    }
    let any = NotAfter::Timestamp(Timestamp::MAX);
    let named = || frames.newest_where(any, |frame| frame.name.as_deref() == Some(text));
    let instant = wall_clock(text, now).map(NotAfter::Wall);
    let number = text.parse::<i64>().ok().map(|at| NotAfter::Timestamp(Timestamp::from_micros(at)));
    if let Ok(id) = text.parse::<FrameId>() {
        let not_after = NotAfter::Timestamp(id.timestamp());
        let frame = frames.newest_where(not_after, |frame| {
            frame.timestamp == id.timestamp() && frame.id() == id
        })?;
        return frame.map(Some).ok_or_else(|| {
            Error::new(ErrorKind::FrameNotFound, format!("there is no frame {id}"))
        });
    }
    match number.or(instant) {
        Some(not_after) => frames.newest_where(not_after, |_| true),
        None => named()?.map(Some).ok_or_else(unknown),
    }
}

fn before_first(text: &str, frames: &Frames) -> Error {
    let error = Error::new(
        ErrorKind::NoFrameBeforeTimestamp,
        format!("there is no frame at or before `{text}`"),
    );
    let first = frames.first().ok().flatten();
    match first.and_then(|first| Instant::from_microsecond(first.wall.as_micros()).ok()) {
        Some(first) => error.help(format!("the first frame was made at {first:.0}")),
        None => error.help("nothing has happened yet"),
    }
}

/// The instant that a text means, by the wall clock.
fn wall_clock(text: &str, now: Timestamp) -> Option<Timestamp> {
    let micros = |instant: Instant| Timestamp::from_micros(instant.as_microsecond());
    if let Ok(instant) = text.parse::<Instant>() {
        return Some(micros(instant));
    }
    let zone = TimeZone::system();
    if let Ok(zoned) = text.parse::<Zoned>() {
        return Some(micros(zoned.timestamp()));
    }
    let is_date = text.len() == 10;
    if let Some(date) = text.parse::<Date>().ok().filter(|_| is_date) {
        let end = date.to_datetime(Time::MAX).to_zoned(zone).ok()?;
        return Some(micros(end.timestamp()));
    }
    if let Ok(local) = text.parse::<DateTime>() {
        return Some(micros(local.to_zoned(zone).ok()?.timestamp()));
    }
    let now = Instant::from_microsecond(now.as_micros()).ok()?.to_zoned(zone);
    let text = if text == "yesterday" { "1 day ago" } else { text };
    let span: Span = text.parse().ok()?;
    Some(micros(now.checked_add(span).ok()?.timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use reedbase_plugin_api::NodeId;

    fn frame(micros: i64, name: Option<&str>) -> Arc<FrameInfo> {
        Arc::new(FrameInfo {
            timestamp: Timestamp::from_micros(micros),
            node: NodeId::from_bits(1),
            wall: Timestamp::from_micros(micros),
            parent: Timestamp::ZERO,
            sequence: 0,
            user: "u".into(),
            name: name.map(str::to_owned),
            details: Default::default(),
            tables: Vec::new(),
        })
    }

    const HOUR: i64 = 3_600_000_000;

    #[test]
    fn instants() {
        // 2026-11-20T00:00:00Z
        let start = 1_795_132_800_000_000;
        let frames: Vec<_> =
            (0..10).map(|n| frame(start + n * HOUR, (n == 3).then_some("third"))).collect();
        let list = Frames::of_list(frames.clone());
        let now = Timestamp::from_micros(start + 10 * HOUR);
        let hour = |text: &str| {
            resolve(text, &list, now).map(|frame| (frame.timestamp.as_micros() - start) / HOUR)
        };
        assert_eq!(hour("HEAD").unwrap(), 9);
        assert_eq!(hour("HEAD~3").unwrap(), 6);
        assert_eq!(hour("third").unwrap(), 3);
        assert_eq!(hour(&frames[4].id().to_string()).unwrap(), 4);
        assert_eq!(hour(&(start + 5 * HOUR + 1).to_string()).unwrap(), 5);
        assert_eq!(hour("2026-11-20T02:30:00Z").unwrap(), 2);
        assert_eq!(hour("3 hours ago").unwrap(), 7);
        assert_eq!(hour("90 minutes ago").unwrap(), 8);
        assert_eq!(hour("2030-01-01").unwrap(), 9);
        for wrong in ["HEAD~10", "HEAD~x", "HEADx", "nonsense", "", "2020-01-01", "7", "2 days ago"]
        {
            assert!(hour(wrong).unwrap_err().is_not_found(), "{wrong}");
        }
    }
}
