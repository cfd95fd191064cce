//! A way to search an index, as a text that SQLite keeps in its plan: which of its columns are compared how, and in which
//! order the rows are wanted.
//!
//! ```text
//! ==>+ users_age      the first two columns equal something, the third is more than something; in order
//! L. users_name       the first column begins as a pattern of LIKE does; in any order
//! 1- users_age        all, the last first; one more argument says how many rows are wanted
//! ```

use std::borrow::Cow;

use smallvec::SmallVec;

/// A way to search an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Way<'a> {
    /// What is compared, in the order of the arguments: first the columns that equal something, then those of one column more.
    pub(crate) tests: Tests,
    pub(crate) order: Order,
    /// How many arguments behind those of the tests say, together, how many rows are wanted: LIMIT and OFFSET.
    pub(crate) limits: usize,
    /// The name of the index.
    pub(crate) index: Cow<'a, str>,
}

/// How columns are compared, few or many.
pub(crate) type Tests = SmallVec<[Test; 8]>;

/// How a column is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Test {
    /// `=`
    Equal,
    /// `IS`: NULL is equal to itself.
    Is,
    More,
    AtLeast,
    Less,
    AtMost,
    Like,
    Glob,
}

/// In which order the rows are wanted, behind the columns that equal something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Any,
    Ascending,
    Descending,
}

const TESTS: [(Test, char); 8] = [
    (Test::Equal, '='),
    (Test::Is, '~'),
    (Test::More, '>'),
    (Test::AtLeast, 'g'),
    (Test::Less, '<'),
    (Test::AtMost, 'l'),
    (Test::Like, 'L'),
    (Test::Glob, 'G'),
];

const ORDERS: [(Order, char); 3] =
    [(Order::Any, '.'), (Order::Ascending, '+'), (Order::Descending, '-')];

impl Test {
    /// Whether the column has one value.
    pub(crate) fn is_equal(self) -> bool {
        matches!(self, Self::Equal | Self::Is)
    }

    /// As SQL writes it.
    fn words(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::Is => "IS",
            Self::More => ">",
            Self::AtLeast => ">=",
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Like => "LIKE",
            Self::Glob => "GLOB",
        }
    }
}

impl<'a> Way<'a> {
    /// How many columns equal something.
    pub(crate) fn equal(&self) -> usize {
        self.tests.iter().take_while(|test| test.is_equal()).count()
    }

    /// The text.
    pub(crate) fn write(&self) -> String {
        let letter = |test: &Test| TESTS.iter().find(|(known, _)| known == test).map(|(_, c)| *c);
        let order = ORDERS.iter().find(|(known, _)| *known == self.order).map(|(_, c)| *c);
        let limits = char::from_digit(u32::try_from(self.limits).unwrap_or(0), 10);
        let limits = limits.filter(|_| self.limits > 0);
        let letters = self.tests.iter().filter_map(letter).chain(limits).chain(order);
        let letters: String = letters.collect();
        format!("{letters} {}", self.index)
    }

    /// The way that a text says.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (letters, index) = text.split_once(' ')?;
        let last = letters.chars().last()?;
        let order = ORDERS.iter().find(|(_, letter)| *letter == last)?.0;
        let letters = letters.strip_suffix(last)?;
        let limits = letters.chars().next_back().and_then(|letter| letter.to_digit(10));
        let tests = letters.trim_end_matches(|letter: char| letter.is_ascii_digit()).chars();
        let test = |letter| TESTS.iter().find(|(_, known)| *known == letter).map(|(test, _)| *test);
        let tests = tests.map(test).collect::<Option<_>>()?;
        let limits = limits.map_or(0, |limits| limits as usize);
        Some(Self { tests, order, limits, index: index.into() })
    }

    /// As people say it.
    pub(crate) fn in_words(&self, table: &str) -> String {
        let index = &self.index;
        let mut words = match self.tests.is_empty() {
            true => format!("pass by all rows of {table} in the order of the index {index}"),
            false => {
                let tests: Vec<_> = self.tests.iter().map(|test| test.words()).collect();
                format!("find rows of {table} by the index {index} ({})", tests.join(", "))
            }
        };
        match self.order {
            Order::Descending => words += ", the last first",
            Order::Ascending if !self.tests.is_empty() => words += ", in order",
            _ => {}
        }
        words
    }
}

/// What a pattern begins with before its first wildcard.
pub(crate) fn literal(pattern: &[u8], test: Test) -> &[u8] {
    let wild: &[u8] = if test == Test::Like { b"%_" } else { b"*?[" };
    let end = pattern.iter().position(|byte| wild.contains(byte)).unwrap_or(pattern.len());
    pattern.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_comes_back_from_its_text() {
        let tests = Tests::from_slice(&[Test::Equal, Test::Is, Test::More, Test::AtMost]);
        let way = Way { tests, order: Order::Descending, limits: 2, index: "a b".into() };
        assert_eq!(way.write(), "=~>l2- a b");
        assert_eq!(Way::parse(&way.write()), Some(way.clone()));
        assert_eq!(way.equal(), 2);
        assert_eq!(
            way.in_words("t"),
            "find rows of t by the index a b (=, IS, >, <=), the last first"
        );
        assert_eq!((Way::parse("?+ x"), Way::parse("="), Way::parse(" x")), (None, None, None));
    }
}
