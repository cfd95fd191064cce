//! When a text is a number, as SQLite's affinity sees it: white space around it, a sign, digits, a fraction and an
//! exponent are all there may be. (SQLite, "Datatypes", section 3; `sqlite3AtoF`.)

/// A number.
#[derive(Debug, Clone, Copy, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "SQL has no others")]
pub enum Number {
    /// A whole one.
    Integer(i64),
    /// A floating-point one.
    Real(f64),
}

impl Number {
    /// The number that a whole text is; `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
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
    pub fn whole(self) -> Self {
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
    pub fn real(self) -> f64 {
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
