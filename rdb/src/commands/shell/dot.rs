//! Commands of the shell: they begin with a dot, and end with the line.

use clap::ValueEnum;
use reedbase::{Error, Result};

use crate::render::rows::Format;

/// A command.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Dot {
    Help,
    Quit,
    /// Runs a question of our own, with this value.
    Ask(&'static str, Option<String>),
    Mode(Format),
    Timer(bool),
    /// Reads what was at an instant from now on, or what is newest.
    AsOf(Option<String>),
    /// Takes texts in another dialect.
    Dialect(String),
    /// Runs what is in a file.
    Read(String),
}

const TABLES: &str =
    "SELECT name, rows, key, changed FROM reed_tables WHERE ?1 IS NULL OR name = ?1 ORDER BY name";
const COLUMNS: &str = "SELECT table_name AS \"table\", name, type, iif(primary_key, 'yes', '') AS \"key\", \
    coalesce(default_value, '') AS \"default\" FROM reed_columns WHERE ?1 IS NULL OR table_name = ?1 ORDER BY 1, position";
const INDICES: &str = "SELECT name, table_name AS \"table\", kind, columns, iif(is_unique, 'yes', '') AS \"unique\" \
    FROM reed_indices WHERE ?1 IS NULL OR table_name = ?1 ORDER BY 2, 1";
const FRAMES: &str = "SELECT frame, time, user, tables, coalesce(name, '') AS name FROM reed_frames \
    ORDER BY frame DESC LIMIT coalesce(?1, 20)";

/// The commands, what may follow, and what they do.
pub(crate) const ALL: [(&str, &str, &str); 11] = [
    (".help", "", "this list"),
    (".tables", "[TABLE]", "the tables"),
    (".columns", "[TABLE]", "the columns of tables"),
    (".indices", "[TABLE]", "the indices"),
    (".frames", "[COUNT]", "who changed what, newest first"),
    (".mode", "table|csv|json|jsonl|markdown", "how rows are printed"),
    (".timer", "on|off", "whether times are told"),
    (".asof", "[TIME]", "read all tables as they were; without a time, as they are"),
    (".dialect", "reedql|tissql|filter", "the language of what is typed"),
    (".read", "FILE", "run what is in a file"),
    (".quit", "", "end, as Ctrl-D does"),
];

impl Dot {
    /// The command that a line is.
    ///
    /// # Errors
    /// [`Usage`](reedbase::ErrorKind::Usage) with the way out.
    pub(crate) fn parse(line: &str) -> Result<Self> {
        let (word, rest) = line.trim().split_once(char::is_whitespace).unwrap_or((line.trim(), ""));
        let rest = Some(rest.trim().trim_end_matches(';')).filter(|rest| !rest.is_empty());
        let owned = || rest.map(str::to_owned);
        match word.trim_end_matches(';') {
            ".help" => Ok(Self::Help),
            ".quit" | ".exit" => Ok(Self::Quit),
            ".tables" => Ok(Self::Ask(TABLES, owned())),
            ".columns" | ".schema" => Ok(Self::Ask(COLUMNS, owned())),
            ".indices" | ".indexes" => Ok(Self::Ask(INDICES, owned())),
            ".frames" => Ok(Self::Ask(FRAMES, owned())),
            ".asof" => Ok(Self::AsOf(owned())),
            ".dialect" => owned().map(Self::Dialect).ok_or_else(|| missing(".dialect")),
            ".read" => owned().map(Self::Read).ok_or_else(|| missing(".read")),
            ".timer" => match rest {
                Some("on") => Ok(Self::Timer(true)),
                Some("off") => Ok(Self::Timer(false)),
                _ => Err(missing(".timer")),
            },
            ".mode" => {
                let format = rest.and_then(|format| Format::from_str(format, true).ok());
                format.map(Self::Mode).ok_or_else(|| missing(".mode"))
            }
            other => {
                let names = ALL.iter().map(|(name, ..)| *name);
                let error = Error::usage(format!("there is no command `{other}`"));
                Err(reedbase::nearest(error, "command", other, names))
            }
        }
    }
}

fn missing(command: &str) -> Error {
    let known = ALL.iter().find(|(name, ..)| *name == command);
    let (name, argument, _) = known.copied().unwrap_or((command, "", ""));
    Error::usage(format!("{name} needs something behind it"))
        .help(format!("write {name} {argument}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_or_say_what_they_need() {
        assert_eq!(Dot::parse(" .quit; ").unwrap(), Dot::Quit);
        assert_eq!(
            Dot::parse(".asof 2026-01-01 10:00").unwrap(),
            Dot::AsOf(Some("2026-01-01 10:00".into()))
        );
        assert_eq!(Dot::parse(".mode CSV").unwrap(), Dot::Mode(Format::Csv));
        assert_eq!(Dot::parse(".timer off;").unwrap(), Dot::Timer(false));
        let error = |line| Dot::parse(line).unwrap_err().to_string();
        assert_eq!(error(".timer maybe"), ".timer needs something behind it");
        assert_eq!(error(".table"), "there is no command `.table`");
    }
}
