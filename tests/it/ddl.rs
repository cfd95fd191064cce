//! Tables that are made, changed, dropped and brought back, in SQL.

use reedbase::Database;

use crate::sql::{asked, database, done};

#[test]
fn a_table_made_in_a_transaction_takes_rows_there() {
    let (_folder, database) = database();
    let mut session = database.session().unwrap();
    done(&mut session, "BEGIN; CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT)");
    done(&mut session, "INSERT INTO t (x) VALUES ('a'), ('b'); UPDATE t SET x = 'c' WHERE id = 1");
    done(&mut session, "INSERT INTO t VALUES (1, 'd') ON CONFLICT (id) DO UPDATE SET x = 'e'");
    assert_eq!(asked(&mut session, "SELECT * FROM t ORDER BY id"), "1|e;2|b");
    assert_eq!(asked(&mut database.session().unwrap(), "SELECT name FROM reed_tables"), "");
    done(
        &mut session,
        "ALTER TABLE t ADD COLUMN n INT DEFAULT 5; DELETE FROM t WHERE id = 2; COMMIT",
    );
    let mut other = database.session().unwrap();
    assert_eq!(asked(&mut other, "SELECT * FROM t"), "1|e|5");
    // It was one frame, and the table was made in it as it is.
    assert_eq!(asked(&mut other, "SELECT tables FROM reed_frames"), "init t");
}

#[test]
fn what_fails_leaves_tables_as_they_were() {
    let (_folder, database) = database();
    let mut session = database.session().unwrap();
    done(
        &mut session,
        "CREATE TABLE t (id TEXT PRIMARY KEY, x TEXT); INSERT INTO t VALUES ('a', 'b')",
    );
    for wrong in [
        "CREATE TABLE t (id TEXT PRIMARY KEY)",
        "CREATE TABLE T (id TEXT PRIMARY KEY)",
        "CREATE TABLE reed_x (id TEXT PRIMARY KEY)",
        "ALTER TABLE t ADD COLUMN x TEXT",
        "ALTER TABLE t ADD COLUMN y TEXT NOT NULL",
        "ALTER TABLE t DROP COLUMN id",
        "ALTER TABLE t DROP COLUMN y",
        "ALTER TABLE t RENAME COLUMN x TO ID",
        "ALTER TABLE t RENAME TO t",
        "DROP TABLE nowhere",
        "CREATE TABLE z AS SELECT * FROM nowhere",
    ] {
        assert!(session.execute(wrong, ()).is_err(), "{wrong}");
        assert!(!session.in_transaction(), "{wrong}");
    }
    assert_eq!(asked(&mut session, "SELECT name FROM reed_tables; SELECT * FROM t"), "a|b");
    assert_eq!(asked(&mut session, "SELECT count(*) FROM reed_frames"), "2");
    done(&mut session, "CREATE TABLE IF NOT EXISTS t (y TEXT); DROP TABLE IF EXISTS nowhere");
    assert_eq!(asked(&mut session, "SELECT count(*) FROM reed_frames"), "2");
}

#[test]
fn a_table_that_was_dropped_is_gone_comes_back_and_can_be_made_anew() {
    let (folder, database) = database();
    let mut session = database.session().unwrap();
    done(
        &mut session,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT); INSERT INTO t VALUES (1, 'a')",
    );
    done(&mut session, "DROP TABLE t");
    assert!(session.query("SELECT * FROM t", ()).unwrap_err().is_not_found());
    for database in [&database, &Database::open(folder.path().join("db")).unwrap()] {
        let snapshot = database.snapshot().unwrap();
        assert!(snapshot.table("t").unwrap_err().is_not_found());
        assert!(snapshot.tables().is_empty());
        assert!(database.begin().unwrap().insert("t", [("id", "2")]).unwrap_err().is_not_found());
    }
    assert_eq!(asked(&mut session, "SELECT * FROM t AS OF HEAD~1"), "1|a");
    database.checkpoint(&[]).unwrap();
    let database = Database::open(folder.path().join("db")).unwrap();
    let mut session = database.session().unwrap();
    assert!(session.query("SELECT * FROM t", ()).unwrap_err().is_not_found());
    done(&mut session, "CREATE TABLE t (k TEXT PRIMARY KEY); INSERT INTO t VALUES ('new')");
    assert_eq!(asked(&mut session, "SELECT * FROM t"), "new");
    assert_eq!(asked(&mut session, "SELECT * FROM t AS OF HEAD~3"), "1|a");
    let then = database.instant("HEAD~3").unwrap();
    let mut transaction = database.begin().unwrap();
    transaction.restore_table("t", then, reedbase::Action::RESTORE).unwrap();
    transaction.commit().unwrap();
    assert_eq!(asked(&mut session, "SELECT * FROM t"), "1|a");
    database.checkpoint(&[]).unwrap();
    let storage = reedbase::storage::FileSystem::new(folder.path().join("db"));
    let storage: std::sync::Arc<dyn reedbase::storage::Storage> = std::sync::Arc::new(storage);
    assert!(reedbase::verify::verify(&storage).unwrap().findings.is_empty());
}

