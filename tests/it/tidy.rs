use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A module of a plugin may use only those declared above it.
#[test]
fn imports_of_plugins_point_up() {
    let mut errors = Vec::new();
    for entry in fs::read_dir(root().join("plugins")).unwrap() {
        errors.extend(imports_point_up(&entry.unwrap().path().join("src"), "lib.rs", "crate::"));
    }
    assert!(errors.is_empty(), "\n{}", errors.join("\n"));
}

/// A kernel module may use only modules declared above it in `lib.rs`; the same inside each folder.
#[test]
fn kernel_imports_point_up() {
    let source = root().join("kernel/src");
    let mut errors = imports_point_up(&source, "lib.rs", "crate::");
    for entry in fs::read_dir(&source).unwrap() {
        let folder = entry.unwrap().path();
        if folder.is_dir() {
            errors.extend(imports_point_up(&folder, "mod.rs", "super::"));
        }
    }
    assert!(errors.is_empty(), "\n{}", errors.join("\n"));
}

/// Inside a folder, names come through `super::` from the re-exports, so the check there is on explicit
/// `super::module::` paths.
fn imports_point_up(folder: &Path, root: &str, prefix: &str) -> Vec<String> {
    let list = fs::read_to_string(folder.join(root)).unwrap();
    let order: Vec<&str> = list
        .lines()
        .filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod "))
        .filter_map(|line| line.strip_suffix(';'))
        .collect();
    let files = fs::read_dir(folder).unwrap().count();
    assert!(!order.is_empty() || files == 1, "{} declares no modules", folder.display());
    let mut errors = Vec::new();
    for (rank, module) in order.iter().enumerate() {
        for file in module_files(folder, module) {
            // Tests stand at the end of a file, and may use what they like.
            let text = fs::read_to_string(&file).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
            for (number, line) in code.lines().enumerate() {
                let at = format!("{}:{}", file.display(), number + 1);
                if line.contains(&format!("{prefix}{{")) && prefix == "crate::" {
                    errors.push(format!("{at}: write one `use` per module, not `{prefix}{{`"));
                }
                for target in paths(line, prefix) {
                    match order.iter().position(|name| *name == target) {
                        Some(other) if other > rank => {
                            errors.push(format!("{at}: {module} must not use {target}"));
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    errors
}

/// The first path segment after every prefix in the line.
fn paths<'a>(line: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    line.split(prefix).skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        &rest[..end]
    })
}

fn module_files(folder: &Path, module: &str) -> Vec<PathBuf> {
    let mut files = vec![folder.join(format!("{module}.rs"))];
    files.extend(rust_files(&folder.join(module)));
    files.retain(|file| file.is_file());
    files
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files
}

/// Every source file is part of its crate: a file that no `mod` line names is never compiled.
#[test]
fn no_source_file_is_forgotten() {
    let mut forgotten = Vec::new();
    for file in
        ["plugin-api/src", "kernel/src", "rdb/src"].iter().flat_map(|f| rust_files(&root().join(f)))
    {
        let (name, folder) = (file.file_stem().unwrap().to_str().unwrap(), file.parent().unwrap());
        if matches!(name, "lib" | "main") {
            continue;
        }
        // `mod.rs` is named by the folder above it, in which it counts as a file of the folder's name.
        let (module, above) = match name {
            "mod" => (folder.file_name().unwrap().to_str().unwrap(), folder.parent().unwrap()),
            _ => (name, folder),
        };
        let named = ["mod.rs", "lib.rs", "main.rs"].iter().any(|list| {
            let list = fs::read_to_string(above.join(list)).unwrap_or_default();
            list.lines().any(|line| {
                let line = line.trim_start_matches("pub(crate) ").trim_start_matches("pub ");
                line == format!("mod {module};")
            })
        });
        if !named {
            forgotten.push(file.display().to_string());
        }
    }
    assert!(forgotten.is_empty(), "\n{}", forgotten.join("\n"));
}

/// The plugin API knows no engine, and the kernel no plugin.
#[test]
fn crates_depend_in_one_direction() {
    let manifest = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    assert!(!manifest("plugin-api/Cargo.toml").contains("reedbase-kernel"));
    let kernel = manifest("kernel/Cargo.toml");
    assert!(
        !kernel.contains("reedbase-plugin-") || kernel.matches("reedbase-plugin-").count() == 1
    );
}

/// `docs/promises.md` names tests that exist.
#[test]
fn promises_name_tests_that_exist() {
    let text = fs::read_to_string(root().join("docs/promises.md")).unwrap();
    let sources: Vec<String> = ["plugin-api", "kernel", "rdb"]
        .iter()
        .flat_map(|folder| rust_files(&root().join(folder)))
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    let mut missing = Vec::new();
    let mut checked = 0;
    for row in text.lines().filter_map(|line| line.strip_prefix("| ")) {
        // Names stand between backquotes, after the word that says what they are.
        let held = row.rsplit(" | ").next().unwrap();
        let parts: Vec<&str> = held.split('`').collect();
        let mut kind = "";
        for pair in parts.chunks(2) {
            let [before, name] = pair else { continue };
            let word = before.trim_matches([',', ';', ' ']).rsplit(' ').next().unwrap();
            kind = if word.is_empty() || word == "and" { kind } else { word.trim_end_matches('s') };
            let module = root().join(format!("tests/it/{name}.rs")).is_file();
            let there = match (kind, name.rsplit_once("tests::")) {
                _ if module => true,
                ("session", _) => root().join(format!("tests/it/sessions/{name}.script")).is_file(),
                ("script", _) => root().join(format!("tests/it/scripts/{name}.script")).is_file(),
                (_, Some((_, test))) => {
                    sources.iter().any(|text| text.contains(&format!("fn {test}(")))
                }
                _ => continue,
            };
            checked += 1;
            if !there {
                missing.push(format!("{kind} {name}"));
            }
        }
    }
    assert!(checked > 15, "only {checked} names were found");
    assert!(missing.is_empty(), "{missing:?}");
}

/// A file that cannot be read in one go should be two.
#[test]
fn files_stay_short() {
    let mut long = Vec::new();
    for folder in ["plugin-api", "kernel", "plugins", "rdb"] {
        for file in rust_files(&root().join(folder)) {
            let text = fs::read_to_string(&file).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests").next().unwrap().lines().count();
            if code > 500 {
                long.push(format!("{}: {code} lines", file.display()));
            }
        }
    }
    assert!(long.is_empty(), "\n{}", long.join("\n"));
}

/// Every file beside this one is a module of the binary, and says what for.
#[test]
fn no_test_file_is_forgotten() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("it");
    let main = fs::read_to_string(folder.join("main.rs")).unwrap();
    for file in fs::read_dir(&folder).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let Some(module) = name.strip_suffix(".rs").filter(|module| *module != "main") else {
            continue;
        };
        let declared = main.lines().position(|line| line == format!("mod {module};"));
        let before = declared.and_then(|at| main.lines().nth(at.checked_sub(1)?));
        assert!(
            before.is_some_and(|line| line.starts_with("/// ")),
            "{name} is not listed in main.rs"
        );
    }
}
