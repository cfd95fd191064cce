//! The session as those see it who ask.
//!
//! ```text
//! text → statements → plan (rewritten, tables, path) → tables declared → run by SQLite → rows
//! ```

use std::ops::ControlFlow;

use reedbase_plugin_api::{
    Committed, Error, Interrupt, Outcome, Params, QueryOptions, QuerySession, Result, RowSink,
    Timestamp, ValueRef,
};

use sqlite3_parser::lexer::sql::TokenType;

use crate::connection;
use crate::plan::Plan;
use crate::script::{Kind, statements};
use crate::session::Session;
use crate::tokens::{Token, tokens};

impl Session {
    pub(crate) fn statement(
        &mut self,
        plan: &Plan,
        params: &Params,
        rows: &mut dyn RowSink,
    ) -> Result<Outcome> {
        let done = |()| Outcome::default();
        match plan.kind.clone() {
            Kind::Read => {
                self.refresh_stale(plan)?;
                self.query(plan, params, rows)
            }
            Kind::Write => self.write(plan, params, rows),
            Kind::Shape => self.shape(plan, params),
            Kind::Begin => self.begin_several().map(done),
            Kind::Commit => self.transactions.commit(&self.shared).map(committed),
            Kind::Rollback => {
                self.forget_shapes()?;
                self.forget_written();
                self.transactions.rollback(&self.shared).map(done)
            }
            Kind::Savepoint(name) => {
                if !self.transactions.is_open() {
                    self.begin_several()?;
                    self.transactions.begun_by_savepoint();
                }
                self.transactions.savepoint(name, &self.shared).map(done)
            }
            Kind::RollbackTo(name) => {
                self.forget_shapes()?;
                self.forget_written();
                self.transactions.rollback_to(&name, &self.shared).map(done)
            }
            Kind::Release(name) => self.transactions.release(&name, &self.shared).map(committed),
            Kind::Explain => self.explain_plan(plan, params, rows),
        }
    }

    /// EXPLAIN: what it would do, a line each.
    pub(crate) fn explain_plan(
        &mut self,
        plan: &Plan,
        params: &Params,
        rows: &mut dyn RowSink,
    ) -> Result<Outcome> {
        let explained = self.plan(plan.statement.explained(), params)?;
        let lines = self.explained(&explained)?;
        rows.columns(&["explanation"])?;
        for line in &lines {
            if rows.row(&[ValueRef::Text(line)])? == ControlFlow::Break(()) {
                break;
            }
        }
        Ok(Outcome::default())
    }
}

impl QuerySession for Session {
    fn run(&mut self, text: &str, params: &Params, rows: &mut dyn RowSink) -> Result<Outcome> {
        if let Some(plan) = self.known_plan(text, params)? {
            return self.statement(&plan, params, rows);
        }
        let statements = statements(text)?;
        if statements.len() > 1 && !params.positional.is_empty() {
            return Err(Error::usage("several statements cannot share parameters by position")
                .help("run them one by one, or give the parameters names"));
        }
        let mut outcome = Outcome::default();
        let alone = statements.len() == 1;
        for statement in statements {
            let plan = self.plan(statement, params)?;
            outcome = self.statement(&plan, params, rows)?;
            let plain = matches!(plan.kind, Kind::Read | Kind::Write);
            if alone && plain {
                self.keep_plan(text, plan);
            }
        }
        Ok(outcome)
    }

    fn prepare(&mut self, text: &str) -> Result<()> {
        if self.known_plan(text, &Params::default())?.is_some() {
            return Ok(());
        }
        let statements = statements(text)?;
        let alone = statements.len() == 1;
        for statement in statements {
            let plan = self.plan(statement, &Params::default())?;
            if matches!(plan.kind, Kind::Read | Kind::Write) && !plan.needs_mirror {
                self.check(&plan)?;
                if alone {
                    self.keep_plan(text, plan);
                }
            }
        }
        Ok(())
    }

    fn explain(&mut self, text: &str, params: &Params) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        for statement in statements(text)? {
            let plan = self.plan(statement, params)?;
            lines.extend(self.explained(&plan)?);
        }
        Ok(lines)
    }

    fn is_complete(&self, text: &str) -> bool {
        let ends = |tokens: Vec<Token>| {
            tokens.last().is_some_and(|token| token.kind == TokenType::TK_SEMI)
        };
        tokens(text).is_ok_and(ends)
    }

    fn set_options(&mut self, options: &QueryOptions) {
        self.options = options.clone();
        for side in [Some(&self.direct), self.mirrored.as_ref()].into_iter().flatten() {
            // A length that SQLite does not take is as good as none.
            drop(connection::limit(&side.connection, options));
        }
    }

    fn interrupt(&self) -> Interrupt {
        self.watch.interrupt.clone()
    }

    fn set_instant(&mut self, frame: Option<Timestamp>) -> Result<()> {
        if self.transactions.is_open() {
            return Err(Error::usage("a transaction is open").help("end it first"));
        }
        (self.instant, self.snapshot) = (None, None);
        let newest = self.refresh()?;
        if let Some(frame) = frame {
            self.read(newest.as_of(frame)?);
            self.instant = Some(frame);
        }
        Ok(())
    }

    fn in_transaction(&self) -> bool {
        self.transactions.is_open()
    }
}

/// What a commit did, as a statement says it.
fn committed(committed: Committed) -> Outcome {
    let mut outcome = Outcome::default();
    outcome.frame = committed.frame;
    outcome
}
