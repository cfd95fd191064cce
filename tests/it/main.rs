//! All integration tests, in one binary.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that fails should say so at once"
)]
#![allow(missing_docs, reason = "tests are documented by their names")]

/// Checks on the source text itself: layers, file lengths, forgotten files.
mod tidy;
/// What the README says is what is tested.
mod readme;
/// Random numbers.
mod random;
/// Scripts of library calls, run on storages that can fail.
mod script;
/// Every script against its expected output.
mod golden;
/// Every script again, with a crash at every write and every sync.
mod crash;
/// Random operations against plain maps.
mod model;
/// The command as a person uses it, against its expected output.
mod sessions;
/// 120 days of five real tables.
mod replay;
/// Every byte of a small database, changed.
mod poke;
/// What is damaged, made anew.
mod repair;
/// What verify finds where every checksum is right.
mod verify;
/// Two sides of a table, put together.
mod merge;
/// What programs begin and do not end, and going back.
mod programs;
/// Databases of older formats.
mod fixtures;
/// Mutated files, fed to every decoder.
mod decoders;
/// Licences and sources of all crates.
mod licences;
/// A disk with somebody beside it.
mod hooked;
/// An editor that saves a table at the worst moment.
mod editor;
/// Editors that work between any two operations of the database.
mod race;
/// Several processes on one database.
mod processes;
/// Processes that are killed while they write.
mod killed;
/// History that was removed on purpose.
mod compact;
/// Copies of one database that went on apart.
mod copies;
/// All of it at once.
mod together;
/// What writers rely on, and what becomes of it.
mod writers;
/// What tests of ReedQL have in common.
mod sql;
/// Questions in ReedQL, and what they are answered.
mod query;
/// ReedQL against plain SQLite.
mod differential;
/// The dialect tissql, and errors of what is translated.
mod dialects;
/// Logic tests in the format of SQLite's.
mod logic;
/// Hostile values, in every dialect.
mod hostile;
/// The dialect filter.
mod filter;
/// The function cache: what is kept, for how long.
mod cached;
/// Functions in queries and from Rust.
mod functions;
/// Indices: made, kept right, unique.
mod indices;
/// Tables that are made, changed and dropped in SQL.
mod ddl;
/// Documents whose examples are run.
mod documents;
/// Questions with a name.
mod views;
