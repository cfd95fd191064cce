//! How a virtual table finds the rows that a query wants: SQLite names the conditions it could use, and hears what each
//! way would cost.
//!
//! Conditions are only ever used to find fewer rows: SQLite looks at them again.

use std::ffi::c_int;

use reedbase_plugin_api::sql::{Affinity, Collation};
use reedbase_plugin_api::{IndexView, IndexedColumn, Schema};
use rusqlite::types::ValueRef;
use rusqlite::vtab::{IndexConstraintOp, IndexFlags, IndexInfo};

use crate::way::{Order, Test, Tests, Way, literal};

/// All rows.
pub(crate) const ALL: c_int = 0;

/// The one row with a key.
pub(crate) const BY_KEY: c_int = 1;

/// The rows that an index finds; the text beside it says the [`Way`].
pub(crate) const BY_INDEX: c_int = 2;

/// What finding one row costs, against 1 for a row that is passed by.
const LOOKUP: f64 = 3.0;

/// How many rows have one value, where it may be several: SQLite's own guess; in small tables fewer.
const SAME_VALUE: f64 = 10.0;

/// Of how many rows one is looked at where the query has a LIMIT and rows come in order.
const LIMITED: f64 = 10.0;

/// A condition that could be used.
struct Condition {
    at: usize,
    column: usize,
    test: Test,
    collation: String,
}

/// A way, and what it costs.
struct Offer<'a> {
    way: Way<'a>,
    /// The conditions that it uses, in the order of its tests.
    conditions: Vec<usize>,
    rows: f64,
}

/// Chooses a way.
pub(crate) fn choose(
    info: &mut IndexInfo,
    table: &str,
    schema: &Schema,
    indices: &[IndexView],
    rows: u64,
) -> rusqlite::Result<bool> {
    let conditions = conditions(info)?;
    if let Some(key) = equal_key(&conditions, schema) {
        use_conditions(info, &key);
        info.set_idx_num(BY_KEY);
        info.set_idx_flags(IndexFlags::SQLITE_INDEX_SCAN_UNIQUE);
        info.set_estimated_cost(LOOKUP);
        info.set_estimated_rows(1);
        return Ok(true);
    }
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let rows = rows.max(1) as f64;
    let order: Vec<(usize, bool)> = info
        .order_bys()
        .map(|by| (usize::try_from(by.column()).unwrap_or(usize::MAX), by.is_order_by_desc()))
        .collect();
    let offers = indices.iter().filter_map(|index| offer(index, &conditions, &order, rows));
    let sorting = if order.is_empty() { 0.0 } else { rows.log2() / 4.0 };
    let limit = IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_LIMIT;
    let limited = info.constraints().any(|constraint| constraint.operator() == limit);
    // Rows in the wanted order need not be sorted.
    let cost = |offer: &Offer<'_>| match offer.way.order {
        Order::Any => offer.rows * (LOOKUP + sorting),
        _ if limited => offer.rows * LOOKUP / LIMITED,
        _ => offer.rows * LOOKUP,
    };
    let best = offers.min_by(|one, other| cost(one).total_cmp(&cost(other)));
    let Some(best) = best.filter(|best| cost(best) < rows * (1.0 + sorting)) else {
        info.set_idx_num(ALL);
        let columns = wanted(&conditions, schema, order.first().filter(|_| limited));
        info.set_idx_str(&written_columns(table, &columns));
        info.set_estimated_cost(rows);
        set_rows(info, rows);
        return Ok(true);
    };
    let mut way = best.way;
    let mut conditions = best.conditions;
    if way.order != Order::Any || order.is_empty() {
        // How many rows are read at once: it is only a hint.
        let limits = limits(info);
        way.limits = limits.len();
        conditions.extend(limits);
    }
    use_conditions(info, &conditions);
    info.set_idx_num(BY_INDEX);
    info.set_idx_str(&way.write());
    info.set_order_by_consumed(way.order != Order::Any);
    info.set_estimated_cost(LOOKUP + best.rows * LOOKUP);
    set_rows(info, best.rows);
    Ok(true)
}

