use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use reedbase::clock::ManualClock;
use reedbase::storage::MemoryStorage;
use reedbase::{
    Adopt, Checkpoints, ColumnType, Commit, Conflict, ConflictKind, Conflicts, Database, Limits,
    OnConflict, OpenOptions, Timestamp, Transaction,
};
use serde_json::Value;

use crate::random::Random;

/// A row: the cells behind its key.
type Cells = Vec<Option<String>>;
type Model = BTreeMap<String, Cells>;

const COLUMNS: [&str; 3] = ["a", "b", "n"];

/// What a plain map says of a merge: the rows, and what is disputed.
#[derive(Debug, Default, PartialEq, Eq)]
struct Expected {
    rows: Model,
    /// Key, and the column or nothing for the row.
    disputed: BTreeSet<(String, Option<String>)>,
}

/// The rules of merging, over maps. The column `n` counts: what both added is added.
fn expect(base: &Model, ours: &Model, theirs: &Model) -> Expected {
    let mut expected = Expected::default();
    let keys: BTreeSet<&String> = base.keys().chain(ours.keys()).chain(theirs.keys()).collect();
    for key in keys {
        let sides = (base.get(key), ours.get(key), theirs.get(key));
        let row = match sides {
            (base, Some(ours), Some(theirs)) => {
                let mut row = ours.clone();
                let mut disputed = Vec::new();
                for (at, column) in COLUMNS.iter().enumerate() {
                    let before = base.and_then(|base| base[at].clone());
                    let unchanged = |side: &Cells| base.is_some() && side[at] == before;
                    if unchanged(theirs) {
                        continue;
                    }
                    if unchanged(ours) {
                        row[at].clone_from(&theirs[at]);
                    } else if base.is_none() && ours[at] == theirs[at] {
                        // Two rows that were inserted the same are one.
                    } else if *column == "n" {
                        let number =
                            |text: &Option<String>| text.as_ref().map_or(0, |n| n.parse().unwrap());
                        let sum: i64 = number(&ours[at]) + number(&theirs[at]) - number(&before);
                        row[at] = Some(sum.to_string());
                    } else if ours[at] != theirs[at] {
                        disputed.push((*column).to_owned());
                    }
                }
                if base.is_none() && !disputed.is_empty() {
                    row.clone_from(ours);
                    expected.disputed.insert((key.clone(), None));
                } else {
                    let cells = disputed.into_iter().map(|column| (key.clone(), Some(column)));
                    expected.disputed.extend(cells);
                }
                Some(row)
            }
            (Some(base), None, Some(theirs)) if base != theirs => {
                expected.disputed.insert((key.clone(), None));
                None
            }
            (Some(base), Some(ours), None) if base != ours => {
                expected.disputed.insert((key.clone(), None));
                Some(ours.clone())
            }
            (Some(_), _, _) => None,
            (None, Some(row), None) | (None, None, Some(row)) => Some(row.clone()),
            (None, None, None) => None,
        };
        expected.rows.extend(row.map(|row| (key.clone(), row)));
    }
    expected
}

impl Random {
    fn cells(&mut self) -> Cells {
        let text = |random: &mut Self| match random.below(5) {
            0 => None,
            n => Some(["", "x", "y, z", "say \"hi\""][n as usize - 1].to_owned()),
        };
        vec![text(self), text(self), Some(self.below(5).to_string())]
    }

    /// Some edits of a map.
    fn edited(&mut self, base: &Model) -> Model {
        let mut model = base.clone();
        for _ in 0..=self.below(6) {
            let key = self.below(9).to_string();
            match (self.below(5), model.get_mut(&key)) {
                (0, Some(_)) => drop(model.remove(&key)),
                (_, Some(row)) => {
                    let at = self.below(3) as usize;
                    row[at] = self.cells()[at].clone();
                }
                (_, None) => drop(model.insert(key, self.cells())),
            }
        }
        model
    }
}

