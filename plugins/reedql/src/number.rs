//! When a text is a number, as SQLite's affinity sees it: white space around it, a sign, digits, a fraction and an
//! exponent are all there may be. (SQLite, "Datatypes", section 3; `sqlite3AtoF`.)

/// A number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    Integer(i64),
    Real(f64),
}

impl Number {
    /// The number that a whole text is; `None` if it is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b');
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        let whole = digits.bytes().take_while(u8::is_ascii_digit).count();
        if whole > 0 && whole == digits.len() {
            return match text.parse() {
                Ok(number) => Some(Self::Integer(number)),
                Err(_) => text.parse().ok().map(Self::Real),
            };
        }
        is_real(digits.get(whole..)?, whole).then(|| text.parse().ok().map(Self::Real))?
    }

    /// The same as a whole number, where nothing is lost by that: what INTEGER and NUMERIC affinity make of it.
    pub(crate) fn whole(self) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "looked at in the next line")]
        let as_integer = |real: f64| real as i64;
        match self {
            Self::Real(real) => {
                let integer = as_integer(real);
                let inside = integer > i64::MIN && integer < i64::MAX;
                #[expect(clippy::cast_precision_loss, reason = "that is what is asked")]
                let same = integer as f64 == real;
                if inside && same { Self::Integer(integer) } else { self }
            }
            Self::Integer(_) => self,
        }
    }

    /// The same as a floating-point number: what REAL affinity makes of it.
    pub(crate) fn real(self) -> f64 {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "REAL affinity rounds")]
            Self::Integer(integer) => integer as f64,
            Self::Real(real) => real,
        }
    }
}

/// Whether this is what may follow the digits of a number.
fn is_real(rest: &str, whole: usize) -> bool {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let (rest, fraction) = match rest.strip_prefix('.') {
        Some(rest) => (rest.get(digits(rest)..).unwrap_or_default(), digits(rest)),
        None => (rest, 0),
    };
    if whole + fraction == 0 {
        return false;
    }
    match rest.strip_prefix(['e', 'E']) {
        Some(exponent) => {
            let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
            !exponent.is_empty() && digits(exponent) == exponent.len()
        }
        None => rest.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What SQLite makes of texts in a column of a type is what we make of them.
    #[test]
    fn numbers_are_what_sqlite_takes_for_numbers() {
        let sqlite = rusqlite::Connection::open_in_memory().unwrap();
        sqlite.execute_batch("CREATE TABLE t (i INTEGER, r REAL)").unwrap();
        let texts = [
            "0",
            "-0",
            "+5",
            "007",
            " 12 ",
            "12 x",
            "\t3\n",
            "1.0",
            "1.",
            ".5",
            ".",
            "-.5e1",
            "1e3",
            "1e",
            "1e+",
            "1E-2",
            "0x10",
            "inf",
            "NaN",
            "infinity",
            "1_000",
            "",
            " ",
            "-",
            "--1",
            "9223372036854775807",
            "9223372036854775808",
            "-9223372036854775808",
            "1e999",
            "-1e999",
            "123456789012345678901234567890",
            "0.1",
            "1.5e300",
            "5e-324",
            "9007199254740993",
            "1 2",
            "1\u{a0}",
            "٣",
            "1e5 ",
            "+.0",
            "9.999999999999999999999",
            "\x0b7\x0c",
        ];
        for text in texts {
            let mut insert =
                sqlite.prepare_cached("REPLACE INTO t (rowid, i, r) VALUES (1, ?1, ?1)");
            insert.as_mut().unwrap().execute([text]).unwrap();
            let read = |column: &str| {
                let value =
                    sqlite.query_row(&format!("SELECT {column} FROM t"), [], |row| row.get(0));
                value.unwrap()
            };
            let number = Number::parse(text);
            let integer: rusqlite::types::Value = match number.map(Number::whole) {
                Some(Number::Integer(integer)) => integer.into(),
                Some(Number::Real(real)) => real.into(),
                None => text.to_owned().into(),
            };
            let real = match number {
                Some(number) => number.real().into(),
                None => text.to_owned().into(),
            };
            assert_eq!((integer, real), (read("i"), read("r")), "{text:?}");
        }
    }
}
