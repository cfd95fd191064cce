//! Statements that make, change and drop tables.

use reedbase_plugin_api::{Gather, Outcome, Params, Result};

use crate::ddl::{self, Ddl};
use crate::plan::Plan;
use crate::script::Statement;
use crate::session::Session;
use crate::view_ddl::{self, ViewDdl, is_about_view};

/// What is told to change its shape.
enum Told {
    View(ViewDdl),
    Table(Ddl),
}

impl Session {
    /// CREATE, ALTER and DROP TABLE: in the transaction that is open, or in one of its own.
    pub(crate) fn shape(&mut self, plan: &Plan, params: &Params) -> Result<Outcome> {
        let told = match is_about_view(&plan.statement) {
            true => Told::View(view_ddl::read(&plan.statement)?),
            false => Told::Table(ddl::read(&plan.statement)?),
        };
        self.check_present()?;
        let act = |session: &mut Self| {
            let done = session.step(|session| match &told {
                Told::View(view) => session.reshape_view(view, &plan.statement),
                Told::Table(ddl) => session.reshape(ddl, plan, params),
            });
            session.reshaped = true;
            session.forget_shapes()?;
            done
        };
        let done = if self.transactions.is_open() { act(self) } else { self.in_own_frame(act) };
        done.map_err(|error| plan.statement.error(0, error))
    }

    pub(crate) fn reshape(&mut self, ddl: &Ddl, plan: &Plan, params: &Params) -> Result<Outcome> {
        let exists = |name: &str| self.shared.write(|writer| Ok(writer.table(name).is_ok()));
        let has_index = |name: &str| self.shared.write(|writer| writer.has_index(name));
        match ddl {
            Ddl::CreateTable { name, if_not_exists: true, .. }
            | Ddl::CreateTableAs { name, if_not_exists: true, .. }
                if exists(name)? => {}
            Ddl::DropTable { name, if_exists: true } if !exists(name)? => {}
            Ddl::CreateTable { name, schema, .. } => {
                self.shared.write(|writer| writer.create_table(name, schema))?;
            }
            Ddl::CreateTableAs { name, query, .. } => {
                return self.create_as(name, plan.statement.from(*query), params);
            }
            Ddl::DropTable { name, .. } => self.shared.write(|writer| writer.drop_table(name))?,
            Ddl::RenameTable { name, to } => {
                self.shared.write(|writer| writer.rename_table(name, to))?;
            }
            Ddl::AlterTable { name, step } => {
                self.shared.write(|writer| writer.alter_table(name, step))?;
            }
            Ddl::CreateIndex { index, if_not_exists: true, .. } if has_index(&index.name)? => {}
            Ddl::CreateIndex { table, index, .. } => {
                self.shared.write(|writer| writer.create_index(table, index))?;
            }
            Ddl::DropIndex { name, if_exists: true } if !has_index(name)? => {}
            Ddl::DropIndex { name, .. } => self.shared.write(|writer| writer.drop_index(name))?,
        }
        Ok(Outcome::default())
    }

    /// CREATE TABLE … AS: the columns are those of the query, each of the type of its first value.
    pub(crate) fn create_as(
        &mut self,
        name: &str,
        query: Statement,
        params: &Params,
    ) -> Result<Outcome> {
        let plan = self.plan(query, params)?;
        let mut held = Gather::default();
        self.query(&plan, params, &mut held)?;
        let schema = ddl::schema_of_rows(held.columns(), held.rows());
        self.shared.write(|writer| writer.create_table(name, &schema))?;
        self.insert_rows(name, held.rows())
    }
}
