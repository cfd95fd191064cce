use std::sync::{Arc, Mutex};

use reedbase::storage::{Fault, FaultyStorage, MemoryStorage, Storage};
use reedbase::{Database, OpenOptions};

use crate::hooked::{Hook, Hooked, Operation};

/// Somebody who saves a file at the worst moment: when the checkpoint, which has just looked at it, puts the new one in
/// its place.
#[derive(Debug, Default)]
struct Editor(Mutex<Option<(&'static str, &'static str)>>);

impl Editor {
    fn saves(&self, path: &'static str, text: &'static str) {
        *self.0.lock().unwrap() = Some((path, text));
    }
}

impl Hook for Editor {
    fn before(&self, operation: Operation<'_>, disk: &MemoryStorage) {
        if matches!(operation, Operation::Exchange { .. })
            && let Some((path, text)) = self.0.lock().unwrap().take()
        {
            let disk: &dyn Storage = disk;
            disk.write_new(path, text.as_bytes()).unwrap();
        }
    }
}

fn set(database: &Database, value: i64) {
    let mut transaction = database.begin().unwrap();
    transaction.update("t", 1_i64, [("x", value)]).unwrap();
    transaction.commit().unwrap();
}

/// What an editor saves is never overwritten, however late it comes; and what was committed is not lost by it.
#[test]
fn a_file_saved_during_the_exchange_is_kept() {
    let editor = Arc::new(Hooked::new(Editor::default()));
    let open = || OpenOptions::new().create(true).storage(editor.clone()).open("").unwrap();
    let database = open();
    let mut transaction = database.begin().unwrap();
    transaction.create_table("t", &reedbase::csv("id,x\n1,a\n", &["id"]).unwrap()).unwrap();
    transaction.commit().unwrap();
    database.checkpoint(&[]).unwrap();
    set(&database, 5);
    editor.hook.saves("tables/t/current.csv", "id,x\n1,edited\n");
    let report = database.checkpoint(&[]).unwrap();
    assert_eq!((report.written.len(), report.edited_outside.len()), (0, 1));
    let current = || editor.disk.files().remove("tables/t/current.csv").unwrap();
    for database in [database, open()] {
        assert_eq!(current(), b"id,x\n1,edited\n");
        let row = database.snapshot().unwrap().get("t", 1_i64).unwrap().unwrap();
        assert_eq!(row.get("x").as_deref(), Some("5"));
        set(&database, 5);
        database.checkpoint(&[]).unwrap();
    }
}

/// Whatever step of discarding an edit the machine stops at, the edit is somewhere.
#[test]
fn a_discarded_edit_survives_a_crash() {
    let start = MemoryStorage::new();
    let open =
        |storage: Arc<dyn Storage>| OpenOptions::new().create(true).storage(storage).open("");
    let database = open(Arc::new(start.clone())).unwrap();
    let mut transaction = database.begin().unwrap();
    transaction.create_table("t", &reedbase::csv("id,x\n1,a\n", &["id"]).unwrap()).unwrap();
    transaction.commit().unwrap();
    database.checkpoint(&[]).unwrap();
    drop(database);
    let mut files = start.files();
    files.insert("tables/t/current.csv".to_owned(), b"id,x\n1,edited\n".to_vec());
    let schema = files.get_mut("tables/t/schema.toml").unwrap();
    schema.extend_from_slice(b"# edited too\n");
    let mut crashes = 0;
    for operation in 0.. {
        let storage = FaultyStorage::new(files.clone());
        storage.fail_at(operation, Fault::Crash);
        let done = open(Arc::new(storage.clone())).and_then(|database| database.discard(&["t"]));
        if !storage.has_crashed() {
            done.unwrap();
            break;
        }
        crashes += 1;
        let again = MemoryStorage::from_files(storage.image_after_crash(operation as u64));
        let database = open(Arc::new(again.clone())).unwrap();
        set(&database, 5);
        database.checkpoint(&[]).unwrap();
        let left = again.files();
        for (word, file) in [("edited", "current.csv"), ("# edited too", "schema.toml")] {
            let kept = left.iter().any(|(path, bytes)| {
                path.contains(file) && String::from_utf8_lossy(bytes).contains(word)
            });
            assert!(kept, "crash at {operation}: {file} is lost\n{:?}", left.keys());
        }
    }
    assert!(crashes > 10, "{crashes} crashes");
}

/// A frame tells of an edit of the schema, too, also if it looked at the files before.
#[test]
fn a_commit_tells_of_an_edited_schema() {
    let storage = MemoryStorage::new();
    let database =
        OpenOptions::new().create(true).storage(Arc::new(storage.clone())).open("").unwrap();
    let mut transaction = database.begin().unwrap();
    transaction.create_table("t", &reedbase::csv("id,x\n1,a\n", &["id"]).unwrap()).unwrap();
    transaction.commit().unwrap();
    database.checkpoint(&[]).unwrap();
    let told = |value: i64| {
        let mut transaction = database.begin().unwrap();
        transaction.update("t", 1_i64, [("x", value)]).unwrap();
        transaction.commit().unwrap().edited_outside.len()
    };
    assert_eq!((told(5), told(6)), (0, 0));
    let storage: &dyn Storage = &storage;
    storage.write_new("tables/t/schema.toml", b"# another\n").unwrap();
    assert_eq!(told(7), 1);
}

/// Settings are as safe as tables: what is saved while they are written stays, and waits.
#[test]
fn settings_saved_while_they_are_written_are_kept() {
    let editor = Arc::new(Hooked::new(Editor::default()));
    let database = OpenOptions::new().create(true).storage(editor.clone()).open("").unwrap();
    let edited = "format = 1\nnode = \"0123456789ab\"\n# mine\n";
    editor.hook.saves("config.toml", edited);
    database.set_setting("frame.retention.days", "7").unwrap();
    assert_eq!(editor.disk.files()["config.toml"], edited.as_bytes());
    let edits = database.edited_settings().unwrap();
    assert_eq!(edits.len(), 1);
    assert!(String::from_utf8_lossy(&edits[0].before).contains("retention.days = 7"));
    assert!(!editor.disk.files().keys().any(|path| path.contains("config.toml.")));
}
