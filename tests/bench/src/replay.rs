//! 120 real days of five tables, against git.

use std::path::{Path, PathBuf};
use std::process::Command;

use reedbase::{Database, Import, NewTable};

use crate::Settings;
use crate::measure::{disk, time};
use crate::outside::{adopt, open_ahead};
use crate::peers::has;
use crate::report::Report;

fn data() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/ourairports");
    folder.is_dir().then_some(folder)
}

fn table(path: &Path) -> NewTable {
    let mut import = Import::default();
    import.key = vec!["id".to_owned()];
    import.read(std::fs::read(path).expect("a file").into()).expect("a table")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "csv"))
        .collect();
    files.sort();
    files
}

fn name(path: &Path) -> String {
    path.file_stem().expect("a name").to_string_lossy().into_owned()
}

/// The replay, if the data is here.
pub fn real_days(settings: &Settings, report: &mut Report) {
    let Some(data) = data() else {
        eprintln!("  skipped: the real tables are not here");
        return;
    };
    let folder = tempfile::tempdir_in(&settings.folder).expect("a folder");
    let days_folder = folder.path().join("days");
    std::fs::create_dir(&days_folder).expect("a folder");
    let mut tar = Command::new("tar");
    tar.arg("xJf").arg(data.join("daily-a.tar.xz")).arg("-C").arg(&days_folder);
    assert!(tar.status().expect("tar runs").success());
    let mut days: Vec<PathBuf> = std::fs::read_dir(&days_folder)
        .expect("a folder")
        .map(|entry| entry.expect("a day").path())
        .collect();
    days.sort();
    let adopted = ours(&folder.path().join("adopted"), &data, &days, Way::Adopt);
    let ours = ours(&folder.path().join("db"), &data, &days, Way::Replace);
    let git = has("git", &["--version"]).then(|| git(&folder.path().join("git"), &data, &days));
    let of = |pick: fn(&Outcome) -> f64| git.as_ref().map(pick);
    report.at_most(
        "replay: the first day on disk",
        "KB",
        ours.first,
        &[("git after gc", of(|git| git.first))],
        &[("0.75 × git", of(|git| 0.75 * git.first))],
    );
    report.at_most(
        "replay: growth after the first day",
        "KB",
        ours.growth,
        &[("git after gc", of(|git| git.growth))],
        &[("git / 2", of(|git| git.growth / 2.0))],
    );
    report.at_most(
        "replay: time of the 120 days",
        "s",
        ours.seconds,
        &[("git add + commit", of(|git| git.seconds))],
        &[("git / 3", of(|git| git.seconds / 3.0))],
    );
    report.at_most(
        "replay through outside edits: growth",
        "KB",
        adopted.growth,
        &[("git after gc", of(|git| git.growth)), ("imports", Some(ours.growth))],
        &[("git / 2", of(|git| git.growth / 2.0))],
    );
    report.at_most(
        "replay through outside edits: time",
        "s",
        adopted.seconds,
        &[("git add + commit", of(|git| git.seconds))],
        &[("git / 2", of(|git| git.seconds / 2.0))],
    );
}

/// Sizes in KB of file-system blocks, and the time of the days.
struct Outcome {
    first: f64,
    growth: f64,
    seconds: f64,
}

/// How a day's files get in.
#[derive(Clone, Copy)]
enum Way {
    /// By import.
    Replace,
    /// They are saved over the tables' files, and adopted.
    Adopt,
}

fn ours(path: &Path, data: &Path, days: &[PathBuf], way: Way) -> Outcome {
    let open = || open_ahead(path);
    let size = || {
        let database = open();
        database.checkpoint(&[]).expect("checkpoint");
        for table in database.snapshot().expect("a snapshot").tables() {
            database.pack(table.as_str()).expect("pack");
        }
        drop(database);
        // As with git, the files that people work on are not counted.
        disk(path, &["current.csv", "cache"]).0 as f64 / 1024.0
    };
    std::fs::create_dir(path).expect("a folder");
    let database = open();
    for file in files(data) {
        let mut transaction = database.begin().expect("begin");
        transaction.create_table(&name(&file), &table(&file)).expect("create");
        transaction.commit().expect("commit");
    }
    drop(database);
    let first = size();
    let (took, ()) = time(|| {
        for day in days {
            // As with git, each day is a process of its own: open, change, close.
            match way {
                Way::Replace => replace(&open(), day),
                Way::Adopt => {
                    for file in files(day) {
                        let table = path.join("tables").join(name(&file));
                        std::fs::copy(&file, table.join("current.csv")).expect("copied");
                    }
                    adopt(&open());
                }
            }
        }
    });
    Outcome { first, growth: size() - first, seconds: took.as_secs_f64() }
}

fn replace(database: &Database, day: &Path) {
    let mut transaction = database.begin().expect("begin");
    for file in files(day) {
        transaction.replace_table(&name(&file), &table(&file)).expect("replace");
    }
    transaction.commit().expect("commit");
}

fn git(path: &Path, data: &Path, days: &[PathBuf]) -> Outcome {
    std::fs::create_dir(path).expect("a folder");
    let run = |args: &[&str]| {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=x", "-c", "user.email=x", "-c", "gc.auto=0"]).args(args);
        let output = git.current_dir(path).output().expect("git runs");
        assert!(output.status.success(), "git {args:?}");
    };
    let size = || {
        run(&["gc", "--aggressive", "--quiet", "--prune=now"]);
        disk(&path.join(".git/objects"), &[]).0 as f64 / 1024.0
    };
    let copy = |from: &Path| {
        for file in files(from) {
            std::fs::copy(&file, path.join(file.file_name().expect("a name"))).expect("copied");
        }
    };
    run(&["init", "--quiet"]);
    copy(data);
    run(&["add", "."]);
    run(&["commit", "--quiet", "-m", "first"]);
    let first = size();
    let (took, ()) = time(|| {
        for day in days {
            copy(day);
            run(&["add", "."]);
            run(&["commit", "--quiet", "--allow-empty", "-m", "day"]);
        }
    });
    Outcome { first, growth: size() - first, seconds: took.as_secs_f64() }
}
