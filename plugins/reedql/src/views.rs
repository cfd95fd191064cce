//! Views: questions with a name. They are rows of the ordinary table `reed_views`, so that they have a history, are merged and
//! can be edited like anything else; to SQLite a view is told when a statement names it.
//!
//! A view may be *stored*: then its rows are those of a table of its name, and it is refreshed by hand, or when it is read
//! after a table changed that it reads.

use reedbase_plugin_api::row;
use reedbase_plugin_api::{
    Batch, Column, ColumnType, Error, LineEnd, Result, Schema, TableView, Timestamp,
};

/// The table that views stand in.
pub(crate) const VIEWS: &str = "reed_views";

/// A view.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct View {
    pub(crate) name: String,
    pub(crate) query: String,
    /// The names of its columns, if it says them, quoted and with commas between.
    pub(crate) columns: Option<String>,
    pub(crate) stored: bool,
    pub(crate) on_change: bool,
    /// The frame after which its rows were computed.
    pub(crate) frame: Timestamp,
}

/// How the table of views is made.
pub(crate) fn schema() -> Schema {
    let text = |name: &str| Column::new(name, ColumnType::String);
    let columns = vec![
        text("name").in_key(true),
        text("query"),
        text("columns"),
        Column::new("stored", ColumnType::Boolean),
        Column::new("on_change", ColumnType::Boolean),
        Column::new("frame", ColumnType::Integer),
    ];
    Schema::new(b',', LineEnd::Lf, columns)
}

impl View {
    /// The cells of its row.
    pub(crate) fn cells(&self) -> [Option<String>; 6] {
        [
            Some(self.name.clone()),
            Some(self.query.clone()),
            self.columns.clone(),
            Some(self.stored.to_string()),
            Some(self.on_change.to_string()),
            self.stored.then(|| self.frame.as_micros().to_string()),
        ]
    }
}

/// The views that stand in a table.
///
/// # Errors
/// Those of reading it; [`InvalidInput`](reedbase_plugin_api::ErrorKind::InvalidInput) if somebody gave it other columns.
pub(crate) fn read(table: &dyn TableView) -> Result<Vec<View>> {
    let shape = table.shape();
    let place = |name: &str| {
        shape.column(name).ok_or_else(|| {
            Error::invalid("the table of views lacks a column").at_table(VIEWS).at_column(name)
        })
    };
    let [name, query, columns, stored, on_change, frame] = [
        place("name")?,
        place("query")?,
        place("columns")?,
        place("stored")?,
        place("on_change")?,
        place("frame")?,
    ];
    let (mut views, mut next, mut batch) = (Vec::new(), Some(0), Batch::default());
    while let Some(from) = next {
        batch.clear();
        next = table.scan(from, 256, &mut batch)?;
        for (_, line) in batch.iter() {
            let cells: Vec<_> =
                row::cells(line, shape.delimiter()).map(|cell| cell.text()).collect();
            let text = |at: usize| cells.get(at).cloned().flatten().map(|text| text.into_owned());
            let flag = |at| matches!(text(at).as_deref(), Some("true" | "1"));
            let micros = text(frame).and_then(|frame| frame.parse().ok()).unwrap_or_default();
            views.push(View {
                name: text(name).unwrap_or_default(),
                query: text(query).unwrap_or_default(),
                columns: text(columns),
                stored: flag(stored),
                on_change: flag(on_change),
                frame: Timestamp::from_micros(micros),
            });
        }
    }
    Ok(views)
}
