//! Indices: made, kept right, read back from the cache, and the rule that values are unique.

use reedbase::{Database, ErrorKind, Limits, OpenOptions, QueryOptions, QueryPath, Session};

use crate::sql::{asked, done};

/// A database whose caches are written for tables of any size.
fn database() -> (tempfile::TempDir, Database) {
    let folder = tempfile::tempdir().unwrap();
    Database::create(folder.path().join("db")).unwrap();
    let database = open(&folder);
    (folder, database)
}

fn open(folder: &tempfile::TempDir) -> Database {
    let mut limits = Limits::default();
    limits.cached_min = 0;
    OpenOptions::new().limits(limits).open(folder.path().join("db")).unwrap()
}

fn direct(database: &Database) -> Session {
    let mut session = database.session().unwrap();
    let mut options = QueryOptions::default();
    options.path = QueryPath::Direct;
    session.set_options(&options);
    session
}

const PEOPLE: &str = "CREATE TABLE p (id INTEGER PRIMARY KEY, name TEXT, age INTEGER); \
    INSERT INTO p WITH RECURSIVE n (value) AS (VALUES (1) UNION ALL SELECT value + 1 FROM n WHERE value < 60) SELECT value + 1000, 'n' || value, value + 100 FROM n; \
    INSERT INTO p (id, name, age) VALUES (1, 'Ann', 30), (2, 'Bob', 25), (3, NULL, 30), (4, 'ann', 41), (5, 'Zoë', 25)";

/// How a question is answered.
fn way(session: &mut Session, text: &str) -> String {
    asked(session, &format!("EXPLAIN {text}"))
}

#[test]
fn questions_are_answered_by_the_index_that_fits() {
    let (_folder, database) = database();
    let mut session = direct(&database);
    done(&mut session, PEOPLE);
    done(&mut session, "CREATE INDEX by_age ON p (age)");
    done(&mut session, "CREATE INDEX by_name ON p (name COLLATE NOCASE)");
    done(&mut session, "CREATE INDEX by_both ON p USING composite (age, name)");
    done(&mut session, "CREATE INDEX by_hash ON p USING hash (name)");
    for (text, expected, rows) in [
        ("SELECT id FROM p WHERE age = 25 ORDER BY name", "by_both (=), in order", "2;5"),
        ("SELECT id FROM p WHERE age > 30 AND age < 100", "by_age (>, <)", "4"),
        ("SELECT id FROM p WHERE name = 'Bob'", "by_hash (=)", "2"),
        ("SELECT id FROM p WHERE name LIKE 'AN%'", "by_name (", "1;4"),
        ("SELECT id FROM p WHERE name = 'ANN' COLLATE NOCASE", "by_name (=)", "1;4"),
        ("SELECT age FROM p ORDER BY age DESC LIMIT 2", "by_age, the last first", "160;159"),
        ("SELECT id FROM p WHERE age = 30 AND name IS NULL", "by_age", "3"),
    ] {
        let way = way(&mut session, text);
        assert!(way.contains(expected), "{text}: {way}");
        assert_eq!(asked(&mut session, text), rows, "{text}");
    }
    for text in [
        "SELECT id FROM p WHERE name LIKE '%nn'",
        "SELECT id FROM p WHERE name > 'B' COLLATE decimal",
    ] {
        let way = way(&mut session, text);
        assert!(way.contains("pass by all rows"), "{text}: {way}");
    }
}

#[test]
fn an_index_follows_writers_and_stays_where_a_snapshot_is() {
    let (_folder, database) = database();
    let mut writer = direct(&database);
    done(&mut writer, PEOPLE);
    done(&mut writer, "CREATE INDEX by_age ON p (age)");
    let question = "SELECT id FROM p WHERE age = 30 ORDER BY id";
    let mut holder = direct(&database);
    done(&mut holder, "BEGIN");
    assert_eq!(asked(&mut holder, question), "1;3");
    for age in [31, 30, 32] {
        done(&mut writer, &format!("UPDATE p SET age = {age} WHERE id = 1"));
        done(
            &mut writer,
            "INSERT INTO p (name, age) VALUES ('new', 30); DELETE FROM p WHERE name = 'new'",
        );
        let expected = if age == 30 { "1;3" } else { "3" };
        assert_eq!(asked(&mut writer, question), expected);
        assert_eq!(asked(&mut holder, question), "1;3");
    }
    for (instant, expected) in [("HEAD~3", "1;3"), ("HEAD~6", "3")] {
        let past = format!("SELECT id FROM p AS OF '{instant}' WHERE age = 30 ORDER BY id");
        assert_eq!(asked(&mut writer, &past), expected);
        assert!(way(&mut writer, &past).contains("by_age"), "{}", way(&mut writer, &past));
    }
}

