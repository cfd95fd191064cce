//! Differences, for people and for programs.

use clap::ValueEnum;
use reedbase::{Diff, RegistryEdit, Result, Row, RowDiff};
use serde_json::{Map, Value, json};
use similar::{ChangeTag, TextDiff};

use crate::output::{Output, Style, counted};

/// How a difference is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum DiffFormat {
    /// For people
    #[default]
    Text,
    /// One object for each row
    Json,
    /// One line for each cell: change,key,column,before,after
    Csv,
}

/// Prints a difference.
pub(crate) fn diff(
    table: &str,
    diff: &Diff,
    format: DiffFormat,
    output: &mut Output,
) -> Result<()> {
    match format {
        _ if output.is_json() => json_rows(table, diff, output),
        DiffFormat::Json => json_rows(table, diff, output),
        DiffFormat::Csv => csv_cells(diff, output),
        DiffFormat::Text => text(table, diff, output),
    }
}

/// Added, changed, removed.
fn kind(row: &RowDiff) -> &'static str {
    match (&row.before, &row.after) {
        (None, _) => "insert",
        (Some(_), None) => "delete",
        (Some(_), Some(_)) => "update",
    }
}

/// A cell by its name, before and after.
type CellDiff<'a> = (&'a str, Option<String>, Option<String>);

/// The cells that differ; all that hold something where one side is missing.
fn cells(row: &RowDiff) -> Vec<CellDiff<'_>> {
    let text = |row: &Row, name: &str| row.get(name).map(|text| text.into_owned());
    let (before, after) = (row.before.as_ref(), row.after.as_ref());
    let mut names: Vec<&str> = Vec::new();
    for side in [before, after].into_iter().flatten() {
        for name in side.columns() {
            if !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                names.push(name);
            }
        }
    }
    let pair = |name: &'_ str| {
        (before.and_then(|row| text(row, name)), after.and_then(|row| text(row, name)))
    };
    let all = names.into_iter().map(|name| {
        let (before, after) = pair(name);
        (name, before, after)
    });
    all.filter(|(_, before, after)| before != after).collect()
}

fn text(table: &str, diff: &Diff, output: &mut Output) -> Result<()> {
    let count = |wanted: &str| diff.rows.iter().filter(|row| kind(row) == wanted).count() as u64;
    let parts = [
        (count("update"), "row", "changed"),
        (count("insert"), "row", "added"),
        (count("delete"), "row", "removed"),
        (diff.moved, "line", "moved"),
        (diff.respelled, "row", "written otherwise"),
    ];
    let parts = parts.iter().filter(|(count, ..)| *count > 0);
    let parts: Vec<_> =
        parts.map(|(n, noun, verb)| format!("{} {verb}", counted(*n, noun))).collect();
    if diff.is_empty() {
        return output.line(&format!("{table}: no difference"));
    }
    let what = if parts.is_empty() { "no row changed".to_owned() } else { parts.join(", ") };
    let head = output.styled(Style::Bold, &format!("{table}: {what}"));
    output.line(&head)?;
    text_schema(diff, output)?;
    for row in &diff.rows {
        text_row(row, output)?;
    }
    Ok(())
}

/// What became of the columns and of schema.toml.
fn text_schema(diff: &Diff, output: &mut Output) -> Result<()> {
    let (before, after) = diff.columns.clone().unwrap_or_default();
    let gone =
        before.iter().filter(|name| !after.contains(name)).map(|name| (name, '-', Style::Removed));
    let new =
        after.iter().filter(|name| !before.contains(name)).map(|name| (name, '+', Style::Added));
    for (name, mark, style) in gone.chain(new) {
        let line = output.styled(style, &format!("{mark} column {name}"));
        output.line(&line)?;
    }
    let (before, after) = diff.schema.clone().unwrap_or_default();
    lines("schema.toml  ", &before, &after, output)
}

/// An edit of config.toml or of a dictionary.
pub(crate) fn file_edit(edit: &RegistryEdit, output: &mut Output) -> Result<()> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (before, after) = (text(&edit.before), edit.after.as_ref().map(|after| text(after)));
    if output.is_json() {
        return output.json(&json!({"file": edit.path, "before": before, "after": after}));
    }
    let head = match after {
        Some(_) => format!("{}: edited", edit.path),
        None => format!("{}: gone", edit.path),
    };
    let head = output.styled(Style::Bold, &head);
    output.line(&head)?;
    lines("", &before, &after.unwrap_or_default(), output)
}

