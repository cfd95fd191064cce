//! `rdb completions` and `rdb man`: what shells and manuals want to know of the command.

use std::path::PathBuf;

use clap::CommandFactory;
use clap_complete::Shell;
use reedbase::{Error, Result};

use crate::args::Args;
use crate::output::Output;

/// Print what a shell needs to complete commands and options
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    rdb completions bash > ~/.local/share/bash-completion/completions/rdb\n  \
    rdb completions zsh > ~/.zfunc/_rdb\n  \
    rdb completions fish > ~/.config/fish/completions/rdb.fish")]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

/// Print the manual page, or write those of all commands into a folder
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  rdb man | man -l -\n  rdb man ~/.local/share/man/man1")]
pub(crate) struct Man {
    /// The folder for one page a command: rdb.1, rdb-import.1, rdb-db:init.1 …
    folder: Option<PathBuf>,
}

impl Completions {
    pub(crate) fn run(&self, output: &mut Output) -> Result<()> {
        let (mut command, mut script) = (Args::command(), Vec::new());
        clap_complete::generate(self.shell, &mut command, "rdb", &mut script);
        let mut script = String::from_utf8_lossy(&script).into_owned();
        match self.shell {
            Shell::Bash => script.push_str(include_str!("colons.bash")),
            // zsh parts names from what they mean by colons, and names have them.
            Shell::Zsh => {
                for name in command.get_subcommands().map(clap::Command::get_name) {
                    let quoted = name.replace(':', "\\:");
                    script = script.replace(&format!("'{name}:"), &format!("'{quoted}:"));
                }
            }
            _ => {}
        }
        output.bytes(script.as_bytes())
    }
}

impl Man {
    pub(crate) fn run(&self, output: &mut Output) -> Result<()> {
        let command = Args::command();
        let Some(folder) = &self.folder else {
            return output.bytes(&page(command)?);
        };
        std::fs::create_dir_all(folder)
            .map_err(|source| Error::io("make the folder", folder, source))?;
        let mut command = command;
        command.build();
        let all = std::iter::once(command.clone()).chain(command.get_subcommands().cloned());
        for command in all {
            let name = match command.get_name() {
                "rdb" => "rdb".to_owned(),
                name => format!("rdb-{name}"),
            };
            let path = folder.join(format!("{name}.1"));
            let page = page(command)?;
            #[expect(clippy::disallowed_methods, reason = "a manual page, not a database")]
            std::fs::write(&path, page).map_err(|source| Error::io("write", &path, source))?;
            output.line(&path.display().to_string())?;
        }
        Ok(())
    }
}

fn page(command: clap::Command) -> Result<Vec<u8>> {
    let more = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let has_subcommands = command.has_subcommands();
    let man = clap_mangen::Man::new(command);
    let mut page = Vec::new();
    let rendered = man
        .render_title(&mut page)
        .and_then(|()| man.render_name_section(&mut page))
        .and_then(|()| man.render_synopsis_section(&mut page))
        .and_then(|()| man.render_description_section(&mut page))
        .and_then(|()| man.render_options_section(&mut page))
        .and_then(|()| match has_subcommands {
            true => man.render_subcommands_section(&mut page),
            false => Ok(()),
        });
    rendered.map_err(|source| Error::io("write the page", "", source))?;
    page.extend_from_slice(notes(&more).as_bytes());
    Ok(page)
}

/// What stands below the options in the help: sentences, then examples as they stand.
fn notes(text: &str) -> String {
    let (said, examples) = text.split_once("Example").unwrap_or((text, ""));
    let examples = examples.split_once(":\n").map_or("", |(_, lines)| lines);
    let lines = |text: &str, between: &str| {
        let lines = text.trim_matches('\n').lines().map(|line| format!("\\&{}\n", escaped(line)));
        lines.collect::<Vec<_>>().join(between)
    };
    let mut page = String::new();
    if !said.trim().is_empty() {
        page.push_str(&format!(".SH NOTES\n{}", lines(said, ".br\n")));
    }
    if !examples.is_empty() {
        page.push_str(&format!(".SH EXAMPLES\n.nf\n{}.fi\n", lines(examples, "")));
    }
    page
}

/// A line that roff prints as it is.
fn escaped(line: &str) -> String {
    line.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq")
}
