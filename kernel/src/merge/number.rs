//! Numbers as they stand in cells: exact, and written as they were.

use std::cmp::Ordering;

/// A decimal number: digits, of which the last `scale` stand behind the point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal {
    digits: i128,
    scale: u32,
}

/// More digits than this behind the point are no decimal.
const SCALE_MAX: u32 = 30;

impl Decimal {
    /// Zero.
    pub const ZERO: Self = Self { digits: 0, scale: 0 };

    /// Reads `-12.50`; `None` if it is anything else, or has more than 38 digits.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !plain(whole) || !plain(part) || digits.ends_with('.') {
            return None;
        }
        let scale = u32::try_from(part.len()).ok().filter(|scale| *scale <= SCALE_MAX)?;
        let number: i128 = format!("{whole}{part}").parse().ok()?;
        Some(Self { digits: if negative { -number } else { number }, scale })
    }

    /// The number with at least this many digits behind the point; `None` if that is too long.
    fn scaled(self, scale: u32) -> Option<i128> {
        self.digits.checked_mul(10_i128.checked_pow(scale.checked_sub(self.scale)?)?)
    }

    /// The sum; `None` if it is too long.
    pub fn plus(self, other: Self) -> Option<Self> {
        let scale = self.scale.max(other.scale);
        let digits = self.scaled(scale)?.checked_add(other.scaled(scale)?)?;
        Some(Self { digits, scale })
    }

    /// The difference; `None` if it is too long.
    pub fn minus(self, other: Self) -> Option<Self> {
        self.plus(Self { digits: other.digits.checked_neg()?, ..other })
    }
}

impl std::fmt::Display for Decimal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.digits < 0 { "-" } else { "" };
        let scale = self.scale as usize;
        let digits = format!("{:0>width$}", self.digits.unsigned_abs(), width = scale + 1);
        match digits.split_at_checked(digits.len() - scale) {
            Some((whole, part)) if scale > 0 => write!(f, "{sign}{whole}.{part}"),
            _ => write!(f, "{sign}{digits}"),
        }
    }
}

/// How two cells compare as numbers; `None` if one is no number.
pub(super) fn compare(one: &str, other: &str) -> Option<Ordering> {
    if let (Some(one), Some(other)) = (Decimal::parse(one), Decimal::parse(other)) {
        let scale = one.scale.max(other.scale);
        if let (Some(one), Some(other)) = (one.scaled(scale), other.scaled(scale)) {
            return Some(one.cmp(&other));
        }
    }
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
    number(one)?.partial_cmp(&number(other)?)
}

/// The number with what two sides added to it; `None` if one of them is no number, or the sum is too long. NULL is 0.
pub(super) fn sum(base: Option<&str>, ours: Option<&str>, theirs: Option<&str>) -> Option<String> {
    let decimal = |text: Option<&str>| text.map_or(Some(Decimal::ZERO), Decimal::parse);
    if let (Some(base), Some(ours), Some(theirs)) = (decimal(base), decimal(ours), decimal(theirs))
    {
        return Some(ours.plus(theirs.minus(base)?)?.to_string());
    }
    let float = |text: Option<&str>| text.map_or(Some(0.0), |text| text.parse::<f64>().ok());
    let sum = float(ours)? + (float(theirs)? - float(base)?);
    sum.is_finite().then(|| sum.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact() {
        let plus = |one: &str, other: &str| {
            Some(Decimal::parse(one)?.plus(Decimal::parse(other)?)?.to_string())
        };
        assert_eq!(plus("1.10", "2").as_deref(), Some("3.10"));
        assert_eq!(plus("0.1", "0.2").as_deref(), Some("0.3"));
        assert_eq!(plus("-0.05", "0.04").as_deref(), Some("-0.01"));
        assert_eq!(plus("99", "1").as_deref(), Some("100"));
        assert_eq!(
            plus(&"9".repeat(38), "1").as_deref(),
            Some(format!("1{}", "0".repeat(38)).as_str())
        );
        assert_eq!(plus(&"9".repeat(39), "1"), None);
        for bad in ["", ".", "1.", ".5", "1e3", "--1", "1 ", "½"] {
            assert_eq!(Decimal::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn numbers_compare_as_numbers() {
        assert_eq!(compare("9", "10"), Some(Ordering::Less));
        assert_eq!(compare("1.50", "1.5"), Some(Ordering::Equal));
        assert_eq!(compare("1e3", "999"), Some(Ordering::Greater));
        assert_eq!(compare("a", "1"), None);
    }

    #[test]
    fn what_both_added_is_added() {
        assert_eq!(sum(Some("10"), Some("11"), Some("15")).as_deref(), Some("16"));
        assert_eq!(sum(Some("5"), Some("6"), Some("6")).as_deref(), Some("7"));
        assert_eq!(sum(None, Some("1"), Some("2.5")).as_deref(), Some("3.5"));
        assert_eq!(sum(Some("1e2"), Some("150"), Some("90")).as_deref(), Some("140"));
        assert_eq!(sum(Some("x"), Some("1"), Some("2")), None);
    }
}