/// Lines that came and went.
fn lines(name: &str, before: &str, after: &str, output: &mut Output) -> Result<()> {
    for change in TextDiff::from_lines(before, after).iter_all_changes() {
        let (mark, style) = match change.tag() {
            ChangeTag::Equal => continue,
            ChangeTag::Delete => ('-', Style::Removed),
            ChangeTag::Insert => ('+', Style::Added),
        };
        let line = change.value().trim_end();
        if !line.is_empty() {
            let line = output.styled(style, &format!("{mark} {name}{line}"));
            output.line(&line)?;
        }
    }
    Ok(())
}

fn text_row(row: &RowDiff, output: &mut Output) -> Result<()> {
    let (mark, style) = match kind(row) {
        "insert" => ("+", Style::Added),
        "delete" => ("-", Style::Removed),
        _ => ("~", Style::Changed),
    };
    let head = output.styled(style, &format!("{mark} {}", row.key_text()));
    output.line(&head)?;
    let cells = cells(row);
    if cells.is_empty() {
        return output.line("    the same cells, written otherwise");
    }
    let width = cells.iter().map(|(name, ..)| name.chars().count()).max().unwrap_or(0);
    for (name, before, after) in cells {
        let name = output.styled(Style::Dim, &format!("{name:width$}"));
        let show = |side: Option<String>, style: Style, output: &Output| match side {
            Some(text) => output.styled(style, &shown(&text)),
            None => output.styled(Style::Dim, "NULL"),
        };
        let line = match kind(row) {
            "insert" => show(after, Style::Added, output),
            "delete" => show(before, Style::Removed, output),
            _ => {
                let before = show(before, Style::Removed, output);
                format!("{before} → {}", show(after, Style::Added, output))
            }
        };
        output.line(&format!("    {name}  {line}"))?;
    }
    Ok(())
}

/// One side of a conflict: what became of each cell of the row.
pub(crate) fn side(name: &str, row: &RowDiff, output: &mut Output) -> Result<()> {
    let cells = cells(row).into_iter().map(|(column, before, after)| {
        let text = |side: Option<String>| side.map_or("NULL".to_owned(), |text| shown(&text));
        format!("{column}: {} → {}", text(before), text(after))
    });
    let cells: Vec<_> = cells.collect();
    let done = match kind(row) {
        "delete" => "removed".to_owned(),
        _ => cells.join(", "),
    };
    let name = output.styled(Style::Dim, &format!("{name:<5}"));
    output.line(&format!("    {name}  {done}"))
}

/// A text on one line, not too long: line ends and tabs are shown, the empty text as quotes.
pub(crate) fn shown(text: &str) -> String {
    const LONGEST: usize = 160;
    if text.is_empty() {
        return "\"\"".to_owned();
    }
    let line = text.replace('\n', "⏎").replace('\r', "␍").replace('\t', "⇥");
    if line.chars().count() <= LONGEST {
        return line;
    }
    let start: String = line.chars().take(LONGEST).collect();
    format!("{start}… ({})", counted(line.chars().count() as u64, "character"))
}

fn json_rows(table: &str, diff: &Diff, output: &mut Output) -> Result<()> {
    if let Some((before, after)) = &diff.columns {
        output.json(
            &json!({"table": table, "change": "columns", "before": before, "after": after}),
        )?;
    }
    for row in &diff.rows {
        let cells: Map<String, Value> = cells(row)
            .into_iter()
            .map(|(name, before, after)| (name.to_owned(), json!([before, after])))
            .collect();
        output.json(
            &json!({"table": table, "change": kind(row), "key": row.key_text(), "cells": cells}),
        )?;
    }
    Ok(())
}

fn csv_cells(diff: &Diff, output: &mut Output) -> Result<()> {
    output.line("change,key,column,before,after")?;
    for row in &diff.rows {
        for (name, before, after) in cells(row) {
            let key = row.key_text();
            let line =
                [Some(kind(row)), Some(&key), Some(name), before.as_deref(), after.as_deref()];
            output.bytes(&reedbase_plugin_api::row::write_row(&line, b',', b"\n"))?;
        }
    }
    Ok(())
}
