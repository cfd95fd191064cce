use std::collections::BTreeMap;
use std::sync::Arc;

use crate::random::Random;
use reedbase::clock::ManualClock;
use reedbase::storage::MemoryStorage;
use reedbase::{Action, Database, ErrorKind, Limits, OpenOptions, Snapshot, Timestamp};

/// A table: value by key.
type Model = BTreeMap<String, Option<String>>;

impl Random {
    fn value(&mut self) -> Option<String> {
        let values = ["", "a", "b,c", "say \"x\"", "two\nlines", "ä", " "];
        match self.below(9) {
            0 => None,
            8 => Some("long ".repeat(self.below(40) as usize)),
            n => Some(values[n as usize - 1].to_owned()),
        }
    }
}

struct World {
    storage: Arc<MemoryStorage>,
    clock: Arc<ManualClock>,
    handles: Vec<Database>,
    tables: BTreeMap<String, Model>,
    /// Snapshots, with what they must show for ever.
    held: Vec<(Snapshot, BTreeMap<String, Model>)>,
    random: Random,
}

const TABLES: [&str; 3] = ["alpha", "beta", "gamma"];

/// Ten thousand random operations on two handles of one database, in lockstep with plain maps.
#[test]
fn the_database_does_what_a_map_does() {
    let seed = std::env::var("MODEL_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or(20_261_121);
    let operations = std::env::var("MODEL_OPERATIONS").ok().and_then(|number| number.parse().ok());
    let operations: u64 = operations.unwrap_or(10_000);
    let mut world = World::new(seed);
    for operation in 0..operations {
        world.step();
        if operation % 97 == 0 {
            world.check();
        }
    }
    world.check();
    check_blame(&world.handles[0].snapshot().unwrap());
}

/// Who wrote a cell is who made its last change.
fn check_blame(snapshot: &Snapshot) {
    for table in TABLES {
        for blamed in snapshot.blame(table).unwrap().rows() {
            let blamed = blamed.unwrap();
            let key = blamed.row.get("id").unwrap().into_owned();
            for (column, frame) in ["id", "value"].iter().zip(&blamed.frames) {
                let life = snapshot.cell_history(table, &key, column).unwrap();
                assert_eq!(life[0].timestamp, *frame, "{table} {key} {column}");
            }
        }
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let storage = Arc::new(MemoryStorage::new());
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_000)));
        let mut world = Self {
            storage,
            clock,
            handles: Vec::new(),
            tables: BTreeMap::new(),
            held: Vec::new(),
            random: Random(seed),
        };
        world.handles = vec![world.open(), world.open()];
        for (number, table) in TABLES.iter().enumerate() {
            // The second table starts sorted, so that inserts must find their place.
            let rows: Vec<usize> =
                if number == 1 { (0..20).map(|n| n * 5).collect() } else { vec![7, 3] };
            let text: String = rows.iter().map(|row| format!("{row},start\n")).collect();
            let new = reedbase::csv(format!("id,value\n{text}"), &["id"]).unwrap();
            let mut transaction = world.handles[0].begin().unwrap();
            transaction.create_table(table, &new).unwrap();
            transaction.commit().unwrap();
            let model =
                rows.iter().map(|row| (row.to_string(), Some("start".to_owned()))).collect();
            world.tables.insert((*table).to_owned(), model);
        }
        world
    }

    fn open(&self) -> Database {
        let options = OpenOptions::new().storage(self.storage.clone()).create(true);
        options.clock(self.clock.clone()).limits(Limits::tiny()).open("").unwrap()
    }

    fn step(&mut self) {
        // The clock stands still, moves, and sometimes jumps back.
        let moved = self.random.below(2_000) as i64 - 200;
        self.clock.advance(moved);
        let handle = self.random.below(2) as usize;
        match self.random.below(100) {
            0 => {
                self.handles[handle] = self.open();
            }
            1 | 2 => {
                self.handles[handle].checkpoint(&[]).unwrap();
            }
            3 => {
                let table = TABLES[self.random.below(3) as usize];
                self.handles[handle].checkpoint(&[table]).unwrap();
            }
            4 => {
                let snapshot = self.handles[handle].snapshot().unwrap();
                self.held.push((snapshot, self.tables.clone()));
                if self.held.len() > 4 {
                    self.held.remove(0);
                }
            }
            5 => self.replace(handle),
            6 => self.conflict(),
            7 => self.go_back(handle),
            8 => self.undo(handle),
            _ => self.transaction(handle),
        }
    }

    fn transaction(&mut self, handle: usize) {
        let mut transaction = self.handles[handle].begin().unwrap();
        let mut tables = self.tables.clone();
        for _ in 0..=self.random.below(4) {
            let table = TABLES[self.random.below(3) as usize];
            let key = self.random.below(120).to_string();
            let model = tables.get_mut(table).unwrap();
            let value = self.random.value();
            match self.random.below(3) {
                0 => {
                    let cells = [("id", Some(key.as_str())), ("value", value.as_deref())];
                    let inserted = transaction.insert(table, cells);
                    assert_eq!(inserted.is_ok(), !model.contains_key(&key));
                    model.entry(key).or_insert(value);
                }
                1 => {
                    let updated = transaction.update(table, &key, [("value", value.as_deref())]);
                    assert_eq!(updated.is_ok(), model.contains_key(&key));
                    model.entry(key).and_modify(|old| *old = value);
                }
                _ => {
                    let deleted = transaction.delete(table, &key);
                    assert_eq!(deleted.is_ok(), model.remove(&key).is_some());
                }
            }
        }
        if self.random.below(10) > 0 {
            transaction.commit().unwrap();
            self.tables = tables;
        }
    }

    /// Replaces a table by a shuffled copy with some rows changed.
    fn replace(&mut self, handle: usize) {
        let table = TABLES[self.random.below(3) as usize];
        let mut rows: Vec<_> = self.tables[table].clone().into_iter().collect();
        for _ in 0..self.random.below(4) {
            if rows.len() > 2 {
                let (from, to) =
                    (self.random.below(rows.len() as u64), self.random.below(rows.len() as u64));
                rows.swap(from as usize, to as usize);
                let at = self.random.below(rows.len() as u64) as usize;
                rows[at].1 = self.random.value();
            }
        }
        let mut text = "id,value\n".to_owned();
        for (key, value) in &rows {
            let cells = [Some(key.as_str()), value.as_deref()];
            let row = reedbase_plugin_api::row::write_row(&cells, b',', b"\n");
            text.push_str(std::str::from_utf8(&row).unwrap());
        }
        let new = reedbase::csv(text.clone(), &["id"]).unwrap();
        let mut transaction = self.handles[handle].begin().unwrap();
        transaction.replace_table(table, &new).unwrap();
        transaction.commit().unwrap();
        self.tables.insert(table.to_owned(), rows.into_iter().collect());
        let bytes =
            self.handles[1 - handle].snapshot().unwrap().table(table).unwrap().to_bytes().unwrap();
        assert_eq!(String::from_utf8_lossy(&bytes), text);
    }

    /// A row, a cell or a table as it was at a snapshot that is held.
    fn go_back(&mut self, handle: usize) {
        let Some((snapshot, tables)) = self.held.first() else { return };
        let (at, tables) = (snapshot.frame(), tables.clone());
        let table = TABLES[self.random.below(3) as usize];
        let (now, then) = (self.tables.get_mut(table).unwrap(), &tables[table]);
        let key = self.random.below(120).to_string();
        let mut transaction = self.handles[handle].begin().unwrap();
        match self.random.below(3) {
            0 => {
                transaction.restore_table(table, at, Action::RESTORE).unwrap();
                now.clone_from(then);
            }
            1 => {
                transaction.restore_row(table, &key, at).unwrap();
                match then.get(&key) {
                    Some(value) => now.insert(key, value.clone()),
                    None => now.remove(&key),
                };
            }
            _ => {
                let restored = transaction.restore_cell(table, &key, "value", at);
                match (now.get_mut(&key), then.get(&key)) {
                    (Some(now), Some(then)) => now.clone_from(then),
                    _ => assert!(restored.unwrap_err().is_not_found()),
                }
            }
        }
        transaction.commit().unwrap();
    }

    /// A transaction, and the frame that undoes it.
    fn undo(&mut self, handle: usize) {
        let before = self.tables.clone();
        self.transaction(handle);
        if self.tables != before {
            let frame = self.handles[handle].frame_at("HEAD").unwrap();
            let mut transaction = self.handles[1 - handle].begin().unwrap();
            transaction.revert(&frame).unwrap();
            transaction.commit().unwrap();
            self.tables = before;
        }
    }

    /// Two transactions on one row: the second is refused, and nothing of it is there.
    fn conflict(&mut self) {
        let table = TABLES[self.random.below(3) as usize];
        let Some(key) = self.tables[table].keys().next().cloned() else { return };
        let value = format!("v{}", self.random.below(1_000_000));
        let mut one = self.handles[0].begin().unwrap();
        let mut other = self.handles[1].begin().unwrap();
        one.update(table, &key, [("value", value.as_str())]).unwrap();
        other.delete(table, &key).unwrap();
        one.commit().unwrap();
        assert_eq!(other.commit().unwrap_err().kind(), ErrorKind::Conflict);
        self.tables.get_mut(table).unwrap().insert(key, Some(value));
    }

    fn check(&self) {
        for handle in &self.handles {
            check_snapshot(&handle.snapshot().unwrap(), &self.tables);
        }
        for (snapshot, tables) in &self.held {
            check_snapshot(snapshot, tables);
            let then = self.handles[0].snapshot().unwrap().as_of(snapshot.frame()).unwrap();
            check_snapshot(&then, tables);
            check_past(&then, snapshot);
        }
    }
}