/// Somebody adds a column while another adds a row: both are there.
#[test]
fn columns_and_rows_are_merged() {
    let (_folder, database) = database();
    let (mut one, mut other) = (database.session().unwrap(), database.session().unwrap());
    done(
        &mut one,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT); INSERT INTO t VALUES (1, 'a')",
    );
    done(&mut one, "BEGIN; ALTER TABLE t ADD COLUMN n INT DEFAULT 7; UPDATE t SET n = 8");
    done(&mut other, "INSERT INTO t VALUES (2, 'b')");
    done(&mut one, "COMMIT");
    assert_eq!(asked(&mut other, "SELECT id, x, n FROM t ORDER BY id"), "1|a|8;2|b|");
}

/// Without a key a table gets one that is not in the way.
#[test]
fn a_hidden_key_is_seen_by_those_who_ask_for_it() {
    let (_folder, database) = database();
    let mut session = database.session().unwrap();
    done(&mut session, "CREATE TABLE t (x TEXT, n INT); INSERT INTO t VALUES ('a', 1), ('b', 2)");
    assert_eq!(asked(&mut session, "SELECT * FROM t"), "a|1;b|2");
    assert_eq!(asked(&mut session, "SELECT count(DISTINCT _id), max(length(_id)) FROM t"), "2|36");
    done(&mut session, "UPDATE t SET n = 3 WHERE x = 'b'; DELETE FROM t WHERE n = 1");
    assert_eq!(asked(&mut session, "SELECT * FROM t"), "b|3");
    assert_eq!(asked(&mut session, "SELECT x.n, y.n FROM t x, t y WHERE x.n = y.n"), "3|3");
    assert_eq!(asked(&mut session, "SELECT * FROM t x, t y WHERE x.n = y.n"), "b|3|b|3");
    assert_eq!(asked(&mut session, "INSERT INTO t (x, n) VALUES ('c', 4) RETURNING x, n"), "c|4");
    assert_eq!(asked(&mut session, "SELECT * FROM t"), "b|3;c|4");
}

/// A table that is made anew in the transaction that dropped it is not what a mirror had of the old one.
#[test]
fn a_mirror_does_not_outlive_its_table() {
    let (_folder, database) = database();
    let mut session = database.session().unwrap();
    done(&mut session, "CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT)");
    done(&mut session, "INSERT INTO t VALUES (1, 'old'), (2, 'old')");
    let grouped = "SELECT a.x, count(*) FROM t a JOIN t b ON a.x = b.x GROUP BY 1";
    assert_eq!(asked(&mut session, grouped), "old|4");
    done(&mut session, "BEGIN; DROP TABLE t; CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT)");
    assert_eq!(asked(&mut session, grouped), "");
    done(&mut session, "INSERT INTO t VALUES (7, 'new') ON CONFLICT DO NOTHING");
    assert_eq!(asked(&mut session, grouped), "new|1");
    done(&mut session, "ROLLBACK");
    assert_eq!(asked(&mut session, grouped), "old|4");
}

/// The folder of a dropped table stays: whatever goes over all tables must pass it by.
#[test]
fn a_dropped_table_is_in_nobodys_way() {
    let (folder, database) = database();
    let mut session = database.session().unwrap();
    done(
        &mut session,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT); INSERT INTO t VALUES (1, 'a')",
    );
    done(&mut session, "CREATE TABLE u (id INTEGER PRIMARY KEY); INSERT INTO u VALUES (1)");
    done(&mut session, "DROP TABLE t");
    drop(session);
    database.checkpoint(&[]).unwrap();
    let copy = folder.path().join("copy");
    for command in [
        vec!["verify"],
        vec!["status"],
        vec!["compact", "--keep", "1", "--young"],
        vec!["version:pack"],
        vec!["verify"],
        vec!["restore", "t", "--at", "HEAD~1"],
        vec!["query", "SELECT * FROM t JOIN u USING (id)"],
    ] {
        let mut rdb = std::process::Command::new(crate::sessions::rdb());
        rdb.arg("--db").arg(folder.path().join("db")).args(&command).env("HOME", &copy);
        let output = rdb.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        // Its past may be gone by then, and that is told.
        let gone = command[0] == "restore" || command[0] == "query";
        assert!(output.status.success() || gone, "{command:?}: {said}");
    }
}
