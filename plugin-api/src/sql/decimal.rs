//! The collation `decimal`: texts that are decimal numbers compare as numbers, of any length and without rounding; all
//! other texts come after them, byte by byte.

use std::cmp::Ordering;

/// A number as it compares: `0.digits × 10^exponent`, without zeros at either end. Zero has no digits.
struct Decimal {
    negative: bool,
    exponent: i64,
    digits: Vec<u8>,
}

/// How two texts compare.
pub fn compare_decimals(one: &str, other: &str) -> Ordering {
    match (Decimal::parse(one), Decimal::parse(other)) {
        (Some(one), Some(other)) => one.cmp(&other),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => one.cmp(other),
    }
}

/// Adds bytes that compare as the text does by this collation.
pub(super) fn encode(text: &[u8], out: &mut Vec<u8>) {
    match std::str::from_utf8(text).ok().and_then(Decimal::parse) {
        Some(decimal) => decimal.encode(out),
        None => {
            out.push(TEXT);
            super::order::put_text(text, out);
        }
    }
}

/// What stands before a number below zero, zero, a number above it, and another text.
const BELOW: u8 = 1;
const ZERO: u8 = 2;
const ABOVE: u8 = 3;
const TEXT: u8 = 4;

impl Decimal {
    /// The sign, the exponent, and the digits with an end mark; all of it turned round below zero.
    fn encode(&self, out: &mut Vec<u8>) {
        if self.digits.is_empty() {
            return out.push(ZERO);
        }
        out.push(if self.negative { BELOW } else { ABOVE });
        let from = out.len();
        out.extend(super::order::integer_bytes(self.exponent));
        out.extend_from_slice(&self.digits);
        out.push(0);
        if self.negative {
            for byte in out.iter_mut().skip(from) {
                *byte = !*byte;
            }
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let text = text.trim_ascii();
        let negative = text.starts_with('-');
        let text = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = || whole.bytes().chain(fraction.bytes());
        if all().next().is_none() || !all().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let zeros = all().take_while(|byte| *byte == b'0').count();
        let mut digits: Vec<u8> = all().skip(zeros).collect();
        while digits.last() == Some(&b'0') {
            digits.pop();
        }
        let exponent = i64::from(exponent) + whole.len() as i64 - zeros as i64;
        let negative = negative && !digits.is_empty();
        Some(Self {
            negative,
            exponent: if digits.is_empty() { i64::MIN } else { exponent },
            digits,
        })
    }

    fn cmp(&self, other: &Self) -> Ordering {
        let size = self.exponent.cmp(&other.exponent).then_with(|| self.digits.cmp(&other.digits));
        match (self.negative, other.negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (true, true) => size.reverse(),
            (false, false) => size,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        encode(text.as_bytes(), &mut out);
        out
    }

    #[test]
    fn decimals_compare_as_numbers_and_stand_before_texts() {
        let ascending = [
            "-1e3",
            "-12.5",
            "-12.499999999999999999999999",
            "-0.001",
            "0",
            "1e-7",
            "0.10",
            "0.2",
            "1",
            "1.000000000000000000001",
            "9",
            "10",
            "1e2",
            "123456789012345678901234567890.1",
            "",
            "abc",
            "b",
        ];
        for (at, one) in ascending.iter().enumerate() {
            for (to, other) in ascending.iter().enumerate() {
                assert_eq!(compare_decimals(one, other), at.cmp(&to), "{one} {other}");
                assert_eq!(encoded(one).cmp(&encoded(other)), at.cmp(&to), "{one} {other}");
            }
        }
        for (one, other) in
            [("1.10", "1.1"), ("-0", "0.00"), ("+5", "05"), ("100", "1E2"), (" 1", "1 ")]
        {
            assert_eq!(compare_decimals(one, other), Ordering::Equal, "{one} {other}");
            assert_eq!(encoded(one), encoded(other), "{one} {other}");
        }
    }
}
