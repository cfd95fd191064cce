//! Who decides cells that two sides changed: the drivers that are built in, and those that plugins add.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use reedbase_plugin_api::{ColumnType, Decision, MergeCell, MergeDriver, Result};

use super::{json, number, text};

/// The drivers of a database, by id.
#[derive(Clone)]
pub struct Drivers(BTreeMap<String, Arc<dyn MergeDriver>>);

impl Default for Drivers {
    fn default() -> Self {
        let known = BUILT_IN.into_iter().map(|driver| {
            let driver: Arc<dyn MergeDriver> = Arc::new(driver);
            (driver.id().to_owned(), driver)
        });
        Self(known.collect())
    }
}

impl Drivers {
    /// Adds a driver; one of the same id gives way.
    pub fn add(&mut self, driver: Arc<dyn MergeDriver>) {
        self.0.insert(driver.id().to_owned(), driver);
    }

    /// The driver of this id.
    pub fn get(&self, id: &str) -> Option<&Arc<dyn MergeDriver>> {
        self.0.get(id)
    }

    /// Whether a driver came with ReedBase: these are known to be quick.
    pub fn is_built_in(id: &str) -> bool {
        BUILT_IN.iter().any(|driver| driver.id == id)
    }

    /// The ids.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl fmt::Debug for Drivers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

/// A driver that looks at one cell at a time.
#[derive(Debug, Clone, Copy)]
struct BuiltIn {
    id: &'static str,
    decide: fn(&MergeCell) -> Decision,
}

/// Adds up what both sides added.
pub(super) const SUM: &str = "sum";

const BUILT_IN: [BuiltIn; 10] = [
    BuiltIn { id: "conflict", decide: |_| Decision::Conflict },
    BuiltIn { id: "ours", decide: |cell| Decision::Cell(cell.ours.clone()) },
    BuiltIn { id: "theirs", decide: |cell| Decision::Cell(cell.theirs.clone()) },
    BuiltIn { id: "newest", decide: newest },
    BuiltIn { id: "max", decide: |cell| extreme(cell, Ordering::Greater) },
    BuiltIn { id: "min", decide: |cell| extreme(cell, Ordering::Less) },
    BuiltIn { id: SUM, decide: |cell| some(sum(cell)) },
    BuiltIn { id: "union", decide: |cell| Decision::Cell(union(cell)) },
    BuiltIn { id: "text3", decide: |cell| some(text3(cell)) },
    BuiltIn { id: "json", decide: |cell| some(json3(cell)) },
];

impl MergeDriver for BuiltIn {
    fn id(&self) -> &str {
        self.id
    }

    fn decides_agreement(&self) -> bool {
        self.id == SUM
    }

