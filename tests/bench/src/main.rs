//! ReedBase beside its peers, in one run: alternating order, medians, ratios.
//!
//! ```text
//! cargo run --release --manifest-path tests/bench/Cargo.toml            everything, about ten minutes
//! cargo run --release --manifest-path tests/bench/Cargo.toml -- --quick a short run, sizes up to 10k
//! ```
//!
//! Options: `--quick`, `--only WORD` (parts whose name holds the word), `--json FILE`, `--folder DIR` (the
//! disk to measure). DoltLite takes part when `DOLTLITE_LIB` names its shared library (or, for one
//! query, `DOLTLITE_SHELL` its shell), git and DuckDB
//! (`python3 -c "import duckdb"`) when they are installed. A peer that is not there is shown as `-`.

mod data;
mod measure;
mod peers;
mod report;
mod commit;
mod merge;
mod memory;
mod bulk;
mod past;
mod undo;
mod outside;
mod frames;
mod verify;
mod repair;
mod replay;
mod seeds;
mod query;
mod functions;
mod index;

use std::path::PathBuf;

use report::Report;

/// What to measure, and where.
pub struct Settings {
    /// Whether sizes and rounds are small.
    pub quick: bool,
    /// The folder on the disk to measure.
    pub folder: PathBuf,
}

impl Settings {
    /// The largest table.
    pub fn large(&self) -> u64 {
        if self.quick { 10_000 } else { 1_000_000 }
    }

    /// A table of usual size.
    pub fn middle(&self) -> u64 {
        if self.quick { 2_000 } else { 100_000 }
    }

    /// How many rounds a figure is taken over.
    pub fn rounds(&self, full: usize) -> usize {
        if self.quick { full.div_ceil(20).max(3) } else { full }
    }
}

/// One part of the bench.
type Part = (&'static str, fn(&Settings, &mut Report));

const PARTS: [Part; 26] = [
    ("commit", commit::one_row),
    ("threads", commit::threads),
    ("processes", commit::processes),
    ("merge", merge::tables),
    ("writers", merge::writers),
    ("memory", memory::against_koru),
    ("import", bulk::import),
    ("open", bulk::open),
    ("disk", past::disk),
    ("past", past::queries),
    ("undo", undo::table),
    ("frames", frames::wide),
    ("long", frames::long),
    ("lookup", frames::lookup),
    ("query", query::reedql),
    ("index search", index::searches),
    ("index make", index::making),
    ("query past", index::past),
    ("function cache", functions::cache),
    ("adopt", outside::edits),
    ("status", outside::status),
    ("verify", verify::speed),
    ("repair", repair::lost_table),
    ("compact", repair::compact),
    ("replay", replay::real_days),
    ("seeds", seeds::promised),
];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let Some(at) = args.iter().position(|arg| arg == "--child") {
        let args = &args[at + 1..];
        return match args {
            [kind, path] if kind == "memory" => bulk::memory(path.as_ref()),
            _ => commit::child(args),
        };
    }
    let value = |name: &str| {
        args.iter().position(|arg| arg == name).and_then(|at| args.get(at + 1)).cloned()
    };
    let folder = value("--folder").map_or_else(std::env::temp_dir, PathBuf::from);
    let settings = Settings { quick: args.iter().any(|arg| arg == "--quick"), folder };
    let only = value("--only").unwrap_or_default();
    let mut report = Report::default();
    for (name, part) in PARTS {
        if name.contains(only.as_str()) {
            eprintln!("{name} …");
            part(&settings, &mut report);
        }
    }
    report.print();
    if let Some(path) = value("--json") {
        std::fs::write(path, report.to_json()).expect("the report can be written");
    }
}
