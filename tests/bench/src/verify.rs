//! Reading everything and holding it against everything else.

use std::sync::Arc;

use reedbase::storage::{FileSystem, Storage};
use reedbase::verify::verify;

use crate::Settings;
use crate::commit::{database, update};
use crate::measure::{median_s, time};
use crate::report::Report;

/// A large table over frames of one row each.
pub fn speed(settings: &Settings, report: &mut Report) {
    let folder = tempfile::tempdir_in(&settings.folder).expect("a folder");
    let path = folder.path().join("db");
    let rows = settings.large();
    let database = database(&path, rows);
    for frame in 0..settings.rounds(1000) as u64 {
        update(&database, frame * 7919 % rows, frame);
    }
    database.checkpoint(&[]).expect("checkpoint");
    drop(database);
    let storage: Arc<dyn Storage> = Arc::new(FileSystem::new(&path));
    let (mut took, mut bytes) = (Vec::new(), 0);
    for _ in 0..settings.rounds(5) {
        let (seconds, found) = time(|| verify(&storage).expect("read"));
        assert!(found.findings.is_empty(), "{:?}", found.findings);
        took.push(seconds);
        bytes = found.bytes;
    }
    let speed = bytes as f64 / 1e6 / median_s(&mut took);
    report.at_least("verify, a large table over 1,000 frames", "MB/s", speed, &[], ("", 200.0));
}
