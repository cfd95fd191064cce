//! Two sides of one table, put together: against DoltLite, and git on the same file.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use reedbase::{Database, Transaction};

use crate::Settings;
use crate::commit::database;
use crate::data;
use crate::measure::{disk, median_s, time};
use crate::peers::{DoltLite, has};
use crate::report::Report;

/// What a side does: which rows it touches, and which column.
#[derive(Clone, Copy)]
struct Side {
    column: &'static str,
    /// Every so many rows one is touched, beginning with this one.
    every: u64,
    first: u64,
}

impl Side {
    fn rows(self, rows: u64) -> impl Iterator<Item = u64> {
        (self.first..rows).step_by(self.every as usize)
    }
}

/// How often a merge is done: the large one once, since DoltLite takes minutes to prepare it.
fn rounds(rows: u64) -> u64 {
    if rows > 10_000 { 1 } else { 3 }
}

/// A thousand rows on each side, other rows and other cells of the same rows; then sixty thousand.
pub fn tables(settings: &Settings, report: &mut Report) {
    let folder = tempfile::tempdir_in(&settings.folder).expect("a folder");
    let rows = settings.large();
    let ours = database(&folder.path().join("db"), rows);
    let dolt = DoltLite::open(&folder.path().join("dolt"));
    if let Some(dolt) = &dolt {
        dolt.fill(rows);
    }
    let git = has("git", &["--version"]).then(|| Git::new(&folder.path().join("git"), rows));
    let (few, many) = (rows / 1000, rows * 6 / 100);
    let side = |column, count: u64, first| Side { column, every: rows / count, first };
    let cases: [(&str, Side, Side, f64); 3] = [
        ("merge 1k + 1k other rows", side("views", few, 0), side("views", few, 1), 0.25),
        ("merge 1k + 1k other cells", side("views", few, 2), side("status", few, 2), 0.5),
        ("merge 60k + 60k other rows", side("views", many, 3), side("views", many, 4), 0.5),
    ];
    for (name, one, other, part) in cases {
        let rounds = rounds(one.rows(rows).count() as u64);
        let before = disk(&folder.path().join("db"), &["cache"]);
        let mut times: Vec<Duration> =
            (0..rounds).map(|round| merge(&ours, one, other, rows, round)).collect();
        let mine = median_s(&mut times) * 1e3;
        let theirs = dolt.as_ref().map(|dolt| {
            let mut times: Vec<Duration> =
                (0..rounds).map(|round| merge_dolt(dolt, name, one, other, round)).collect();
            median_s(&mut times) * 1e3
        });
        let git = git.as_ref().and_then(|git| git.merge(one, other, rows));
        report.at_most(
            name,
            "ms",
            mine,
            &[("doltlite", theirs), ("git (- if it conflicts)", git)],
            &[(
                if part < 0.3 { "doltlite / 4" } else { "doltlite / 2" },
                theirs.map(|dolt| dolt * part),
            )],
        );
        if name.contains("60k") {
            ours.checkpoint(&[]).expect("checkpoint");
            let after = disk(&folder.path().join("db"), &["cache"]);
            let changed = (one.rows(rows).count() + other.rows(rows).count()) as u64 * rounds;
            let grown = after.0.saturating_sub(before.0) as f64 / changed as f64;
            report.at_most("… disk per changed row", "B", grown, &[], &[("promised", Some(200.0))]);
        }
    }
}

/// Both sides begin at the same state; how long the second takes to commit.
fn merge(database: &Database, one: Side, other: Side, rows: u64, round: u64) -> Duration {
    let side = |side: Side, value: u64| -> Transaction {
        let mut transaction = database.begin().expect("begin");
        for row in side.rows(rows) {
            let text = (value + row % 100).to_string();
            transaction.update("t", row as i64, [(side.column, text.as_str())]).expect("update");
        }
        transaction
    };
    let (first, second) = (side(one, 1_000_000 + round), side(other, 2_000_000 + round));
    first.commit().expect("the first side");
    let (took, commit) = time(|| second.commit().expect("the second side"));
    assert!(commit.parked.is_empty(), "nothing is disputed");
    // What follows at the checkpoint is no part of it, in DoltLite neither.
    database.checkpoint(&[]).expect("checkpoint");
    took
}