#[test]
fn an_index_in_a_transaction_shows_what_it_did_and_undid() {
    let (_folder, database) = database();
    let mut session = direct(&database);
    done(&mut session, PEOPLE);
    done(&mut session, "CREATE INDEX by_age ON p (age)");
    let question = "SELECT id FROM p WHERE age = 30 ORDER BY id";
    done(&mut session, "BEGIN; UPDATE p SET age = 30 WHERE id = 2");
    assert_eq!(asked(&mut session, question), "1;2;3");
    done(
        &mut session,
        "SAVEPOINT a; DELETE FROM p WHERE age = 30; INSERT INTO p VALUES (9, 'x', 30)",
    );
    assert_eq!(asked(&mut session, question), "9");
    done(&mut session, "ROLLBACK TO a");
    assert_eq!(asked(&mut session, question), "1;2;3");
    done(
        &mut session,
        "UPDATE p SET id = 20 WHERE id = 2; CREATE INDEX later ON p USING hash (age)",
    );
    assert_eq!(asked(&mut session, question), "1;3;20");
    done(&mut session, "UPDATE p SET age = 7 WHERE id = 1; ROLLBACK TO a");
    assert_eq!(asked(&mut session, question), "1;2;3");
    done(&mut session, "COMMIT");
    assert_eq!(asked(&mut direct(&database), question), "1;2;3");
}

#[test]
fn values_are_unique_where_an_index_or_a_column_says_so() {
    let (_folder, database) = database();
    for path in [QueryPath::Direct, QueryPath::Mirror] {
        let mut session = database.session().unwrap();
        let mut options = QueryOptions::default();
        options.path = path;
        session.set_options(&options);
        done(
            &mut session,
            "DROP TABLE IF EXISTS u; CREATE TABLE u (id INTEGER PRIMARY KEY, email TEXT UNIQUE, a INT, b INT)",
        );
        done(&mut session, "CREATE UNIQUE INDEX ab ON u (a, b)");
        done(
            &mut session,
            "INSERT INTO u VALUES (1, 'x@y', 1, 1), (2, NULL, 1, 2), (3, NULL, 1, NULL), (4, '', 1, NULL)",
        );
        for (wrong, message) in [
            ("INSERT INTO u VALUES (5, 'x@y', 0, 0)", "column email: "),
            ("INSERT INTO u VALUES (5, NULL, 1, 2)", "column a, b: "),
            ("UPDATE u SET email = 'x@y' WHERE id = 2", "column email: "),
            ("UPDATE u SET email = 'new' WHERE id > 1", "must be unique"),
        ] {
            let error = session.execute(wrong, ()).unwrap_err();
            assert!(error.to_string().contains(message), "{wrong}: {error}");
            assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{wrong}");
        }
        done(
            &mut session,
            "INSERT INTO u VALUES (6, 'x@y', 5, 5) ON CONFLICT (email) DO UPDATE SET a = 7",
        );
        done(&mut session, "INSERT OR REPLACE INTO u VALUES (8, NULL, 1, 2)");
        done(&mut session, "INSERT OR IGNORE INTO u VALUES (9, 'x@y', 1, 1)");
        assert_eq!(
            asked(&mut session, "SELECT * FROM u ORDER BY id"),
            "1|x@y|7|1;3||1|;4||1|;8||1|2"
        );
        // Two rows give each other what must be unique: one waits for the other.
        done(&mut session, "UPDATE u SET email = NULL WHERE id = 4");
        done(&mut session, "INSERT INTO u VALUES (10, 'c', 9, 1), (11, 'd', 9, 2)");
        done(&mut session, "UPDATE u SET b = b - 1 WHERE a = 9 RETURNING id");
        assert_eq!(asked(&mut session, "SELECT b FROM u WHERE a = 9 ORDER BY id"), "0;1");
        // The last value of the first row is what the second gives up meanwhile.
        let upsert = "INSERT INTO u (id, a, b) VALUES (10, 9, 7), (11, 9, 5), (10, 9, 1) \
                      ON CONFLICT (id) DO UPDATE SET b = excluded.b";
        done(&mut session, upsert);
        assert_eq!(asked(&mut session, "SELECT b FROM u WHERE a = 9 ORDER BY id"), "1;5");
    }
}

