//! A program that writes until it is killed: each frame adds one row to each of two tables, and once it is acknowledged its
//! number is printed. `writer FOLDER NAME`

use std::io::Write;

use reedbase::{Checkpoints, Limits, OpenOptions, Result};

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let [_, folder, name] = args.as_slice() else {
        return Err(reedbase::Error::usage("writer FOLDER NAME"));
    };
    // Files, packs and new segments all the time, so that it is killed in the middle of those, too.
    let options = OpenOptions::new().limits(Limits::tiny()).checkpoints(Checkpoints::Inline);
    let database = options.user(name).open(folder)?;
    let mut out = std::io::stdout().lock();
    for number in 0_u64.. {
        let key = format!("{name}-{number}");
        let mut transaction = database.begin()?;
        for table in ["one", "two"] {
            transaction.insert(table, [("id", key.as_str()), ("by", name.as_str())])?;
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
