//! Statements about views, and stored views that are brought up to date.

use std::collections::HashMap;
use std::sync::Arc;

use reedbase_plugin_api::{Error, ErrorKind, Gather, Outcome, Params, Result, Value, nearest};

use crate::cell;
use crate::ddl;
use crate::declare::quoted;
use crate::plan::Plan;
use crate::run::sql_ref;
use crate::script::{Statement, statements};
use crate::session::Session;
use crate::view_ddl::ViewDdl;
use crate::views::{self, VIEWS, View};

impl Session {
    /// CREATE, DROP and REFRESH VIEW, in the transaction that is open.
    pub(crate) fn reshape_view(
        &mut self,
        told: &ViewDdl,
        statement: &Statement,
    ) -> Result<Outcome> {
        let known = self.known_views()?;
        let named = |name: &str| known.iter().find(|view| view.name.eq_ignore_ascii_case(name));
        let none = |name: &str| {
            let error = Error::not_found(format!("there is no view `{name}`"));
            nearest(error, "view", name, known.iter().map(|view| view.name.as_str()))
        };
        match told {
            ViewDdl::Create { view, if_not_exists, query } => match named(&view.name) {
                Some(_) if *if_not_exists => Ok(Outcome::default()),
                Some(_) => {
                    Err(Error::new(ErrorKind::AlreadyExists, "there is such a view already")
                        .help("drop it first: DROP VIEW"))
                }
                None => self.create_view(view, statement.from(*query)),
            },
            ViewDdl::Drop { name, if_exists } => match named(name) {
                Some(view) => self.drop_view(view),
                None if *if_exists => Ok(Outcome::default()),
                None => Err(none(name)),
            },
            ViewDdl::Refresh { name } => match named(name) {
                Some(view) if view.stored => self.refresh_view(view),
                Some(_) => Err(Error::usage("a view that is not stored is always fresh")),
                None => Err(none(name)),
            },
        }
    }

    fn create_view(&mut self, view: &View, query: Statement) -> Result<Outcome> {
        let tables = self.table_names()?;
        if tables.iter().any(|table| table.as_str().eq_ignore_ascii_case(&view.name)) {
            return Err(Error::new(ErrorKind::AlreadyExists, "there is a table of this name"));
        }
        let plan = self.plan(query, &Params::default())?;
        self.check(&plan)?;
        if !tables.iter().any(|table| table.as_str() == VIEWS) {
            self.shared.write(|writer| writer.create_table(VIEWS, &views::schema()))?;
        }
        let view = View { frame: self.shared.snapshot()?.frame(), ..view.clone() };
        let cells = view.cells();
        let cells: Vec<_> = cells.iter().map(Option::as_deref).collect();
        self.shared.write(|writer| writer.insert(VIEWS, &cells).map(drop))?;
        if !view.stored {
            return Ok(Outcome::default());
        }
        let mut held = Gather::default();
        self.query(&plan, &Params::default(), &mut held)?;
        let schema = ddl::schema_of_rows(held.columns(), held.rows());
        self.shared.write(|writer| writer.create_table(&view.name, &schema))?;
        self.insert_rows(&view.name, held.rows())
    }

    fn drop_view(&mut self, view: &View) -> Result<Outcome> {
        self.shared.write(|writer| writer.delete(VIEWS, &[&view.name]))?;
        if view.stored {
            self.shared.write(|writer| writer.drop_table(&view.name))?;
        }
        Ok(Outcome::default())
    }

    /// Adds rows to a table whose first column is a key that is made.
    pub(crate) fn insert_rows(&mut self, table: &str, rows: &[Vec<Value>]) -> Result<Outcome> {
        self.shared.touch();
        let schema = self.shared.write(|writer| Ok(Arc::clone(writer.table(table)?.schema())))?;
        self.shared.write(|writer| {
            for row in rows {
                let mut cells = vec![None];
                for (value, column) in row.iter().zip(schema.columns.iter().skip(1)) {
                    cells.push(cell::write(sql_ref(value), column)?);
                }
                let cells: Vec<_> = cells.iter().map(Option::as_deref).collect();
                writer.insert(table, &cells)?;
            }
            Ok(())
        })?;
        let mut outcome = Outcome::default();
        outcome.changed = rows.len() as u64;
        Ok(outcome)
    }

    /// Brings a stored view up to date: only rows that differ are written.
    fn refresh_view(&mut self, view: &View) -> Result<Outcome> {
        let frame = self.shared.snapshot()?.frame();
        let (mut fresh, mut stored) = (Gather::default(), Gather::default());
        let plan = self.plan_of(&view.query)?;
        self.query(&plan, &Params::default(), &mut fresh)?;
        let name = quoted(&view.name);
        let plan = self.plan_of(&format!("SELECT {}, * FROM {name}", ddl::HIDDEN_KEY))?;
        self.query(&plan, &Params::default(), &mut stored)?;
        let mut old: HashMap<String, Vec<&Value>> = HashMap::new();
        for row in stored.rows() {
            if let Some((id, cells)) = row.split_first() {
                old.entry(format!("{cells:?}")).or_default().push(id);
            }
        }
        let mut new = Vec::new();
        for row in fresh.rows() {
            let known = old.get_mut(&format!("{row:?}")).and_then(Vec::pop);
            if known.is_none() {
                new.push(row.clone());
            }
        }
        let gone: Vec<String> = old.into_values().flatten().map(Value::to_string).collect();
        self.shared.write(|writer| {
            gone.iter().try_for_each(|id| writer.delete(&view.name, &[id]))?;
            let frame = frame.as_micros().to_string();
            let at = views::schema().columns.iter().position(|column| column.name == "frame");
            writer.update(VIEWS, &[&view.name], &[(at.unwrap_or_default(), Some(&frame))])
        })?;
        let mut outcome = self.insert_rows(&view.name, &new)?;
        outcome.changed += gone.len() as u64;
        Ok(outcome)
    }

    /// Before it is read: refreshes the views of a plan that are to follow the tables they read, and do not.
    pub(crate) fn refresh_stale(&mut self, plan: &Plan) -> Result<()> {
        if plan.follows.is_empty() || self.transactions.is_open() || self.instant.is_some() {
            return Ok(());
        }
        for name in &plan.follows {
            let views = self.known_views()?;
            let Some(view) = views.iter().find(|view| view.name == *name) else { continue };
            let reads = self.plan_of(&view.query)?.tables;
            let snapshot = self.shared.snapshot()?;
            let mut stale = false;
            for table in &reads {
                stale |= snapshot.table(table)?.version() > view.frame;
            }
            if stale {
                let done = self.in_own_frame(|session| session.refresh_view(view));
                done.map_err(|error| error.at_table(name.as_str()))?;
                self.refresh()?;
            }
        }
        Ok(())
    }

    /// The plan of a query of our own, or of a view.
    fn plan_of(&mut self, text: &str) -> Result<Plan> {
        let mut statements = statements(text)?.into_iter();
        let first = statements.next().ok_or_else(|| Error::invalid("a view needs a query"))?;
        match statements.next() {
            Some(_) => Err(Error::usage("a view is one query")),
            None => self.plan(first, &Params::default()),
        }
    }
}
