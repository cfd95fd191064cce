//! What was typed.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use reedbase::{OnConflict, Transaction};

use crate::commands;

/// A versioned database whose tables are plain CSV files.
#[derive(Debug, Parser)]
#[command(
    name = "rdb",
    version,
    disable_help_subcommand = true,
    max_term_width = 100,
    after_help = "Exit codes: 0 fine, 1 failed, 2 bad usage, 3 conflicts, 4 not licensed, 5 damaged.\n\
                  Start with: rdb demo, or: rdb db:init && rdb import pages.csv"
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Global {
    /// The folder of the database, or its name [default: the nearest .reedbase, from here upwards]
    #[arg(long, global = true, env = "REED_DB", value_name = "FOLDER")]
    pub(crate) db: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Work in an open frame: its number, id or name
    #[arg(long = "frame", global = true, env = "REED_FRAME", value_name = "FRAME")]
    pub(crate) in_frame: Option<String>,
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

impl Message {
    /// The transaction under this name.
    pub(crate) fn name(&self, transaction: Transaction) -> Transaction {
        match &self.message {
            Some(message) => transaction.named(message),
            None => transaction,
        }
    }
}

/// What becomes of what both sides changed, each in another way.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub(crate) struct Merging {
    /// What becomes of cells that others changed, too, in another way
    #[arg(long, value_name = "HOW", value_enum, default_value_t)]
    on_conflict: How,
}

#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum How {
    /// Everything else is done, and they wait in conflict:list
    #[default]
    Park,
    /// Nothing is done at all
    Refuse,
    /// What the database holds stays
    Ours,
    /// What is merged takes its place
    Theirs,
    /// Both rows stay, under their key with -a and with -b behind it
    Both,
}

