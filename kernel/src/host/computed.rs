//! Tables that are in no file: what there is, and what was.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp as Instant;
use reedbase_plugin_api::{
    Batch, Bytes, Column, ColumnType, Computed, Error, Result, Schema, Shape, TableName, TableView,
    Timestamp, row,
};

use super::tables::schema_of;
use crate::database::{Database, Row, Snapshot};
use crate::frame::FrameInfo;
use crate::state::TableState;
use crate::table::Key;

/// A computed table: its rows, as a file would hold them.
#[derive(Debug)]
struct Sheet {
    name: TableName,
    version: Timestamp,
    schema: Arc<Schema>,
    shape: Shape,
    rows: Vec<Bytes>,
}

/// The byte between the cells.
const DELIMITER: u8 = b',';

impl Sheet {
    fn new(name: &str, version: Timestamp, columns: Vec<Column>) -> Result<Self> {
        let names: Vec<_> = columns.iter().map(|column| Some(column.name.as_str())).collect();
        let header = Bytes::from(row::write_row(&names, DELIMITER, b"\n"));
        let schema = Schema::new(DELIMITER, Default::default(), columns);
        Ok(Self {
            name: TableName::new(name)?,
            version,
            schema: Arc::new(schema),
            shape: Shape::new(DELIMITER, header, vec![0])?,
            rows: Vec::new(),
        })
    }

    fn push(&mut self, cells: &[Option<&str>]) {
        self.rows.push(Bytes::from(row::write_row(cells, DELIMITER, b"\n")));
    }
}

impl TableView for Sheet {
    fn name(&self) -> &TableName {
        &self.name
    }

    fn version(&self) -> Timestamp {
        self.version
    }

    fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn row_count(&self) -> u64 {
        self.rows.len() as u64
    }

    fn byte_count(&self) -> u64 {
        self.rows.iter().map(|row| row.len() as u64).sum()
    }

    fn has_plain_keys(&self) -> bool {
        false
    }

    fn scan(&self, from: u64, max: usize, batch: &mut Batch) -> Result<Option<u64>> {
        let start = usize::try_from(from).unwrap_or(usize::MAX).min(self.rows.len());
        let end = start.saturating_add(max).min(self.rows.len());
        for (slot, row) in (from..).zip(self.rows.get(start..end).unwrap_or_default()) {
            batch.add_piece(row.clone());
            batch.add_row(slot, 0, row.len());
        }
        Ok((end < self.rows.len()).then_some(end as u64))
    }

    fn row(&self, slot: u64) -> Result<Option<Bytes>> {
        Ok(usize::try_from(slot).ok().and_then(|slot| self.rows.get(slot)).cloned())
    }

    fn changed_since(&self, _: Timestamp, _: usize) -> Result<Option<Vec<Vec<String>>>> {
        Ok(None)
    }

    fn find(&self, _: &[&str]) -> Result<Option<(u64, Bytes)>> {
        Ok(None)
    }
}

/// Computes a table.
pub(super) fn compute(
    what: &Computed,
    snapshot: &Snapshot,
    database: &Database,
) -> Result<Arc<dyn TableView>> {
    let computing = Computing { snapshot, database };
    let sheet = match what {
        Computed::Tables => computing.tables(),
        Computed::Columns => computing.columns(),
        Computed::Frames => computing.frames(),
        Computed::History { table, key } => computing.history(table, key.as_deref()),
        Computed::Diff { table, from, to } => computing.diff(table, *from, *to),
        Computed::Blame { table } => computing.blame(table),
        Computed::Versions { table } => computing.versions(table),
        other => Err(Error::not_found(format!("there is no computed table {other:?}"))),
    };
    Ok(Arc::new(sheet?))
}

struct Computing<'a> {
    snapshot: &'a Snapshot,
    database: &'a Database,
}

fn text(name: &str) -> Column {
    Column::new(name, ColumnType::String)
}

fn integer(name: &str) -> Column {
    Column::new(name, ColumnType::Integer)
}

fn boolean(name: &str) -> Column {
    Column::new(name, ColumnType::Boolean)
}

