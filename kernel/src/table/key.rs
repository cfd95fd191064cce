//! Keys: the text of the key's cells, as one string of bytes that can be hashed and compared.

use std::borrow::Cow;

use reedbase_plugin_api::{Shape, row};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The key of a row. For a key of one column it is the text of the cell; for several, each text with its
/// length (4 bytes, little-endian) before it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key<'a>(Cow<'a, [u8]>);

impl<'a> Key<'a> {
    /// The key with these texts, one for each column of the key.
    pub fn from_parts<T: AsRef<str>>(parts: &[T]) -> Key<'static> {
        if let [part] = parts {
            return Key(Cow::Owned(part.as_ref().as_bytes().to_vec()));
        }
        let mut bytes = Vec::new();
        for part in parts {
            push_part(&mut bytes, part.as_ref().as_bytes());
        }
        Key(Cow::Owned(bytes))
    }

    /// The key with these bytes, which [`as_bytes`](Self::as_bytes) gave.
    pub fn from_bytes(bytes: &'a [u8]) -> Self {
        Self(Cow::Borrowed(bytes))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The key without a borrow.
    pub fn into_owned(self) -> Key<'static> {
        Key(Cow::Owned(self.0.into_owned()))
    }

    /// The texts, given the number of columns in the key.
    pub fn parts(&self, columns: usize) -> Vec<String> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if columns == 1 {
            return vec![text(&self.0)];
        }
        let mut parts = Vec::new();
        let mut rest: &[u8] = &self.0;
        while let Some((len, tail)) = rest.split_first_chunk::<4>() {
            let len = (u32::from_le_bytes(*len) as usize).min(tail.len());
            let (part, tail) = tail.split_at(len);
            parts.push(text(part));
            rest = tail;
        }
        parts
    }

    /// The key as a person reads it.
    pub fn display(&self, columns: usize) -> String {
        self.parts(columns).join(", ")
    }

    /// The hash of the key (XXH3, 64 bits).
    pub fn hash(&self, seed: u64) -> u64 {
        xxh3_64_with_seed(&self.0, seed)
    }
}

fn push_part(bytes: &mut Vec<u8>, part: &[u8]) {
    let len = u32::try_from(part.len()).unwrap_or(u32::MAX);
    bytes.extend_from_slice(&len.to_le_bytes());
    bytes.extend_from_slice(part);
}

impl<'a> From<&'a str> for Key<'a> {
    fn from(text: &'a str) -> Self {
        Self(Cow::Borrowed(text.as_bytes()))
    }
}

impl<'a> From<&'a String> for Key<'a> {
    fn from(text: &'a String) -> Self {
        Self(Cow::Borrowed(text.as_bytes()))
    }
}

impl From<String> for Key<'_> {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text.into_bytes()))
    }
}

impl From<i64> for Key<'_> {
    fn from(number: i64) -> Self {
        Self(Cow::Owned(number.to_string().into_bytes()))
    }
}

impl<const N: usize> From<[&str; N]> for Key<'_> {
    fn from(parts: [&str; N]) -> Self {
        Self::from_parts(&parts)
    }
}

impl<'a> From<&'a Key<'_>> for Key<'a> {
    fn from(key: &'a Key<'_>) -> Self {
        Self(Cow::Borrowed(&key.0))
    }
}

/// The key of a row; `None` if the row lacks a cell of it.
pub fn key_of<'a>(line: &'a [u8], shape: &Shape) -> Option<Key<'a>> {
    let mut cells = row::cells(line, shape.delimiter());
    if let [index] = shape.key() {
        let cell = cells.nth(*index)?;
        return (!cell.is_null()).then(|| Key(cell.content()));
    }
    let cells: Vec<_> = cells.collect();
    let mut bytes = Vec::new();
    for index in shape.key() {
        let cell = cells.get(*index)?;
        if cell.is_null() {
            return None;
        }
        push_part(&mut bytes, &cell.content());
    }
    Some(Key(Cow::Owned(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use reedbase_plugin_api::Bytes;

    #[test]
    fn keys_of_several_columns_do_not_run_together() {
        assert_ne!(Key::from(["ab", "c"]), Key::from(["a", "bc"]));
        assert_eq!(Key::from(["ab", "c"]).parts(2), ["ab", "c"]);
        assert_eq!(Key::from(["ab"]), Key::from("ab"));
        assert_eq!(Key::from(7), Key::from("7"));
    }

    #[test]
    fn keys_of_rows() {
        let shape = |key: &[usize]| Shape::new(b',', Bytes::from("a,b\n"), key.to_vec()).unwrap();
        assert_eq!(key_of(b"\"x\"\"\",2\n", &shape(&[0])), Some(Key::from("x\"")));
        assert_eq!(key_of(b",2\n", &shape(&[0])), None);
        assert_eq!(key_of(b"1,2\n", &shape(&[1, 0])), Some(Key::from(["2", "1"])));
        assert_eq!(key_of(b"1\n", &shape(&[1])), None);
    }
}
