//! Everything that is printed: text for people, JSON for programs.
#![expect(clippy::print_stderr, reason = "this is the one file that prints")]

use std::borrow::Cow;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::sync::Arc;

use reedbase::{Conflicts, Error, Result};
use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr;

use crate::conflict_json::conflict_json;
use crate::progress::Bar;

/// Where results go.
pub(crate) struct Output {
    out: BufWriter<Stdout>,
    json: bool,
    /// Whether a terminal shows it in the end.
    terminal: bool,
    color: bool,
    broken_pipe: bool,
    /// Whether something is left for somebody to decide.
    conflicts: bool,
    /// What shows that something is going on.
    bar: Option<Arc<Bar>>,
    /// The text in which a line and a character of an error are.
    source: Option<String>,
}

/// How a piece of text looks on a terminal.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Style {
    Dim,
    Bold,
    Added,
    Removed,
    Changed,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        let stdout = io::stdout();
        // git pages what we print, and knows whether its pager is on a terminal.
        let terminal = stdout.is_terminal() || std::env::var_os("GIT_PAGER_IN_USE").is_some();
        let color = terminal && std::env::var_os("NO_COLOR").is_none();
        let out = BufWriter::new(stdout);
        Self {
            out,
            json,
            terminal,
            color,
            broken_pipe: false,
            conflicts: false,
            bar: None,
            source: None,
        }
    }

    /// Whether JSON was asked for.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether styles are to be seen.
    pub(crate) fn has_color(&self) -> bool {
        self.color
    }

    /// Whether a terminal shows it in the end.
    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// The text in which a line and a character of an error are: the place is shown.
    pub(crate) fn set_source(&mut self, text: &str) {
        self.source = Some(text.to_owned());
    }

    /// Notes that something is left for somebody to decide: the exit code tells.
    pub(crate) fn note_conflicts(&mut self) {
        self.conflicts = true;
    }

    /// Whether something is.
    pub(crate) fn has_conflicts(&self) -> bool {
        self.conflicts
    }

    /// Whether the reader of the output went away.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        self.broken_pipe
    }

    /// Prints bytes as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        let out = &mut self.out;
        let written = match &self.bar {
            Some(bar) if bar.is_shown() => {
                bar.aside(|| out.write_all(bytes).and_then(|()| out.flush()))
            }
            _ => out.write_all(bytes),
        };
        written.map_err(|source| self.failed(source))
    }

    /// Shows a bar if what follows takes longer than a second, and somebody is looking.
    pub(crate) fn bar(&mut self, doing: &str) -> Arc<Bar> {
        let hidden = self.json || !io::stderr().is_terminal();
        let bar = Arc::new(Bar::start(doing, hidden));
        self.bar = Some(Arc::clone(&bar));
        bar
    }

    /// Prints a line. On a terminal, nothing in it does more than colour it.
    pub(crate) fn line(&mut self, text: &str) -> Result<()> {
        match self.terminal {
            true => self.bytes(tamed(text).as_bytes())?,
            false => self.bytes(text.as_bytes())?,
        }
        self.bytes(b"\n")
    }

    /// Prints a command as it is typed in a shell; in JSON, its words.
    pub(crate) fn command(&mut self, words: &[&str]) -> Result<()> {
        if self.json {
            return self.json(&json!({"command": words}));
        }
        let words: Vec<_> = words.iter().map(|word| shell_quoted(word)).collect();
        let line = self.styled(Style::Bold, &format!("$ {}", words.join(" ")));
        self.line(&line)
    }

    /// Prints a line of JSON.
    pub(crate) fn json(&mut self, value: &Value) -> Result<()> {
        self.line(&value.to_string())
    }

    /// The text in a style, where that can be seen.
    pub(crate) fn styled(&self, style: Style, text: &str) -> String {
        let code = match style {
            Style::Dim => 2,
            Style::Bold => 1,
            Style::Added => 32,
            Style::Removed => 31,
            Style::Changed => 33,
        };
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Prints rows of text in columns; the first row is the head. Columns whose name starts with `>` are
    /// aligned to the right.
    pub(crate) fn table(&mut self, rows: &[Vec<String>]) -> Result<()> {
        let Some(head) = rows.first() else { return Ok(()) };
        let right: Vec<bool> = head.iter().map(|name| name.starts_with('>')).collect();
        let mut rows = rows.to_vec();
        for name in rows.first_mut().into_iter().flatten() {
            *name = name.trim_start_matches('>').to_owned();
        }
        for (number, line) in aligned(&rows, &right).into_iter().enumerate() {
            let line = if number == 0 { self.styled(Style::Dim, &line) } else { line };
            self.line(&line)?;
        }
        Ok(())
    }

    /// Prints rows of text in columns.
    pub(crate) fn columns(&mut self, rows: &[Vec<String>]) -> Result<()> {
        aligned(rows, &[]).iter().try_for_each(|line| self.line(line))
    }

    /// Tells a person something beside the result.
    pub(crate) fn notice(&mut self, text: &str) {
        if !self.json {
            eprintln!("note: {text}");
        }
    }

    /// Prints what went wrong, where, and what to do next.
    pub(crate) fn error(&mut self, error: &Error) {
        self.bar = None;
        // What was printed so far comes first.
        drop(self.out.flush());
        if self.json {
            let value = error_json(error);
            eprintln!("{value}");
            return;
        }
        eprintln!("error: {error}");
        if let Some(excerpt) = self.excerpt(error) {
            eprintln!("{excerpt}");
        }
        let mut source = std::error::Error::source(error);
        source = source.filter(|_| Conflicts::of(error).is_empty());
        while let Some(cause) = source {
            if !error.to_string().contains(&cause.to_string()) {
                eprintln!("  because: {cause}");
            }
            source = cause.source();
        }
        if let Some(help) = error.way_out() {
            eprintln!("  help: {help}");
        }
    }

    /// The line in which something is wrong, and a mark below the place.
    fn excerpt(&self, error: &Error) -> Option<String> {
        let position = error.position();
        let line = usize::try_from(position.line?.checked_sub(1)?).ok()?;
        let before = usize::try_from(position.character?.checked_sub(1)?).ok()?;
        let line = self.source.as_ref()?.lines().nth(line).unwrap_or_default();
        let line = line.replace('\t', " ");
        let before = line.chars().take(before).collect::<String>().width();
        Some(format!("  | {}\n  | {:before$}^", tamed(&line), ""))
    }

    /// What was printed so far is seen.
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.out.flush().map_err(|source| self.failed(source))
    }

    /// Everything is printed.
    pub(crate) fn finish(&mut self) -> Result<()> {
        self.bar = None;
        self.flush()
    }

    fn failed(&mut self, source: io::Error) -> Error {
        self.broken_pipe |= source.kind() == io::ErrorKind::BrokenPipe;
        Error::io("print", "standard output", source)
    }
}

