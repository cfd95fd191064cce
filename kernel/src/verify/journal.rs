//! What only the journal holds so far, against the tables it continues.

use std::collections::BTreeMap;
use std::sync::Arc;

use reedbase_plugin_api::{Error, Result, TableName, Timestamp};

use super::report::{Concern, Report};
use super::table::TableFacts;
use crate::delta::Codecs;
use crate::frame::FrameRecord;
use crate::limits::Limits;
use crate::mark::table_path;
use crate::progress::Silent;
use crate::state::read_change;
use crate::storage::Storage;
use crate::store::Store;

/// Checks that each change can be read and follows the version before, and that no table lost its mark.
pub(super) fn check(
    storage: &Arc<dyn Storage>,
    records: &[FrameRecord],
    tables: &BTreeMap<TableName, TableFacts>,
    report: &mut Report,
) -> Result<()> {
    let (codecs, silent) = (Codecs::built_in(), Arc::new(Silent));
    let store = Store::new(Arc::clone(storage), codecs, Limits::default(), silent, None);
    let mut newest: BTreeMap<&TableName, Timestamp> = BTreeMap::new();
    for (name, facts) in tables.iter().filter(|(_, facts)| facts.whole) {
        newest.extend(facts.links.keys().next_back().map(|version| (name, *version)));
    }
    check_marks(&**storage, records, &newest, report)?;
    for record in records {
        let frame = record.info.timestamp;
        for change in &record.changes {
            let at = |error: Error| error.at_table(change.table.as_str()).at_frame(frame);
            let known = newest.get(&change.table).copied().unwrap_or(Timestamp::ZERO);
            let is_whole = tables.get(&change.table).is_none_or(|facts| facts.whole);
            if frame <= known || !is_whole {
                continue;
            }
            if change.base != known {
                let error =
                    Error::corrupt("a version between the table and the journal is missing");
                report.add(Concern::Damaged, at(error));
            }
            report.note(read_change(change, frame, &store).map(drop).map_err(at));
            newest.insert(&change.table, frame);
        }
    }
    Ok(())
}

/// A table that has versions has a mark and a log, unless a crash left all of it in the journal.
fn check_marks(
    storage: &dyn Storage,
    records: &[FrameRecord],
    newest: &BTreeMap<&TableName, Timestamp>,
    report: &mut Report,
) -> Result<()> {
    for (name, version) in newest {
        if records.iter().any(|record| record.info.timestamp == *version) {
            continue;
        }
        for (file, what) in [
            ("mark", "the mark of the table is missing, and with it the table"),
            ("version.log", "the log of the table is missing"),
        ] {
            let path = table_path(name, file);
            if storage.len(&path)?.is_none() {
                let error = Error::corrupt(what).at_path(storage.full_path(&path));
                report.add(
                    Concern::Damaged,
                    error
                        .help("make it anew of the history before anything is written: rdb repair"),
                );
            }
        }
    }
    Ok(())
}
