//! Reads, runs and prints, until the end.

use std::time::Instant;

use reedbase::{Database, Error, Interrupt, Params, Result, Session, Value};

use super::dot::{ALL, Dot};
use super::source::{Read, Source};
use crate::commands::query::show;
use crate::databases;
use crate::output::{Output, Style};
use crate::render::rows::Format;

/// The shell.
struct Shell<'a> {
    database: &'a Database,
    session: Session,
    source: Source,
    output: &'a mut Output,
    /// The language of what is typed.
    dialect: String,
    format: Option<Format>,
    timer: bool,
    /// Whether something failed.
    failed: bool,
}

/// Runs the shell until its input ends.
///
/// # Errors
/// Where no person types: that a statement failed, which was told then.
pub(crate) fn run(database: &Database, output: &mut Output) -> Result<()> {
    let source = Source::open(databases::shell_history())?;
    let (timer, session) = (source.is_terminal(), database.session()?);
    let (dialect, format, failed) = ("reedql".to_owned(), None, false);
    let mut shell = Shell { database, session, source, output, dialect, format, timer, failed };
    if shell.source.is_terminal() {
        stop_on_ctrl_c(&shell.session.interrupt());
        shell.greet()?;
    }
    shell.read_all()?;
    if shell.session.in_transaction() {
        shell.output.notice("the transaction was not committed: nothing of it is there");
    }
    match shell.failed && !shell.source.is_terminal() {
        true => Err(Error::usage("a statement failed, and the others were run nevertheless")),
        false => Ok(()),
    }
}

/// Ctrl-C stops the query that runs, not the shell.
fn stop_on_ctrl_c(interrupt: &Interrupt) {
    let interrupt = interrupt.clone();
    // Without it, Ctrl-C ends the shell: nothing that was committed is lost by that.
    drop(ctrlc::set_handler(move || interrupt.stop()));
}

impl Shell<'_> {
    fn greet(&mut self) -> Result<()> {
        let text =
            format!("{} · .help tells what there is, Ctrl-D ends", self.database.path().display());
        let said = self.output.styled(Style::Dim, &text);
        self.output.line(&said)?;
        self.output.flush()
    }

    /// Reads statements and commands, and does them.
    fn read_all(&mut self) -> Result<()> {
        let mut typed = String::new();
        loop {
            if typed.is_empty() && self.source.is_terminal() {
                self.learn_names();
            }
            match self.source.read(&self.prompt(&typed))? {
                Read::End => break,
                Read::GivenUp => typed.clear(),
                Read::Line(line) if typed.is_empty() && line.trim_start().starts_with('.') => {
                    self.source.remember(line.trim());
                    if self.command(&line)? {
                        return Ok(());
                    }
                }
                Read::Line(line) => {
                    typed += &line;
                    typed.push('\n');
                    if typed.trim().is_empty() {
                        typed.clear();
                    } else if self.session.is_complete(&typed) {
                        self.source.remember(typed.trim());
                        self.statement(&std::mem::take(&mut typed), Params::default())?;
                    }
                }
            }
        }
        // What the last line lacks is only its end.
        match typed.trim().is_empty() {
            true => Ok(()),
            false => self.statement(&typed, Params::default()),
        }
    }

    fn prompt(&self, typed: &str) -> String {
        match (typed.is_empty(), self.session.in_transaction()) {
            (false, _) => "...> ",
            (true, true) => "rdb*> ",
            (true, false) => "rdb> ",
        }
        .to_owned()
    }

    /// What Tab completes: tables and columns as they are now.
    fn learn_names(&mut self) {
        let names = "SELECT name FROM reed_tables UNION SELECT name FROM reed_columns";
        // Without names there is less to complete, and nothing else is worse.
        let known = self.database.query_as(names, ()).unwrap_or_default();
        let commands = ALL.iter().map(|(name, ..)| (*name).to_owned()).collect();
        self.source.set_names(known, commands);
    }

    /// Does a command; `true` ends the shell.
    fn command(&mut self, line: &str) -> Result<bool> {
        match Dot::parse(line) {
            Ok(Dot::Quit) => return Ok(true),
            Ok(command) => {
                if let Err(error) = self.act(command) {
                    self.tell(&error, line)?;
                }
            }
            Err(error) => self.tell(&error, line)?,
        }
        self.output.flush()?;
        Ok(false)
    }

    fn act(&mut self, command: Dot) -> Result<()> {
        match command {
            Dot::Help => {
                let row = |(name, argument, what): &(&str, &str, &str)| {
                    vec![format!("{name} {argument}").trim().to_owned(), (*what).to_owned()]
                };
                let mut rows: Vec<Vec<String>> = ALL.iter().map(row).collect();
                rows.push(vec![
                    "SELECT …;".to_owned(),
                    "anything else is of the dialect, and ends with ; if that is SQL".to_owned(),
                ]);
                self.output.columns(&rows)
            }
            Dot::Quit => Ok(()),
            Dot::Ask(sql, value) => self.ask(sql, value),
            Dot::Dialect(dialect) => {
                self.session.set_dialect(&dialect)?;
                self.dialect = dialect;
                Ok(())
            }
            Dot::Mode(format) => {
                self.format = Some(format);
                Ok(())
            }
            Dot::Timer(on) => {
                self.timer = on;
                Ok(())
            }
            Dot::AsOf(at) => {
                let frame = at.map(|at| self.database.instant(&at)).transpose()?;
                self.session.set_instant(frame)
            }
            Dot::Read(path) => {
                let text = std::fs::read_to_string(&path)
                    .map_err(|source| Error::io("read", &path, source))?;
                self.statement(&text, Params::default())
            }
        }
    }

    /// Asks in ReedQL, whatever is typed in.
    fn ask(&mut self, sql: &str, value: Option<String>) -> Result<()> {
        self.session.set_dialect("reedql")?;
        let done = self.statement(sql, vec![Value::from(value)].into());
        self.session.set_dialect(&self.dialect)?;
        done
    }

    /// Runs a text. What goes wrong with it is told, and does not end the shell.
    fn statement(&mut self, text: &str, params: Params) -> Result<()> {
        self.session.interrupt().reset();
        let start = Instant::now();
        if let Err(error) = show(&mut self.session, text, params, self.format, self.output) {
            if self.output.is_broken_pipe() {
                return Err(error);
            }
            self.tell(&error, text)?;
        }
        if self.timer {
            let text = format!("{:.1} ms", start.elapsed().as_secs_f64() * 1000.0);
            let said = self.output.styled(Style::Dim, &text);
            self.output.line(&said)?;
        }
        self.output.flush()
    }

    fn tell(&mut self, error: &Error, text: &str) -> Result<()> {
        self.failed = true;
        self.output.flush()?;
        self.output.set_source(text);
        self.output.error(error);
        Ok(())
    }
}
