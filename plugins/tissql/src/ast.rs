//! What a text means, as a tree.

use reedbase_plugin_api::Value;

/// A statement.
#[derive(Debug)]
pub(crate) enum Statement {
    Select(Box<Select>),
    Insert {
        table: Name,
        columns: Vec<Name>,
        rows: Vec<Vec<Expr>>,
    },
    Update {
        table: Name,
        set: Vec<(Path, Expr)>,
        filter: Option<Expr>,
    },
    Delete {
        table: Name,
        filter: Option<Expr>,
    },
    /// `BEGIN`, `COMMIT`, `ROLLBACK`.
    Transaction(&'static str),
}

/// A name, and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Name {
    pub(crate) text: String,
    pub(crate) at: usize,
}

/// One SELECT after the other, with UNION between.
#[derive(Debug)]
pub(crate) struct Select {
    pub(crate) first: Core,
    /// Each with what stands before it.
    pub(crate) more: Vec<(&'static str, Core)>,
    pub(crate) order: Vec<(Expr, &'static str)>,
    pub(crate) limit: Option<Expr>,
    pub(crate) offset: Option<Expr>,
}

/// One SELECT.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) distinct: bool,
    pub(crate) items: Vec<Item>,
    pub(crate) from: Vec<Source>,
    pub(crate) filter: Option<Expr>,
    pub(crate) group: Vec<Expr>,
    pub(crate) having: Option<Expr>,
}

/// What is selected.
#[derive(Debug)]
pub(crate) enum Item {
    /// `*`, or `t.*`.
    All(Option<Name>),
    /// A value under this name.
    Value(Expr, String),
}

/// A table that is read.
#[derive(Debug)]
pub(crate) struct Source {
    /// What joins it to those before.
    pub(crate) join: &'static str,
    pub(crate) table: Name,
    pub(crate) alias: Option<Name>,
    pub(crate) on: Option<Expr>,
}

/// A way to a value: a column, maybe of a table, and steps into the document that it holds.
#[derive(Debug, Clone)]
pub(crate) struct Path {
    pub(crate) first: Name,
    pub(crate) steps: Vec<Step>,
}

#[derive(Debug, Clone)]
pub(crate) enum Step {
    Name(Name),
    /// Counted from 0.
    Place(u32),
}

/// A value to be worked out.
#[derive(Debug)]
pub(crate) enum Expr {
    Value(Value),
    /// A whole number that is a place where it may be one: `ORDER BY 2`.
    Place(i64),
    Placeholder(Placeholder),
    /// An instant, in microseconds since 1970.
    Instant(i64),
    Now,
    /// So many microseconds.
    Interval(i64),
    Path(Path),
    Call {
        name: Name,
        distinct: bool,
        arguments: Arguments,
    },
    Unary(&'static str, Box<Expr>),
    Binary(Box<Expr>, &'static str, Box<Expr>),
    IsNull {
        value: Box<Expr>,
        not: bool,
    },
    Between {
        value: Box<Expr>,
        not: bool,
        from: Box<Expr>,
        to: Box<Expr>,
    },
    In {
        value: Box<Expr>,
        not: bool,
        list: List,
    },
    Exists(Box<Select>),
    Sub(Box<Select>),
    /// A part of an instant, as `strftime` writes it.
    Extract(&'static str, Box<Expr>),
}

#[derive(Debug, Clone)]
pub(crate) enum Placeholder {
    /// The next value.
    Next,
    Named(String),
}

#[derive(Debug)]
pub(crate) enum Arguments {
    All,
    Values(Vec<Expr>),
}

#[derive(Debug)]
pub(crate) enum List {
    Values(Vec<Expr>),
    Select(Box<Select>),
}

impl Expr {
    /// Whether it is an instant, whatever the rows hold.
    pub(crate) fn is_instant(&self) -> bool {
        match self {
            Self::Instant(_) | Self::Now => true,
            Self::Binary(left, _, right) => {
                matches!(**right, Self::Interval(_)) || matches!(**left, Self::Interval(_))
            }
            _ => false,
        }
    }
}
