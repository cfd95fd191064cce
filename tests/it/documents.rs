//! Documents whose examples are run: `docs/reedql.md`. `UPDATE_GOLDEN=1` writes the answers anew.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::sessions::rdb;

/// What stands between the answers of two blocks.
const MARK: &str = "~~~~";

/// The fences of blocks that are run, and the dialect of each.
const FENCES: [(&str, &str); 3] =
    [("```sql\n", "reedql"), ("```tissql\n", "tissql"), ("```json\n", "filter")];

/// Runs blocks one after the other in one shell; gives what each prints.
fn answers(blocks: &[(&str, &str)]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    reedbase::Database::create(folder.path().join("db")).unwrap();
    let typed = |(block, dialect): &(&str, &str)| {
        format!(".dialect {dialect}\n{block}\n.dialect reedql\nSELECT '{MARK}' AS \"{MARK}\";\n")
    };
    let script: String = blocks.iter().map(typed).collect();
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "exec \"$0\" --db \"$1\" shell 2>&1"])
        .arg(rdb())
        .arg(folder.path().join("db"));
    shell.env("HOME", folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut shell = shell.spawn().unwrap();
    let mut input = shell.stdin.take().unwrap();
    let writing = std::thread::spawn(move || input.write_all(script.as_bytes()).unwrap());
    let output = shell.wait_with_output().unwrap();
    writing.join().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut answers: Vec<String> =
        text.split(&format!("{MARK}\n{MARK}\n")).map(without_numbers).collect();
    answers.truncate(blocks.len());
    answers
}

/// Numbers of frames, keys that are made and spaces at the ends of lines say nothing.
fn without_numbers(text: &str) -> String {
    let line = |line: &str| {
        let Some((before, _)) = line.split_once(" (frame ") else {
            return line.trim_end().to_owned() + "\n";
        };
        let (before, key) = before.split_once(", last key ").unwrap_or((before, ""));
        let key = match key.len() {
            0 => String::new(),
            36 => ", last key …".to_owned(),
            _ => format!(", last key {key}"),
        };
        format!("{before}{key} (frame …)\n")
    };
    text.lines().map(line).collect()
}

/// The blocks of a document that are run: what stands before each, its fence, the block with its dialect; and what stands
/// behind the last.
type Block<'a> = (&'a str, &'a str, (&'a str, &'a str));

fn blocks(mut document: &str) -> (Vec<Block<'_>>, &str) {
    let mut blocks = Vec::new();
    loop {
        let next = FENCES
            .iter()
            .filter_map(|(fence, dialect)| Some((document.find(fence)?, fence, dialect)));
        let Some((at, fence, dialect)) = next.min() else { return (blocks, document) };
        let (before, rest) = document.split_at(at);
        let (block, rest) = rest[fence.len()..].split_once("```\n").unwrap();
        blocks.push((before, *fence, (block, *dialect)));
        // An answer that stands there already is replaced.
        document =
            rest.strip_prefix("```text\n").map_or(rest, |rest| rest.split_once("```\n").unwrap().1);
    }
}

/// The document with what its examples print.
fn with_answers(document: &str) -> String {
    let (blocks, end) = blocks(document);
    assert!(blocks.len() > 10);
    let asked: Vec<_> = blocks.iter().map(|(.., block)| *block).collect();
    let mut made = String::new();
    for ((before, fence, (block, _)), answer) in blocks.iter().zip(answers(&asked)) {
        made += &format!("{before}{fence}{block}```\n```text\n{answer}```\n");
    }
    made + end
}

#[test]
fn what_the_document_of_reedql_shows_is_what_is_answered() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reedql.md");
    let document = std::fs::read_to_string(&path).unwrap();
    let made = with_answers(&document);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        #[expect(clippy::disallowed_methods, reason = "a document needs no storage")]
        std::fs::write(&path, made).unwrap();
        return;
    }
    for (number, (line, expected)) in (1..).zip(document.lines().zip(made.lines())) {
        assert_eq!(line, expected, "line {number} of docs/reedql.md");
    }
    assert_eq!(document.len(), made.len());
}
