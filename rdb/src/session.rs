//! A session: several statements, one after the other, and what they read held still in between if they ask for it.

use std::ops::{ControlFlow, Deref};
use std::sync::Arc;

use reedbase_plugin_api::{
    Gather, Interrupt, Outcome, Params, QueryOptions, QuerySession, Result, RowSink, Timestamp,
    ValueRef,
};
use reedbase_plugin_filter as filter;
use serde::de::DeserializeOwned;

use crate::dialect::{DialectSession, NoRows};
use crate::plugins;
use crate::rows::{QueryRow, QueryRows};

/// A connection to the tables, for one thread at a time.
pub struct Session(DialectSession);

impl Session {
    pub(crate) fn new(session: DialectSession) -> Self {
        Self(session)
    }

    /// Takes texts in another dialect from now on: `tissql`, `filter`, or `reedql`. A transaction that is open stays open.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) with the nearest name.
    pub fn set_dialect(&mut self, dialect: &str) -> Result<()> {
        self.0.speak(plugins::translator(dialect)?);
        Ok(())
    }

    /// What a question finds in a table that was put together with [`filter`](crate::filter); what a query may not exceed holds for
    /// it, too.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for the table or a column; [`InvalidInput`](crate::ErrorKind::InvalidInput) for
    /// what does not go together.
    pub fn find(&mut self, table: &str, query: &filter::Query) -> Result<QueryRows> {
        let mut rows = Gather::default();
        self.0.find(table, query, &mut rows)?;
        Ok(rows.into())
    }

    /// Runs a text, and gives the rows of its last statement that has some.
    ///
    /// # Errors
    /// What is wrong with the text, with line and character, or with what it does.
    pub fn query(&mut self, text: &str, params: impl Into<Params>) -> Result<QueryRows> {
        let mut rows = Gather::default();
        self.0.run(text, &params.into(), &mut rows)?;
        Ok(rows.into())
    }

    /// The first row of an answer; `None` if there is none.
    ///
    /// # Errors
    /// Those of [`query`](Self::query).
    pub fn query_one(&mut self, text: &str, params: impl Into<Params>) -> Result<Option<QueryRow>> {
        let mut rows = Gather::one();
        self.0.run(text, &params.into(), &mut rows)?;
        Ok(QueryRows::from(rows).into_iter().next())
    }

    /// The rows of an answer as a type of the caller's, through serde: a struct takes columns by their names, a tuple or a
    /// single value by their order.
    ///
    /// # Errors
    /// Those of [`query`](Self::query); a value that does not fit, with its column.
    pub fn query_as<T: DeserializeOwned>(
        &mut self,
        text: &str,
        params: impl Into<Params>,
    ) -> Result<Vec<T>> {
        self.query(text, params)?.typed()
    }

    /// Hands the rows on one by one, as they are found: memory stays flat where nothing has to be sorted. `Break` ends
    /// the query.
    ///
    /// # Errors
    /// Those of [`query`](Self::query) and of the act.
    pub fn for_each(
        &mut self,
        text: &str,
        params: impl Into<Params>,
        act: impl FnMut(&[ValueRef<'_>]) -> Result<ControlFlow<()>>,
    ) -> Result<Outcome> {
        self.0.run(text, &params.into(), &mut Each(act))
    }

    /// Looks at a text once, so that it can be run many times: what is wrong with it is told now.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn prepare(&mut self, text: &str) -> Result<Prepared> {
        self.0.prepare(text)?;
        Ok(Prepared(text.into()))
    }

    /// Runs a text for what it does; its rows are passed over.
    ///
    /// # Errors
    /// Those of [`query`](Self::query).
    pub fn execute(&mut self, text: &str, params: impl Into<Params>) -> Result<Outcome> {
        self.0.run(text, &params.into(), &mut NoRows)
    }

    /// Runs a text, and hands its rows on as they are found: memory stays flat.
    ///
    /// # Errors
    /// Those of [`query`](Self::query), and those of the sink.
    pub fn run(
        &mut self,
        text: &str,
        params: impl Into<Params>,
        rows: &mut dyn RowSink,
    ) -> Result<Outcome> {
        self.0.run(text, &params.into(), rows)
    }

    /// How a text would be run, in words, a line each.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn explain(&mut self, text: &str, params: impl Into<Params>) -> Result<Vec<String>> {
        self.0.explain(text, &params.into())
    }

    /// Whether a text ends where a statement ends.
    pub fn is_complete(&self, text: &str) -> bool {
        self.0.is_complete(text)
    }

    /// How queries run from now on, and what one may not exceed.
    pub fn set_options(&mut self, options: &QueryOptions) {
        self.0.set_options(options);
    }

    /// What stops a query of this session, from another thread.
    pub fn interrupt(&self) -> Interrupt {
        self.0.interrupt()
    }

    /// Reads all tables as they were after a frame, from now on; `None` reads the newest again.
    ///
    /// # Errors
    /// [`Usage`](crate::ErrorKind::Usage) while a transaction is open.
    pub fn set_instant(&mut self, frame: Option<Timestamp>) -> Result<()> {
        self.0.set_instant(frame)
    }

    /// Whether a transaction is open.
    pub fn in_transaction(&self) -> bool {
        self.0.in_transaction()
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

/// A text that was looked at. It may be run by any session of the database.
#[derive(Debug, Clone)]
pub struct Prepared(Arc<str>);

impl Deref for Prepared {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// Hands rows on to a function.
struct Each<F>(F);

impl<F: FnMut(&[ValueRef<'_>]) -> Result<ControlFlow<()>>> RowSink for Each<F> {
    fn columns(&mut self, _: &[&str]) -> Result<()> {
        Ok(())
    }

    fn row(&mut self, values: &[ValueRef<'_>]) -> Result<ControlFlow<()>> {
        (self.0)(values)
    }
}
