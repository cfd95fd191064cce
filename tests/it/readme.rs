use std::fs;
use std::path::Path;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap()
}

/// The lines of the first block of this language.
fn block(text: &str, language: &str) -> Vec<String> {
    let lines = text.lines().skip_while(|line| *line != format!("```{language}")).skip(1);
    lines.take_while(|line| *line != "```").map(str::to_owned).collect()
}

/// The Rust of the README is the example of the library, which its own tests compile and run.
#[test]
fn the_example_is_the_tested_one() {
    let library = read("rdb/src/lib.rs");
    let docs: Vec<_> = library
        .lines()
        .filter_map(|line| line.strip_prefix("//!"))
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .collect();
    let visible = block(&docs.join("\n"), "").into_iter().filter(|line| !line.starts_with("# "));
    let example = block(&read("README.md"), "rust");
    assert_eq!(example, visible.collect::<Vec<_>>());
    assert!(example.iter().filter(|line| !line.is_empty()).count() <= 10);
}

/// CI runs the test command that the README tells its readers.
#[test]
fn ci_runs_the_command_of_the_readme() {
    let commands = block(&read("README.md"), "sh");
    let [demo, test] = commands.as_slice() else { panic!("two commands") };
    let command = |line: &str| line.split("  ").next().unwrap().to_owned();
    assert_eq!(command(demo), "cargo run -- demo");
    assert!(read(".ci/run").lines().any(|line| line == command(test)), "{test}");
}
