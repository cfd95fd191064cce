//! Rows, gathered.

use std::ops::ControlFlow;

use crate::{Result, RowSink, Value, ValueRef};

/// Gathers the rows of the last statement that has some.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Gather {
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
    one: bool,
}

impl Gather {
    /// Gathers one row, and ends the query then.
    pub fn one() -> Self {
        Self { one: true, ..Self::default() }
    }

    /// The names of the columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The rows.
    pub fn rows(&self) -> &[Vec<Value>] {
        &self.rows
    }

    /// The names of the columns, and the rows.
    pub fn finish(self) -> (Vec<String>, Vec<Vec<Value>>) {
        (self.columns, self.rows)
    }

    /// Hands the rows on.
    ///
    /// # Errors
    /// Those of who takes them.
    pub fn release(&self, to: &mut dyn RowSink) -> Result<()> {
        to.columns(&self.columns.iter().map(String::as_str).collect::<Vec<_>>())?;
        for row in &self.rows {
            let values: Vec<_> = row.iter().map(Value::as_ref).collect();
            if to.row(&values)? == ControlFlow::Break(()) {
                break;
            }
        }
        Ok(())
    }
}

impl RowSink for Gather {
    fn columns(&mut self, names: &[&str]) -> Result<()> {
        self.columns = names.iter().map(|name| (*name).to_owned()).collect();
        self.rows.clear();
        Ok(())
    }

    fn row(&mut self, values: &[ValueRef<'_>]) -> Result<ControlFlow<()>> {
        self.rows.push(values.iter().map(|value| value.to_value()).collect());
        Ok(if self.one { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gathered_is_handed_on() {
        let fill = |gather: &mut Gather| {
            gather.columns(&["id"]).unwrap();
            [1, 2].map(|id| gather.row(&[ValueRef::Integer(id)]).unwrap().is_break())
        };
        let (mut all, mut one, mut other) = (Gather::default(), Gather::one(), Gather::default());
        assert_eq!((fill(&mut all), fill(&mut one)), ([false; 2], [true; 2]));
        all.release(&mut other).unwrap();
        assert_eq!(all, other);
        assert_eq!(other.finish(), (vec!["id".to_owned()], vec![vec![1.into()], vec![2.into()]]));
    }
}
