//! The command `rdb`.

#![forbid(unsafe_code)]

mod args;
mod databases;
mod archive;
mod locate;
mod progress;
mod conflict_json;
mod output;
mod render;
mod resolver;
mod terminal;
mod time;
mod commands;

use std::process::ExitCode;

use clap::Parser;
use reedbase::ErrorKind;

use args::Args;
use output::Output;

fn main() -> ExitCode {
    let args = Args::parse();
    let mut output = Output::new(args.global.json);
    match commands::run(&args, &mut output).and_then(|()| output.finish()) {
        Ok(()) if output.has_conflicts() => ExitCode::from(exit_code_of(ErrorKind::Conflict)),
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if output.is_broken_pipe() => {
            // Whoever reads us has seen enough.
            drop(error);
            ExitCode::SUCCESS
        }
        Err(error) => {
            drop(render::refused(&error, &mut output));
            output.error(&error);
            ExitCode::from(exit_code_of(error.kind()))
        }
    }
}

/// 1 failed, 2 bad usage, 3 conflicts, 4 not licensed, 5 damaged.
fn exit_code_of(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::Usage | ErrorKind::InvalidChoice => 2,
        ErrorKind::Conflict => 3,
        ErrorKind::NotLicensed => 4,
        ErrorKind::Corrupt | ErrorKind::FrameSnapshotCorrupted => 5,
        _ => 1,
    }
}
