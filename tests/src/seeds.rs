//! Files as the database writes them: what mutations start from.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use reedbase::storage::{MemoryStorage, Storage};
use reedbase::{Adopt, Checkpoints, Limits, OpenOptions};

/// All files of two small databases: one with everything loose, one with everything packed.
pub fn files() -> &'static [BTreeMap<String, Vec<u8>>] {
    static FILES: OnceLock<Vec<BTreeMap<String, Vec<u8>>>> = OnceLock::new();
    FILES.get_or_init(make_files)
}

fn make_files() -> Vec<BTreeMap<String, Vec<u8>>> {
    let loose = Arc::new(MemoryStorage::new());
    fill(&loose, Limits::default());
    let packed = Arc::new(MemoryStorage::new());
    fill(&packed, Limits::tiny());
    let whole = loose.files();
    let again = Arc::new(MemoryStorage::from_files(whole.clone()));
    let database = OpenOptions::new().storage(again.clone()).open("").unwrap();
    database.pack("t").unwrap();
    drop(database);
    vec![whole, packed.files(), again.files()]
}

fn fill(storage: &Arc<MemoryStorage>, limits: Limits) {
    let options = OpenOptions::new().create(true).storage(storage.clone());
    let database = options.limits(limits).checkpoints(Checkpoints::Inline).open("").unwrap();
    let text = "id,title,n\r\n1,\"a, b\",5\r\n2,,\"\"\r\n\r\n3,\"two\nlines\",7\r\n";
    let mut transaction = database.begin().unwrap().named("first | \"rows\"");
    transaction.create_table("t", &reedbase::csv(text, &["id"]).unwrap()).unwrap();
    transaction.commit().unwrap();
    database.checkpoint(&[]).unwrap();
    for n in 0..12_i64 {
        let transaction = database.begin().unwrap().by(format!("user {}", n % 3));
        let mut transaction = transaction.with_detail("reason", "because; of = it");
        transaction.update("t", 1 + n % 3, [("n", n)]).unwrap();
        transaction.commit().unwrap();
        if n == 6 {
            database.checkpoint(&[]).unwrap();
        }
    }
    let mut transaction = database.begin().unwrap();
    let other = "id,title,n\r\n3,x,7\r\n1,y,8\r\n2,,\r\n";
    transaction.replace_table("t", &reedbase::csv(other, &["id"]).unwrap()).unwrap();
    transaction.commit().unwrap();
    database.checkpoint(&[]).unwrap();
    let edited = "id,title,n,more\r\n3,x,7,\r\n1,\"Y\",8,z\r\n2,,,\r\n";
    let file: &dyn Storage = &**storage;
    file.write_new("tables/t/current.csv", edited.as_bytes()).unwrap();
    let edit = database.outside_edit("t").unwrap().unwrap();
    database.adopt(vec![edit], &Adopt::new()).unwrap();
    let mut transaction = database.begin().unwrap();
    transaction.insert("t", [("id", "9"), ("title", "in the journal")]).unwrap();
    transaction.commit().unwrap();
}

/// The content of all files whose path holds this word.
pub fn named(word: &str) -> Vec<Vec<u8>> {
    let files = files().iter().flatten();
    let found = files.filter(|(path, _)| path.contains(word)).map(|(_, content)| content);
    let found: Vec<_> = found.cloned().collect();
    assert!(!found.is_empty(), "no seed is named {word}");
    found
}
