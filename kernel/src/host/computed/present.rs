//! Computed tables of what there is: tables, columns, indices, plugins.

use reedbase_plugin_api::{IndexColumn, Result, TableName};

use super::computing::Computing;
use super::sheet::{Sheet, boolean, flag, instant, integer, text, time};
use crate::database::{CONFLICT_COLUMNS, CONFLICTS};
use crate::host::tables::schema_of;
use crate::index::index_name;
use crate::table::Table;

impl Computing<'_> {
    pub(super) fn tables(&self) -> Result<Sheet> {
        let columns = vec![
            text("name"),
            integer("rows"),
            integer("bytes"),
            text("key"),
            integer("version"),
            instant("changed"),
        ];
        let mut sheet = self.sheet("reed_tables", columns)?;
        for state in self.there() {
            let table = self.snapshot.table(state.name().as_str())?;
            let (rows, bytes) = (table.rows().to_string(), table.file_len().to_string());
            let key = self.snapshot.key_columns(state.name().as_str())?.join(", ");
            let version = state.version();
            sheet.push(&[
                Some(state.name().as_str()),
                Some(&rows),
                Some(&bytes),
                Some(&key),
                Some(&version.to_string()),
                Some(&time(version)),
            ]);
        }
        Ok(sheet)
    }

    pub(super) fn columns(&self) -> Result<Sheet> {
        let columns = vec![
            text("table_name"),
            integer("position"),
            text("name"),
            text("type"),
            boolean("primary_key"),
            boolean("required"),
            boolean("is_unique"),
            text("default_value"),
            text("refers_to"),
            text("merge"),
        ];
        let mut sheet = self.sheet("reed_columns", columns)?;
        for state in self.there() {
            let table = self.snapshot.table(state.name().as_str())?;
            let schema = schema_of(table.schema(), table.shape());
            for (position, column) in (1..).zip(&schema.columns) {
                let position: i32 = position;
                sheet.push(&[
                    Some(state.name().as_str()),
                    Some(&position.to_string()),
                    Some(&column.name),
                    Some(&column.kind.to_string()),
                    Some(flag(column.primary_key)),
                    Some(flag(column.required)),
                    Some(flag(column.unique)),
                    column.default.as_deref(),
                    column.references.as_deref(),
                    column.merge.as_deref(),
                ]);
            }
        }
        Ok(sheet)
    }

    /// The indices; how much one takes is NULL as long as nobody asked for it.
    pub(super) fn indices(&self) -> Result<Sheet> {
        let columns = vec![
            text("name"),
            text("table_name"),
            text("kind"),
            text("columns"),
            boolean("is_unique"),
            boolean("sparse"),
            integer("entries"),
            integer("bytes"),
        ];
        let mut sheet = self.sheet("reed_indices", columns)?;
        for state in self.there() {
            let table = self.snapshot.table(state.name().as_str())?;
            for index in &*self.catalog.describe(state.name(), table).indices {
                let known = self.catalog.indices.known(state.name(), &index.spec.name);
                let known = known.map(|(len, bytes)| (len.to_string(), bytes.to_string()));
                let name = |column: &IndexColumn| match column.nocase {
                    true => format!("{} COLLATE NOCASE", column.name),
                    false => column.name.clone(),
                };
                let names: Vec<_> = index.spec.columns.iter().map(name).collect();
                sheet.push(&[
                    Some(&index.spec.name),
                    Some(state.name().as_str()),
                    Some(&index.spec.using),
                    Some(&names.join(", ")),
                    Some(flag(index.spec.unique)),
                    Some(flag(index.spec.sparse)),
                    known.as_ref().map(|known| known.0.as_str()),
                    known.as_ref().map(|known| known.1.as_str()),
                ]);
            }
        }
        Ok(sheet)
    }

    /// By which columns rows were looked for without an index, and the index that would help.
    pub(super) fn searches(&self) -> Result<Sheet> {
        let columns = vec![
            text("table_name"),
            text("columns"),
            integer("times"),
            integer("rows_passed"),
            text("statement"),
        ];
        let mut sheet = self.sheet("reed_searches", columns)?;
        for (wanted, counts) in self.catalog.wanted.all() {
            let Ok(table) = self.snapshot.table(wanted.table.as_str()) else { continue };
            let names: Vec<&str> = wanted.names.iter().map(String::as_str).collect();
            if names.iter().any(|name| table.shape().column(name).is_none())
                || self.is_indexed(&wanted.table, table, &names)
            {
                continue;
            }
            let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
            let list: Vec<_> = names.iter().map(|name| quoted(name)).collect();
            let statement = format!(
                "CREATE INDEX {} ON {} ({})",
                quoted(&index_name("by", wanted.table.as_str(), &names)),
                quoted(wanted.table.as_str()),
                list.join(", ")
            );
            sheet.push(&[
                Some(wanted.table.as_str()),
                Some(&names.join(", ")),
                Some(&counts.times.to_string()),
                Some(&counts.rows.to_string()),
                Some(&statement),
            ]);
        }
        Ok(sheet)
    }

    /// Whether there is an index that begins with these columns.
    fn is_indexed(&self, name: &TableName, table: &Table, columns: &[&str]) -> bool {
        let described = self.catalog.describe(name, table);
        described.indices.iter().any(|index| {
            let known = index.spec.columns.iter().map(|column| column.name.as_str());
            index.spec.columns.len() >= columns.len()
                && known.zip(columns).all(|(known, name)| known.eq_ignore_ascii_case(name))
        })
    }

    /// The table of conflicts, which is made with the first of them.
    pub(super) fn no_conflicts(&self) -> Result<Sheet> {
        self.sheet(CONFLICTS, CONFLICT_COLUMNS.map(text).to_vec())
    }

    pub(super) fn plugins(&self) -> Result<Sheet> {
        let mut sheet =
            self.sheet("reed_plugins", vec![text("name"), text("version"), text("brings")])?;
        for plugin in &self.catalog.plugins {
            sheet.push(&[Some(&plugin.name), Some(&plugin.version), Some(&plugin.brings)]);
        }
        Ok(sheet)
    }
}