fn instant(name: &str) -> Column {
    Column::new(name, ColumnType::Timestamp)
}

/// An instant as RFC 3339, in UTC.
fn time(timestamp: Timestamp) -> String {
    match Instant::from_microsecond(timestamp.as_micros()) {
        Ok(instant) => instant.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string(),
        Err(_) => timestamp.to_string(),
    }
}

impl Computing<'_> {
    fn sheet(&self, name: &str, columns: Vec<Column>) -> Result<Sheet> {
        Sheet::new(name, self.snapshot.frame(), columns)
    }

    /// The tables that were not dropped.
    fn there(&self) -> impl Iterator<Item = &TableState> {
        self.snapshot.state().tables().filter(|table| !table.is_dropped())
    }

    fn tables(&self) -> Result<Sheet> {
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

    fn columns(&self) -> Result<Sheet> {
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
                let flag = |flag: bool| if flag { "true" } else { "false" };
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

    /// The frames up to the snapshot, oldest first.
    fn known_frames(&self) -> Result<Vec<Arc<FrameInfo>>> {
        let frames = self.database.frames()?;
        Ok(frames.into_iter().filter(|frame| frame.timestamp <= self.snapshot.frame()).collect())
    }

    fn frames(&self) -> Result<Sheet> {
        let columns = vec![
            integer("frame"),
            text("id"),
            instant("time"),
            text("user"),
            text("name"),
            text("tables"),
        ];
        let mut sheet = self.sheet("reed_frames", columns)?;
        for frame in self.known_frames()? {
            let tables = frame.tables.iter();
            let tables: Vec<_> =
                tables.map(|(name, action)| format!("{} {name}", action.name())).collect();
            sheet.push(&[
                Some(&frame.timestamp.to_string()),
                Some(&frame.id().to_string()),
                Some(&time(frame.timestamp)),
                Some(&frame.user),
                frame.name.as_deref(),
                Some(&tables.join(", ")),
            ]);
        }
        Ok(sheet)
    }

    /// The frames by their numbers, to say who made them.
    fn makers(&self) -> Result<HashMap<Timestamp, Arc<FrameInfo>>> {
        Ok(self.known_frames()?.into_iter().map(|frame| (frame.timestamp, frame)).collect())
    }

    fn schema(&self, table: &str) -> Result<Schema> {
        let table = self.snapshot.table(table)?;
        let mut schema = schema_of(table.schema(), table.shape());
        // A row may be there several times, and a cell of it may be missing.
        for column in &mut schema.columns {
            column.primary_key = false;
        }
        Ok(schema)
    }

    /// Each state of each row, or of the one with a key; oldest first. A row that was removed is shown as it was last.
    fn history(&self, table: &str, key: Option<&str>) -> Result<Sheet> {
        let schema = self.schema(table)?;
        let mut columns = vec![
            integer("reed_frame"),
            instant("reed_time"),
            text("reed_user"),
            text("reed_change"),
        ];
        columns.extend(schema.columns.iter().cloned());
        let mut sheet = self.sheet("reed_history", columns)?;
        let makers = self.makers()?;
        let names: Vec<_> = schema.columns.iter().map(|column| column.name.as_str()).collect();
        let mut push = |frame: Timestamp, before: Option<&Row>, after: Option<&Row>| {
            let change = change(before, after);
            let user = makers.get(&frame).map(|frame| frame.user.clone());
            let (number, time) = (frame.to_string(), time(frame));
            let mut cells = vec![
                Some(number.into()),
                Some(time.into()),
                user.map(Into::into),
                Some(change.into()),
            ];
            let row = after.or(before);
            cells.extend(names.iter().map(|name| row.and_then(|row| row.get(name))));
            sheet.push(&cells.iter().map(Option::as_deref).collect::<Vec<_>>());
        };
        if let Some(key) = key {
            let mut before: Option<Row> = None;
            for moment in self.snapshot.history(table, Key::from(key))?.into_iter().rev() {
                push(moment.timestamp, before.as_ref(), moment.row.as_ref());
                before = moment.row;
            }
            return Ok(sheet);
        }
        let mut versions = self.snapshot.versions(table)?;
        versions.sort_by_key(|version| version.timestamp);
        for version in versions {
            let at = version.timestamp;
            for row in self.snapshot.diff(table, at.previous(), at)?.rows {
                push(at, row.before.as_ref(), row.after.as_ref());
            }
        }
        Ok(sheet)
    }

    fn diff(&self, table: &str, from: Timestamp, to: Timestamp) -> Result<Sheet> {
        let schema = self.schema(table)?;
        let mut columns = vec![text("reed_change")];
        for column in &schema.columns {
            columns.push(Column::new(format!("from_{}", column.name), column.kind));
            columns.push(Column::new(format!("to_{}", column.name), column.kind));
        }
        let mut sheet = self.sheet("reed_diff", columns)?;
        for row in self.snapshot.diff(table, from, to)?.rows {
            let mut cells = vec![Some(change(row.before.as_ref(), row.after.as_ref()).into())];
            for column in &schema.columns {
                for side in [&row.before, &row.after] {
                    cells.push(side.as_ref().and_then(|side| side.get(&column.name)));
                }
            }
            sheet.push(&cells.iter().map(Option::as_deref).collect::<Vec<_>>());
        }
        Ok(sheet)
    }

    fn blame(&self, table: &str) -> Result<Sheet> {
        let key = self.snapshot.key_columns(table)?;
        let schema = self.schema(table)?;
        let in_key = |column: &&Column| key.contains(&column.name);
        let mut columns: Vec<_> = schema.columns.iter().filter(in_key).cloned().collect();
        columns.extend([
            text("reed_column"),
            text("reed_value"),
            integer("reed_frame"),
            instant("reed_time"),
            text("reed_user"),
            text("reed_name"),
        ]);
        let mut sheet = self.sheet("reed_blame", columns)?;
        let (makers, blame) = (self.makers()?, self.snapshot.blame(table)?);
        for row in blame.rows() {
            let row = row?;
            for ((name, cell), frame) in
                row.row.columns().iter().zip(row.row.cells()).zip(&row.frames)
            {
                let maker = makers.get(frame);
                let mut cells: Vec<_> = key.iter().map(|name| row.row.get(name)).collect();
                cells.extend([
                    Some(name.as_str().into()),
                    cell,
                    Some(frame.to_string().into()),
                    Some(time(*frame).into()),
                    maker.map(|maker| maker.user.as_str().into()),
                    maker.and_then(|maker| Some(maker.name.as_deref()?.into())),
                ]);
                sheet.push(&cells.iter().map(Option::as_deref).collect::<Vec<_>>());
            }
        }
        Ok(sheet)
    }

    fn versions(&self, table: &str) -> Result<Sheet> {
        let columns = vec![
            integer("frame"),
            instant("time"),
            text("user"),
            text("name"),
            text("action"),
            integer("rows"),
            integer("bytes"),
        ];
        let mut sheet = self.sheet("reed_versions", columns)?;
        let makers = self.makers()?;
        let mut versions = self.snapshot.versions(table)?;
        versions.sort_by_key(|version| version.timestamp);
        for version in versions {
            let maker = makers.get(&version.timestamp);
            let totals = version.totals.map(|(bytes, rows)| (rows.to_string(), bytes.to_string()));
            sheet.push(&[
                Some(&version.timestamp.to_string()),
                Some(&time(version.timestamp)),
                maker.map(|maker| maker.user.as_str()),
                maker.and_then(|maker| maker.name.as_deref()),
                Some(version.action.name()),
                totals.as_ref().map(|(rows, _)| rows.as_str()),
                totals.as_ref().map(|(_, bytes)| bytes.as_str()),
            ]);
        }
        Ok(sheet)
    }
}

/// What became of a row.
fn change(before: Option<&Row>, after: Option<&Row>) -> &'static str {
    match (before, after) {
        (None, _) => "insert",
        (Some(_), Some(_)) => "update",
        (Some(_), None) => "delete",
    }
}
