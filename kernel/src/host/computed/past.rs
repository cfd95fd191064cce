//! Computed tables of what was: frames, versions, the lives of rows.

use std::collections::HashMap;
use std::sync::Arc;

use reedbase_plugin_api::{Column, Result, Schema, Timestamp};

use super::computing::Computing;
use super::sheet::{Sheet, instant, integer, text, time};
use crate::database::Row;
use crate::frame::FrameInfo;
use crate::host::tables::schema_of;
use crate::table::Key;

impl Computing<'_> {
    /// The frames up to the snapshot, oldest first.
    fn known_frames(&self) -> Result<Vec<Arc<FrameInfo>>> {
        let frames = self.database.frames()?;
        Ok(frames.into_iter().filter(|frame| frame.timestamp <= self.snapshot.frame()).collect())
    }

    pub(super) fn frames(&self) -> Result<Sheet> {
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
    pub(super) fn history(&self, table: &str, key: Option<&str>) -> Result<Sheet> {
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

    pub(super) fn diff(&self, table: &str, from: Timestamp, to: Timestamp) -> Result<Sheet> {
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

    pub(super) fn blame(&self, table: &str) -> Result<Sheet> {
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

    pub(super) fn versions(&self, table: &str) -> Result<Sheet> {
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