    fn merge(&self, cells: &[MergeCell]) -> Result<Vec<Decision>> {
        Ok(cells.iter().map(self.decide).collect())
    }
}

fn some(text: Option<String>) -> Decision {
    text.map_or(Decision::Conflict, |text| Decision::Cell(Some(text)))
}

fn newest(cell: &MergeCell) -> Decision {
    let ours = cell.ours_at > cell.theirs_at;
    Decision::Cell(if ours { cell.ours.clone() } else { cell.theirs.clone() })
}

/// The cell that compares so to the other; one that is NULL gives way.
fn extreme(cell: &MergeCell, wanted: Ordering) -> Decision {
    let (Some(ours), Some(theirs)) = (&cell.ours, &cell.theirs) else {
        return Decision::Cell(cell.ours.clone().or_else(|| cell.theirs.clone()));
    };
    let numeric =
        matches!(cell.kind, ColumnType::Integer | ColumnType::Float | ColumnType::Decimal);
    let compared = match numeric {
        true => number::compare(ours, theirs),
        false => Some(ours.cmp(theirs)),
    };
    match compared {
        Some(ordering) if ordering == wanted || ordering == Ordering::Equal => {
            Decision::Cell(Some(ours.clone()))
        }
        Some(_) => Decision::Cell(Some(theirs.clone())),
        None => Decision::Conflict,
    }
}

fn sum(cell: &MergeCell) -> Option<String> {
    number::sum(cell.base.as_deref(), cell.ours.as_deref(), cell.theirs.as_deref())
}

/// The items of ours, without those that theirs removed, with those that it added.
fn union(cell: &MergeCell) -> Option<String> {
    let sides = [&cell.base, &cell.ours, &cell.theirs];
    let has = |separator| {
        sides.iter().any(|side| side.as_ref().is_some_and(|text| text.contains(separator)))
    };
    let separator = if has(';') { ';' } else { ',' };
    let items = |side: &Option<String>| -> Vec<String> {
        let items = side.as_deref().unwrap_or_default().split(separator).map(str::trim);
        items.filter(|item| !item.is_empty()).map(str::to_owned).collect()
    };
    let [base, ours, theirs] = sides.map(items);
    let mut all: Vec<String> = ours.clone();
    all.retain(|item| !base.contains(item) || theirs.contains(item));
    let added = theirs.into_iter().filter(|item| !base.contains(item) && !ours.contains(item));
    all.extend(added);
    let spaced = sides
        .iter()
        .any(|side| side.as_ref().is_some_and(|text| text.contains(&format!("{separator} "))));
    let between = if spaced { format!("{separator} ") } else { separator.to_string() };
    let all = all.join(&between);
    (!all.is_empty() || cell.ours.as_deref() == Some("")).then_some(all)
}

fn text3(cell: &MergeCell) -> Option<String> {
    text::merge(
        cell.base.as_deref().unwrap_or_default(),
        cell.ours.as_deref()?,
        cell.theirs.as_deref()?,
    )
}

fn json3(cell: &MergeCell) -> Option<String> {
    json::merge(cell.base.as_deref(), cell.ours.as_deref()?, cell.theirs.as_deref()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use reedbase_plugin_api::Timestamp;

    fn decide(id: &str, kind: ColumnType, sides: [Option<&str>; 3]) -> Option<Option<String>> {
        let [base, ours, theirs] = sides.map(|side| side.map(str::to_owned));
        let (ours_at, theirs_at) = (Timestamp::from_micros(1), Timestamp::from_micros(2));
        let cell = MergeCell { kind, base, ours, theirs, ours_at, theirs_at };
        match Drivers::default().get(id).unwrap().merge(&[cell]).unwrap().as_slice() {
            [Decision::Cell(text)] => Some(text.clone()),
            _ => None,
        }
    }

    #[test]
    fn drivers_decide_as_they_are_called() {
        let text = |id, sides| {
            decide(id, ColumnType::String, sides).map(|cell| cell.unwrap_or("NULL".into()))
        };
        let some = |text: &str| Some(text.to_owned());
        let both = [Some("b"), Some("o"), Some("t")];
        assert_eq!(text("conflict", both), None);
        assert_eq!(text("ours", both), some("o"));
        assert_eq!(text("theirs", both), some("t"));
        assert_eq!(text("newest", both), some("t"));
        assert_eq!(text("max", both), some("t"));
        assert_eq!(text("min", [Some("b"), Some("o"), None]), some("o"));
        assert_eq!(
            decide("max", ColumnType::Integer, [Some("1"), Some("9"), Some("10")]),
            Some(some("10"))
        );
        assert_eq!(decide("min", ColumnType::Decimal, [Some("1"), Some("9"), Some("x")]), None);
        assert_eq!(text("sum", [Some("1"), Some("2"), Some("4")]), some("5"));
        assert_eq!(text("text3", [Some("a b"), Some("x b"), Some("a y")]), some("x y"));
        assert_eq!(
            text("json", [None, Some("{\"a\":1}"), Some("{\"b\":2}")]),
            some("{\"a\":1,\"b\":2}")
        );
    }

    #[test]
    fn a_union_takes_what_either_added_and_leaves_what_either_removed() {
        let union = |base, ours, theirs| {
            decide("union", ColumnType::String, [Some(base), Some(ours), Some(theirs)])
        };
        let some = |text: &str| Some(Some(text.to_owned()));
        assert_eq!(union("a,b", "a,b,c", "b,d"), some("b,c,d"));
        assert_eq!(union("a; b", "a; b; c", "a; b; d"), some("a; b; c; d"));
        assert_eq!(union("a", "", "a,b"), some("b"));
        assert_eq!(decide("union", ColumnType::String, [Some("a"), None, Some("")]), Some(None));
    }
}
