use std::path::Path;
use std::sync::{Arc, Mutex};

use reedbase::storage::{
    Access, Fault, FaultyStorage, File, LockFile, MemoryStorage, Stat, Storage,
};
use reedbase::{Database, OpenOptions, Result};

/// A storage on which somebody saves a file at the worst moment: when the checkpoint, which has just looked at it, puts
/// the new one in its place.
#[derive(Debug)]
struct Editor {
    storage: MemoryStorage,
    saves: Mutex<Option<&'static str>>,
}

impl Editor {
    fn saves(&self, text: &'static str) {
        *self.saves.lock().unwrap() = Some(text);
    }
}

impl Storage for Editor {
    fn exchange(&self, one: &str, other: &str) -> Result<()> {
        if let Some(text) = self.saves.lock().unwrap().take() {
            let storage: &dyn Storage = &self.storage;
            storage.write_new("tables/t/current.csv", text.as_bytes())?;
        }
        self.storage.exchange(one, other)
    }

    fn root(&self) -> &Path {
        self.storage.root()
    }

    fn create(&self, path: &str) -> Result<Arc<dyn File>> {
        self.storage.create(path)
    }

    fn open(&self, path: &str, access: Access) -> Result<Option<Arc<dyn File>>> {
        self.storage.open(path, access)
    }

    fn stat(&self, path: &str) -> Result<Option<Stat>> {
        self.storage.stat(path)
    }

    fn create_folder(&self, path: &str) -> Result<()> {
        self.storage.create_folder(path)
    }

    fn list(&self, folder: &str) -> Result<Vec<String>> {
        self.storage.list(folder)
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.storage.rename(from, to)
    }

    fn remove(&self, path: &str) -> Result<()> {
        self.storage.remove(path)
    }

    fn sync_folder(&self, folder: &str) -> Result<()> {
        self.storage.sync_folder(folder)
    }

    fn lock_file(&self, path: &str) -> Result<Option<Box<dyn LockFile>>> {
        self.storage.lock_file(path)
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
    let editor = Arc::new(Editor { storage: MemoryStorage::new(), saves: Mutex::default() });
    let open = || OpenOptions::new().create(true).storage(editor.clone()).open("").unwrap();
    let database = open();
    let mut transaction = database.begin().unwrap();
    transaction.create_table("t", &reedbase::csv("id,x\n1,a\n", &["id"]).unwrap()).unwrap();
    transaction.commit().unwrap();
    database.checkpoint(&[]).unwrap();
    set(&database, 5);
    editor.saves("id,x\n1,edited\n");
    let report = database.checkpoint(&[]).unwrap();
    assert_eq!((report.written.len(), report.edited_outside.len()), (0, 1));
    let current = || editor.storage.files().remove("tables/t/current.csv").unwrap();
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
