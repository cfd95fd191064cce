//! The commands, one file each.

pub(crate) mod demo;
pub(crate) mod init;
pub(crate) mod import;
pub(crate) mod get;
pub(crate) mod set;
pub(crate) mod insert;
pub(crate) mod delete;
pub(crate) mod query;
pub(crate) mod explain;
pub(crate) mod find;
pub(crate) mod pipe;
pub(crate) mod cat;
pub(crate) mod log;
pub(crate) mod diff;
pub(crate) mod history;
pub(crate) mod show;
pub(crate) mod restore;
pub(crate) mod revert;
pub(crate) mod blame;
pub(crate) mod frame;
pub(crate) mod version;
pub(crate) mod status;
pub(crate) mod outside;
pub(crate) mod conflict;
pub(crate) mod merge;
pub(crate) mod watch;
pub(crate) mod checkpoint;
pub(crate) mod compact;
pub(crate) mod verify;
pub(crate) mod repair;
pub(crate) mod backup;
pub(crate) mod config;
pub(crate) mod index;
pub(crate) mod function;
pub(crate) mod dict;
pub(crate) mod databases;
pub(crate) mod git;
pub(crate) mod git_merge;
pub(crate) mod git_resolve;
pub(crate) mod shell;
pub(crate) mod manual;

use reedbase::{Commit, Conflict, Error, Key, Result, Row, Snapshot};
use serde_json::{Map, Value, json};

use crate::args::{Args, Command};
use crate::conflict_json::conflict_json;
use crate::output::{Output, counted};
use crate::render;
use crate::time;

/// Does what was typed.
pub(crate) fn run(args: &Args, output: &mut Output) -> Result<()> {
    let global = &args.global;
    match &args.command {
        Command::Demo(command) => command.run(global, output),
        Command::DbInit(command) => command.run(global, output),
        Command::DbRegister(command) => command.run(global, output),
        Command::DbUnregister(command) => command.run(output),
        Command::DbList(command) => command.run(output),
        Command::Import(command) => command.run(global, output),
        Command::Get(command) => command.run(global, output),
        Command::Set(command) => command.run(global, output),
        Command::Insert(command) => command.run(global, output),
        Command::Delete(command) => command.run(global, output),
        Command::Query(command) => command.run(global, output),
        Command::Explain(command) => command.run(global, output),
        Command::Find(command) => command.run(global, output),
        Command::Pipe(command) => command.run(global, output),
        Command::Shell(command) => command.run(global, output),
        Command::Cat(command) => command.run(global, output),
        Command::Log(command) => command.run(global, output),
        Command::Diff(command) => command.run(global, output),
        Command::History(command) => command.run(global, output),
        Command::Show(command) => command.run(global, output),
        Command::Restore(command) => command.run(global, output),
        Command::Revert(command) => command.run(global, output),
        Command::Blame(command) => command.run(global, output),
        Command::FrameBegin(command) => command.run(global, output),
        Command::FrameList(command) => command.run(global, output),
        Command::FrameStatus(command) => command.run(global, output),
        Command::FrameCommit(command) => command.run(global, output),
        Command::FrameAbandon(command) => command.run(global, output),
        Command::FrameRollback(command) => command.run(global, output),
        Command::FrameCleanup(command) => command.run(global, output),
        Command::VersionList(command) => command.run(global, output),
        Command::VersionShow(command) => command.run(global, output),
        Command::VersionRollback(command) => command.run(global, output),
        Command::VersionExport(command) => command.run(global, output),
        Command::VersionPack(command) => command.run(global, output),
        Command::Status(command) => command.run(global, output),
        Command::Adopt(command) => command.run(global, output),
        Command::Discard(command) => command.run(global, output),
        Command::Watch(command) => command.run(global, output),
        Command::Merge(command) => command.run(global, output),
        Command::ConflictList(command) => command.run(global, output),
        Command::ConflictShow(command) => command.run(global, output),
        Command::ConflictResolve(command) => command.run(global, output),
        Command::Checkpoint(command) => command.run(global, output),
        Command::Compact(command) => command.run(global, output),
        Command::Verify(command) => command.run(global, output),
        Command::Repair(command) => command.run(global, output),
        Command::BackupCreate(command) => command.run(global, output),
        Command::BackupList(command) => command.run(output),
        Command::BackupRestore(command) => command.run(output),
        Command::ConfigGet(command) => command.run(global, output),
        Command::ConfigSet(command) => command.run(global, output),
        Command::IndexList(command) => command.run(global, output),
        Command::IndexCreate(command) => command.run(global, output),
        Command::IndexDrop(command) => command.run(global, output),
        Command::IndexRebuild(command) => command.run(global, output),
        Command::IndexStats(command) => command.run(global, output),
        Command::IndexAdvise(command) => command.run(global, output),
        Command::FunctionList(command) => command.run(global, output),
        Command::FunctionStats(command) => command.run(global, output),
        Command::FunctionClear(command) => command.run(global, output),
        Command::DictActions(command) => command.run(output),
        Command::DictUsers(command) => command.run(global, output),
        Command::DictValidate(command) => command.run(global, output),
        Command::GitInstall(command) => command.run(output),
        Command::GitDiff(command) => command.run(output),
        Command::GitMerge(command) => command.run(output),
        Command::GitResolve(command) => command.run(global, output),
        Command::GitCheckpoint(command) => command.run(global, output),
        Command::Completions(command) => command.run(output),
        Command::Man(command) => command.run(output),
    }
}