#[test]
fn a_unique_index_holds_between_two_transactions() {
    for (ours, theirs, holds) in [
        ("INSERT INTO u VALUES (10, NULL, 7, 7)", "INSERT INTO u VALUES (11, NULL, 7, 7)", false),
        ("INSERT INTO u VALUES (10, NULL, 7, 7)", "INSERT INTO u VALUES (11, NULL, 7, 8)", true),
        ("INSERT INTO u VALUES (10, 'Zoe', 4, 4)", "INSERT INTO u VALUES (11, 'ZOE', 5, 5)", false),
        ("UPDATE u SET a = 9, b = 9 WHERE id = 1", "UPDATE u SET a = 9, b = 9 WHERE id = 2", false),
        ("UPDATE u SET a = 8 WHERE id = 1", "UPDATE u SET b = 1, a = 8 WHERE id = 3", false),
        ("UPDATE u SET a = 8 WHERE id = 1", "UPDATE u SET a = NULL WHERE id = 3", true),
        ("DELETE FROM u WHERE id = 1", "UPDATE u SET name = 'ANNA' WHERE id = 2", true),
    ] {
        let (_folder, database) = database();
        let (mut one, mut other) = (direct(&database), direct(&database));
        done(&mut one, "CREATE TABLE u (id INTEGER PRIMARY KEY, name TEXT, a INT, b INT)");
        done(&mut one, "CREATE UNIQUE INDEX ab ON u (a, b)");
        done(&mut one, "CREATE UNIQUE INDEX named ON u (name COLLATE NOCASE)");
        done(&mut one, "INSERT INTO u VALUES (1, 'Ann', 1, 1), (2, 'Bob', 2, 2), (3, NULL, 3, 3)");
        for session in [&mut one, &mut other] {
            done(session, "BEGIN");
        }
        done(&mut one, ours);
        done(&mut other, theirs);
        done(&mut one, "COMMIT");
        match other.execute("COMMIT", ()) {
            Ok(_) => assert!(holds, "{theirs}"),
            Err(error) => {
                assert!(!holds && error.kind() == ErrorKind::Conflict, "{theirs}: {error}");
            }
        }
    }
}

#[test]
fn a_unique_index_holds_for_who_did_not_know_it() {
    let make = "CREATE UNIQUE INDEX named ON u (name)";
    let give = "INSERT INTO u VALUES (2, 'Ann')";
    for (ours, theirs, kind) in
        [(make, give, ErrorKind::Conflict), (give, make, ErrorKind::AlreadyExists)]
    {
        let (_folder, database) = database();
        let (mut one, mut other) = (direct(&database), direct(&database));
        done(&mut one, "CREATE TABLE u (id INTEGER PRIMARY KEY, name TEXT)");
        done(&mut one, "INSERT INTO u VALUES (1, 'Ann'), (3, 'Bob')");
        done(&mut other, "BEGIN");
        done(&mut other, theirs);
        done(&mut one, ours);
        let error = other.execute("COMMIT", ()).unwrap_err();
        assert_eq!(error.kind(), kind, "{theirs}: {error}");
        assert!(error.to_string().contains("must be unique"), "{theirs}: {error}");
    }
    // Who makes the rule may first mend what is against it.
    let (_folder, database) = database();
    let (mut one, mut other) = (direct(&database), direct(&database));
    done(&mut one, "CREATE TABLE u (id INTEGER PRIMARY KEY, name TEXT)");
    done(&mut one, "INSERT INTO u VALUES (1, 'Ann'), (2, 'Ann')");
    done(&mut other, "BEGIN");
    done(
        &mut other,
        "UPDATE u SET name = 'Bob' WHERE id = 2; CREATE UNIQUE INDEX named ON u (name)",
    );
    done(&mut one, "INSERT INTO u VALUES (3, 'Zoe')");
    done(&mut other, "COMMIT");
    assert_eq!(asked(&mut one, "SELECT name FROM u ORDER BY id"), "Ann;Bob;Zoe");
}

