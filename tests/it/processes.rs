use std::process::{Command, Stdio};

use crate::sessions::rdb;

/// Processes that write at the same time: every row of each is there.
#[test]
fn many_processes_write_at_once() {
    const PROCESSES: usize = 4;
    const ROWS: usize = 12;
    let folder = tempfile::tempdir().unwrap();
    let run = |script: &str| {
        let mut command = Command::new("sh");
        command.args(["-ec", script]).current_dir(folder.path()).env("RDB", rdb());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let setup = run("\"$RDB\" db:init; printf 'id,by\\nstart,0\\n' > t.csv; \"$RDB\" import t.csv");
    assert!(setup.wait_with_output().unwrap().status.success());
    let children: Vec<_> = (0..PROCESSES)
        .map(|process| {
            run(&format!(
                "i=0; while [ $i -lt {ROWS} ]; do \"$RDB\" insert t id={process}-$i by={process}; i=$((i+1)); done"
            ))
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let database = reedbase::Database::open(folder.path().join(".reedbase")).unwrap();
    let snapshot = database.snapshot().unwrap();
    for process in 0..PROCESSES {
        for row in 0..ROWS {
            let key = format!("{process}-{row}");
            assert!(snapshot.get("t", &key).unwrap().is_some(), "{key} is missing");
        }
    }
    assert_eq!(database.frames().unwrap().len(), 1 + PROCESSES * ROWS);
    assert_eq!(snapshot.table("t").unwrap().rows() as usize, 1 + PROCESSES * ROWS);
}

/// What another handle wrote into a table's file is taken in, not written once more.
#[test]
fn a_checkpoint_of_another_handle_is_not_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let one = reedbase::Database::create(folder.path().join("db")).unwrap();
    let mut transaction = one.begin().unwrap();
    transaction.create_table("t", &reedbase::csv("id,x\n1,a\n2,b\n", &["id"]).unwrap()).unwrap();
    transaction.commit().unwrap();
    let other = reedbase::Database::open(folder.path().join("db")).unwrap();
    let set = |database: &reedbase::Database, value: i64| {
        let mut transaction = database.begin().unwrap();
        transaction.update("t", 1_i64, [("x", value)]).unwrap();
        transaction.commit().unwrap();
    };
    set(&one, 1);
    set(&other, 2);
    assert_eq!(one.checkpoint(&[]).unwrap().written.len(), 1);
    assert!(other.checkpoint(&[]).unwrap().written.is_empty());
    set(&one, 3);
    assert_eq!(other.checkpoint(&[]).unwrap().written.len(), 1);
    for database in [&one, &other] {
        let snapshot = database.snapshot().unwrap();
        assert_eq!(snapshot.get("t", 1_i64).unwrap().unwrap().get("x").as_deref(), Some("3"));
        assert_eq!(snapshot.versions("t").unwrap().len(), 4);
        assert_eq!(snapshot.history("t", 1_i64).unwrap().len(), 4);
    }
}

/// Handles of their own, as processes have them, without a pause in between: no frame is lost or written over.
#[test]
fn many_handles_write_without_a_pause() {
    const HANDLES: i64 = 4;
    const ROWS: i64 = 150;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let database = reedbase::Database::create(&path).unwrap();
    let mut transaction = database.begin().unwrap();
    transaction.create_table("t", &reedbase::csv("id,by\n", &["id"]).unwrap()).unwrap();
    transaction.commit().unwrap();
    std::thread::scope(|scope| {
        for handle in 0..HANDLES {
            let path = &path;
            scope.spawn(move || {
                let database = reedbase::Database::open(path).unwrap();
                for row in 0..ROWS {
                    let mut transaction = database.begin().unwrap();
                    transaction.insert("t", [("id", handle * ROWS + row), ("by", handle)]).unwrap();
                    transaction.commit().unwrap();
                }
            });
        }
    });
    for database in [database, reedbase::Database::open(&path).unwrap()] {
        let snapshot = database.snapshot().unwrap();
        assert_eq!(snapshot.table("t").unwrap().rows() as i64, HANDLES * ROWS);
        let missing = (0..HANDLES * ROWS).find(|key| snapshot.get("t", *key).unwrap().is_none());
        assert_eq!(missing, None);
        assert_eq!(database.frames().unwrap().len() as i64, 1 + HANDLES * ROWS);
    }
}