/// The key that was typed: one text, or several with commas between them for a key of several columns.
fn key(snapshot: &Snapshot, table: &str, text: &str) -> Result<Key<'static>> {
    let columns = snapshot.table(table)?.shape().key().len();
    let parts: Vec<&str> = if columns == 1 { vec![text] } else { text.split(',').collect() };
    if parts.len() != columns {
        return Err(Error::usage(format!("the key of {table} has {columns} columns"))
            .help("write them with commas between: a,b"));
    }
    Ok(Key::from_parts(&parts))
}

/// `column=value` as it was typed.
fn parse_cell(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((column, value)) if !column.is_empty() => Ok((column.to_owned(), value.to_owned())),
        _ => Err("write COLUMN=VALUE".to_owned()),
    }
}

/// The cells that were typed, with those to become NULL.
fn cells<'a>(
    set: &'a [(String, String)],
    null: &'a [String],
) -> impl Iterator<Item = (&'a str, Option<&'a str>)> {
    let set = set.iter().map(|(column, value)| (column.as_str(), Some(value.as_str())));
    set.chain(null.iter().map(|column| (column.as_str(), None)))
}

/// A row as a JSON object.
fn row_json(row: &Row) -> Value {
    let cells = row.columns().iter().zip(row.cells());
    let map: Map<String, Value> = cells
        .map(|(name, cell)| (name.clone(), cell.map_or(Value::Null, |text| json!(text))))
        .collect();
    Value::Object(map)
}

/// Tells what a commit did.
fn committed(commit: &Commit, what: &str, output: &mut Output) -> Result<()> {
    tell(commit, what, output)?;
    parked(commit, output)
}

fn tell(commit: &Commit, what: &str, output: &mut Output) -> Result<()> {
    for table in &commit.edited_outside {
        output.notice(&format!(
            "{table} was edited outside: the edit waits (rdb diff --outside, then rdb adopt or rdb discard)"
        ));
    }
    if !commit.merged.is_empty() && commit.frame.is_some() {
        let rows = counted(commit.merged.len() as u64, "row");
        output.notice(&format!("others had changed {rows} meanwhile: what both wrote is there"));
    }
    if let Some(frame) = &commit.open_frame {
        return if output.is_json() {
            output.json(&json!({"open_frame": frame.id().to_string()}))
        } else {
            output.line(&format!("{what} (in the open frame {})", frame.timestamp))
        };
    }
    let Some(frame) = &commit.frame else {
        return if output.is_json() {
            output.json(&json!({"frame": null}))
        } else {
            output.line("nothing changed")
        };
    };
    if output.is_json() {
        return output.json(&json!({
            "frame": frame.id().to_string(),
            "timestamp": frame.timestamp.as_micros(),
            "time": time::rfc3339(frame.timestamp),
            "merged": commit.merged.len(),
            "parked": commit.parked.iter().map(conflict_json).collect::<Vec<_>>(),
        }));
    }
    output.line(&format!("{what} (frame {})", frame.timestamp))
}

/// Tells what is left for somebody to decide.
fn parked(commit: &Commit, output: &mut Output) -> Result<()> {
    for id in &commit.stale_picks {
        output.notice(&format!(
            "the pick for {id} does not count: it is resolved, or the cell was changed since (rdb conflict:show {id})"
        ));
    }
    told_parked(&commit.parked, output)
}

/// Tells which conflicts were parked.
fn told_parked(parked: &[Conflict], output: &mut Output) -> Result<()> {
    if parked.is_empty() {
        return Ok(());
    }
    output.note_conflicts();
    if output.is_json() {
        return Ok(());
    }
    render::conflicts(parked, output)?;
    let parked = counted(parked.len() as u64, "conflict");
    output.notice(&format!(
        "{parked} parked, the database goes on as ours says: rdb conflict:resolve -i, or rdb conflict:list"
    ));
    Ok(())
}