fn csv(model: &Model, order: impl Iterator<Item = String>) -> String {
    let mut text = "id,a,b,n\n".to_owned();
    for key in order {
        let cells: Vec<Option<&str>> = [Some(key.as_str())]
            .into_iter()
            .chain(model[&key].iter().map(Option::as_deref))
            .collect();
        let row = reedbase_plugin_api::row::write_row(&cells, b',', b"\n");
        text.push_str(std::str::from_utf8(&row).unwrap());
    }
    text
}

/// Makes a transaction do what makes one map of another.
fn edit(transaction: &mut Transaction, base: &Model, after: &Model) {
    for (key, row) in after {
        let cells = |row: &Cells| -> Vec<(&'static str, Option<String>)> {
            COLUMNS.into_iter().zip(row.iter().cloned()).collect()
        };
        match base.get(key) {
            None => {
                let key = [("id", Some(key.clone()))];
                transaction.insert("t", key.into_iter().chain(cells(row))).unwrap();
            }
            Some(before) if before != row => transaction.update("t", key, cells(row)).unwrap(),
            Some(_) => {}
        }
    }
    for key in base.keys().filter(|key| !after.contains_key(*key)) {
        transaction.delete("t", key).unwrap();
    }
}

fn rows(database: &Database) -> Model {
    let snapshot = database.snapshot().unwrap();
    let mut model = Model::new();
    for row in snapshot.rows("t").unwrap() {
        let row = row.unwrap();
        let cells = COLUMNS.iter().map(|column| row.get(column).map(|text| text.into_owned()));
        assert!(model.insert(row.get("id").unwrap().into_owned(), cells.collect()).is_none());
    }
    model
}

fn disputed(conflicts: &[Conflict]) -> BTreeSet<(String, Option<String>)> {
    conflicts.iter().map(|conflict| (conflict.key_text(), conflict.column.clone())).collect()
}

struct World {
    storage: Arc<MemoryStorage>,
    clock: Arc<ManualClock>,
}

impl World {
    /// A table, in which the column `n` adds up.
    fn new(model: &Model, order: impl Iterator<Item = String>) -> Self {
        let world = Self::empty();
        let mut new = reedbase::csv(csv(model, order), &["id"]).unwrap();
        new.schema.columns[3].merge = Some("sum".to_owned());
        let mut transaction = world.open().begin().unwrap();
        transaction.create_table("t", &new).unwrap();
        transaction.commit().unwrap();
        world
    }

    fn empty() -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_000_000)));
        Self { storage: Arc::new(MemoryStorage::new()), clock }
    }

    fn open(&self) -> Database {
        let options = OpenOptions::new().storage(self.storage.clone()).create(true);
        let options = options.clock(self.clock.clone());
        options.limits(Limits::tiny()).checkpoints(Checkpoints::Inline).open("").unwrap()
    }
}

fn runs() -> u64 {
    std::env::var("MERGE_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(10_000)
}

/// How theirs arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// As edits of rows.
    Rows,
    /// As a whole table in the place of another.
    Whole,
    /// As a whole table in which some rows stand elsewhere.
    Moved,
    /// As an edit of the file.
    File,
}

impl Way {
    /// Begins what makes the table `after`.
    fn begin(
        self,
        database: &Database,
        base: &Model,
        after: &Model,
        random: &mut Random,
    ) -> Transaction {
        let mut transaction = database.begin().unwrap();
        let mut order: Vec<String> = after.keys().cloned().collect();
        match self {
            Self::Rows => edit(&mut transaction, base, after),
            Self::Whole | Self::Moved | Self::File => {
                if self == Self::Moved && order.len() > 1 {
                    let at = random.below(order.len() as u64) as usize;
                    order.rotate_left(at);
                }
                let new = reedbase::csv(csv(after, order.into_iter()), &["id"]).unwrap();
                transaction.replace_table("t", &new).unwrap();
            }
        }
        transaction
    }
}

