//! Differences for programs: an object for each row, or a line for each cell.

use reedbase::{Diff, Result};
use serde_json::{Map, Value, json};

use super::sheet::{Change, cells};
use crate::output::Output;

pub(super) fn json(table: &str, diff: &Diff, output: &mut Output) -> Result<()> {
    if let Some((before, after)) = &diff.columns {
        output.json(
            &json!({"table": table, "change": "columns", "before": before, "after": after, "renamed": diff.renamed}),
        )?;
    }
    for row in &diff.rows {
        let cells: Map<String, Value> = cells(row, &diff.renamed)
            .into_iter()
            .map(|(name, before, after)| (name.to_owned(), json!([before, after])))
            .collect();
        let change = Change::of(row).name();
        output.json(
            &json!({"table": table, "change": change, "key": row.key_text(), "cells": cells}),
        )?;
    }
    Ok(())
}

pub(super) fn begin_csv(output: &mut Output) -> Result<()> {
    output.line("table,change,key,column,before,after")
}

pub(super) fn csv(table: &str, diff: &Diff, output: &mut Output) -> Result<()> {
    for row in &diff.rows {
        let (change, key) = (Change::of(row).name(), row.key_text());
        for (name, before, after) in cells(row, &diff.renamed) {
            let (before, after) = (before.as_deref(), after.as_deref());
            let line = [Some(table), Some(change), Some(&key), Some(name), before, after];
            output.bytes(&reedbase_plugin_api::row::write_row(&line, b',', b"\n"))?;
        }
    }
    Ok(())
}
