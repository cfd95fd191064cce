//! What a file does not say: its delimiter, its key, the types of its columns. Guesses are shown to
//! whoever imports the file, and each can be overruled.

use std::collections::HashSet;

use reedbase_plugin_api::{ColumnType, row};

use super::{Header, next_record};

/// How many records a guess of the delimiter or of a type looks at.
const SAMPLE: usize = if cfg!(test) { 4 } else { 1000 };

/// The delimiters that are tried, in order of preference.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// The delimiter under which the first records have the most cells, all the same number; a comma where
/// none splits the header.
pub fn guess_delimiter(text: &[u8]) -> u8 {
    let score = |delimiter: u8| {
        let header = Header::parse(text, delimiter).ok()?;
        let width = header.columns.len();
        let fitting = records(text, header.len, delimiter).take(SAMPLE).filter(|line| {
            row::cells(line, delimiter).count() == width || row::content(line).is_empty()
        });
        (width > 1).then(|| (fitting.count(), width))
    };
    let mut best = (None, b',');
    for delimiter in DELIMITERS {
        let found = score(delimiter);
        if found > best.0 {
            best = (found, delimiter);
        }
    }
    best.1
}

/// The columns that may be the key, the likeliest first: those whose first cells are all there and all
/// different, columns of a telling name before others. Whether later cells are too, parsing the table with
/// that key tells.
pub fn guess_keys(text: &[u8], header: &Header, delimiter: u8) -> Vec<usize> {
    const TELLING: [&str; 5] = ["id", "key", "uuid", "slug", "code"];
    let telling = TELLING.iter().filter_map(|name| {
        header.columns.iter().position(|column| column.eq_ignore_ascii_case(name))
    });
    let mut tried = HashSet::new();
    let candidates = telling.chain(0..header.columns.len()).filter(|index| tried.insert(*index));
    candidates.filter(|index| looks_unique(text, header, delimiter, *index)).collect()
}

/// Whether none of the first cells of the column is NULL and no two are equal.
fn looks_unique(text: &[u8], header: &Header, delimiter: u8, index: usize) -> bool {
    let mut seen = HashSet::new();
    let one_column = header.columns.len() == 1;
    records(text, header.len, delimiter)
        .filter(|line| one_column || !row::content(line).is_empty())
        .take(SAMPLE)
        .all(|line| match row::cells(line, delimiter).nth(index) {
            Some(cell) if !cell.is_null() => seen.insert(cell.content().into_owned()),
            _ => false,
        })
}

/// The types of the columns, from the first records: the narrowest type that all their cells have.
pub fn guess_types(text: &[u8], header: &Header, delimiter: u8) -> Vec<ColumnType> {
    let mut guesses: Vec<Option<ColumnType>> = vec![None; header.columns.len()];
    for line in records(text, header.len, delimiter).take(SAMPLE) {
        for (guess, cell) in guesses.iter_mut().zip(row::cells(line, delimiter)) {
            if let Some(text) = cell.text() {
                *guess = Some(wider(*guess, narrowest(&text)));
            }
        }
    }
    guesses.into_iter().map(Option::unwrap_or_default).collect()
}

/// The narrowest type of one text. Numbers with leading zeros or signs are text: they are codes.
fn narrowest(text: &str) -> ColumnType {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(w, f)| (w, Some(f)));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if matches!(text, "true" | "false") {
        ColumnType::Boolean
    } else if !all_digits(whole)
        || (whole.len() > 1 && whole.starts_with('0'))
        || fraction.is_some_and(|fraction| !all_digits(fraction))
    {
        ColumnType::String
    } else if fraction.is_some() || text.parse::<i64>().is_err() {
        ColumnType::Decimal
    } else {
        ColumnType::Integer
    }
}

/// The type that holds both.
fn wider(one: Option<ColumnType>, other: ColumnType) -> ColumnType {
    match (one, other) {
        (None, kind) => kind,
        (Some(one), other) if one == other => one,
        (Some(ColumnType::Integer), ColumnType::Decimal)
        | (Some(ColumnType::Decimal), ColumnType::Integer) => ColumnType::Decimal,
        _ => ColumnType::String,
    }
}

/// The records of a file, up to the first broken one.
fn records(text: &[u8], start: usize, delimiter: u8) -> impl Iterator<Item = &[u8]> {
    let mut at = start;
    std::iter::from_fn(move || {
        if at >= text.len() {
            return None;
        }
        let record = next_record(text, at, delimiter, |_, _, _| {}).ok()?;
        let line = text.get(at..record.end);
        at = record.end;
        line
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiters() {
        assert_eq!(guess_delimiter(b"a,b\n1,2\n"), b',');
        assert_eq!(guess_delimiter(b"a;b\n1,5;2,5\n"), b';');
        assert_eq!(guess_delimiter(b"a\tb\n1\t2\n"), b'\t');
        assert_eq!(guess_delimiter(b"a|b,c|d\n1|2|3\n4|5|6\n"), b'|');
        assert_eq!(guess_delimiter(b"word\nx\n"), b',');
        assert_eq!(guess_delimiter(b""), b',');
    }

    #[test]
    fn keys() {
        let key = |text: &str| {
            let header = Header::parse(text.as_bytes(), b',').unwrap();
            guess_keys(text.as_bytes(), &header, b',').first().copied()
        };
        assert_eq!(key("name,ID\nx,1\nx,2\n"), Some(1));
        assert_eq!(key("id,name\n1,x\n1,y\n"), Some(1));
        assert_eq!(key("id,name\n1,x\n1,x\n"), None);
        assert_eq!(key("a,b\n,1\n2,2\n"), Some(1));
    }

    #[test]
    fn types() {
        let text = b"a,b,c,d,e,f\n1,1.5,01,true,x,\n-2,3,7,false,1,\n";
        let header = Header::parse(text, b',').unwrap();
        use ColumnType::{Boolean, Decimal, Integer, String};
        assert_eq!(
            guess_types(text, &header, b','),
            [Integer, Decimal, String, Boolean, String, String]
        );
    }
}