/// Whatever two sides do to a table, in whatever way it arrives: what a map says is merged and what it says is disputed, no cell
/// is lost, and the other order of arrival comes to the same, but for what is disputed.
#[test]
fn merging_does_what_maps_do() {
    let mut random =
        Random(std::env::var("MERGE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7));
    for run in 0..runs() {
        let mut base = Model::new();
        for _ in 0..random.below(8) {
            base.insert(random.below(9).to_string(), random.cells());
        }
        let (one, other) = (random.edited(&base), random.edited(&base));
        let way = [Way::Rows, Way::Whole, Way::Moved, Way::File][random.below(4) as usize];
        let expected = expect(&base, &one, &other);
        let commit = arrive(&base, &one, &other, way, &mut random, &expected, run);
        let turned = expect(&base, &other, &one);
        arrive(&base, &other, &one, Way::Rows, &mut random, &turned, run);
        assert_eq!(disputed(&commit.parked), turned.disputed, "run {run}: the other order");
        for (key, row) in &expected.rows {
            let undisputed = !expected.disputed.iter().any(|(disputed, _)| disputed == key);
            assert!(!undisputed || turned.rows.get(key) == Some(row), "run {run}: {key}");
        }
    }
}

/// Commits one side, then the other beside it, and looks at what came of it.
fn arrive(
    base: &Model,
    ours: &Model,
    theirs: &Model,
    way: Way,
    random: &mut Random,
    expected: &Expected,
    run: u64,
) -> Commit {
    let order: Vec<String> = match random.below(2) {
        0 => base.keys().cloned().collect(),
        _ => base.keys().rev().cloned().collect(),
    };
    let world = World::new(base, order.into_iter());
    let (one, two) = (world.open(), world.open());
    let context = format!("run {run}, {way:?}: {base:?}\nours {ours:?}\ntheirs {theirs:?}");
    let commit = match way {
        Way::File => {
            one.checkpoint(&[]).unwrap();
            let text = csv(theirs, theirs.keys().cloned());
            let storage: &dyn reedbase::storage::Storage = &*world.storage;
            storage.write_new("tables/t/current.csv", text.as_bytes()).unwrap();
            change(&two, base, ours);
            let edit = one.outside_edit("t").unwrap();
            assert_eq!(edit.is_some(), one.edited_outside().unwrap().len() == 1, "{context}");
            let Some(edit) = edit else { return check_nothing(&one, ours, expected, &context) };
            if edit.diff.rows.is_empty() && base == theirs {
                return check_nothing(&one, ours, expected, &context);
            }
            assert_eq!(disputed(&edit.conflicts), expected.disputed, "{context}");
            let how = Adopt::new().force(true).on_conflict(OnConflict::Park);
            world.clock.advance(2_000_000);
            one.adopt(vec![edit], &how).unwrap()
        }
        _ => {
            let transaction = way.begin(&one, base, theirs, random);
            change(&two, base, ours);
            transaction.commit_parking().unwrap_or_else(|error| panic!("{context}\n{error:?}"))
        }
    };
    assert_eq!(rows(&one), expected.rows, "{context}");
    assert_eq!(disputed(&commit.parked), expected.disputed, "{context}");
    let open = two.snapshot().unwrap().conflicts().unwrap();
    assert_eq!(open.len(), expected.disputed.len(), "{context}");
    check_sides(
        &open.iter().map(|open| open.conflict.clone()).collect::<Vec<_>>(),
        theirs,
        &context,
    );
    commit
}

fn change(database: &Database, base: &Model, after: &Model) {
    let mut transaction = database.begin().unwrap();
    edit(&mut transaction, base, after);
    transaction.commit().unwrap();
}

fn check_nothing(database: &Database, ours: &Model, expected: &Expected, context: &str) -> Commit {
    assert_eq!(rows(database), *ours, "{context}");
    assert!(expected.disputed.is_empty(), "{context}");
    database.begin().unwrap().commit().unwrap()
}

/// What is disputed is not lost: the conflict holds what theirs wrote.
fn check_sides(conflicts: &[Conflict], theirs: &Model, context: &str) {
    for conflict in conflicts {
        let row = theirs.get(&conflict.key[0]);
        match &conflict.column {
            Some(column) => {
                let at = COLUMNS.iter().position(|known| known == column).unwrap();
                assert_eq!(conflict.theirs, row.unwrap()[at], "{context}");
            }
            None => {
                let said: Option<BTreeMap<String, Option<String>>> =
                    conflict.theirs.as_ref().map(|text| serde_json::from_str(text).unwrap());
                let cells =
                    said.map(|said| COLUMNS.iter().map(|column| said[*column].clone()).collect());
                assert_eq!(cells.as_ref(), row, "{context}");
            }
        }
    }
}

/// The cases that the project began with.
fn cases() -> Value {
    serde_json::from_str(include_str!("cases/merge.json")).unwrap()
}

/// The rows of a list: the key, then other cells.
fn listed(value: &Value) -> BTreeMap<String, Vec<String>> {
    let text = |cell: &Value| cell.as_str().unwrap().to_owned();
    let rows = value.as_array().into_iter().flatten();
    rows.map(|row| {
        let cells: Vec<String> = row.as_array().unwrap().iter().map(text).collect();
        (cells[0].clone(), cells[1..].to_vec())
    })
    .collect()
}

/// What one writer does: rows to be there, and keys to be gone.
fn writer(transaction: &mut Transaction, base: &Value, case: &Value, name: &str) {
    let base = listed(base);
    for (key, cells) in listed(&case[name]) {
        let cells: Vec<(String, String)> = (1..).map(|at| format!("c{at}")).zip(cells).collect();
        let cells = cells.iter().map(|(column, text)| (column.as_str(), text.as_str()));
        match base.contains_key(&key) {
            true => transaction.update("t", &key, cells).unwrap(),
            false => {
                transaction.insert("t", [("k", key.as_str())].into_iter().chain(cells)).unwrap()
            }
        }
    }
    for key in case[format!("{name}_deletes")].as_array().into_iter().flatten() {
        transaction.delete("t", key.as_str().unwrap()).unwrap();
    }
}

fn case_table(base: &Value, width: usize) -> World {
    let world = World::empty();
    let names: Vec<String> = (1..width).map(|at| format!(",c{at}")).collect();
    let rows = listed(base).into_iter().map(|(key, cells)| format!("{key},{}\n", cells.join(",")));
    let text = format!("k{}\n{}", names.concat(), rows.collect::<String>());
    let mut transaction = world.open().begin().unwrap();
    let mut new = reedbase::csv(text, &["k"]).unwrap();
    // A number could not bear a suffix.
    new.schema.columns[0].kind = ColumnType::String;
    transaction.create_table("t", &new).unwrap();
    transaction.commit().unwrap();
    world
}

fn content(database: &Database) -> BTreeMap<String, Vec<String>> {
    let snapshot = database.snapshot().unwrap();
    let rows = snapshot.rows("t").unwrap().map(Result::unwrap);
    rows.map(|row| {
        let cells: Vec<String> = row.cells().map(|cell| cell.unwrap().into_owned()).collect();
        (cells[0].clone(), cells[1..].to_vec())
    })
    .collect()
}

/// Every case of the file, with two writers that began on the same state.
#[test]
fn the_cases_of_merging_come_out_as_they_should() {
    let file = cases();
    let cases = file["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 6);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let rows = [&case["base"], &case["a"], &case["b"]];
        let mut rows = rows.iter().flat_map(|rows| rows.as_array().into_iter().flatten());
        let width = rows.next().map_or(1, |row| row.as_array().unwrap().len());
        let world = case_table(&case["base"], width);
        let (one, two) = (world.open(), world.open());
        let (mut a, mut b) = (one.begin().unwrap(), two.begin().unwrap());
        writer(&mut a, &case["base"], case, "a");
        writer(&mut b, &case["base"], case, "b");
        a.commit().unwrap();
        let committed = b.commit();
        let parked = committed.as_ref().map_or(0, |commit| commit.parked.len());
        assert_eq!(parked, 0, "{name}");
        if let Some(merged) = case.get("merged") {
            assert!(committed.is_ok(), "{name}");
            assert_eq!(content(&one), listed(merged), "{name}");
        }
        for conflict in case["conflicts"].as_array().into_iter().flatten() {
            let error = committed.as_ref().unwrap_err();
            let found = Conflicts::of(error);
            assert_eq!(found.len(), 1, "{name}: both changed one cell");
            assert_eq!(found[0].key, [conflict["key"].as_str().unwrap()], "{name}");
            assert_eq!(found[0].kind, ConflictKind::Cell, "{name}");
            for (side, cell) in
                [("base", &found[0].base), ("a", &found[0].ours), ("b", &found[0].theirs)]
            {
                // The case names the rows; the cell in which they differ is the last.
                let cells = conflict[side].as_array().unwrap();
                assert_eq!(cell.as_deref(), cells.last().unwrap().as_str(), "{name} {side}");
            }
        }
    }
}

/// What makes the new rows of the old ones, as the file of cases says.
#[test]
fn the_cases_of_differences_come_out_as_they_should() {
    let file = cases();
    let cases = file["diff"].as_array().unwrap();
    assert_eq!(cases.len(), 4);
    for case in cases {
        let table = |side: &str| {
            let rows = listed(&case[side]).into_iter();
            let rows = rows.map(|(key, cells)| format!("{key},{}\n", cells.join(",")));
            reedbase::csv(format!("k,c1,c2\n{}", rows.collect::<String>()), &["k"]).unwrap()
        };
        let diff = table("old").diff(&table("new")).unwrap();
        let keys = |wanted: &dyn Fn(&reedbase::RowDiff) -> bool| -> Vec<String> {
            diff.rows.iter().filter(|row| wanted(row)).map(reedbase::RowDiff::key_text).collect()
        };
        let said = |name: &str| -> Vec<String> {
            case[name]
                .as_array()
                .unwrap()
                .iter()
                .map(|key| key.as_str().unwrap().to_owned())
                .collect()
        };
        assert_eq!(keys(&|row| row.before.is_some() && row.after.is_some()), said("update"));
        assert_eq!(keys(&|row| row.before.is_none()), said("insert"));
        assert_eq!(keys(&|row| row.after.is_none()), said("delete"));
    }
}

/// The strategies of the file: who wins, or both, or nobody until somebody decides.
#[test]
fn the_strategies_come_out_as_they_should() {
    let file = cases();
    let base = serde_json::json!([["1", "Alice", "30"]]);
    for strategy in file["strategies"].as_array().unwrap() {
        let name = strategy["strategy"].as_str().unwrap();
        let world = case_table(&base, 3);
        let (one, two) = (world.open(), world.open());
        let begin = |database: &Database, age: &str| {
            let mut transaction = database.begin().unwrap();
            transaction.update("t", "1", [("c2", age)]).unwrap();
            transaction
        };
        let (a, b) = (begin(&one, "31"), begin(&two, "32"));
        a.commit().unwrap();
        let rows = |pairs: &[(&str, &str)]| -> BTreeMap<String, Vec<String>> {
            let row = |(key, age): &(&str, &str)| {
                ((*key).to_owned(), vec!["Alice".to_owned(), (*age).to_owned()])
            };
            pairs.iter().map(row).collect()
        };
        let (how, expected) = match name {
            "last-write-wins" => (OnConflict::Theirs, rows(&[("1", "32")])),
            "first-write-wins" => (OnConflict::Ours, rows(&[("1", "31")])),
            "keep-both" => (OnConflict::Both, rows(&[("1-a", "31"), ("1-b", "32")])),
            "manual" => (OnConflict::Park, rows(&[("1", "31")])),
            other => panic!("{other}"),
        };
        let parked = b.on_conflict(how).commit().unwrap().parked.len();
        assert_eq!(content(&one), expected, "{name}");
        assert_eq!(parked, usize::from(name == "manual"), "{name}");
        assert_eq!(two.snapshot().unwrap().conflicts().unwrap().len(), parked, "{name}");
    }
}