/// The columns that an index should have, had it to find the rows: those that equal something, and one with an interval or in
/// whose order rows are wanted.
fn wanted<'s>(
    conditions: &[Condition],
    schema: &'s Schema,
    order: Option<&(usize, bool)>,
) -> Vec<&'s str> {
    let named = |column: usize| schema.columns.get(column).map(|column| column.name.as_str());
    let plain = |c: &&Condition| {
        let kind = schema.columns.get(c.column).map(|column| column.kind).unwrap_or_default();
        !matches!(c.test, Test::Like | Test::Glob)
            && c.collation.eq_ignore_ascii_case(Collation::of(kind).name())
    };
    let equal = conditions.iter().filter(plain).filter(|c| c.test.is_equal()).map(|c| c.column);
    let other = conditions.iter().filter(plain).filter(|c| !c.test.is_equal()).map(|c| c.column);
    let one_more = other.chain(order.map(|(column, _)| *column)).next();
    let mut names: Vec<&str> = Vec::new();
    for name in equal.chain(one_more).filter_map(named) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// What stands between names in a plan: no name has it.
const BETWEEN: char = '\u{1f}';

fn written_columns(table: &str, columns: &[&str]) -> String {
    let names =
        columns.iter().fold(table.to_owned(), |names, name| format!("{names}{BETWEEN}{name}"));
    if columns.is_empty() { String::new() } else { names }
}

/// The table, and the columns that an index should have: what [`choose`] wrote into the plan of a scan.
pub(crate) fn read_columns(text: &str) -> Option<(String, Vec<String>)> {
    let mut names = text.split(BETWEEN).map(str::to_owned);
    let table = names.next()?;
    let columns: Vec<_> = names.collect();
    (!columns.is_empty()).then_some((table, columns))
}

fn set_rows(info: &mut IndexInfo, rows: f64) {
    #[expect(clippy::cast_possible_truncation, reason = "an estimate")]
    info.set_estimated_rows(rows as i64);
}

fn use_conditions(info: &mut IndexInfo, conditions: &[usize]) {
    for (at, condition) in (1..).zip(conditions) {
        info.constraint_usage(*condition).set_argv_index(at);
    }
}

/// The conditions that say how many rows are wanted: LIMIT and OFFSET.
fn limits(info: &IndexInfo) -> Vec<usize> {
    use IndexConstraintOp as Op;
    let told = |operator| {
        matches!(operator, Op::SQLITE_INDEX_CONSTRAINT_LIMIT | Op::SQLITE_INDEX_CONSTRAINT_OFFSET)
    };
    let all = info.constraints().enumerate();
    all.filter(|(_, c)| c.is_usable() && told(c.operator())).map(|(at, _)| at).collect()
}

fn conditions(info: &IndexInfo) -> rusqlite::Result<Vec<Condition>> {
    let mut conditions = Vec::new();
    for (at, constraint) in info.constraints().enumerate() {
        let (Some(test), Ok(column)) =
            (test(constraint.operator()), usize::try_from(constraint.column()))
        else {
            continue;
        };
        if constraint.is_usable() && !begins_wild(info, at, test) {
            let collation = info.collation(at)?.to_owned();
            conditions.push(Condition { at, column, test, collation });
        }
    }
    Ok(conditions)
}

/// Whether a pattern says nothing of how a text begins.
fn begins_wild(info: &IndexInfo, at: usize, test: Test) -> bool {
    let pattern = match test {
        Test::Like | Test::Glob => info.rhs_value(at).ok().flatten(),
        _ => None,
    };
    matches!(pattern, Some(ValueRef::Text(pattern)) if literal(pattern, test).is_empty())
}

fn test(operator: IndexConstraintOp) -> Option<Test> {
    use IndexConstraintOp as Op;
    Some(match operator {
        Op::SQLITE_INDEX_CONSTRAINT_EQ => Test::Equal,
        Op::SQLITE_INDEX_CONSTRAINT_IS => Test::Is,
        Op::SQLITE_INDEX_CONSTRAINT_GT => Test::More,
        Op::SQLITE_INDEX_CONSTRAINT_GE => Test::AtLeast,
        Op::SQLITE_INDEX_CONSTRAINT_LT => Test::Less,
        Op::SQLITE_INDEX_CONSTRAINT_LE => Test::AtMost,
        Op::SQLITE_INDEX_CONSTRAINT_LIKE => Test::Like,
        Op::SQLITE_INDEX_CONSTRAINT_GLOB => Test::Glob,
        _ => return None,
    })
}

