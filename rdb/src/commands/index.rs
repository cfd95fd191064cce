//! `rdb index:list`, `index:create`, `index:drop`, `index:rebuild`, `index:stats`, `index:advise`

use std::time::Instant;

use reedbase::{Database, IndexSpec, IndexStat, Params, Result, Value, index_name};
use serde_json::json;

use super::query::show;
use crate::args::Global;
use crate::locate;
use crate::output::{Output, counted};

/// Print the indices
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  rdb index:list\n  rdb index:list pages")]
pub(crate) struct List {
    /// Only those of this table
    table: Option<String>,
}

impl List {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let database = locate::open(global, output)?;
        let exact = self.table.as_deref().map(|table| exact_name(&database, table)).transpose()?;
        let sql = "SELECT name, table_name AS \"table\", kind, columns, iif(is_unique, 'yes', 'no') AS \"unique\", \
                   iif(sparse, 'yes', 'no') AS sparse \
                   FROM reed_indices WHERE ?1 IS NULL OR table_name = ?1 ORDER BY table_name, name";
        let params = Params::from(vec![Value::from(exact)]);
        show(&mut database.session()?, sql, params, None, output)
    }
}

fn exact_name(database: &Database, table: &str) -> Result<String> {
    let snapshot = database.snapshot()?;
    Ok(snapshot.named_table(table)?.0.as_str().to_owned())
}

/// Make an index
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Of one column it is a btree if nothing is said, of several a composite.\n\n\
    Examples:\n  rdb index:create pages lang\n  rdb index:create pages lang status --name pages_by_state\n  \
    rdb index:create users email --using hash --unique"
)]
pub(crate) struct Create {
    /// The table
    table: String,
    /// The columns
    #[arg(required = true)]
    columns: Vec<String>,
    /// Its name [default: by_, the table and the columns]
    #[arg(long)]
    name: Option<String>,
    /// Its kind: btree, composite or hash
    #[arg(long, value_name = "KIND")]
    using: Option<String>,
    /// No two rows may have the same values
    #[arg(long)]
    unique: bool,
    /// Leave out rows without a value
    #[arg(long)]
    sparse: bool,
    /// Capital letters count as small ones
    #[arg(long)]
    nocase: bool,
}

impl Create {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let database = locate::open(global, output)?;
        let table = exact_name(&database, &self.table)?;
        let columns: Vec<&str> = self.columns.iter().map(String::as_str).collect();
        let name = self.name.clone().unwrap_or_else(|| index_name("by", &table, &columns));
        let usual = if columns.len() == 1 { "btree" } else { "composite" };
        let kind = self.using.as_deref().unwrap_or(usual);
        let mut spec = IndexSpec::new(&name, kind, &columns);
        (spec.unique, spec.sparse) = (self.unique, self.sparse);
        spec.columns.iter_mut().for_each(|column| column.nocase = self.nocase);
        database.create_index(&table, &spec)?;
        let (stat, time) = timed(|| database.index_stat(&name))?;
        tell(output, "made", &stat, &time)
    }
}

/// Drop an index
#[derive(Debug, clap::Args)]
#[command(after_help = "The rows stay as they are.\n\nExample:\n  rdb index:drop pages_by_state")]
pub(crate) struct Drop {
    /// Its name
    name: String,
}

impl Drop {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let database = locate::open(global, output)?;
        database.drop_index(&self.name)?;
        match output.is_json() {
            true => output.json(&json!({"dropped": self.name})),
            false => output.line(&format!("dropped the index {}", self.name)),
        }
    }
}

/// Make indices anew, of the rows alone
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Indices follow the rows by themselves; this is for the case that one is in doubt.\n\n\
    Examples:\n  rdb index:rebuild\n  rdb index:rebuild pages_by_state"
)]
pub(crate) struct Rebuild {
    /// Only this one
    name: Option<String>,
}

impl Rebuild {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let database = locate::open(global, output)?;
        for name in names(&database, self.name.as_deref())? {
            let (stat, time) = timed(|| database.rebuild_index(&name))?;
            tell(output, "made anew", &stat, &time)?;
        }
        Ok(())
    }
}

/// Print how many entries indices have, and what they take in memory
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  rdb index:stats\n  rdb index:stats pages_by_state --json")]
pub(crate) struct Stats {
    /// Only this one
    name: Option<String>,
}

impl Stats {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let database = locate::open(global, output)?;
        let head = ["name", "table", "kind", ">entries", ">bytes", ">ready after"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        for name in names(&database, self.name.as_deref())? {
            let (stat, time) = timed(|| database.index_stat(&name))?;
            if output.is_json() {
                output.json(&stat_json(&stat))?;
            }
            rows.push(vec![
                stat.spec.name.clone(),
                stat.table.to_string(),
                stat.spec.using.clone(),
                stat.entries.to_string(),
                stat.bytes.to_string(),
                time,
            ]);
        }
        if output.is_json() { Ok(()) } else { output.table(&rows) }
    }
}

/// Print which indices would help, by what was asked so far
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Counted is what was asked by columns that no index has, where 1,000 rows or more were passed by.\n\
    With rdb config:set indices.auto true, what was asked eight times in one process is made by itself.\n\n\
    Example:\n  rdb index:advise"
)]
pub(crate) struct Advise {}

impl Advise {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let database = locate::open(global, output)?;
        let sql =
            "SELECT times, rows_passed, statement FROM reed_searches ORDER BY rows_passed DESC";
        show(&mut database.session()?, sql, Params::default(), None, output)
    }
}

/// The names of all indices, or the one that was named.
fn names(database: &Database, one: Option<&str>) -> Result<Vec<String>> {
    match one {
        Some(name) => Ok(vec![name.to_owned()]),
        None => database.query_as("SELECT name FROM reed_indices ORDER BY name", ()),
    }
}

fn timed<T>(act: impl FnOnce() -> Result<T>) -> Result<(T, String)> {
    let start = Instant::now();
    let done = act()?;
    Ok((done, format!("{:.1} ms", start.elapsed().as_secs_f64() * 1000.0)))
}

fn stat_json(stat: &IndexStat) -> serde_json::Value {
    json!({
        "name": stat.spec.name,
        "table": stat.table.as_str(),
        "kind": stat.spec.using,
        "entries": stat.entries,
        "bytes": stat.bytes,
    })
}

fn tell(output: &mut Output, what: &str, stat: &IndexStat, time: &str) -> Result<()> {
    if output.is_json() {
        return output.json(&stat_json(stat));
    }
    let rows = counted(stat.entries, "row");
    output.line(&format!("{what}: {} of {}, {rows} in {time}", stat.spec.name, stat.table))
}
