use std::path::Path;
use std::sync::{Arc, Mutex};

use reedbase::storage::{Access, File, LockFile, MemoryStorage, Stat, Storage};
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
