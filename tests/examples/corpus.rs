//! Writes the seeds of every fuzz target: `cargo run -p reedbase-tests --example corpus -- tests/fuzz/corpus`.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "the corpus need not be durable, and a failure should be seen at once"
)]

use std::path::PathBuf;

fn main() {
    let folder: PathBuf = std::env::args_os().nth(1).expect("the folder of the corpus").into();
    for decoder in reedbase_tests::decoders::ALL {
        let folder = folder.join(decoder.name);
        std::fs::create_dir_all(&folder).expect("a folder");
        for (number, seed) in (decoder.seeds)().into_iter().enumerate() {
            std::fs::write(folder.join(number.to_string()), seed).expect("a seed");
        }
    }
}
