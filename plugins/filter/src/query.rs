//! A question, put together piece by piece.

use serde_json::Value as Json;

/// Which rows, in which order, and what of them.
///
/// ```
/// use reedbase_plugin_filter::{Filter, Order, Query};
///
/// let query = Query::new()
///     .filter(Filter::gt("age", 30) & !Filter::eq("status", "gone"))
///     .sort_by("name", Order::Ascending)
///     .limit(10);
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Query {
    pub(crate) filter: Option<Filter>,
    pub(crate) sort: Vec<(String, Order)>,
    pub(crate) limit: Option<u64>,
    pub(crate) offset: u64,
    pub(crate) fields: Vec<String>,
    pub(crate) group: Vec<String>,
    pub(crate) aggregates: Vec<(String, Aggregate)>,
}

/// Which way rows are sorted. What has no value comes first in ascending order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there are two ways")]
pub enum Order {
    /// The smallest first.
    #[default]
    Ascending,
    /// The largest first.
    Descending,
}

/// What a row must be like. It is or it is not: there is no third.
///
/// A field is a column, or a path into the document that a column of type json holds: `specs.ports`. Values of different types
/// are never equal, and none is more than the other; numbers are compared as numbers.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Filter {
    /// A field compared with a value.
    Compare {
        /// The field.
        field: String,
        /// How.
        by: Comparison,
        /// The value.
        value: Json,
    },
    /// A field has a value, which is not null.
    Exists(String),
    /// A text in which a regular expression is found.
    Matches {
        /// The field.
        field: String,
        /// The expression.
        pattern: String,
    },
    /// All of these.
    And(Vec<Filter>),
    /// One of these.
    Or(Vec<Filter>),
    /// Not this.
    Not(Box<Filter>),
}

/// How a field is compared with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Comparison {
    /// It is this value. Null is a value that is null, not one that is missing in a document.
    Eq,
    /// It is not; also if it is missing, null, or of another type.
    Ne,
    /// It is more.
    Gt,
    /// It is more, or the same.
    Gte,
    /// It is less.
    Lt,
    /// It is less, or the same.
    Lte,
    /// A text that contains this one, or a list that has this element.
    Contains,
}

/// One value of many rows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Aggregate {
    /// How many rows there are; with a field, how many in which it exists.
    Count(Option<String>),
    /// The sum of the numbers; 0.0 if there are none.
    Sum(String),
    /// Their mean; null if there are none.
    Avg(String),
    /// The least; null if there are none.
    Min(String),
    /// The greatest; null if there are none.
    Max(String),
    /// The different values, as a JSON list.
    Distinct(String),
}

impl Query {
    /// All rows, as they are.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only rows that are so; said more than once, all of it.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = Some(match self.filter {
            Some(before) => before & filter,
            None => filter,
        });
        self
    }

    /// Sorted by a field; said more than once, rows that are alike so far by the next.
    #[must_use]
    pub fn sort_by(mut self, field: impl Into<String>, order: Order) -> Self {
        self.sort.push((field.into(), order));
        self
    }

    /// At most so many rows.
    #[must_use]
    pub fn limit(mut self, rows: u64) -> Self {
        self.limit = Some(rows);
        self
    }

    /// Without the first so many.
    #[must_use]
    pub fn offset(mut self, rows: u64) -> Self {
        self.offset = rows;
        self
    }

    /// Only these fields.
    #[must_use]
    pub fn fields<S: Into<String>>(mut self, fields: impl IntoIterator<Item = S>) -> Self {
        self.fields.extend(fields.into_iter().map(Into::into));
        self
    }

    /// One row for all that have the same here.
    #[must_use]
    pub fn group_by(mut self, field: impl Into<String>) -> Self {
        self.group.push(field.into());
        self
    }

    /// A value of all rows, or of those of each group, under this name.
    #[must_use]
    pub fn aggregate(mut self, name: impl Into<String>, aggregate: Aggregate) -> Self {
        self.aggregates.push((name.into(), aggregate));
        self
    }
}

macro_rules! comparisons {
    ($($name:ident $by:ident $doc:literal;)*) => {$(
        #[doc = $doc]
        pub fn $name(field: impl Into<String>, value: impl Into<Json>) -> Self {
            Self::Compare { field: field.into(), by: Comparison::$by, value: value.into() }
        }
    )*};
}

impl Filter {
    comparisons! {
        eq Eq "A field is this value.";
        ne Ne "A field is not this value; also if it is missing.";
        gt Gt "A field is more than this.";
        gte Gte "A field is this or more.";
        lt Lt "A field is less than this.";
        lte Lte "A field is this or less.";
        contains Contains "A text contains this, or a list has it.";
    }

    /// A field has a value.
    pub fn exists(field: impl Into<String>) -> Self {
        Self::Exists(field.into())
    }

    /// A regular expression is found in a text.
    pub fn matches(field: impl Into<String>, pattern: impl Into<String>) -> Self {
        Self::Matches { field: field.into(), pattern: pattern.into() }
    }
}

impl std::ops::BitAnd for Filter {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self::And(vec![self, other])
    }
}

impl std::ops::BitOr for Filter {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self::Or(vec![self, other])
    }
}

impl std::ops::Not for Filter {
    type Output = Self;

    fn not(self) -> Self {
        Self::Not(Box::new(self))
    }
}
