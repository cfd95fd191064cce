//! Functions for queries: from values to a value, from the values of many rows to one, and how texts compare.

use std::cmp::Ordering;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use crate::{Error, Result, Value, ValueRef};

/// Functions that belong together.
pub trait FunctionSet: Send + Sync {
    /// The name of the set, such as `text`.
    fn id(&self) -> &str;

    /// The functions.
    fn functions(&self) -> Vec<Function>;
}

/// A function.
#[derive(Clone)]
pub struct Function {
    name: String,
    arguments: RangeInclusive<usize>,
    body: FunctionBody,
    steady: bool,
    ttl: Option<Duration>,
}

/// What a function does.
#[derive(Clone)]
#[non_exhaustive]
pub enum FunctionBody {
    /// From values to a value.
    Scalar(Scalar),
    /// From the values of many rows to one value: this begins it.
    Aggregate(Arc<dyn Fn() -> Box<dyn Aggregate> + Send + Sync>),
    /// How two texts compare: `ORDER BY title COLLATE name`.
    Collation(Compare),
}

/// How two texts compare.
pub type Compare = Arc<dyn Fn(&str, &str) -> Ordering + Send + Sync>;

/// From values to a value.
pub type Scalar = Arc<dyn Fn(&[ValueRef<'_>]) -> Result<Value> + Send + Sync>;

/// What gathers the values of many rows.
pub trait Aggregate: Send {
    /// One row more.
    ///
    /// # Errors
    /// What the row may not be.
    fn add(&mut self, values: &[ValueRef<'_>]) -> Result<()>;

    /// The value of all rows so far.
    ///
    /// # Errors
    /// What the rows may not be together.
    fn finish(&mut self) -> Result<Value>;
}

impl Function {
    /// A function of this many values. The same values always give the same value, unless [`unsteady`](Self::unsteady) says
    /// otherwise.
    pub fn scalar(
        name: impl Into<String>,
        arguments: RangeInclusive<usize>,
        act: impl Fn(&[ValueRef<'_>]) -> Result<Value> + Send + Sync + 'static,
    ) -> Self {
        Self::new(name.into(), arguments, FunctionBody::Scalar(Arc::new(act)))
    }

    /// A function from a text to a text. NULL gives NULL.
    pub fn of_text(
        name: impl Into<String>,
        act: impl Fn(&str) -> String + Send + Sync + 'static,
    ) -> Self {
        Self::scalar(name, 1..=1, move |values| {
            let text = values.first().copied().unwrap_or(ValueRef::Null).text()?;
            Ok(text.map(|text| act(&text)).into())
        })
    }

    /// A function of this many values of each row.
    pub fn aggregate<A: Aggregate + 'static>(
        name: impl Into<String>,
        arguments: RangeInclusive<usize>,
        begin: impl Fn() -> A + Send + Sync + 'static,
    ) -> Self {
        let begin = move || -> Box<dyn Aggregate> { Box::new(begin()) };
        Self::new(name.into(), arguments, FunctionBody::Aggregate(Arc::new(begin)))
    }

    /// A way to compare texts.
    pub fn collation(
        name: impl Into<String>,
        compare: impl Fn(&str, &str) -> Ordering + Send + Sync + 'static,
    ) -> Self {
        Self::new(name.into(), 2..=2, FunctionBody::Collation(Arc::new(compare)))
    }

    fn new(name: String, arguments: RangeInclusive<usize>, body: FunctionBody) -> Self {
        Self { name, arguments, body, steady: true, ttl: None }
    }

    /// The same function, which may give another value for the same ones: it looks at the clock, say.
    #[must_use]
    pub fn unsteady(mut self) -> Self {
        self.steady = false;
        self
    }

    /// The same function, whose results are kept: for the same values it is not called again within this time. Worth it from
    /// about 1 µs a call on. It must look at nothing but its values. What is kept ends with the program.
    #[must_use]
    pub fn cached(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// The same function, which does something else: the one that remembers its results, say.
    #[must_use]
    pub fn with_body(mut self, body: FunctionBody) -> Self {
        self.body = body;
        self
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many values it takes.
    pub fn arguments(&self) -> &RangeInclusive<usize> {
        &self.arguments
    }

    /// That it is given as many values as it takes.
    ///
    /// # Errors
    /// [`Usage`](crate::ErrorKind::Usage) if it is not.
    pub fn check(&self, given: usize) -> Result<()> {
        if self.arguments.contains(&given) {
            return Ok(());
        }
        let (least, most) = (self.arguments.start(), self.arguments.end());
        let wanted = if least == most { least.to_string() } else { format!("{least} to {most}") };
        Err(Error::usage(format!("{} takes {wanted} values, and has {given} here", self.name)))
    }

    /// What it does.
    pub fn body(&self) -> &FunctionBody {
        &self.body
    }

    /// Whether the same values always give the same value.
    pub fn is_steady(&self) -> bool {
        self.steady
    }

    /// For how long its results are kept, if they are.
    pub fn time_to_live(&self) -> Option<Duration> {
        self.ttl
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Function")
            .field("name", &self.name)
            .field("arguments", &self.arguments)
            .finish_non_exhaustive()
    }
}
