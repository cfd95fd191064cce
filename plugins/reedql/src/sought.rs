//! What an index is searched for: SQLite hands over the values that a query compares with as they were written, and compares
//! them with a cell only after affinity was applied. A search must find every row that this comparison finds; what it finds
//! too much, SQLite throws away.

use reedbase_plugin_api::sql::{
    Affinity, CellValue, Collation, Number, encode, encode_beginning, just_behind,
};
use reedbase_plugin_api::{IndexView, IndexedColumn, Range};
use rusqlite::types::ValueRef;

use crate::way::{Order, Test, Way, literal};

/// What an index is searched for.
#[derive(Debug, PartialEq)]
pub(crate) enum Sought {
    Range(Range),
    /// No row can be meant.
    Nothing,
    /// The index cannot tell: a number is compared with texts, which may write it in many ways.
    Anything,
}

/// Where the values that are equal to a value begin, and the last of them.
enum Ends {
    One(Vec<u8>),
    Between(Vec<u8>, Vec<u8>),
    Nothing,
    Anything,
}

/// The part of an index that a way and its values mean.
pub(crate) fn sought<'v>(
    way: &Way<'_>,
    index: &IndexView,
    values: impl Iterator<Item = ValueRef<'v>>,
) -> Sought {
    let equal = way.equal();
    let mut tests = way.tests.iter().zip(values);
    let mut beginning = Vec::new();
    // The last of the equal columns may have several values that are equal to what it is compared with.
    let mut last: Option<Vec<u8>> = None;
    for ((test, value), column) in tests.by_ref().take(equal).zip(&index.columns) {
        match ends(value, *test, column) {
            Ends::Nothing => return Sought::Nothing,
            Ends::Anything => return Sought::Anything,
            // What stands behind a column with several values cannot be used.
            _ if last.is_some() => {}
            Ends::One(value) if beginning.is_empty() => beginning = value,
            Ends::One(value) => beginning.extend(value),
            Ends::Between(from, to) => {
                last = Some([beginning.as_slice(), &to].concat());
                beginning.extend(from);
            }
        }
    }
    let reversed = way.order == Order::Descending;
    if let Some(last) = last {
        // Rows of several values come one value after the other, which is not the order that was promised.
        return match way.order {
            Order::Any => between(beginning, just_behind(&last), reversed),
            _ => Sought::Anything,
        };
    }
    if equal == index.columns.len() {
        return Sought::Range(Range::Equal(beginning));
    }
    let Some(column) = index.columns.get(equal) else { return Sought::Nothing };
    interval(beginning, column, tests, reversed)
}

fn between(from: Vec<u8>, to: Option<Vec<u8>>, reversed: bool) -> Sought {
    Sought::Range(Range::Between { from, to, reversed })
}

/// The part of an index in which its first columns have the values `beginning`, and the one behind them is in an interval.
fn interval<'t, 'v>(
    beginning: Vec<u8>,
    column: &IndexedColumn,
    tests: impl Iterator<Item = (&'t Test, ValueRef<'v>)>,
    reversed: bool,
) -> Sought {
    let (mut from, mut to) = (beginning.clone(), just_behind(&beginning));
    let mut any = false;
    for (test, value) in tests {
        if matches!(test, Test::Like | Test::Glob) {
            let ValueRef::Text(pattern) = value else { continue };
            let start = literal(pattern, *test);
            encode_beginning(start, column.collation, &mut from);
            to = just_behind(&from);
            return between(from, to, reversed);
        }
        let (first, last) = match ends(value, *test, column) {
            Ends::One(value) => (value.clone(), value),
            Ends::Between(first, last) => (first, last),
            Ends::Nothing => return Sought::Nothing,
            // The interval stays open at this end.
            Ends::Anything => continue,
        };
        let place = |end: &[u8]| [beginning.as_slice(), end].concat();
        match test {
            Test::More if first == last => from = just_behind(&place(&first)).unwrap_or_default(),
            Test::More | Test::AtLeast => from = place(&first),
            Test::Less if first == last => to = Some(place(&first)),
            _ => to = just_behind(&place(&last)),
        }
        any = true;
    }
    if any && from == beginning {
        // NULL is in no interval.
        from = just_behind(&[from, null()].concat()).unwrap_or_default();
    }
    between(from, to, reversed)
}

fn null() -> Vec<u8> {
    encoded(&CellValue::Null, Collation::Binary)
}

fn encoded(value: &CellValue<'_>, collation: Collation) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(32);
    encode(value, collation, &mut bytes);
    bytes
}

/// The values of a column that may be equal to a value.
fn ends(value: ValueRef<'_>, test: Test, column: &IndexedColumn) -> Ends {
    let one = |value: &CellValue<'_>| Ends::One(encoded(value, column.collation));
    match (value, Affinity::of(column.kind)) {
        (ValueRef::Null, _) if test == Test::Is => one(&CellValue::Null),
        (ValueRef::Null, _) => Ends::Nothing,
        (ValueRef::Blob(bytes), _) => one(&CellValue::Blob(bytes.to_vec())),
        (ValueRef::Text(text), Affinity::Numeric | Affinity::Real) => {
            match std::str::from_utf8(text).ok().and_then(Number::parse) {
                Some(Number::Integer(integer)) => one(&CellValue::Integer(integer)),
                Some(Number::Real(real)) => one(&CellValue::Real(real)),
                None => one(&CellValue::Text(text.into())),
            }
        }
        (ValueRef::Text(text), _) => one(&CellValue::Text(text.into())),
        (ValueRef::Integer(_) | ValueRef::Real(_), Affinity::Text) => match column.collation {
            Collation::Decimal => decimals(value),
            _ => Ends::Anything,
        },
        (ValueRef::Integer(integer), _) => one(&CellValue::Integer(integer)),
        (ValueRef::Real(real), _) => one(&CellValue::Real(real)),
    }
}

