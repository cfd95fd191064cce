//! A program that works until it is killed. `writer FOLDER NAME`
//!
//! Each frame adds one row to each of two tables, and once it is acknowledged its number is printed. One called `keeper` writes
//! files, packs them and removes history all the time instead. Its clock jumps back now and then.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use reedbase::clock::{Clock, SystemClock};
use reedbase::{Checkpoints, Compact, Database, Keep, Limits, OpenOptions, Result, Timestamp};

/// A clock that somebody sets back by an hour every few ticks.
#[derive(Debug, Default)]
struct JumpingClock(AtomicU64);

impl Clock for JumpingClock {
    fn now(&self) -> Timestamp {
        let ticks = self.0.fetch_add(1, Ordering::Relaxed);
        let back = if ticks % 7 > 3 { 3_600_000_000 } else { 0 };
        Timestamp::from_micros(SystemClock.now().as_micros() - back)
    }
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let [_, folder, name] = args.as_slice() else {
        return Err(reedbase::Error::usage("writer FOLDER NAME"));
    };
    // Files, packs and new segments all the time, so that it is killed in the middle of those, too.
    let options = OpenOptions::new().limits(Limits::tiny()).checkpoints(Checkpoints::Inline);
    let database = options.clock(Arc::new(JumpingClock::default())).user(name).open(folder)?;
    if name == "keeper" { keep(&database) } else { write(&database, name) }
}

fn write(database: &Database, name: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    for number in 0_u64.. {
        let key = format!("{name}-{number}");
        let mut transaction = database.begin()?;
        for table in ["one", "two"] {
            transaction.insert(table, [("id", key.as_str()), ("by", name)])?;
        }
        transaction.increment("count", "all", "n", 1)?;
        transaction.commit()?;
        let told = writeln!(out, "{number}").and_then(|()| out.flush());
        if told.is_err() {
            break;
        }
    }
    Ok(())
}

fn keep(database: &Database) -> Result<()> {
    for (round, table) in (0_u64..).zip(["one", "two", "count"].into_iter().cycle()) {
        match round % 4 {
            0 => {
                database.checkpoint(&[])?;
            }
            1 => {
                database.pack(table)?;
            }
            _ => {
                let how = Compact::keep(Keep::Versions(5 + round % 40)).young(true);
                database.compact(&[table], &how)?;
            }
        }
    }
    Ok(())
}
