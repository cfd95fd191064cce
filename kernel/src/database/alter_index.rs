//! Indices that are made and dropped: what schema.toml says of them. Where their entries are, is no matter of a commit.

use reedbase_plugin_api::{Error, ErrorKind, IndexSpec, Result, Schema, TableName, nearest};

use super::alter::schema_text;
use super::transaction::{Transaction, kept_by_us};
use crate::frame::Action;
use crate::schema;

impl Transaction {
    /// Writes down an index of a table. Whether its kind and columns are there is looked at before.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for the table, [`AlreadyExists`](ErrorKind::AlreadyExists) for the name.
    pub fn create_index(&mut self, table: &str, spec: &IndexSpec) -> Result<()> {
        let (name, _) = self.table(table)?;
        if !TableName::new(&spec.name).is_ok_and(|index| !index.is_reserved()) {
            return Err(Error::usage(format!("`{}` cannot name an index", spec.name))
                .help("take a name that a table could have; those that begin with reed_ are ours")
                .at_table(name.as_str()));
        }
        if let Some(other) = self.table_of_index(&spec.name)? {
            let message = format!("there is an index `{}` already", spec.name);
            return Err(Error::new(ErrorKind::AlreadyExists, message).at_table(other.as_str()));
        }
        self.change_indices(&name, |schema| schema.indices.push(spec.clone()))
    }

    /// Takes an index out again, and gives the name of its table.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) with the nearest name.
    pub fn drop_index(&mut self, index: &str) -> Result<TableName> {
        let Some(table) = self.table_of_index(index)? else {
            let mut names = Vec::new();
            self.for_each_schema(&mut |_, schema| {
                names.extend(schema.indices.iter().map(|spec| spec.name.clone()));
            })?;
            let names = names.iter().map(String::as_str);
            let error = Error::not_found(format!("there is no index `{index}`"));
            return Err(nearest(error, "index", index, names));
        };
        let stays = |spec: &IndexSpec| !spec.name.eq_ignore_ascii_case(index);
        self.change_indices(&table, |schema| schema.indices.retain(stays))?;
        Ok(table)
    }

    /// The table that has an index of this name, if one has.
    ///
    /// # Errors
    /// Those of reading the tables' schemas.
    pub fn table_of_index(&self, index: &str) -> Result<Option<TableName>> {
        let mut found = None;
        self.for_each_schema(&mut |name, schema| {
            if schema.indices.iter().any(|spec| spec.name.eq_ignore_ascii_case(index)) {
                found = Some(name.clone());
            }
        })?;
        Ok(found)
    }

    /// Looks at what is said of each table in which indices are mentioned. Reads no table.
    fn for_each_schema(&self, act: &mut dyn FnMut(&TableName, &Schema)) -> Result<()> {
        for name in self.tables() {
            let text = match self.work.get(&name) {
                Some(_) => self.table(name.as_str())?.1.schema(),
                None => self.snapshot.state().table(&name).and_then(|table| table.schema_text()),
            };
            let Some(text) = text.and_then(|text| std::str::from_utf8(text).ok()) else { continue };
            if text.contains("indices") {
                act(&name, &schema::parse(text)?);
            }
        }
        Ok(())
    }

    fn change_indices(&mut self, table: &TableName, act: impl FnOnce(&mut Schema)) -> Result<()> {
        if table.is_reserved() {
            return Err(kept_by_us(table));
        }
        let (name, now) = self.table(table.as_str())?;
        let text = schema_text(now);
        let mut said = schema::parse(&text)?;
        act(&mut said);
        let text = schema::say_indices(&text, &said.indices)?;
        let after = now.clone().with_schema(Some(text.into()));
        self.put_altered(name, after, Action::UPDATE)
    }
}
