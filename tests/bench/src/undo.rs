//! Going back: a whole table as it was, and who wrote each cell.

use std::io::Write;

use reedbase::Action;

use crate::Settings;
use crate::commit::{database, update};
use crate::measure::{median_s, time};
use crate::peers::DoltLite;
use crate::report::Report;

/// A table of usual size over a thousand frames of ten rows each.
pub fn table(settings: &Settings, report: &mut Report) {
    let folder = tempfile::tempdir_in(&settings.folder).expect("a folder");
    let path = folder.path().join("db");
    let rows = settings.middle();
    let database = database(&path, rows);
    let frames = settings.rounds(1000) as i64;
    for frame in 0..frames {
        let mut transaction = database.begin().expect("begin");
        for row in 0..10 {
            let key = (frame * 7919 + row * 104_729) % rows as i64;
            transaction.update("t", key, [("views", 100_000 + frame)]).expect("update");
        }
        transaction.commit().expect("commit");
    }
    database.checkpoint(&[]).expect("checkpoint");
    blame(&database, frames, rows, settings, report);
    let versions = database.snapshot().expect("a snapshot").versions("t").expect("versions");
    let (mut ours, mut writes, mut plain) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..settings.rounds(10) {
        let at = versions[(round * 97) % (versions.len() - 1)].timestamp;
        ours.push(
            time(|| {
                let mut transaction = database.begin().expect("begin");
                transaction.restore_table("t", at, Action::RESTORE).expect("restored");
                transaction.commit().expect("commit");
                database.checkpoint(&[]).expect("checkpoint");
            })
            .0,
        );
        update(&database, 77, 200_000 + round as u64);
        writes.push(time(|| drop(database.checkpoint(&[]).expect("checkpoint"))).0);
        let text = std::fs::read(path.join("tables/t/current.csv")).expect("the file");
        plain.push(
            time(|| {
                let mut file = std::fs::File::create(folder.path().join("plain")).expect("a file");
                file.write_all(&text).and_then(|()| file.sync_all()).expect("written");
            })
            .0,
        );
    }
    let (ours, write) = (median_s(&mut ours) * 1000.0, median_s(&mut writes) * 1000.0);
    report.at_most(
        "restoring a table, its file written",
        "ms",
        ours,
        &[
            ("a checkpoint that writes it", Some(write)),
            ("a plain write and sync", Some(median_s(&mut plain) * 1000.0)),
        ],
        &[("2 × the checkpoint", Some(2.0 * write))],
    );
}

fn blame(
    database: &reedbase::Database,
    frames: i64,
    rows: u64,
    settings: &Settings,
    report: &mut Report,
) {
    let snapshot = database.snapshot().expect("a snapshot");
    let mut ours = Vec::new();
    for _ in 0..settings.rounds(5) {
        let (took, count) = time(|| snapshot.blame("t").expect("blame").rows().count());
        assert_eq!(count as u64, rows);
        ours.push(took);
    }
    let folder = tempfile::tempdir_in(&settings.folder).expect("a folder");
    let commits = settings.rounds(200);
    let dolt = DoltLite::open(&folder.path().join("dolt")).map(|dolt| {
        dolt.fill(rows);
        for commit in 0..commits as u64 {
            let id = commit * 7919 % rows;
            dolt.run(&format!(
                "UPDATE t SET views = {commit} + 100000 WHERE id = {id}; SELECT dolt_commit('-Am', 'x')"
            ));
        }
        time(|| dolt.run("SELECT * FROM dolt_blame_t")).0.as_secs_f64()
    });
    report.at_most(
        &format!("blame of {rows} rows over {frames} frames"),
        "s",
        median_s(&mut ours),
        &[(&format!("doltlite over {commits}"), dolt)],
        &[("", Some(1.0)), ("doltlite", dolt)],
    );
}
