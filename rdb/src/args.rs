//! What was typed.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::commands;

/// A versioned database whose tables are plain CSV files.
#[derive(Debug, Parser)]
#[command(
    name = "rdb",
    version,
    propagate_version = true,
    disable_help_subcommand = true,
    max_term_width = 100,
    after_help = "Exit codes: 0 fine, 1 failed, 2 bad usage, 3 conflicts, 4 not licensed, 5 damaged.\n\
                  Start with: rdb db:init && rdb import pages.csv"
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, clap::Args)]
pub(crate) struct Global {
    /// The folder of the database [default: the nearest .reedbase, from here upwards]
    #[arg(long, global = true, env = "REED_DB", value_name = "FOLDER")]
    pub(crate) db: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Who makes the change [default: your login name]
    #[arg(long, global = true, env = "REED_USER", value_name = "NAME")]
    pub(crate) user: Option<String>,
}

/// What a change is called.
#[derive(Debug, clap::Args)]
pub(crate) struct Message {
    /// A name for the frame: one line that says why
    #[arg(short = 'm', long, value_name = "TEXT")]
    pub(crate) message: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a database
    #[command(name = "db:init")]
    DbInit(commands::init::Init),
    /// Make a table of a CSV file, or replace its content
    Import(commands::import::ImportFile),
    /// Print a row, or one cell of it
    Get(commands::get::Get),
    /// Change cells of a row
    Set(commands::set::Set),
    /// Add a row
    Insert(commands::insert::Insert),
    /// Remove rows
    Delete(commands::delete::Delete),
    /// Print a whole table
    Cat(commands::cat::Cat),
    /// Print who changed what, newest first
    Log(commands::log::Log),
    /// Print how things stand
    Status(commands::status::Status),
    /// Write what the journal holds into the tables' files
    Checkpoint(commands::checkpoint::Checkpoint),
    /// Print the codes of actions
    #[command(name = "dict:actions")]
    DictActions(commands::dict::Actions),
    /// Print the codes of users
    #[command(name = "dict:users")]
    DictUsers(commands::dict::Users),
}