/// The decimal numbers that a floating-point number may stand for, and those that it may be compared with as a text.
fn decimals(value: ValueRef<'_>) -> Ends {
    let near = match value {
        #[expect(clippy::cast_precision_loss, reason = "neighbours are looked at, too")]
        ValueRef::Integer(integer) => integer as f64,
        ValueRef::Real(real) => real,
        _ => return Ends::Anything,
    };
    if !near.is_finite() {
        return Ends::Anything;
    }
    let text = |real: f64| CellValue::Text(format!("{real:e}").into_bytes().into());
    let end = |real: f64| encoded(&text(real), Collation::Decimal);
    Ends::Between(end(near.next_down()), end(near.next_up()))
}

#[cfg(test)]
mod tests {
    use reedbase_plugin_api::{ColumnType, IndexSpec};

    use super::*;

    fn index(kinds: &[(ColumnType, Collation)]) -> IndexView {
        let columns = (0..).zip(kinds);
        let columns = columns.map(|(at, (kind, collation))| IndexedColumn {
            at,
            kind: *kind,
            collation: *collation,
        });
        let spec = IndexSpec::new("i", "composite", &[]);
        IndexView { spec, columns: columns.collect(), ordered: true }
    }

    fn search(way: &str, index: &IndexView, values: &[ValueRef<'_>]) -> Sought {
        sought(&Way::parse(&format!("{way} i")).unwrap(), index, values.iter().copied())
    }

    const INTEGER: (ColumnType, Collation) = (ColumnType::Integer, Collation::Binary);
    const TEXT: (ColumnType, Collation) = (ColumnType::String, Collation::Binary);
    const DECIMAL: (ColumnType, Collation) = (ColumnType::Decimal, Collation::Decimal);

    fn bytes(value: &CellValue<'_>) -> Vec<u8> {
        encoded(value, Collation::Binary)
    }

    #[test]
    fn values_are_looked_up_as_affinity_makes_them() {
        let integers = index(&[INTEGER]);
        let seven = Sought::Range(Range::Equal(bytes(&CellValue::Integer(7))));
        for value in [ValueRef::Integer(7), ValueRef::Real(7.0), ValueRef::Text(b" 7.0 ")] {
            assert_eq!(search("=.", &integers, &[value]), seven, "{value:?}");
        }
        let text = Sought::Range(Range::Equal(bytes(&CellValue::Text(b"7"[..].into()))));
        assert_eq!(search("=.", &index(&[TEXT]), &[ValueRef::Text(b"7")]), text);
        assert_eq!(search("=.", &index(&[TEXT]), &[ValueRef::Integer(7)]), Sought::Anything);
        assert_eq!(search("=.", &integers, &[ValueRef::Null]), Sought::Nothing);
        let null = Sought::Range(Range::Equal(null()));
        assert_eq!(search("~.", &integers, &[ValueRef::Null]), null);
    }

    #[test]
    fn intervals_hold_no_null_and_stay_inside_of_what_is_equal() {
        let two = index(&[TEXT, INTEGER]);
        let a = bytes(&CellValue::Text(b"a"[..].into()));
        let with = |n: i64| [a.clone(), bytes(&CellValue::Integer(n))].concat();
        let range = |from, to, reversed| Sought::Range(Range::Between { from, to, reversed });
        let (text, five) = (ValueRef::Text(b"a"), ValueRef::Integer(5));
        let after = |bytes: &[u8]| just_behind(bytes);
        assert_eq!(
            search("=>l-", &two, &[text, five, ValueRef::Integer(9)]),
            range(after(&with(5)).unwrap(), after(&with(9)), true)
        );
        assert_eq!(
            search("=<.", &two, &[text, five]),
            range([a.clone(), vec![1]].concat(), Some(with(5)), false)
        );
        assert_eq!(search("=+", &two, &[text]), range(a.clone(), after(&a), false));
        assert_eq!(search("+", &two, &[]), range(vec![], None, false));
    }

    #[test]
    fn a_decimal_is_found_by_a_number_near_it() {
        let prices = index(&[DECIMAL]);
        let Sought::Range(Range::Between { from, to: Some(to), .. }) =
            search("=.", &prices, &[ValueRef::Real(1.1)])
        else {
            panic!()
        };
        let price =
            |text: &str| encoded(&CellValue::Text(text.as_bytes().into()), Collation::Decimal);
        for inside in ["1.1", "1.10", "1.10000000000000000001"] {
            assert!((from.clone()..to.clone()).contains(&price(inside)), "{inside}");
        }
        assert!(!(from..to).contains(&price("1.11")));
        assert_eq!(search("=+", &prices, &[ValueRef::Real(1.1)]), Sought::Anything);
    }
}
