//! Values as bytes that compare as the values do: NULL, then numbers, texts, and bytes.
//!
//! ```text
//! NULL      00
//! number    01, the nearest floating-point number in 8 bytes that ascend, what is missing to it in 2
//! text      02, its bytes with 00 01 for each 00, and the end mark 00 00
//! bytes     03, the same
//! ```
//!
//! No value's bytes are the beginning of another's. So those of several columns can be put one behind the other, and all that
//! begins with the bytes of one value stands between these and [`just_behind`] them.

use super::cell::CellValue;
use super::decimal;
use crate::ColumnType;

/// How texts of a column compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Collation {
    /// Byte by byte.
    Binary,
    /// The same, with capital letters of ASCII as small ones.
    NoCase,
    /// As numbers of any length; other texts come after them.
    Decimal,
}

impl Collation {
    /// What a column has if nothing else is said.
    pub fn of(kind: ColumnType) -> Self {
        if kind == ColumnType::Decimal { Self::Decimal } else { Self::Binary }
    }

    /// The name in SQL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Binary => "BINARY",
            Self::NoCase => "NOCASE",
            Self::Decimal => "decimal",
        }
    }
}

const NULL: u8 = 0;
const NUMBER: u8 = 1;
const TEXT: u8 = 2;
const BLOB: u8 = 3;

/// Adds the bytes of a value.
pub fn encode(value: &CellValue<'_>, collation: Collation, out: &mut Vec<u8>) {
    match value {
        CellValue::Null => out.push(NULL),
        CellValue::Integer(integer) => {
            #[expect(clippy::cast_precision_loss, reason = "what is lost comes behind")]
            let near = *integer as f64;
            #[expect(
                clippy::cast_possible_truncation,
                reason = "both fit, their difference is small"
            )]
            let missing = (i128::from(*integer) - near as i128) as i16;
            put_number(near, missing, out);
        }
        CellValue::Real(real) => put_number(*real, 0, out),
        CellValue::Text(text) => {
            out.push(TEXT);
            match collation {
                Collation::Binary => put_text(text, out),
                Collation::NoCase => put_text(&text.to_ascii_lowercase(), out),
                Collation::Decimal => decimal::encode(text, out),
            }
        }
        CellValue::Blob(bytes) => {
            out.push(BLOB);
            put_text(bytes, out);
        }
    }
}

/// Adds the bytes that the values of all texts begin with which begin with this one; not for [`Collation::Decimal`].
pub fn encode_beginning(text: &[u8], collation: Collation, out: &mut Vec<u8>) {
    encode(&CellValue::Text(text.into()), collation, out);
    // Without the end mark.
    out.truncate(out.len() - 2);
}

/// The least bytes that are more than all which begin with these; `None` if there are none.
pub fn just_behind(bytes: &[u8]) -> Option<Vec<u8>> {
    let last = bytes.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut behind = bytes.get(..=last)?.to_vec();
    let byte = behind.last_mut()?;
    *byte += 1;
    Some(behind)
}

#[expect(clippy::big_endian_bytes, reason = "the bytes are compared from the first on")]
fn put_number(near: f64, missing: i16, out: &mut Vec<u8>) {
    out.push(NUMBER);
    // Zero has two spellings.
    let bits = if near == 0.0 { 0 } else { near.to_bits() };
    let ascending = if bits >> 63 == 0 { bits | 1 << 63 } else { !bits };
    out.extend(ascending.to_be_bytes());
    out.extend((missing.cast_unsigned() ^ 1 << 15).to_be_bytes());
}

/// A whole number in bytes that ascend.
#[expect(clippy::big_endian_bytes, reason = "the bytes are compared from the first on")]
pub(super) fn integer_bytes(integer: i64) -> [u8; 8] {
    (integer.cast_unsigned() ^ 1 << 63).to_be_bytes()
}

/// Bytes with an end mark.
pub(super) fn put_text(bytes: &[u8], out: &mut Vec<u8>) {
    let mut rest = bytes;
    while let Some(zero) = memchr::memchr(0, rest) {
        let (before, behind) = rest.split_at(zero);
        out.extend_from_slice(before);
        out.extend([0, 1]);
        rest = behind.get(1..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    out.extend([0, 0]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use CellValue::{Blob, Integer, Null, Real, Text};

    fn encoded(value: &CellValue<'_>, collation: Collation) -> Vec<u8> {
        let mut out = Vec::new();
        encode(value, collation, &mut out);
        out
    }

    #[test]
    fn bytes_compare_as_values_do() {
        let text = |text: &'static [u8]| Text(text.into());
        let ascending = [
            Null,
            Real(f64::NEG_INFINITY),
            Real(-1e300),
            Integer(i64::MIN),
            Integer(i64::MIN + 1),
            Integer(-2),
            Real(-1.5),
            Integer(-1),
            Real(-5e-324),
            Integer(0),
            Real(5e-324),
            Real(0.1),
            Integer(1),
            Integer(9_007_199_254_740_991),
            Integer(9_007_199_254_740_992),
            Integer(9_007_199_254_740_993),
            Real(9_007_199_254_740_994.0),
            Integer(9_007_199_254_740_995),
            Integer(i64::MAX - 1),
            Integer(i64::MAX),
            Real(9_223_372_036_854_775_808.0),
            Real(f64::INFINITY),
            text(b""),
            text(b"\0"),
            text(b"\0\0"),
            text(b"\0a"),
            text(b"A"),
            text(b"a"),
            text(b"a\0"),
            text(b"aa"),
            text(b"\xff\xff"),
            Blob(vec![]),
            Blob(vec![0]),
            Blob(vec![255]),
        ];
        for (at, one) in ascending.iter().enumerate() {
            let bytes = encoded(one, Collation::Binary);
            for (to, other) in ascending.iter().enumerate() {
                let others = encoded(other, Collation::Binary);
                assert_eq!(bytes.cmp(&others), at.cmp(&to), "{one:?} {other:?}");
                assert!(at == to || !others.starts_with(&bytes), "{one:?} {other:?}");
            }
            let behind = just_behind(&bytes).unwrap();
            assert!(behind > [&bytes[..], &[255; 9]].concat());
            if let Some(next) = ascending.get(at + 1) {
                assert!(behind <= encoded(next, Collation::Binary), "{one:?}");
            }
        }
        for (one, other) in [(Integer(0), Real(-0.0)), (Integer(7), Real(7.0))] {
            assert_eq!(encoded(&one, Collation::Binary), encoded(&other, Collation::Binary));
        }
        let folded = |text: &'static [u8]| encoded(&Text(text.into()), Collation::NoCase);
        assert_eq!(folded("Aé".as_bytes()), folded("aé".as_bytes()));
        assert_ne!(folded("É".as_bytes()), folded("é".as_bytes()));
        let mut beginning = Vec::new();
        encode_beginning(b"A\0", Collation::NoCase, &mut beginning);
        assert!(folded(b"a\0b").starts_with(&beginning) && !folded(b"ab").starts_with(&beginning));
        assert_eq!(just_behind(&[1, 255, 255]), Some(vec![2]));
        assert_eq!(just_behind(&[255]), None);
    }
}
