//! Where lines come from.

use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;

use reedbase::{Error, Result};
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{CompletionType, Config, Editor};

use super::words::Words;

/// Where lines come from.
pub(crate) enum Source {
    /// A person: with editing, history and completion.
    Terminal(Box<Editor<Words, FileHistory>>, Option<PathBuf>),
    /// A file or a program.
    Pipe(std::io::Lines<std::io::StdinLock<'static>>),
}

/// What was read.
pub(crate) enum Read {
    Line(String),
    /// Ctrl-C: what was typed so far is given up.
    GivenUp,
    End,
}

/// So many lines are remembered.
const HISTORY: usize = 10_000;

impl Source {
    /// Standard input. `history` is the file that remembers what was typed.
    pub(crate) fn open(history: Option<PathBuf>) -> Result<Self> {
        if !std::io::stdin().is_terminal() {
            return Ok(Self::Pipe(std::io::stdin().lock().lines()));
        }
        let config = Config::builder().completion_type(CompletionType::List);
        let config = config.max_history_size(HISTORY).map_err(failed)?;
        let mut editor =
            Editor::with_config(config.auto_add_history(false).build()).map_err(failed)?;
        editor.set_helper(Some(Words::default()));
        if let Some(path) = &history {
            // There is none before the first time.
            drop(editor.load_history(path));
        }
        Ok(Self::Terminal(Box::new(editor), history))
    }

    /// Whether a person types.
    pub(crate) fn is_terminal(&self) -> bool {
        matches!(self, Self::Terminal(..))
    }

    /// What Tab completes from now on.
    pub(crate) fn set_names(&mut self, names: Vec<String>, commands: Vec<String>) {
        if let Self::Terminal(editor, _) = self {
            editor.set_helper(Some(Words { names, commands }));
        }
    }

    /// The next line.
    pub(crate) fn read(&mut self, prompt: &str) -> Result<Read> {
        match self {
            Self::Terminal(editor, _) => match editor.readline(prompt) {
                Ok(line) => Ok(Read::Line(line)),
                Err(ReadlineError::Interrupted) => Ok(Read::GivenUp),
                Err(ReadlineError::Eof) => Ok(Read::End),
                Err(error) => Err(failed(error)),
            },
            Self::Pipe(lines) => match lines.next() {
                Some(Ok(line)) => Ok(Read::Line(line)),
                Some(Err(source)) => Err(Error::io("read", "standard input", source)),
                None => Ok(Read::End),
            },
        }
    }

    /// Remembers what was typed.
    pub(crate) fn remember(&mut self, text: &str) {
        if let Self::Terminal(editor, path) = self {
            // That it cannot be remembered, in a home that cannot be written say, is no reason to stop.
            drop(editor.add_history_entry(text));
            if let Some(path) = path {
                drop(editor.save_history(path));
            }
        }
    }
}

fn failed(error: ReadlineError) -> Error {
    Error::internal(format!("the terminal failed: {error}")).caused_by(error)
}
