//! Sessions in any dialect: what is not ReedQL is translated, and errors are told where they were written.

use std::ops::ControlFlow;
use std::sync::Arc;

use reedbase_plugin_api::{
    Error, Host, Interrupt, Outcome, Params, QueryOptions, QuerySession, Result, RowSink, Snapshot,
    Timestamp, Translated, Translator, ValueRef,
};
use reedbase_plugin_filter as filter;

/// A session of ReedQL, or of a language that is translated to it: which one may change from one text to the next.
pub(crate) struct DialectSession {
    host: Arc<dyn Host>,
    engine: Box<dyn QuerySession>,
    /// `None` is ReedQL itself.
    translator: Option<Arc<dyn Translator>>,
    instant: Option<Timestamp>,
}

impl DialectSession {
    pub(crate) fn new(host: Arc<dyn Host>, engine: Box<dyn QuerySession>) -> Self {
        Self { host, engine, translator: None, instant: None }
    }

    /// Takes texts in this language from now on.
    pub(crate) fn speak(&mut self, translator: Option<Arc<dyn Translator>>) {
        self.translator = translator;
    }

    /// Answers a question of the dialect `filter` that was put together.
    pub(crate) fn find(
        &mut self,
        table: &str,
        query: &filter::Query,
        rows: &mut dyn RowSink,
    ) -> Result<Outcome> {
        let statement = query.translate(table, &*self.tables()?)?;
        // Places in a text that nobody wrote say nothing.
        run(&mut *self.engine, &statement, rows)
            .map_err(|error| where_written(error, &statement, ""))
    }

    /// The tables as they are read, for what they look like.
    fn tables(&self) -> Result<Arc<dyn Snapshot>> {
        let newest = self.host.snapshot()?;
        self.instant.map_or(Ok(Arc::clone(&newest)), |instant| newest.as_of(instant))
    }

    /// What a text means in ReedQL; `None` if it is ReedQL.
    fn translate(&self, text: &str, params: Option<&Params>) -> Result<Option<Vec<Translated>>> {
        let Some(translator) = &self.translator else { return Ok(None) };
        translator.translate(text, params, &*self.tables()?).map(Some)
    }
}

/// Runs a statement that was translated.
fn run(
    engine: &mut dyn QuerySession,
    statement: &Translated,
    rows: &mut dyn RowSink,
) -> Result<Outcome> {
    let Some(column) = &statement.counts else {
        return engine.run(&statement.text, &statement.params, rows);
    };
    let outcome = engine.run(&statement.text, &statement.params, &mut NoRows)?;
    rows.columns(&[column])?;
    let count = i64::try_from(outcome.changed).unwrap_or(i64::MAX);
    // It was the last row: whether more are wanted makes no difference.
    let _: ControlFlow<()> = rows.row(&[ValueRef::Integer(count)])?;
    Ok(outcome)
}

/// An error of a translation, where it was written; nowhere, if that is not known.
fn where_written(error: Error, statement: &Translated, text: &str) -> Error {
    let origin = |byte: usize| {
        let before = statement.places.iter().take_while(|(at, _)| *at <= byte);
        before.last().map(|(_, origin)| *origin)
    };
    error.moved(&statement.text, origin, text)
}

impl QuerySession for DialectSession {
    fn run(&mut self, text: &str, params: &Params, rows: &mut dyn RowSink) -> Result<Outcome> {
        let Some(statements) = self.translate(text, Some(params))? else {
            return self.engine.run(text, params, rows);
        };
        let mut outcome = Outcome::default();
        for statement in statements {
            let done = run(&mut *self.engine, &statement, rows);
            let done = done.map_err(|error| where_written(error, &statement, text))?;
            outcome.changed += done.changed;
            (outcome.frame, outcome.key) = (done.frame.or(outcome.frame), done.key.or(outcome.key));
        }
        Ok(outcome)
    }

    fn prepare(&mut self, text: &str) -> Result<()> {
        let Some(statements) = self.translate(text, None)? else {
            return self.engine.prepare(text);
        };
        for statement in statements {
            let prepared = self.engine.prepare(&statement.text);
            prepared.map_err(|error| where_written(error, &statement, text))?;
        }
        Ok(())
    }

    fn explain(&mut self, text: &str, params: &Params) -> Result<Vec<String>> {
        let Some(statements) = self.translate(text, Some(params))? else {
            return self.engine.explain(text, params);
        };
        let mut lines = Vec::new();
        for statement in statements {
            lines.push(format!("in ReedQL: {}", statement.text));
            let explained = self.engine.explain(&statement.text, &statement.params);
            lines.extend(explained.map_err(|error| where_written(error, &statement, text))?);
        }
        Ok(lines)
    }

    fn is_complete(&self, text: &str) -> bool {
        match &self.translator {
            Some(translator) => translator.is_complete(text),
            None => self.engine.is_complete(text),
        }
    }

    fn set_options(&mut self, options: &QueryOptions) {
        self.engine.set_options(options);
    }

    fn interrupt(&self) -> Interrupt {
        self.engine.interrupt()
    }

    fn set_instant(&mut self, frame: Option<Timestamp>) -> Result<()> {
        self.engine.set_instant(frame)?;
        self.instant = frame;
        Ok(())
    }

    fn in_transaction(&self) -> bool {
        self.engine.in_transaction()
    }
}

/// Takes no rows.
pub(crate) struct NoRows;

impl RowSink for NoRows {
    fn columns(&mut self, _: &[&str]) -> Result<()> {
        Ok(())
    }

    fn row(&mut self, _: &[ValueRef<'_>]) -> Result<ControlFlow<()>> {
        Ok(ControlFlow::Continue(()))
    }
}
