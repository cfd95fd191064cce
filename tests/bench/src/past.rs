//! The past: what it takes on disk, and how long looking at it takes.

use crate::Settings;
use crate::commit::{database, update};
use crate::data;
use crate::measure::{disk as disk_usage, median_us, time};
use crate::peers::DoltLite;
use crate::report::Report;

/// Many one-cell versions, everything counted in blocks of the file system.
pub fn disk(settings: &Settings, report: &mut Report) {
    let folder = tempfile::tempdir_in(&settings.folder).expect("a folder");
    let path = folder.path().join("db");
    let database = database(&path, settings.middle());
    let versions = settings.rounds(10_000);
    let skip = ["current.csv", "cache"];
    database.pack("t").expect("pack");
    young(&database, &path, report);
    let (before, _) = disk_usage(&path, &skip);
    for (round, key) in data::keys(settings.middle(), versions).enumerate() {
        update(&database, key, round as u64);
    }
    database.checkpoint(&[]).expect("checkpoint");
    database.pack("t").expect("pack");
    drop(database);
    let (after, _) = disk_usage(&path, &skip);
    let each = (after as f64 - before as f64) / versions as f64;
    let full = std::fs::metadata(path.join("tables/t/current.csv")).expect("the file").len();
    report.at_most("disk for a one-cell version, packed", "B", each, &[], &[("", Some(200.0))]);
    let saved = 100.0 * (1.0 - each / full as f64);
    report.figure("disk saved against full copies (R26: 95)", "%", saved, &[]);
}

/// The files of a few versions before they are packed.
fn young(database: &reedbase::Database, path: &std::path::Path, report: &mut Report) {
    for key in 0..10 {
        update(database, key, 4711);
    }
    database.checkpoint(&[]).expect("checkpoint");
    let files = std::fs::read_dir(path.join("tables/t")).expect("a folder");
    let files = files.map(|entry| entry.expect("a file"));
    let deltas = files.filter(|file| file.path().extension().is_some_and(|e| e == "bsdiff"));
    let sizes: Vec<u64> = deltas.map(|file| file.metadata().expect("its size").len()).collect();
    assert_eq!(sizes.len(), 10);
    let largest = sizes.into_iter().max().unwrap_or_default();
    report.at_most(
        "a young loose delta, the largest of 10",
        "B",
        largest as f64,
        &[],
        &[("", Some(500.0))],
    );
}

/// Looking back: diff, row history, any version.
pub fn queries(settings: &Settings, report: &mut Report) {
    let folder = tempfile::tempdir_in(&settings.folder).expect("a folder");
    let large = database(&folder.path().join("large"), settings.large());
    update(&large, 5, 1);
    large.checkpoint(&[]).expect("checkpoint");
    let snapshot = large.snapshot().expect("a snapshot");
    let before = snapshot.frame().previous();
    let mut diffs: Vec<_> = (0..settings.rounds(100))
        .map(|_| time(|| snapshot.diff("t", before, snapshot.frame()).expect("a diff")).0)
        .collect();
    report.at_most(
        "diff of neighbouring versions",
        "ms",
        median_us(&mut diffs) / 1000.0,
        &[],
        &[("", Some(1.0))],
    );
    drop((snapshot, large));
    let middle = database(&folder.path().join("middle"), settings.middle());
    let versions = settings.rounds(1000) as u64;
    let dolt = DoltLite::open(&folder.path().join("dolt"));
    if let Some(dolt) = &dolt {
        dolt.fill(settings.middle());
    }
    for version in 0..versions {
        update(&middle, 77, 100_000 + version);
        if let Some(dolt) = &dolt {
            dolt.run(&format!(
                "UPDATE t SET views = {version} + 100000 WHERE id = 77; SELECT dolt_commit('-Am', 'x')"
            ));
        }
    }
    middle.checkpoint(&[]).expect("checkpoint");
    let snapshot = middle.snapshot().expect("a snapshot");
    let (mut lives, mut dolts) = (Vec::new(), Vec::new());
    for _ in 0..settings.rounds(20) {
        let (took, life) = time(|| snapshot.history("t", "77").expect("history"));
        assert!(life.len() as u64 >= versions - 1, "{} of {versions}", life.len());
        lives.push(took);
        if let Some(dolt) = &dolt {
            dolts.push(time(|| dolt.run("SELECT views FROM dolt_history_t WHERE id = 77")).0);
        }
    }
    let dolt = (!dolts.is_empty()).then(|| median_us(&mut dolts) / 1000.0);
    report.at_most(
        &format!("history of one row over {versions} frames"),
        "ms",
        median_us(&mut lives) / 1000.0,
        &[("doltlite", dolt)],
        &[("", Some(5.0)), ("doltlite", dolt)],
    );
    any_version(settings, &folder.path().join("middle"), report);
}

fn any_version(settings: &Settings, path: &std::path::Path, report: &mut Report) {
    let database = reedbase::Database::open(path).expect("open");
    let snapshot = database.snapshot().expect("a snapshot");
    let versions = snapshot.versions("t").expect("versions");
    let file = path.join("tables/t/current.csv");
    let (mut ours, mut reads) = (Vec::new(), Vec::new());
    for step in 0..settings.rounds(20) {
        let version = &versions[step * (versions.len() - 1) / 20];
        ours.push(
            time(|| {
                let table = snapshot.table_at("t", version.timestamp).expect("a version");
                table.to_bytes().expect("its bytes")
            })
            .0,
        );
        reads.push(
            time(|| {
                let text =
                    String::from_utf8(std::fs::read(&file).expect("the file")).expect("UTF-8");
                reedbase::csv(text, &["id"])
                    .and_then(|table| {
                        let shape =
                            reedbase_plugin_api::Shape::new(b',', data::HEADER.into(), vec![0])?;
                        reedbase_kernel::table::Base::parse(table.text, shape.into())
                    })
                    .expect("the table")
            })
            .0,
        );
    }
    let (ours, read) = (median_us(&mut ours) / 1000.0, median_us(&mut reads) / 1000.0);
    let bound = [("3 × reading", Some(3.0 * read))];
    report.at_most("any version, whole", "ms", ours, &[("reading the table", Some(read))], &bound);
}