#[test]
fn a_unique_index_is_not_made_over_values_that_are_not() {
    let (_folder, database) = database();
    let mut session = direct(&database);
    done(&mut session, PEOPLE);
    for kind in ["btree", "hash", "composite"] {
        let error = session.execute(&format!("CREATE UNIQUE INDEX i ON p USING {kind} (age)"), ());
        let error = error.unwrap_err().to_string();
        assert!(error.contains("key 1: the value is taken by the row 3"), "{error}");
    }
    assert_eq!(asked(&mut session, "SELECT count(*) FROM reed_frames"), "3");
    done(&mut session, "CREATE UNIQUE INDEX i ON p (name)");
    assert!(session.execute("CREATE UNIQUE INDEX i2 ON p (name COLLATE NOCASE)", ()).is_err());
}

/// The files in a folder, with their times and sizes.
fn files(folder: &tempfile::TempDir) -> Vec<(String, u64, std::time::SystemTime)> {
    let found = std::fs::read_dir(folder.path().join("db/.reedbase/cache/index/p"));
    let found = found.or_else(|_| std::fs::read_dir(folder.path().join("db/cache/index/p")));
    let mut files: Vec<_> = found
        .map(|found| {
            found
                .map(|file| {
                    let (file, name) =
                        file.map(|file| (file.metadata().unwrap(), file.file_name())).unwrap();
                    (name.to_string_lossy().into_owned(), file.len(), file.modified().unwrap())
                })
                .collect()
        })
        .unwrap_or_default();
    files.sort();
    files
}

#[test]
fn an_index_is_read_from_the_cache_and_goes_with_it() {
    let (folder, database) = database();
    let mut session = direct(&database);
    done(&mut session, PEOPLE);
    done(
        &mut session,
        "CREATE INDEX by_age ON p (age); CREATE INDEX by_name ON p USING hash (name)",
    );
    let questions =
        ["SELECT id FROM p WHERE age = 30 ORDER BY id", "SELECT id FROM p WHERE name = 'Bob'"];
    assert_eq!(questions.map(|text| asked(&mut session, text)), ["1;3", "2"]);
    let written = files(&folder);
    assert_eq!(
        written.iter().map(|file| file.0.as_str()).collect::<Vec<_>>(),
        ["by_age.index", "by_name.index"]
    );
    drop((session, database));
    // Another process writes; what the cache has is brought up to date by that.
    done(&mut open(&folder).session().unwrap(), "UPDATE p SET age = 30, name = 'Rob' WHERE id = 2");
    let database = open(&folder);
    let mut session = direct(&database);
    assert_eq!(questions.map(|text| asked(&mut session, text)), ["1;2;3", ""]);
    assert_eq!(files(&folder), written, "they were not built again");
    done(&mut session, "DROP INDEX by_age");
    assert_eq!(files(&folder).len(), 1);
    assert_eq!(asked(&mut session, questions[0]), "1;2;3");
}

#[test]
fn indices_follow_tables_that_change_or_get_another_name() {
    let (_folder, database) = database();
    let mut session = direct(&database);
    done(&mut session, PEOPLE);
    done(&mut session, "CREATE INDEX by_age ON p (age)");
    done(&mut session, "ALTER TABLE p RENAME COLUMN age TO years; ALTER TABLE p ADD COLUMN x TEXT");
    assert!(way(&mut session, "SELECT id FROM p WHERE years = 25").contains("by_age"));
    let error = session.execute("ALTER TABLE p DROP COLUMN years", ()).unwrap_err().to_string();
    assert!(error.contains("the index by_age has this column"), "{error}");
    done(&mut session, "ALTER TABLE p RENAME TO q");
    assert_eq!(asked(&mut session, "SELECT id FROM q WHERE years = 25 ORDER BY id"), "2;5");
    assert!(way(&mut session, "SELECT id FROM q WHERE years = 25").contains("by_age"));
    assert!(session.execute("CREATE INDEX BY_AGE ON q (name)", ()).is_err());
    for name in ["reed_unique_1", "\"a/b\""] {
        let error = session.execute(&format!("CREATE INDEX {name} ON q (name)"), ()).unwrap_err();
        assert!(error.to_string().contains("cannot name an index"), "{error}");
    }
    done(
        &mut session,
        "CREATE INDEX IF NOT EXISTS by_age ON q (name); DROP INDEX by_age; DROP INDEX IF EXISTS by_age",
    );
    assert!(way(&mut session, "SELECT id FROM q WHERE years = 25").contains("pass by all"));
    done(&mut session, "DROP TABLE q");
    done(&mut session, PEOPLE);
    assert_eq!(asked(&mut session, "SELECT id FROM p WHERE age = 25 ORDER BY id"), "2;5");
}
