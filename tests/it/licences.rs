use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// The licences that `.deny.toml` allows.
fn allowed() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.deny.toml");
    let text = fs::read_to_string(path).unwrap();
    let list = text.split_once("allow = [").unwrap().1.split_once(']').unwrap().0;
    list.split(',').map(|name| name.trim().trim_matches('"').to_owned()).collect()
}

/// Whether an SPDX expression can be met with allowed licences: `AND` binds what stands in brackets.
fn is_met(expression: &str, allowed: &[String]) -> bool {
    let all = expression.split(" AND ").map(|part| part.trim().trim_matches(['(', ')']));
    all.into_iter().all(|part| {
        part.replace('/', " OR ").split(" OR ").any(|name| allowed.iter().any(|a| a == name.trim()))
    })
}

/// Every crate that the project is built from has an allowed licence and comes from crates.io. `cargo deny` checks the
/// same, and more, where it is installed.
#[test]
fn of_all_crates_are_allowed() {
    let mut metadata = Command::new(env!("CARGO"));
    metadata.args(["metadata", "--format-version=1", "--locked"]);
    let output = metadata.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 20);
    let allowed = allowed();
    let bad: Vec<_> = packages
        .iter()
        .filter(|package| {
            let ours = package["source"].is_null();
            let source = package["source"].as_str().unwrap_or_default();
            let from = ours || source == "registry+https://github.com/rust-lang/crates.io-index";
            !from || !is_met(package["license"].as_str().unwrap_or_default(), &allowed)
        })
        .map(|package| format!("{} {} {}", package["name"], package["source"], package["license"]))
        .collect();
    assert!(bad.is_empty(), "\n{}", bad.join("\n"));
    assert!(!is_met("GPL-3.0", &allowed) && !is_met("MIT AND GPL-3.0", &allowed));
    assert!(is_met("(MIT OR GPL-3.0) AND Unicode-3.0", &allowed));
}
