use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::script::{check, scripts};

/// The command, built if need be.
pub(crate) fn rdb() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let mut build = Command::new(env!("CARGO"));
        build.args([
            "build",
            "--quiet",
            "--package",
            "reedbase",
            "--bin",
            "rdb",
            "--message-format=json",
        ]);
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        let output = build.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
        let messages = String::from_utf8_lossy(&output.stdout);
        let messages = messages
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let executable =
            messages.filter_map(|message| message["executable"].as_str().map(PathBuf::from)).max();
        executable.expect("cargo built the command")
    })
}

/// Each session runs in an empty folder with an empty home.
#[test]
fn sessions_print_what_they_should() {
    let bin = rdb().parent().unwrap().display().to_string();
    for (name, text, path) in scripts("sessions") {
        let folder = tempfile::tempdir().unwrap();
        let home = tempfile::tempdir().unwrap();
        check(&name, &text, &path, |command| {
            let output = Command::new("sh")
                .args(["-c", &format!("{{ {command}\n}} 2>&1")])
                .current_dir(folder.path())
                .env_clear()
                .env("PATH", format!("{bin}:/usr/bin:/bin"))
                .env("HOME", home.path())
                .env("TZ", "UTC")
                .env("USER", "ann")
                .output()
                .unwrap();
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let text =
                text.replace(&folder.path().canonicalize().unwrap().display().to_string(), "DIR");
            let code = output.status.code().unwrap_or(-1);
            let code = if code == 0 { String::new() } else { format!("[exit {code}]\n") };
            format!("{}{code}", normal(&text))
        });
    }
}

/// Numbers that differ from run to run, replaced by what they are.
fn normal(text: &str) -> String {
    let mut out = String::new();
    let mut digits = String::new();
    for char in text.chars().chain(['\0']) {
        if char.is_ascii_digit() {
            digits.push(char);
            continue;
        }
        let frame = digits.len() == 16;
        out.push_str(if frame { "<---- frame --->" } else { &digits });
        digits.clear();
        out.push(char);
    }
    out.pop();
    times(&out)
}

/// Dates with times, and frame ids.
fn times(text: &str) -> String {
    let shape = |word: &str, pattern: &str| {
        word.len() == pattern.len()
            && word.bytes().zip(pattern.bytes()).all(|(byte, kind)| match kind {
                b'9' => byte.is_ascii_digit(),
                b'x' => byte.is_ascii_hexdigit(),
                _ => byte == kind,
            })
    };
    let mut out = text.to_owned();
    for (pattern, shown) in [
        ("9999-99-99 99:99:99", "<------ time ----->"),
        ("9999-99-99T99:99:99Z", "<------- time ----->"),
        ("9999-99-99T99:99:99.999999Z", "<---------- time --------->"),
        ("xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", "<------------- frame id ----------->"),
    ] {
        let mut at = 0;
        while at + pattern.len() <= out.len() {
            if out.is_char_boundary(at)
                && out.is_char_boundary(at + pattern.len())
                && shape(&out[at..at + pattern.len()], pattern)
            {
                out.replace_range(at..at + pattern.len(), shown);
            }
            at += 1;
        }
    }
    out
}
