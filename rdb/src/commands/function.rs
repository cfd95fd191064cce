//! `rdb function:list`, `function:stats`, `function:clear`

use reedbase::{Function, FunctionBody, FunctionStat, Result, nearest};
use serde_json::json;

use crate::args::Global;
use crate::locate;
use crate::output::{Output, counted};

/// Print the functions that queries can call besides SQLite's own
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  rdb function:list")]
pub(crate) struct List {}

impl List {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let database = locate::open(global, output)?;
        let mut functions: Vec<&Function> = database.functions().iter().collect();
        functions.sort_by_key(|function| function.name());
        if output.is_json() {
            return functions.iter().try_for_each(|function| {
                let (name, takes) = (function.name(), function.arguments());
                let (least, most) = (takes.start(), takes.end());
                output.json(
                    &json!({"name": name, "is": what(function), "least": least, "most": most}),
                )
            });
        }
        let mut rows = vec![["name", "is", "takes"].map(str::to_owned).to_vec()];
        rows.extend(functions.iter().map(|function| {
            vec![function.name().to_owned(), what(function).to_owned(), takes(function)]
        }));
        output.table(&rows)
    }
}

fn what(function: &Function) -> &'static str {
    match function.body() {
        FunctionBody::Aggregate(_) => "aggregate",
        FunctionBody::Collation(_) => "collation",
        _ => "function",
    }
}

fn takes(function: &Function) -> String {
    let (least, most) = (*function.arguments().start(), *function.arguments().end());
    match (function.body(), least == most) {
        (FunctionBody::Collation(_), _) => "two texts".to_owned(),
        (_, true) => counted(least as u64, "value"),
        (_, false) if most == usize::MAX => format!("{least} or more values"),
        (_, false) => format!("{least} to {most} values"),
    }
}

/// Print how many results of cached functions are kept, and how often they were asked for
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Counted is what programs wrote to cache/functions: when they ended, and from time to time before.\n\n\
    Example:\n  rdb function:stats"
)]
pub(crate) struct Stats {}

impl Stats {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let database = locate::open(global, output)?;
        let stats = database.function_stats()?;
        if output.is_json() {
            return stats.iter().try_for_each(|stat| output.json(&stat_json(stat)));
        }
        if stats.is_empty() {
            return output.line(
                "no results are kept: a program keeps those of functions that are #[cached]",
            );
        }
        let head = ["function", ">results", ">bytes", ">hits", ">misses", ">hit rate"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(stats.iter().map(|stat| {
            let numbers = [stat.results, stat.bytes, stat.hits, stat.misses];
            let mut row = vec![stat.function.clone()];
            row.extend(numbers.iter().map(u64::to_string));
            row.push(format!("{:.1} %", stat.hit_rate()));
            row
        }));
        output.table(&rows)
    }
}

fn stat_json(stat: &FunctionStat) -> serde_json::Value {
    json!({
        "function": stat.function,
        "results": stat.results,
        "bytes": stat.bytes,
        "hits": stat.hits,
        "misses": stat.misses,
        "hit_rate_percent": stat.hit_rate(),
    })
}

/// Forget the results of a cached function, or of all
#[derive(Debug, clap::Args)]
#[command(after_help = "A program that runs keeps what it has in memory.\n\n\
    Examples:\n  rdb function:clear shop::revenue\n  rdb function:clear")]
pub(crate) struct Clear {
    /// Only this one
    name: Option<String>,
}

impl Clear {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let database = locate::open(global, output)?;
        let stats = database.function_stats()?;
        let mut known = stats.iter().map(|stat| stat.function.as_str());
        if let Some(name) = &self.name
            && !known.clone().any(|known| known == name)
        {
            let error = reedbase::Error::not_found(format!("no results of `{name}` are kept"));
            return Err(nearest(error, "function", name, known.by_ref()));
        }
        let of =
            |stat: &&FunctionStat| self.name.as_ref().is_none_or(|name| *name == stat.function);
        let results: u64 = stats.iter().filter(of).map(|stat| stat.results).sum();
        database.clear_cached(self.name.as_deref())?;
        match output.is_json() {
            true => output.json(&json!({"forgotten": results})),
            false => output.line(&format!("forgot {}", counted(results, "result"))),
        }
    }
}
