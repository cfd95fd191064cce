use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use reedbase::storage::{FileSystem, Storage};
use reedbase::{Database, verify};

use crate::random::Random;

/// The program that writes, built beside the tests.
fn writer() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let built = test.parent().and_then(Path::parent).unwrap();
    built.join("examples").join("writer")
}

fn rounds() -> u64 {
    std::env::var("KILL_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(60)
}

const WRITERS: usize = 3;

fn start(folder: &Path, name: &str) -> Child {
    let mut command = Command::new(writer());
    command.arg(folder).arg(name).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("the example `writer` is built with the tests")
}

/// Kills a process at once, and tells how many frames it was told are committed.
fn kill(mut child: Child) -> usize {
    child.kill().unwrap();
    let mut told = String::new();
    child.stdout.take().unwrap().read_to_string(&mut told).unwrap();
    let mut wrong = String::new();
    child.stderr.take().unwrap().read_to_string(&mut wrong).unwrap();
    assert_eq!(wrong, "", "a writer failed before it was killed");
    child.wait().unwrap();
    // The last line may be cut: its frame was committed all the same, and is looked for like one that was not told.
    told.split_inclusive('\n').filter(|line| line.ends_with('\n')).count()
}

/// Processes that write at the same time are killed, again and again, wherever they are, while others write files, pack them and
/// remove history, and are killed, too: every frame that was acknowledged is there, no frame is there in part, and the others
/// go on. `KILL_ROUNDS` sets how many rounds there are.
#[test]
fn processes_that_are_killed_lose_nothing_they_were_told() {
    let mut random = Random(2);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let database = Database::create(&path).unwrap();
    let mut transaction = database.begin().unwrap();
    for table in ["one", "two"] {
        transaction.create_table(table, &reedbase::csv("id,by\n", &["id"]).unwrap()).unwrap();
    }
    let count = reedbase::csv("id,n\nall,0\n", &["id"]).unwrap();
    transaction.create_table("count", &count).unwrap();
    transaction.commit().unwrap();
    let (mut told, mut kills) = (Vec::new(), 0);
    for round in 0..rounds() {
        let names: Vec<String> = (0..WRITERS).map(|n| format!("w{round}x{n}")).collect();
        let children: Vec<Child> = names.iter().map(|name| start(&path, name)).collect();
        let keepers = [(); 2].map(|()| start(&path, "keeper"));
        std::thread::sleep(Duration::from_millis(20 + random.below(80)));
        for (name, child) in names.into_iter().zip(children) {
            told.push((name, kill(child)));
            kills += 1;
            std::thread::sleep(Duration::from_millis(random.below(15)));
        }
        for keeper in keepers {
            kill(keeper);
            kills += 1;
        }
        check(&database, &told);
        if round % 10 == 0 {
            check(&Database::open(&path).unwrap(), &told);
            let storage: Arc<dyn Storage> = Arc::new(FileSystem::new(&path));
            let report = verify::verify(&storage).unwrap();
            assert!(!report.is_damaged(), "{:?}", report.findings);
        }
    }
    let committed: usize = told.iter().map(|(_, number)| number).sum();
    assert!(kills >= 100 && committed > 500, "{kills} kills, {committed} frames");
}

fn check(database: &Database, told: &[(String, usize)]) {
    // The clocks of the writers jump back; time in the database does not.
    let frames = database.frames().unwrap();
    assert!(frames.is_sorted_by(|one, other| one.timestamp < other.timestamp));
    let snapshot = database.snapshot().unwrap();
    let keys = |table: &str| -> BTreeSet<String> {
        let rows = snapshot.rows(table).unwrap();
        rows.map(|row| row.unwrap().get("id").unwrap().into_owned()).collect()
    };
    let (one, two) = (keys("one"), keys("two"));
    assert_eq!(one, two, "a frame is there in part");
    for (name, number) in told {
        let missing = (0..*number).find(|n| !one.contains(&format!("{name}-{n}")));
        assert_eq!(missing, None, "of {name}, which was told of {number}");
        // Frames are numbered without a gap, and at most the one under way was not told.
        let there = one.iter().filter(|key| key.starts_with(&format!("{name}-"))).count();
        assert!(there <= number + 1, "{name}: {there} of {number}");
    }
    let counted = snapshot.get("count", "all").unwrap().unwrap();
    assert_eq!(counted.get("n").unwrap(), one.len().to_string(), "each frame counted once");
}