fn merge_dolt(dolt: &DoltLite, name: &str, one: Side, other: Side, round: u64) -> Duration {
    let branch = format!("b{}{round}", name.len() as u64 * 100 + one.first);
    let change = |side: Side, value: u64| {
        dolt.run(&format!(
            "UPDATE t SET {} = {value} + id % 100 WHERE id % {} = {}; SELECT dolt_commit('-Am', 'x')",
            side.column,
            side.every,
            side.first % side.every
        ));
    };
    dolt.run(&format!("SELECT dolt_branch('{branch}')"));
    change(one, 1_000_000 + round);
    dolt.run(&format!("SELECT dolt_checkout('{branch}')"));
    change(other, 2_000_000 + round);
    dolt.run("SELECT dolt_checkout('main')");
    let (took, ()) = time(|| dolt.run(&format!("SELECT dolt_merge('{branch}')")));
    took
}

/// A repository with the same file.
struct Git(std::path::PathBuf);

impl Git {
    fn new(folder: &Path, rows: u64) -> Self {
        std::fs::create_dir(folder).expect("a folder");
        std::fs::write(folder.join("t.csv"), data::csv(rows)).expect("a file");
        let git = Self(folder.to_owned());
        for args in [
            &["init", "-q", "-b", "main"][..],
            &["config", "user.email", "x@example.org"],
            &["config", "user.name", "x"],
            &["add", "."],
            &["commit", "-q", "-m", "one"],
        ] {
            assert!(git.run(args), "git {args:?}");
        }
        git
    }

    fn run(&self, args: &[&str]) -> bool {
        let mut git = Command::new("git");
        git.args(args).current_dir(&self.0).stdout(std::process::Stdio::null());
        git.stderr(std::process::Stdio::null());
        git.status().expect("git runs").success()
    }

    /// How long the merge takes, in milliseconds; nothing if it ends in conflicts.
    fn merge(&self, one: Side, other: Side, rows: u64) -> Option<f64> {
        let change = |side: Side, value: &str| {
            let column = data::HEADER.trim_end().split(',').position(|name| name == side.column);
            let text = std::fs::read_to_string(self.0.join("t.csv")).expect("the file");
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            for row in side.rows(rows) {
                let mut cells: Vec<String> =
                    lines[row as usize + 1].split(',').map(str::to_owned).collect();
                cells[column.expect("a column")] = value.to_owned();
                lines[row as usize + 1] = cells.join(",");
            }
            std::fs::write(self.0.join("t.csv"), lines.join("\n") + "\n").expect("the file");
            assert!(self.run(&["commit", "-q", "-a", "-m", "x"]), "git commits");
        };
        self.run(&["branch", "-D", "other"]);
        assert!(self.run(&["branch", "other"]) && self.run(&["tag", "-f", "start"]));
        change(one, "1111111");
        assert!(self.run(&["checkout", "-q", "other"]));
        change(other, "2222222");
        assert!(self.run(&["checkout", "-q", "main"]));
        let (took, merged) = time(|| self.run(&["merge", "-q", "--no-edit", "other"]));
        self.run(&["reset", "-q", "--hard", "start"]);
        merged.then_some(took.as_secs_f64() * 1e3)
    }
}

/// Fifty writers that begin at once, each with twenty cells of 10,000 rows: all that touch different cells are merged.
pub fn writers(settings: &Settings, report: &mut Report) {
    const WRITERS: u64 = 50;
    let folder = tempfile::tempdir_in(&settings.folder).expect("a folder");
    let database = database(&folder.path().join("db"), 10_000);
    let columns = ["title", "author", "status", "views", "price", "body"];
    let mut transactions: Vec<_> = (0..WRITERS).map(|_| database.begin().expect("begin")).collect();
    let mut written = std::collections::HashSet::new();
    let mut same = 0_u64;
    for (writer, transaction) in (0..).zip(&mut transactions) {
        for row in data::keys(10_000, 20).map(|key| (key * 31 + writer * 7919) % 10_000) {
            let column = columns[(row * 7 + writer) as usize % columns.len()];
            same += u64::from(!written.insert((row, column)));
            let text = format!("writer {writer}");
            transaction.update("t", row as i64, [(column, text.as_str())]).expect("update");
        }
    }
    let (mut parked, mut refused) = (0, 0);
    for transaction in transactions {
        match transaction.commit_parking() {
            Ok(commit) => parked += commit.parked.len() as u64,
            Err(_) => refused += 20,
        }
    }
    let apart = written.len() as f64;
    let lost = parked.saturating_sub(same) + refused;
    let rate = (apart - lost as f64) / apart * 100.0;
    report.at_least("50 writers, edits of different cells merged", "%", rate, &[], ("all", 100.0));
}
