//! A difference as a person reads it on a terminal.

use std::borrow::Cow;

use reedbase::{Diff, RegistryEdit, Result, RowDiff};
use serde_json::json;
use similar::{ChangeTag, TextDiff};
use unicode_width::UnicodeWidthStr;

use super::lines;
use super::sheet::{Change, cells, summary};
use super::words::{Piece, cut, pieces, runs_left, shown, visible};
use crate::output::{Output, Style};

/// Prints what changed in a table, or one object for each row if JSON was asked for.
pub(crate) fn diff(table: &str, diff: &Diff, output: &mut Output) -> Result<()> {
    match output.is_json() {
        true => lines::json(table, diff, output),
        false => text(table, diff, output),
    }
}

fn text(table: &str, diff: &Diff, output: &mut Output) -> Result<()> {
    if diff.is_empty() {
        return output.line(&format!("{table}: no difference"));
    }
    let head = output.styled(Style::Bold, &format!("{table}: {}", summary(diff)));
    output.line(&head)?;
    text_schema(diff, output)?;
    for row in &diff.rows {
        text_row(row, diff, output)?;
    }
    Ok(())
}

/// What became of the columns and of schema.toml.
fn text_schema(diff: &Diff, output: &mut Output) -> Result<()> {
    for (before, after) in &diff.renamed {
        let line = format!("~ column {} → {}", visible(before), visible(after));
        let line = output.styled(Style::Changed, &line);
        output.line(&line)?;
    }
    let (mut before, mut after) = diff.columns.clone().unwrap_or_default();
    before.retain(|name| !diff.renamed.iter().any(|(before, _)| before == name));
    after.retain(|name| !diff.renamed.iter().any(|(_, after)| after == name));
    let gone =
        before.iter().filter(|name| !after.contains(name)).map(|name| (name, '-', Style::Removed));
    let new =
        after.iter().filter(|name| !before.contains(name)).map(|name| (name, '+', Style::Added));
    for (name, mark, style) in gone.chain(new) {
        let line = output.styled(style, &format!("{mark} column {name}"));
        output.line(&line)?;
    }
    let (before, after) = diff.schema.clone().unwrap_or_default();
    file_lines("schema.toml  ", &before, &after, output)
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
    file_lines("", &before, &after.unwrap_or_default(), output)
}

/// Two texts as a unified diff.
pub(crate) fn unified(before: &str, after: &str, output: &mut Output) -> Result<()> {
    let diff = TextDiff::from_lines(before, after);
    for line in diff.unified_diff().to_string().lines() {
        let style = match line.as_bytes().first() {
            Some(b'+') => Style::Added,
            Some(b'-') => Style::Removed,
            _ => Style::Dim,
        };
        let line = output.styled(style, &visible(line));
        output.line(&line)?;
    }
    Ok(())
}

/// Lines that came and went.
fn file_lines(name: &str, before: &str, after: &str, output: &mut Output) -> Result<()> {
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

fn text_row(row: &RowDiff, diff: &Diff, output: &mut Output) -> Result<()> {
    let (mark, style) = match Change::of(row) {
        Change::Insert => ("+", Style::Added),
        Change::Delete => ("-", Style::Removed),
        Change::Update => ("~", Style::Changed),
    };
    let head = output.styled(style, &format!("{mark} {}", visible(&row.key_text())));
    output.line(&head)?;
    let cells = cells(row, &diff.renamed);
    if cells.is_empty() {
        return output.line("    the same cells, written otherwise");
    }
    let width = cells.iter().map(|(name, ..)| name.width()).max().unwrap_or(0);
    for (name, before, after) in cells {
        let pad = " ".repeat(width.saturating_sub(name.width()));
        let name = output.styled(Style::Dim, &visible(name));
        let line = match Change::of(row) {
            Change::Insert => whole(after, Style::Added, output),
            Change::Delete => whole(before, Style::Removed, output),
            Change::Update => both(before, after, output),
        };
        output.line(&format!("    {name}{pad}  {line}"))?;
    }
    Ok(())
}

/// One side of a cell.
fn whole(text: Option<Cow<'_, str>>, style: Style, output: &Output) -> String {
    match text {
        Some(text) => output.styled(style, &shown(&text)),
        None => output.styled(Style::Dim, "NULL"),
    }
}

/// How wide both sides of a cell may be together to be shown one behind the other.
const BESIDE: usize = 72;

/// Both sides of a cell: one behind the other, or the words of a long text that differ.
fn both(before: Option<Cow<'_, str>>, after: Option<Cow<'_, str>>, output: &Output) -> String {
    if let (Some(before), Some(after)) = (&before, &after)
        && before.width() + after.width() > BESIDE
    {
        let pieces = pieces(before, after);
        if pieces.len() > 1 {
            return words(&pieces, output);
        }
    }
    // Between texts that run from right to left, marks keep the sides apart.
    let mark = match [&before, &after].into_iter().flatten().any(|text| runs_left(text)) {
        true => "\u{200e}",
        false => "",
    };
    let before = whole(before, Style::Removed, output);
    format!("{before} {mark}→{mark} {}", whole(after, Style::Added, output))
}

/// What differs, and a little of what stands around it. Where there are no colours, as git writes words.
fn words(pieces: &[Piece<'_>], output: &Output) -> String {
    let mut line = String::new();
    for (at, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Same(text) => match cut(text, at == 0, at + 1 == pieces.len()) {
                Some((start, end)) => line.extend([&visible(start), "…", &visible(end)]),
                None => line.push_str(&visible(text)),
            },
            Piece::Changed { before, after } => {
                line.push_str(&word(before, ("[-", "-]"), Style::Removed, output));
                line.push_str(&word(after, ("{+", "+}"), Style::Added, output));
            }
        }
    }
    line
}

fn word(text: &str, (open, close): (&str, &str), style: Style, output: &Output) -> String {
    match text.is_empty() {
        true => String::new(),
        false if output.has_color() => output.styled(style, &shown(text)),
        false => format!("{open}{}{close}", shown(text)),
    }
}
