//! What is seen: one conflict, its sides beside each other, and what the keys do.

use reedbase::{Conflict, Pick};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::session::{Asked, Item, Session};
use crate::output::Style;
use crate::render;

/// A line of the screen: pieces of text with their styles.
pub(crate) type Line = Vec<(String, Option<Style>)>;

const KEYS: [(&str, &str); 9] = [
    ("←→", "side"),
    ("Enter", "take it"),
    ("b", "base"),
    ("2", "both rows"),
    ("e", "edit"),
    ("n", "NULL"),
    ("u", "undo"),
    ("↑↓", "other conflicts"),
    ("w", "write, end"),
];

/// The lines of the screen, of which there are at most as many as fit.
pub(crate) fn screen(session: &Session, width: usize, height: usize) -> Vec<Line> {
    let width = width.max(20);
    let mut lines = vec![head(session), Line::new()];
    let Some(item) = session.item() else { return lines };
    let foot = foot(session, width);
    let body = body(item, session.theirs, width);
    let room = height.saturating_sub(lines.len() + foot.len()).max(1);
    let more = body.len() > room;
    lines.extend(body.into_iter().take(if more { room - 1 } else { room }));
    if more {
        lines.push(plain("…"));
    }
    while lines.len() + foot.len() < height {
        lines.push(Line::new());
    }
    lines.extend(foot);
    lines.truncate(height);
    lines
}

fn head(session: &Session) -> Line {
    let (at, all, decided) = (session.at + 1, session.items.len(), session.decided());
    vec![
        (format!("conflict {at} of {all}"), Some(Style::Bold)),
        (format!("   {decided} decided"), Some(Style::Dim)),
    ]
}

fn body(item: &Item, theirs: bool, width: usize) -> Vec<Line> {
    let conflict = &item.open.conflict;
    let mut lines: Vec<Line> = wrap(&render::place(conflict), width)
        .into_iter()
        .map(|line| vec![(line, Some(Style::Changed))])
        .collect();
    lines.push(plain(conflict.summary()));
    lines.push(Line::new());
    lines.extend(labelled("base", &texts(conflict, conflict.base.as_ref()), width));
    lines.push(Line::new());
    lines.extend(beside(conflict, theirs, width));
    if item.now != conflict.ours {
        lines.push(Line::new());
        lines
            .push(vec![("changed since; the database holds now".to_owned(), Some(Style::Changed))]);
        lines.extend(labelled("now", &texts(conflict, item.now.as_ref()), width));
    }
    lines.push(Line::new());
    lines.push(match &item.pick {
        None => vec![("not decided".to_owned(), Some(Style::Dim))],
        Some(pick) => {
            vec![("decided: ".to_owned(), Some(Style::Dim)), (said(pick), Some(Style::Added))]
        }
    });
    lines
}

fn said(pick: &Pick) -> String {
    match pick {
        Pick::Value(Some(text)) => render::shown(text),
        Pick::Value(None) => "NULL".to_owned(),
        other => other.name().to_owned(),
    }
}

/// Ours and theirs in two columns; the one that Enter takes is marked.
fn beside(conflict: &Conflict, theirs: bool, width: usize) -> Vec<Line> {
    let column = (width.saturating_sub(3)) / 2;
    let [left, right] = [("ours", &conflict.ours, !theirs), ("theirs", &conflict.theirs, theirs)]
        .map(|(name, text, chosen)| {
            let style = if chosen { Style::Bold } else { Style::Dim };
            let mark = if chosen { "▶" } else { " " };
            let mut lines = vec![(format!("{mark} {name}"), Some(style))];
            for text in texts(conflict, text.as_ref()) {
                let text = wrap(&text, column.saturating_sub(2)).into_iter();
                lines
                    .extend(text.map(|line| (format!("  {line}"), chosen.then_some(Style::Added))));
            }
            lines
        });
    let rows = left.len().max(right.len());
    let cell =
        |side: &[(String, Option<Style>)], at: usize| side.get(at).cloned().unwrap_or_default();
    (0..rows)
        .map(|at| {
            let (left, style) = cell(&left, at);
            let pad = " ".repeat(column.saturating_sub(left.width()));
            vec![(left, style), (format!("{pad} │ "), Some(Style::Dim)), cell(&right, at)]
        })
        .collect()
}

/// What a side says: the lines of a text, or the cells of a row.
fn texts(conflict: &Conflict, text: Option<&String>) -> Vec<String> {
    let is_row = conflict.kind.is_of_rows() || conflict.column.is_none();
    match text {
        Some(text) if !is_row && !text.is_empty() => text.lines().map(render::visible).collect(),
        Some(text) if is_row => {
            let row: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(text).unwrap_or_default();
            let cell =
                |value: &serde_json::Value| value.as_str().map_or("NULL".to_owned(), render::shown);
            row.iter()
                .map(|(name, value)| format!("{}  {}", render::visible(name), cell(value)))
                .collect()
        }
        other => vec![render::said(conflict, other)],
    }
}

fn labelled(name: &str, texts: &[String], width: usize) -> Vec<Line> {
    let mut lines = vec![vec![(format!("  {name}"), Some(Style::Dim))]];
    let wrapped = texts.iter().flat_map(|text| wrap(text, width.saturating_sub(2)));
    lines.extend(wrapped.map(|line| plain(&format!("  {line}"))));
    lines
}

fn foot(session: &Session, width: usize) -> Vec<Line> {
    if let Asked::Value(text) = &session.asked {
        let ask = "a value (Enter takes it, Esc does not): ";
        return wrap(&format!("{ask}{}▏", render::visible(text)), width)
            .iter()
            .map(|line| plain(line))
            .collect();
    }
    let mut lines = Vec::new();
    lines.extend(session.told.as_ref().map(|told| vec![(told.clone(), Some(Style::Changed))]));
    let mut line = Line::new();
    let mut used = 0;
    for (key, does) in KEYS.into_iter().chain([("q", "go on later")]) {
        let len = key.width() + does.width() + 4;
        if used + len > width && used > 0 {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        line.push((key.to_owned(), Some(Style::Bold)));
        line.push((format!(" {does}   "), Some(Style::Dim)));
        used += len;
    }
    lines.push(line);
    lines
}

fn plain(text: &str) -> Line {
    vec![(text.to_owned(), None)]
}

/// A text in lines that are at most so wide, broken at spaces where there are any.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(4);
    let (mut lines, mut line, mut used) = (Vec::new(), String::new(), 0);
    for word in text.split_inclusive(' ') {
        if used > 0 && used + word.trim_end().width() > width {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        for c in word.chars() {
            let wide = c.width().unwrap_or(0);
            if used + wide > width {
                lines.push(std::mem::take(&mut line));
                used = 0;
            }
            line.push(c);
            used += wide;
        }
    }
    lines.push(line);
    lines
}
