//! What a value that a query compares a key with can mean: SQLite hands values over as they were written, and compares
//! them with a cell only after affinity was applied. A search must find every row that this comparison finds;
//! what it finds too much, SQLite throws away.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use reedbase_plugin_api::ColumnType;
use reedbase_plugin_api::sql::{Affinity, Number};
use rusqlite::types::ValueRef;

/// The keys that a value may be equal to.
#[derive(Debug, PartialEq)]
pub(crate) enum Probe {
    /// Only this one.
    Text(String),
    /// None.
    Nothing,
    /// Any: it must be searched otherwise.
    Anything,
}

/// What `column = value` can find. `plain` says that no key is a number in another spelling.
pub(crate) fn probe(value: ValueRef<'_>, kind: ColumnType, plain: bool) -> Probe {
    let whole = |number: Number| match number.whole() {
        Number::Integer(integer) if plain => Probe::Text(integer.to_string()),
        _ => Probe::Anything,
    };
    match (value, Affinity::of(kind)) {
        (ValueRef::Null, _) => Probe::Nothing,
        (ValueRef::Blob(bytes), Affinity::Blob) => Probe::Text(BASE64.encode(bytes)),
        (ValueRef::Blob(_), _) => Probe::Nothing,
        (_, Affinity::Real) => Probe::Anything,
        (_, Affinity::Numeric) if kind == ColumnType::Boolean => Probe::Anything,
        (ValueRef::Integer(integer), Affinity::Text | Affinity::Numeric) => {
            whole(Number::Integer(integer))
        }
        (ValueRef::Real(real), Affinity::Text | Affinity::Numeric) => whole(Number::Real(real)),
        (ValueRef::Integer(_) | ValueRef::Real(_), Affinity::Blob) => Probe::Nothing,
        (ValueRef::Text(text), affinity) => match std::str::from_utf8(text) {
            Ok(text) => match Number::parse(text) {
                Some(number) if affinity == Affinity::Numeric => whole(number),
                _ => Probe::Text(text.to_owned()),
            },
            Err(_) => Probe::Nothing,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_looked_up_as_affinity_makes_them() {
        let text = |text: &str| Probe::Text(text.to_owned());
        let (integer, string) = (ColumnType::Integer, ColumnType::String);
        for (value, kind, plain, expected) in [
            (ValueRef::Integer(7), integer, true, text("7")),
            (ValueRef::Integer(7), integer, false, Probe::Anything),
            (ValueRef::Real(7.0), integer, true, text("7")),
            (ValueRef::Text(b" 07"), integer, true, text("7")),
            (ValueRef::Text(b"x"), integer, true, text("x")),
            (ValueRef::Text(b"007"), string, false, text("007")),
            (ValueRef::Integer(7), string, true, text("7")),
            (ValueRef::Integer(7), string, false, Probe::Anything),
            (ValueRef::Blob(b"hi"), ColumnType::Binary, true, text("aGk=")),
            (ValueRef::Blob(b"hi"), string, true, Probe::Nothing),
            (ValueRef::Null, string, true, Probe::Nothing),
            (ValueRef::Integer(1), ColumnType::Boolean, true, Probe::Anything),
        ] {
            assert_eq!(probe(value, kind, plain), expected, "{value:?} {kind}");
        }
    }
}
