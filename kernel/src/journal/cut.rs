//! Cutting a damaged journal: what follows the last good record before the damage is put aside, and the journal goes on
//! in a new segment. Done only when a person asks for it, since frames behind the damage may be whole.
//!
//! The new segment comes first, so that there is always a journal; its number leaves one out, so that a process that has
//! the old ones open finds a part missing, and starts over.

use std::sync::Arc;

use reedbase_plugin_api::{Error, Result, Timestamp};

use super::segment::{Before, ROLLED, STATE_AT, Segment, segment_name, segment_number};
use super::tail::Journal;
use crate::storage::{Access, Storage, read_all};

/// Where a journal is damaged, and what is good before.
struct Damage {
    segment: u64,
    /// Where its last good record ends; zero if its header is damaged.
    offset: u64,
    newest: Timestamp,
    sequence: u64,
}

impl Journal {
    /// Cuts a damaged journal; gives what was put aside and the newest frame that is still in it. `None` if it is not
    /// damaged. `newest` is the newest frame of the index. Needs the lock.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn cut_damage(
        storage: &Arc<dyn Storage>,
        newest: Timestamp,
    ) -> Result<Option<(Vec<String>, Timestamp)>> {
        let numbers = numbers(&**storage)?;
        let Some(damage) = find_damage(storage, &numbers)? else { return Ok(None) };
        let lost: Vec<u64> =
            numbers.iter().copied().filter(|number| *number >= damage.segment).collect();
        let before = Before {
            newest: newest.max(damage.newest),
            sequence: damage.sequence,
            previous_end: damage.offset,
        };
        let last = lost.last().copied().unwrap_or(damage.segment);
        Segment::create(&**storage, last + 2, before)?;
        // The last first: what a crash leaves is damaged as before, and can be cut again.
        let mut kept = Vec::new();
        for number in lost.iter().rev() {
            kept.push(put_aside(storage, *number, damage_in(&damage, *number))?);
        }
        kept.reverse();
        Ok(Some((kept, damage.newest)))
    }
}

/// How much of a segment is good.
fn damage_in(damage: &Damage, segment: u64) -> u64 {
    if segment == damage.segment { damage.offset } else { 0 }
}

fn numbers(storage: &dyn Storage) -> Result<Vec<u64>> {
    let names = storage.list("journal")?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| segment_number(name)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

fn find_damage(storage: &Arc<dyn Storage>, numbers: &[u64]) -> Result<Option<Damage>> {
    let (mut newest, mut sequence) = (Timestamp::ZERO, 0);
    for (place, number) in numbers.iter().enumerate() {
        let at = |offset| Damage { segment: *number, offset, newest, sequence };
        let segment = match Segment::open(&**storage, *number, Access::Write) {
            Err(error) if error.is_corrupt() => return Ok(Some(at(0))),
            segment => segment?,
        };
        let Some(segment) = segment else { continue };
        let next =
            numbers.get(place + 1).map(|next| Segment::open(&**storage, *next, Access::Read));
        let next = next.and_then(|next| next.ok().flatten());
        let required = next.map_or(0, |next| next.before.previous_end);
        let mut journal = Journal::at(storage, Access::Write, segment);
        match journal.scan_segment(required) {
            Err(error) if error.is_corrupt() => {
                let (offset, newest) = (journal.position().offset, journal.newest());
                let sequence = journal.sequence();
                return Ok(Some(Damage { segment: *number, offset, newest, sequence }));
            }
            scanned => drop(scanned?),
        }
        (newest, sequence) = (journal.newest(), journal.sequence());
    }
    Ok(None)
}

/// Puts what follows an offset of a segment into a file of its own, or the whole segment.
fn put_aside(storage: &Arc<dyn Storage>, number: u64, from: u64) -> Result<String> {
    let path = segment_name(number);
    let aside = format!("journal/{number:010}.damaged-{from}");
    let gone = || Error::corrupt("the segment is gone").at_path(storage.full_path(&path));
    let file = storage.open(&path, Access::Write)?.ok_or_else(gone)?;
    if from == 0 {
        // Whoever has it open must not go on in it.
        file.write_at(&ROLLED.to_le_bytes(), STATE_AT)?;
        storage.rename(&path, &aside)?;
        storage.sync_folder("journal")?;
        return Ok(aside);
    }
    let bytes = read_all(&*file)?;
    let at = usize::try_from(from).unwrap_or(usize::MAX).min(bytes.len());
    storage.write_new(&aside, bytes.get(at..).unwrap_or_default())?;
    storage.sync_folder("journal")?;
    file.set_len(from)?;
    file.write_at(&ROLLED.to_le_bytes(), STATE_AT)?;
    file.sync()?;
    Ok(aside)
}