/// An error, for programs.
pub(crate) fn error_json(error: &Error) -> Value {
    let position = error.position();
    let mut value = json!({"error": {
        "kind": format!("{:?}", error.kind()),
        "message": error.message(),
        "help": error.way_out(),
        "path": position.path.as_ref().map(|path| path.display().to_string()),
        "table": position.table,
        "key": position.key,
        "column": position.column,
        "line": position.line,
        "character": position.character,
        "byte": position.byte,
    }});
    let conflicts = Conflicts::of(error).iter().map(conflict_json);
    if let Some(object) = value.get_mut("error").and_then(Value::as_object_mut)
        && conflicts.len() > 0
    {
        object.insert("conflicts".to_owned(), conflicts.collect());
    }
    value
}

/// A text without what moves a cursor, sets a title or turns the direction of text over. Our own styles stay.
fn tamed(text: &str) -> Cow<'_, str> {
    let is_wild = |c: char| (c.is_control() && !"\n\t".contains(c)) || is_direction(c);
    if !text.contains(is_wild) {
        return Cow::Borrowed(text);
    }
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find(is_wild) {
        let (before, wild) = rest.split_at(at);
        out.push_str(before);
        let style = wild.strip_prefix("\x1b[").map_or(0, |style| {
            let digits = style.bytes().take_while(u8::is_ascii_digit).count();
            if style.as_bytes().get(digits) == Some(&b'm') { digits + 3 } else { 0 }
        });
        let mut chars = wild.chars();
        if style > 0 {
            out.push_str(wild.get(..style).unwrap_or_default());
            rest = wild.get(style..).unwrap_or_default();
        } else {
            out.extend(chars.next().into_iter().flat_map(char::escape_unicode));
            rest = chars.as_str();
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Overrides and isolates: they change how everything behind them is shown.
pub(crate) fn is_direction(c: char) -> bool {
    ('\u{202a}'..='\u{202e}').contains(&c) || ('\u{2066}'..='\u{2069}').contains(&c)
}

/// Rows of text as lines, each column as wide as its widest cell; some are aligned to the right.
fn aligned(rows: &[Vec<String>], right: &[bool]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.width()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let mut line = String::new();
        for (number, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let pad = " ".repeat(width.saturating_sub(cell.width()));
            match right.get(number) {
                Some(true) => line.extend([&pad, cell.as_str()]),
                _ => line.extend([cell.as_str(), &pad]),
            }
            line.push_str("  ");
        }
        line.trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// A word as a shell reads it back.
fn shell_quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:=~@,+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    // Quotes around the value only, where that is enough: title="Good morning".
    let (name, value) =
        word.split_once('=').filter(|(name, _)| name.chars().all(plain)).unwrap_or(("", word));
    let name = if name.is_empty() { String::new() } else { format!("{name}=") };
    if value.contains(['"', '$', '`', '\\', '!']) {
        format!("{name}'{}'", value.replace('\'', "'\\''"))
    } else {
        format!("{name}\"{value}\"")
    }
}

/// A number with commas: 48,211.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number with its noun: 1 row, 2 rows.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(number))
}

/// A number of bytes: 1.2 MB.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "KB")];
    match UNITS.iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => {
            let tenths = bytes * 10 / unit;
            format!("{}.{} {name}", tenths / 10, tenths % 10)
        }
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_does_nothing_to_a_terminal_but_colour_it() {
        assert_eq!(tamed("\x1b[31mred\x1b[0m and plain"), "\x1b[31mred\x1b[0m and plain");
        assert_eq!(tamed("a\x1b]0;title\x07b\x1b[2Jc"), "a\\u{1b}]0;title\\u{7}b\\u{1b}[2Jc");
        assert_eq!(tamed("x\u{202e}y\r\x1b["), "x\\u{202e}y\\u{d}\\u{1b}[");
        assert_eq!(tamed("two\nlines\tand tabs"), "two\nlines\tand tabs");
    }
}