/// For each column of the key the condition that it equals something; `None` if one has none.
fn equal_key(conditions: &[Condition], schema: &Schema) -> Option<Vec<usize>> {
    let key = schema.key();
    let equal = |column: &usize| {
        let mut all = conditions.iter();
        all.find(|c| c.column == *column && c.test.is_equal() && c.collation == "BINARY")
            .map(|c| c.at)
    };
    let found = key.iter().map(equal).collect::<Option<Vec<_>>>()?;
    Some(found).filter(|found| !found.is_empty())
}

/// How an index could serve; `None` if it is of no use.
fn offer<'a>(
    index: &'a IndexView,
    conditions: &[Condition],
    order: &[(usize, bool)],
    rows: f64,
) -> Option<Offer<'a>> {
    let (mut tests, mut used) = (Tests::new(), Vec::new());
    let mut columns = index.columns.iter();
    let mut next = columns.next();
    while let Some(column) = next {
        let equal = |c: &&Condition| c.test.is_equal() && serves(c, column);
        let Some(found) = conditions.iter().find(equal) else { break };
        tests.push(found.test);
        used.push(found.at);
        next = columns.next();
    }
    let equal = tests.len();
    let mut share = 1.0_f64;
    if let Some(column) = next.filter(|_| index.ordered) {
        for found in interval(conditions, column) {
            tests.push(found.test);
            used.push(found.at);
            share /= 4.0;
        }
    }
    let whole = equal == index.columns.len();
    let order = if index.ordered { in_order(index, equal, order) } else { Order::Any };
    // What a sparse index leaves out may be asked for.
    let has_value = tests.iter().any(|test| *test != Test::Is);
    let useful = if index.ordered { !tests.is_empty() || order != Order::Any } else { whole };
    if !useful || (index.spec.sparse && !has_value) {
        return None;
    }
    let found = match equal {
        0 => rows,
        _ if whole && index.spec.unique => 1.0,
        // Each further column leaves fewer.
        equal => (SAME_VALUE + 1.0 - f64::from(u8::try_from(equal).unwrap_or(u8::MAX)))
            .clamp(2.0, (rows / 4.0).max(2.0)),
    };
    let way = Way { tests, order, limits: 0, index: index.spec.name.as_str().into() };
    Some(Offer { way, conditions: used, rows: (found * share).max(1.0) })
}

/// Whether an index can look a condition up: it compares as the index does.
fn serves(condition: &Condition, column: &IndexedColumn) -> bool {
    condition.column == column.at
        && condition.collation.eq_ignore_ascii_case(column.collation.name())
}

/// The conditions that make an interval of a column: a lower and an upper end, or the beginning of a text.
fn interval<'c>(
    conditions: &'c [Condition],
    column: &IndexedColumn,
) -> impl Iterator<Item = &'c Condition> + use<'c> {
    let (at, is_text) = (column.at, Affinity::of(column.kind) == Affinity::Text);
    let column = *column;
    let first = move |tests: [Test; 2]| {
        conditions.iter().find(|c| tests.contains(&c.test) && serves(c, &column))
    };
    let pattern = match column.collation {
        Collation::NoCase => Some(Test::Like),
        Collation::Binary => Some(Test::Glob),
        _ => None,
    };
    let beginning =
        conditions.iter().find(move |c| c.column == at && is_text && Some(c.test) == pattern);
    let (lower, upper) = (first([Test::More, Test::AtLeast]), first([Test::Less, Test::AtMost]));
    let ends = lower.into_iter().chain(upper);
    let no_ends = lower.is_none() && upper.is_none();
    ends.chain(beginning.filter(move |_| no_ends))
}

/// Whether the index gives rows in the wanted order, if its first columns equal something.
fn in_order(index: &IndexView, equal: usize, order: &[(usize, bool)]) -> Order {
    let constant: Vec<usize> = index.columns.iter().take(equal).map(|column| column.at).collect();
    let wanted = order.iter().filter(|(at, _)| !constant.contains(at));
    let mut descending = None;
    let mut columns = index.columns.iter().skip(equal);
    for (at, desc) in wanted {
        let fits = columns.next().is_some_and(|column| {
            column.at == *at && column.collation == Collation::of(column.kind)
        });
        if !fits || descending.is_some_and(|known| known != *desc) {
            return Order::Any;
        }
        descending = Some(*desc);
    }
    match descending {
        None => Order::Any,
        Some(false) => Order::Ascending,
        Some(true) => Order::Descending,
    }
}
