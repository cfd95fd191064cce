//! A page for a browser, whole in one file: nothing is fetched, and no script runs. Each table is a sheet of the rows that
//! changed; in a cell that changed, what is gone is struck out and what is new stands behind it. Every text has the
//! direction of its own script.

use std::borrow::Cow;

use reedbase::{Result, RowDiff};

use super::document::Heading;
use super::sheet::{Change, Column, Sheet, Standing, summary};
use super::words::{Piece, cut, pieces};
use crate::output::{Output, counted};

/// A browser shows so many rows of a table with ease.
const ROWS: usize = 2_000;

const STYLE: &str = include_str!("report.css");

pub(super) fn begin(heading: &Heading, output: &mut Output) -> Result<()> {
    let title = escaped(&heading.title);
    output.line(&format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"generator\" content=\"ReedBase {}\">\n<title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>",
        env!("CARGO_PKG_VERSION"),
    ))?;
    output.line(&format!("<header>\n<h1 dir=\"auto\">{title}</h1>"))?;
    if !heading.facts.is_empty() {
        output.line("<dl>")?;
        for (name, value) in &heading.facts {
            let (name, value) = (escaped(name), escaped(value));
            output.line(&format!("<div><dt>{name}</dt><dd dir=\"auto\">{value}</dd></div>"))?;
        }
        output.line("</dl>")?;
    }
    output.line(
        "<label><input type=\"checkbox\" id=\"quiet\"> only the columns that changed</label>\n</header>\n<main>",
    )
}

pub(super) fn end(tables: u64, output: &mut Output) -> Result<()> {
    if tables == 0 {
        output.line("<p>Nothing changed.</p>")?;
    }
    output.line("</main>\n</body>\n</html>")
}

pub(super) fn table(sheet: &Sheet<'_>, output: &mut Output) -> Result<()> {
    let name = escaped(sheet.table);
    output.line(&format!(
        "<section>\n<h2><bdi>{name}</bdi> <small>{}</small></h2>",
        summary(sheet.diff)
    ))?;
    if let Some((before, after)) = &sheet.diff.schema {
        schema(before, after, output)?;
    }
    if !sheet.diff.rows.is_empty() {
        output.line("<div class=\"sheet\"><table>\n<thead><tr><th></th>")?;
        for column in &sheet.columns {
            let (class, name) = (class(sheet, column), escaped(column.name));
            let name = match column.was == column.name {
                true => name,
                false => format!("<del>{}</del> <ins>{name}</ins>", escaped(column.was)).into(),
            };
            output.line(&format!("<th scope=\"col\"{class} dir=\"auto\">{name}</th>"))?;
        }
        output.line("</tr></thead>\n<tbody>")?;
        for row in sheet.diff.rows.iter().take(ROWS) {
            output.line(&line(sheet, row))?;
        }
        output.line("</tbody>\n</table></div>")?;
    }
    let more = sheet.diff.rows.len().saturating_sub(ROWS) as u64;
    if more > 0 {
        let more = counted(more, "more row");
        output.line(&format!(
            "<p class=\"more\">{more} changed: with <code>--format csv</code> the same command prints all.</p>"
        ))?;
    }
    output.line("</section>")
}

/// Both texts of schema.toml.
fn schema(before: &str, after: &str, output: &mut Output) -> Result<()> {
    let mut text = String::from("<details><summary>schema.toml</summary><pre>");
    for piece in pieces(before, after) {
        match piece {
            Piece::Same(same) => text.push_str(&escaped(same)),
            Piece::Changed { before, after } => push_change(&mut text, before, after),
        }
    }
    output.line(&format!("{text}</pre></details>"))
}

fn line(sheet: &Sheet<'_>, row: &RowDiff) -> String {
    let (class, mark, said) = match Change::of(row) {
        Change::Insert => ("added", "+", "added"),
        Change::Delete => ("removed", "−", "removed"),
        Change::Update => ("changed", "~", "changed"),
    };
    let mut line = format!("<tr class=\"{class}\"><th scope=\"row\" title=\"{said}\">{mark}</th>");
    for column in &sheet.columns {
        line.push_str(&cell(sheet, column, row));
    }
    line.push_str("</tr>");
    line
}

/// The classes of a column's cells.
fn class(sheet: &Sheet<'_>, column: &Column<'_>) -> String {
    let mut classes = Vec::new();
    match column.standing {
        Standing::Added => classes.push("new"),
        Standing::Removed => classes.push("gone"),
        Standing::Kept if sheet.is_key(column.name) => classes.push("key"),
        Standing::Kept if !column.is_changed => classes.push("same"),
        Standing::Kept => {}
    }
    match classes.is_empty() {
        true => String::new(),
        false => format!(" class=\"{}\"", classes.join(" ")),
    }
}

fn cell(sheet: &Sheet<'_>, column: &Column<'_>, row: &RowDiff) -> String {
    let class = class(sheet, column);
    let before = row.before.as_ref().and_then(|row| column.before(row));
    let after = row.after.as_ref().and_then(|row| column.after(row));
    let text = match (&before, &after) {
        (Some(before), Some(after)) if before != after => {
            let class = match class.as_str() {
                "" => " class=\"differs\"".to_owned(),
                class => class.replacen("=\"", "=\"differs ", 1),
            };
            return format!(
                "<td{class}>{}</td>",
                block(&both(before.as_deref(), after.as_deref()))
            );
        }
        (_, Some(text)) | (Some(text), None) => text,
        (None, None) => return format!("<td{class}></td>"),
    };
    let text = match text {
        Some(text) => escaped(text).into_owned(),
        None => NULL.to_owned(),
    };
    format!("<td{class}>{}</td>", block(&text))
}

const NULL: &str = "<i>NULL</i>";

/// A text of any length, in its own direction.
fn block(text: &str) -> String {
    format!("<div dir=\"auto\">{text}</div>")
}

/// A cell before and after.
fn both(before: Option<&str>, after: Option<&str>) -> String {
    let mut text = String::new();
    let (Some(before), Some(after)) = (before, after) else {
        let side = |side: Option<&str>| side.map_or(NULL.into(), |text| escaped(text).into_owned());
        let (before, after) = (side(before), side(after));
        return format!("<del>{before}</del> <ins>{after}</ins>");
    };
    let pieces = pieces(before, after);
    for (at, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Same(same) => match cut(same, at == 0, at + 1 == pieces.len()) {
                Some((start, end)) => {
                    let left_out = counted(same.chars().count() as u64, "character");
                    let (start, end) = (escaped(start), escaped(end));
                    let sign = format!("<abbr title=\"{left_out}, unchanged\">…</abbr>");
                    text.extend([&start, sign.as_str(), &end]);
                }
                None => text.push_str(&escaped(same)),
            },
            Piece::Changed { before, after } => push_change(&mut text, before, after),
        }
    }
    text
}

fn push_change(text: &mut String, before: &str, after: &str) {
    for (tag, side) in [("del", before), ("ins", after)] {
        if !side.is_empty() {
            text.push_str(&format!("<{tag}>{}</{tag}>", escaped(side)));
        }
    }
}

/// A text as HTML. Characters that cannot stand in a page are shown as signs.
fn escaped(text: &str) -> Cow<'_, str> {
    let special = |c: char| matches!(c, '&' | '<' | '>' | '"' | '\'') || is_invisible(c);
    if !text.contains(special) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if is_invisible(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

fn is_invisible(c: char) -> bool {
    c.is_control() && !"\n\t".contains(c)
}
