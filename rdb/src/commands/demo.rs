//! `rdb demo`: the main job in a minute, on sample files that are part of the program.
//!
//! Every step is a command as a person would type it: it is printed, and then run by the same code.

use std::path::{Path, PathBuf};

use clap::Parser;
use reedbase::storage::{FileSystem, Storage};
use reedbase::{Error, ErrorKind, Result};

use crate::args::{Args, Global};
use crate::output::{Output, Style};

/// Show what ReedBase does, on a small content database
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Makes a folder with sample files and a database, and prints each command it runs there.\n\n\
    Examples:\n  rdb demo\n  rdb demo /tmp/bakery"
)]
pub(crate) struct Demo {
    /// The folder to make
    #[arg(default_value = "reedbase-demo")]
    folder: PathBuf,
}

/// The sample files.
const FILES: [(&str, &str); 3] = [
    ("pages.csv", include_str!("../../demo/pages.csv")),
    ("authors.csv", include_str!("../../demo/authors.csv")),
    ("monday.csv", include_str!("../../demo/monday.csv")),
];

/// The file of a table.
const FILE: &str = ".reedbase/tables/pages/current.csv";

/// What is told before each command, and the command: of `rdb`, but for one.
const STEPS: [(&str, &[&str]); 17] = [
    ("A database is a folder.", &["db:init"]),
    ("Tables come from CSV files as they are.", &["import", "pages.csv", "-m", "first pages"]),
    ("Delimiter and key are guessed, and shown.", &["import", "authors.csv"]),
    ("Look at one row.", &["get", "pages", "home"]),
    (
        "Change two of its cells, and say why. All other bytes of the file stay as they are.",
        &["set", "pages", "home", "title=Good morning", "updated=2026-03-09", "-m", "friendlier"],
    ),
    (
        "Somebody else adds a page …",
        &["--user", "ben", "insert", "pages", "id=contact", "title=Contact", "author=ben"],
    ),
    ("… and removes one.", &["--user", "ben", "delete", "pages", "press"]),
    ("Who changed what?", &["log"]),
    ("What changed since the first pages?", &["diff", "pages", "first pages"]),
    (
        "Monday's export from another program replaces the table. Only what differs is stored.",
        &["import", "monday.csv", "--table", "pages", "--replace", "-m", "monday's export"],
    ),
    ("It was an old one: it lost three pages, and this morning's title.", &["show", "HEAD"]),
    ("Bring the table back as it was one frame ago.", &["restore", "pages", "--at", "HEAD~1"]),
    ("The life of one row.", &["history", "pages", "home"]),
    (
        "The table is a file, for any editor and spreadsheet. Somebody corrects a price there, and saves.",
        &["sed", "-i", "s/60 €/65 €/", FILE],
    ),
    ("That is seen …", &["diff", "--outside"]),
    (
        "… and adopted: from here on it can be undone like any other change.",
        &["adopt", "-m", "new price"],
    ),
    ("How things stand.", &["status"]),
];

impl Demo {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        if global.db.is_some() {
            return Err(Error::usage("the demo makes a database of its own").help("leave --db out"));
        }
        self.make_folder()?;
        let shown = self.folder.display().to_string();
        tell(&format!("A bakery's web site, in {shown}: {}.\n", names()), output)?;
        std::env::set_current_dir(&self.folder)
            .map_err(|source| Error::io("enter the folder", &self.folder, source))?;
        output.command(&["cd", &shown])?;
        for (told, words) in STEPS {
            let told = output.styled(Style::Dim, &format!("# {told}"));
            tell(&format!("\n{told}"), output)?;
            if let ["sed", "-i", edit, file] = words {
                output.command(words)?;
                edit_file(edit, file)?;
                continue;
            }
            let typed = [&["rdb"], words].concat();
            output.command(&typed)?;
            let args = Args::try_parse_from(typed).map_err(|source| {
                Error::internal("the demo does not know its own commands").caused_by(source)
            })?;
            super::run(&args, output)?;
        }
        if output.is_json() { Ok(()) } else { farewell(&shown, output) }
    }

    fn make_folder(&self) -> Result<()> {
        let folder = &self.folder;
        std::fs::create_dir(folder).map_err(|source| match source.kind() {
            std::io::ErrorKind::AlreadyExists => {
                Error::new(ErrorKind::AlreadyExists, "there is such a folder already")
                    .at_path(folder)
                    .help("remove it, or name another: rdb demo FOLDER")
            }
            _ => Error::io("make the folder", folder, source),
        })?;
        let files = FileSystem::new(folder);
        let files: &dyn Storage = &files;
        FILES.iter().try_for_each(|(name, text)| files.write_new(name, text.as_bytes()))
    }
}

/// What an editor does: replaces a word in a file, as `s/word/other/` says.
fn edit_file(edit: &str, path: &str) -> Result<()> {
    let mut words = edit.split('/').skip(1);
    let (word, other) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let folder = FileSystem::new(".");
    let folder: &dyn Storage = &folder;
    let text = folder.read(path)?.unwrap_or_default();
    folder.replace(path, String::from_utf8_lossy(&text).replace(word, other).as_bytes())
}

/// Tells a person something.
fn tell(text: &str, output: &mut Output) -> Result<()> {
    if output.is_json() { Ok(()) } else { output.line(text) }
}

/// How to go on.
fn farewell(folder: &str, output: &mut Output) -> Result<()> {
    output.line("\nThat was it. Go on there, with the commands above or: rdb --help")?;
    if let Some(program) = unless_on_path() {
        let program = program.display().to_string();
        output.line("`rdb` is not on your path yet; until then:")?;
        output.command(&["alias", &format!("rdb={program}")])?;
    }
    output.command(&["cd", folder])
}

fn names() -> String {
    FILES.map(|(name, _)| name).join(", ")
}

/// This program, unless `rdb` is on the path.
fn unless_on_path() -> Option<PathBuf> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&paths).any(|folder| is_program(&folder.join("rdb")));
    if found { None } else { std::env::current_exe().ok() }
}

fn is_program(path: &Path) -> bool {
    path.is_file()
}