/// What is made of history has the same past as what was held since.
fn check_past(then: &Snapshot, held: &Snapshot) {
    assert_eq!(then.frame(), held.frame());
    for table in TABLES {
        let versions = |snapshot: &Snapshot| -> Vec<Timestamp> {
            let versions = snapshot.versions(table).unwrap();
            versions.iter().map(|version| version.timestamp).collect()
        };
        assert_eq!(versions(then), versions(held), "{table}");
        for key in ["0", "7", "35"] {
            let life = |snapshot: &Snapshot| -> Vec<_> {
                let life = snapshot.history(table, key).unwrap();
                life.into_iter().map(|moment| (moment.timestamp, moment.row)).collect()
            };
            assert_eq!(life(then), life(held), "{table} {key}");
        }
    }
}

fn check_snapshot(snapshot: &Snapshot, tables: &BTreeMap<String, Model>) {
    for (name, model) in tables {
        let mut found = Model::new();
        for row in snapshot.rows(name).unwrap() {
            let row = row.unwrap();
            let key = row.get("id").unwrap().into_owned();
            assert!(found.insert(key, row.get("value").map(Into::into)).is_none());
        }
        assert_eq!(&found, model, "{name}");
        assert_eq!(snapshot.table(name).unwrap().rows(), model.len() as u64);
        for key in (0..130).step_by(7).map(|key: u32| key.to_string()) {
            let row = snapshot.get(name, &key).unwrap();
            let value = row.map(|row| row.get("value").map(|value| value.into_owned()));
            assert_eq!(value.as_ref(), model.get(&key), "{name} {key}");
        }
    }
}
