//! Whether a table is sorted by its key, and by which comparison: a table that is stays so when rows are
//! inserted.

use std::cmp::Ordering;

use super::Key;

/// How the rows of a sorted table compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "keys are numbers or text")]
pub enum KeyOrder {
    /// The keys are whole numbers, ascending.
    Number,
    /// The keys ascend byte by byte.
    Text,
}

impl KeyOrder {
    /// How two keys compare; `None` if one is no number.
    pub fn compare(self, one: &Key<'_>, other: &Key<'_>) -> Option<Ordering> {
        match self {
            Self::Text => Some(one.cmp(other)),
            Self::Number => Some(number(one)?.cmp(&number(other)?)),
        }
    }
}

/// Whether no part of a key could be taken for a number that is spelled otherwise: `7` is plain, `07`, `7.0` and `1e3` are
/// not. Where all keys are plain, the row with the key 7 is found by its text. It may say no where it could say yes.
pub(super) fn is_plain(key: &Key<'_>, columns: usize) -> bool {
    match columns {
        1 => is_plain_text(key.as_bytes()),
        _ => key.parts(columns).iter().all(|part| is_plain_text(part.as_bytes())),
    }
}

fn is_plain_text(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    if digits.len() < 19 && digits.iter().all(u8::is_ascii_digit) {
        return digits.first() != Some(&b'0') || text == b"0";
    }
    let numeric =
        |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E' | 9..=13 | b' ');
    !text.iter().all(numeric)
}

fn number(key: &Key<'_>) -> Option<i64> {
    std::str::from_utf8(key.as_bytes()).ok()?.parse().ok()
}

/// Watches keys go by and knows which orders they keep.
#[derive(Debug, Default)]
pub(super) struct OrderWatch {
    last: Option<Vec<u8>>,
    last_number: Option<i64>,
    not_text: bool,
    not_number: bool,
}

impl OrderWatch {
    pub(super) fn see(&mut self, key: &Key<'_>) {
        if self.not_text && self.not_number {
            return;
        }
        if !self.not_number {
            let number = number(key);
            self.not_number =
                number.is_none() || (self.last.is_some() && number <= self.last_number);
            self.last_number = number;
        }
        let last = self.last.get_or_insert_default();
        self.not_text |= !last.is_empty() && last.as_slice() >= key.as_bytes();
        last.clear();
        last.extend_from_slice(key.as_bytes());
    }

    /// The order, if there is one; fewer than two rows have none.
    pub(super) fn order(&self, rows: u64) -> Option<KeyOrder> {
        match rows {
            0 | 1 => None,
            _ if !self.not_number => Some(KeyOrder::Number),
            _ if !self.not_text => Some(KeyOrder::Text),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(keys: &[&str]) -> Option<KeyOrder> {
        let mut watch = OrderWatch::default();
        for key in keys {
            watch.see(&Key::from(*key));
        }
        watch.order(keys.len() as u64)
    }

    #[test]
    fn orders_of_keys() {
        assert_eq!(order(&["1", "2", "10"]), Some(KeyOrder::Number));
        assert_eq!(order(&["1", "10", "2"]), Some(KeyOrder::Text));
        assert_eq!(order(&["a", "b", "c"]), Some(KeyOrder::Text));
        assert_eq!(order(&["a", "c", "b"]), None);
        assert_eq!(order(&["2", "1"]), None);
        assert_eq!(order(&["1"]), None);
    }

    #[test]
    fn keys_that_may_be_numbers_in_another_spelling_are_not_plain() {
        for plain in ["0", "7", "-7", "", "a7", "home", "7a", "1_000", "999999999999999999"] {
            assert!(is_plain(&Key::from(plain), 1), "{plain}");
        }
        for other in ["07", "-0", "+7", "7.0", "1e3", " 7", "7\n", "1000000000000000000"] {
            assert!(!is_plain(&Key::from(other), 1), "{other}");
        }
        assert!(is_plain(&Key::from(["7", "a"]), 2));
        assert!(!is_plain(&Key::from(["a", "07"]), 2));
    }
}
