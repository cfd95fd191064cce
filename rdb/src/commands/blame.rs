//! `rdb blame`

use std::collections::HashMap;
use std::sync::Arc;

use reedbase::{BlamedRow, FrameInfo, Result, Timestamp};
use serde_json::{Map, Value, json};

use super::history::tell_start;
use super::key;
use crate::args::Global;
use crate::locate;
use crate::output::{Output, Style};
use crate::render::shown;
use crate::time;

/// Print who wrote each cell
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  rdb blame pages home\n  rdb blame pages | less\n  rdb blame pages --json"
)]
pub(crate) struct Blame {
    /// The table
    table: String,
    /// The key of a row; parts with commas between [default: all rows]
    #[arg(allow_hyphen_values = true)]
    key: Option<String>,
}

impl Blame {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let database = locate::open_for("reading the history", global, output)?;
        let snapshot = database.snapshot()?;
        let frames = database.frames()?;
        let frames = frames.into_iter().map(|frame| (frame.timestamp, frame)).collect();
        let blame = snapshot.blame(&self.table)?;
        tell_start(&snapshot, &self.table, output)?;
        let Some(text) = &self.key else {
            return blame.rows().try_for_each(|row| print(&row?, &frames, output));
        };
        let row = blame.row(key(&snapshot, &self.table, text)?)?;
        match row {
            Some(row) => print(&row, &frames, output),
            None => Err(reedbase::Error::not_found("there is no row with this key")
                .help("look whether there ever was one: rdb history TABLE KEY")
                .at_key(text)),
        }
    }
}

fn print(
    row: &BlamedRow,
    frames: &HashMap<Timestamp, Arc<FrameInfo>>,
    output: &mut Output,
) -> Result<()> {
    let user = |at: &Timestamp| frames.get(at).map_or("?", |frame| frame.user.as_str());
    let key = row.row.key().map(|key| key.display(row.row.key_columns())).unwrap_or_default();
    let cells = row.row.columns().iter().zip(row.row.cells()).zip(&row.frames);
    if output.is_json() {
        let cells: Map<String, Value> = cells
            .map(|((name, cell), at)| {
                let value = json!({"cell": cell, "frame": at.as_micros(), "user": user(at)});
                (name.clone(), value)
            })
            .collect();
        return output.json(&json!({"key": key, "cells": cells}));
    }
    let head = output.styled(Style::Bold, &key);
    output.line(&head)?;
    let mut rows = Vec::new();
    for ((name, cell), at) in cells {
        let said = frames.get(at).and_then(|frame| frame.name.clone()).unwrap_or_default();
        rows.push(vec![
            format!("    {name}"),
            time::local(*at),
            at.to_string(),
            user(at).to_owned(),
            cell.map_or("NULL".to_owned(), |text| shown(&text)),
            said,
        ]);
    }
    output.columns(&rows)
}