impl Merging {
    pub(crate) fn how(self) -> OnConflict {
        match self.on_conflict {
            How::Park => OnConflict::Park,
            How::Refuse => OnConflict::Refuse,
            How::Ours => OnConflict::Ours,
            How::Theirs => OnConflict::Theirs,
            How::Both => OnConflict::Both,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show what ReedBase does, on a small content database
    Demo(commands::demo::Demo),
    /// Make a database
    #[command(name = "db:init")]
    DbInit(commands::init::Init),
    /// Give a database a name that --db takes from any folder
    #[command(name = "db:register")]
    DbRegister(commands::databases::Register),
    /// Forget the name of a database, which stays as it is
    #[command(name = "db:unregister")]
    DbUnregister(commands::databases::Unregister),
    /// Print the databases that have a name
    #[command(name = "db:list")]
    DbList(commands::databases::List),
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
    /// Ask the tables anything, in SQL
    Query(commands::query::Query),
    /// Print how a query would be run, without running it
    Explain(commands::explain::Explain),
    /// Print the rows whose columns hold these values
    Find(commands::find::Find),
    /// Answer questions that come as lines of JSON on standard input
    Pipe(commands::pipe::Pipe),
    /// Type questions in SQL, one after the other
    Shell(commands::shell::Shell),
    /// Print a whole table
    Cat(commands::cat::Cat),
    /// Print who changed what, newest first
    Log(commands::log::Log),
    /// Print what changed between two instants
    Diff(commands::diff::Diff),
    /// Print the life of a row, newest first
    History(commands::history::History),
    /// Print what one frame did
    Show(commands::show::Show),
    /// Print who wrote each cell
    Blame(commands::blame::Blame),
    /// Bring back what was at some instant: everything, a table, a row or a cell
    Restore(commands::restore::Restore),
    /// Undo what one frame did
    Revert(commands::revert::Revert),
    /// Print how things stand
    Status(commands::status::Status),
    /// Merge somebody's changed copy of a table
    Merge(commands::merge::Merge),
    /// Make a frame of what was edited outside
    Adopt(commands::outside::Adopt),
    /// Put aside what was edited outside
    Discard(commands::outside::Discard),
    /// Tell when tables are edited outside, and adopt the edits if asked to
    Watch(commands::watch::Watch),
    /// Print what two sides changed, each in another way
    #[command(name = "conflict:list")]
    ConflictList(commands::conflict::List),
    /// Print one conflict with all its sides
    #[command(name = "conflict:show")]
    ConflictShow(commands::conflict::Show),
    /// Decide conflicts
    #[command(name = "conflict:resolve")]
    ConflictResolve(commands::conflict::Resolve),
    /// Write what the journal holds into the tables' files
    Checkpoint(commands::checkpoint::Checkpoint),
    /// Remove old history
    Compact(commands::compact::Compact),
    /// Begin a frame that several commands work on
    #[command(name = "frame:begin")]
    FrameBegin(commands::frame::Begin),
    /// Print frames, newest first
    #[command(name = "frame:list")]
    FrameList(commands::frame::List),
    /// Print how a frame stands
    #[command(name = "frame:status")]
    FrameStatus(commands::frame::Status),
    /// Make visible what an open frame did
    #[command(name = "frame:commit")]
    FrameCommit(commands::frame::Commit),
    /// Give up an open frame
    #[command(name = "frame:abandon")]
    FrameAbandon(commands::frame::Abandon),
    /// Undo a committed frame by a new one
    #[command(name = "frame:rollback")]
    FrameRollback(commands::frame::Rollback),
    /// Remove what crashed and abandoned frames left, and old snapshots
    #[command(name = "frame:cleanup")]
    FrameCleanup(commands::frame::Cleanup),
    /// Print the versions of a table, newest first
    #[command(name = "version:list")]
    VersionList(commands::version::List),
    /// Print what one version changed
    #[command(name = "version:show")]
    VersionShow(commands::version::Show),
    /// Make an earlier version of a table current again
    #[command(name = "version:rollback")]
    VersionRollback(commands::version::Rollback),
    /// Write a bsdiff patch that makes an earlier version
    #[command(name = "version:export")]
    VersionExport(commands::version::Export),
    /// Put all versions of tables into packs
    #[command(name = "version:pack")]
    VersionPack(commands::version::Pack),
    /// Read everything and check it
    Verify(commands::verify::Verify),
    /// Make anew what is damaged or lost, of what is left
    Repair(commands::repair::Repair),
    /// Write a copy of the database into one compressed file, while others go on writing
    #[command(name = "backup:create")]
    BackupCreate(commands::backup::Create),
    /// Print the backups there are
    #[command(name = "backup:list")]
    BackupList(commands::backup::List),
    /// Make a database of a backup
    #[command(name = "backup:restore")]
    BackupRestore(commands::backup::Restore),
    /// Print the indices
    #[command(name = "index:list")]
    IndexList(commands::index::List),
    /// Make an index
    #[command(name = "index:create")]
    IndexCreate(commands::index::Create),
    /// Drop an index
    #[command(name = "index:drop")]
    IndexDrop(commands::index::Drop),
    /// Make indices anew, of the rows alone
    #[command(name = "index:rebuild")]
    IndexRebuild(commands::index::Rebuild),
    /// Print how many entries indices have, and what they take in memory
    #[command(name = "index:stats")]
    IndexStats(commands::index::Stats),
    /// Print which indices would help, by what was asked so far
    #[command(name = "index:advise")]
    IndexAdvise(commands::index::Advise),
    #[command(name = "function:list")]
    FunctionList(commands::function::List),
    #[command(name = "function:stats")]
    FunctionStats(commands::function::Stats),
    #[command(name = "function:clear")]
    FunctionClear(commands::function::Clear),
    /// Print settings of the database
    #[command(name = "config:get")]
    ConfigGet(commands::config::Get),
    /// Change a setting of the database
    #[command(name = "config:set")]
    ConfigSet(commands::config::Set),
    /// Print the codes of actions
    #[command(name = "dict:actions")]
    DictActions(commands::dict::Actions),
    /// Print the codes of users
    #[command(name = "dict:users")]
    DictUsers(commands::dict::Users),
    /// Check the dictionaries
    #[command(name = "dict:validate")]
    DictValidate(commands::dict::Validate),
    /// Let git show and merge CSV files row by row
    #[command(name = "git:install")]
    GitInstall(commands::git::Install),
    /// Print what changed between two files, as git asks for it
    #[command(name = "git:diff")]
    GitDiff(commands::git::GitDiff),
    /// Merge two sides of a file, as git asks for it
    #[command(name = "git:merge")]
    GitMerge(commands::git_merge::GitMerge),
    /// Merge the frames of databases on which git merge stopped
    #[command(name = "git:resolve")]
    GitResolve(commands::git_resolve::GitResolve),
    /// Write databases before a git commit, as git asks for it
    #[command(name = "git:checkpoint")]
    GitCheckpoint(commands::git_merge::GitCheckpoint),
    /// Print what a shell needs to complete commands and options
    Completions(commands::manual::Completions),
    /// Print the manual page, or write those of all commands into a folder
    Man(commands::manual::Man),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn options_of_all_commands_fit_together() {
        super::Args::command().debug_assert();
    }

    #[test]
    fn every_command_shows_an_example() {
        for command in super::Args::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Example"), "{}", command.get_name());
        }
    }
}
