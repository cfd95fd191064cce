//! Views: questions with a name.

use reedbase::{Database, Session};

use crate::sql::{asked, done};

fn database() -> (tempfile::TempDir, Database) {
    let (folder, database) = crate::sql::database();
    let mut session = database.session().unwrap();
    done(&mut session, "CREATE TABLE t (id INTEGER PRIMARY KEY, lang TEXT, n INT)");
    done(&mut session, "INSERT INTO t VALUES (1, 'de', 10), (2, 'en', 20), (3, 'de', 30)");
    (folder, database)
}

fn failed(session: &mut Session, text: &str) -> String {
    session.execute(text, ()).unwrap_err().to_string()
}

#[test]
fn a_view_is_always_fresh() {
    let (_folder, database) = database();
    let mut session = database.session().unwrap();
    done(&mut session, "CREATE VIEW german AS SELECT id, n FROM t WHERE lang = 'de'");
    done(&mut session, "CREATE VIEW sums (lang, total) AS SELECT lang, sum(n) FROM t GROUP BY 1");
    done(&mut session, "CREATE VIEW best AS SELECT max(total) AS most FROM sums");
    for session in [&mut session, &mut database.session().unwrap()] {
        assert_eq!(asked(session, "SELECT * FROM german ORDER BY id"), "1|10;3|30");
        assert_eq!(
            asked(
                session,
                "SELECT g.n, s.total FROM german g, sums s WHERE s.lang = 'de' ORDER BY 1"
            ),
            "10|40;30|40"
        );
        assert_eq!(asked(session, "SELECT most FROM best"), "40");
    }
    done(&mut session, "UPDATE t SET n = n + 1 WHERE id = 3");
    assert_eq!(asked(&mut session, "SELECT most FROM best"), "41");
    // Whoever changes its row changes the view; other sessions see that.
    let mut other = database.session().unwrap();
    assert_eq!(asked(&mut other, "SELECT count(*) FROM german"), "2");
    done(
        &mut session,
        "UPDATE reed_views SET query = 'SELECT id FROM t WHERE lang = ''en''' WHERE name = 'german'",
    );
    assert_eq!(asked(&mut other, "SELECT * FROM german"), "2");
    done(&mut session, "DROP VIEW german");
    assert_eq!(
        failed(&mut other, "SELECT * FROM german"),
        "line 1, character 15: there is no table `german`"
    );
}

#[test]
fn what_is_no_view_is_refused() {
    let (_folder, database) = database();
    let mut session = database.session().unwrap();
    assert_eq!(
        failed(&mut session, "CREATE VIEW v AS SELECT x FROM t"),
        "line 1, character 25: there is no column `x`"
    );
    assert_eq!(
        failed(&mut session, "CREATE VIEW t AS SELECT 1"),
        "line 1, character 1: there is a table of this name"
    );
    assert_eq!(failed(&mut session, "DROP VIEW v"), "line 1, character 1: there is no view `v`");
    done(&mut session, "DROP VIEW IF EXISTS v; CREATE VIEW v AS SELECT 1 AS one");
    assert_eq!(
        failed(&mut session, "CREATE VIEW V AS SELECT 2"),
        "line 1, character 1: there is such a view already"
    );
    done(&mut session, "CREATE VIEW IF NOT EXISTS v AS SELECT 2 AS one");
    assert_eq!(asked(&mut session, "SELECT one FROM v"), "1");
    assert!(failed(&mut session, "DELETE FROM v").contains("view"));
    assert_eq!(
        failed(&mut session, "REFRESH VIEW v"),
        "line 1, character 1: a view that is not stored is always fresh"
    );
}

#[test]
fn a_stored_view_is_refreshed_by_hand_or_follows_its_tables() {
    let (_folder, database) = database();
    let mut session = database.session().unwrap();
    done(
        &mut session,
        "CREATE MATERIALIZED VIEW by_hand AS SELECT lang, sum(n) AS total FROM t GROUP BY 1",
    );
    done(
        &mut session,
        "CREATE MATERIALIZED VIEW follows REFRESH ON CHANGE AS SELECT lang, sum(n) AS total FROM t GROUP BY 1",
    );
    done(&mut session, "UPDATE t SET n = 11 WHERE id = 1");
    assert_eq!(asked(&mut session, "SELECT * FROM by_hand ORDER BY lang"), "de|40;en|20");
    assert_eq!(asked(&mut session, "SELECT * FROM follows ORDER BY lang"), "de|41;en|20");
    let frames = asked(&mut session, "SELECT count(*) FROM reed_frames");
    assert_eq!(asked(&mut session, "SELECT total FROM follows WHERE lang = 'de'"), "41");
    assert_eq!(asked(&mut session, "SELECT count(*) FROM reed_frames"), frames);
    let outcome = session.execute("REFRESH MATERIALIZED VIEW by_hand", ()).unwrap();
    // The row that stayed was not written.
    assert_eq!(outcome.changed, 2);
    assert_eq!(asked(&mut session, "SELECT * FROM by_hand ORDER BY lang"), "de|41;en|20");
    done(&mut session, "DROP MATERIALIZED VIEW by_hand");
    assert!(session.query("SELECT * FROM by_hand", ()).unwrap_err().is_not_found());
}
