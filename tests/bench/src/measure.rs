//! Times and medians.

use std::path::Path;
use std::time::{Duration, Instant};

/// How long something takes.
pub fn time<T>(act: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let value = act();
    (start.elapsed(), value)
}

/// The median of some durations, in microseconds.
pub fn median_us(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(f64::NAN, |time| time.as_secs_f64() * 1e6)
}

/// The median, in seconds.
pub fn median_s(times: &mut [Duration]) -> f64 {
    median_us(times) / 1e6
}

/// What a folder takes on disk, in bytes of blocks, and what its files hold.
pub fn disk(folder: &Path, skip: &[&str]) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    let (mut blocks, mut bytes) = (0, 0);
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let (path, meta) = (entry.path(), entry.metadata().expect("the file is there"));
            if skip.iter().any(|name| entry.file_name() == **name) {
                continue;
            }
            if meta.is_dir() {
                folders.push(path);
            } else {
                blocks += meta.blocks() * 512;
                bytes += meta.len();
            }
        }
    }
    (blocks, bytes)
}

/// The memory this process has, in bytes.
pub fn current_memory() -> u64 {
    memory("VmRSS:")
}

fn memory(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or_default() * 1024
}
