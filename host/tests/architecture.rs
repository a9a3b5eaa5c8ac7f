//! Who may import whom: reads the sources and names every line that breaks a rule.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::fs;
use std::path::{Path, PathBuf};

/// Each module and the modules of ours that it may import. The order is the data's way through the host.
const MODULES: &[(&str, &[&str])] = &[
    ("message", &[]),
    ("sqlite", &["message"]),
    ("event_store", &["message", "sqlite"]),
    ("event_log", &["message", "event_store"]),
    ("relay", &["message", "event_store", "event_log"]),
    ("read_store", &["message", "sqlite"]),
    ("transfer", &["message", "event_store", "read_store"]),
    ("plugin", &["message", "read_store"]),
    ("command", &["message", "event_store", "plugin"]),
    (
        "projection",
        &[
            "message",
            "event_store",
            "event_log",
            "plugin",
            "read_store",
        ],
    ),
    ("config", &["event_log", "plugin", "projection"]),
    (
        "stores",
        &["config", "event_log", "event_store", "read_store", "relay"],
    ),
    ("catalog", &["message", "plugin"]),
    (
        "query",
        &[
            "catalog",
            "event_store",
            "message",
            "plugin",
            "projection",
            "read_store",
        ],
    ),
    (
        "registry",
        &[
            "catalog",
            "command",
            "config",
            "event_store",
            "message",
            "plugin",
            "projection",
            "query",
            "read_store",
        ],
    ),
    (
        "http",
        &[
            "Host",
            "catalog",
            "command",
            "config",
            "event_log",
            "event_store",
            "host",
            "message",
            "plugin",
            "projection",
            "query",
            "read_store",
            "relay",
        ],
    ),
];

/// What the tests need between any two steps.
const EVERYWHERE: &[&str] = &["crash_point"];

/// Each driver crate and the only places that may know it.
const DRIVERS: &[(&str, &[&str])] = &[
    (
        "rusqlite",
        &["sqlite", "event_store/sqlite", "read_store/sqlite"],
    ),
    ("sqlx", &["event_store/postgres"]),
    ("rdkafka", &["event_log/kafka", "relay"]),
    ("mongodb", &["read_store/mongo"]),
    ("wasmtime", &["plugin/"]),
    ("wasmtime_wasi", &["plugin/"]),
    ("axum", &["http", "host.rs", "cli"]),
    ("tower_http", &["http"]),
    ("StatusCode", &["http", "cli"]),
    ("notify_debouncer_full", &["registry/watcher.rs", "cli"]),
    ("anyhow", &["main.rs", "cli"]),
    ("clap", &["main.rs", "cli"]),
    ("reqwest", &["cli"]),
];

fn sources() -> Vec<(String, String)> {
    fn walk(folder: &Path, into: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, into);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                into.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    paths.sort();
    let read = |path: PathBuf| {
        let name = path
            .strip_prefix(&root)
            .unwrap()
            .to_string_lossy()
            .into_owned();
        (name, fs::read_to_string(path).unwrap())
    };
    paths.into_iter().map(read).collect()
}

/// Lines of code with their numbers; comments name what they like.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim()));
    lines.filter(|(_, line)| !line.starts_with("//"))
}

/// A line without what stands between double quotes: a URL may begin like a driver is called.
fn without_texts(line: &str) -> String {
    line.split('"').step_by(2).collect()
}

/// The first part of every `crate::…` path in a line.
fn own_paths(line: &str) -> impl Iterator<Item = &str> {
    line.split("crate::").skip(1).map(|rest| {
        let end = rest
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        &rest[..end]
    })
}

fn module_of(file: &str) -> &str {
    file.split(['/', '.']).next().unwrap_or(file)
}

fn names(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let is_name = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        !is_name(before) && !is_name(after)
    })
}

#[test]
fn every_module_imports_only_what_it_may() {
    let mut broken = Vec::new();
    for (file, text) in sources() {
        let Some((module, allowed)) = MODULES
            .iter()
            .find(|(module, _)| *module == module_of(&file))
        else {
            continue;
        };
        for (number, line) in code(&text) {
            for path in own_paths(line).filter(|path| {
                path != module
                    && !allowed.contains(path)
                    && !EVERYWHERE.contains(path)
                    && !path.is_empty()
            }) {
                broken.push(format!(
                    "{file}:{number}: {module} may not import {path}: {line}"
                ));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_driver_crate_is_known_only_to_its_adapter() {
    let mut broken = Vec::new();
    for (file, text) in sources() {
        for (number, line) in code(&text) {
            for (driver, places) in DRIVERS {
                if names(&without_texts(line), driver)
                    && !places.iter().any(|place| file.starts_with(place))
                {
                    broken.push(format!("{file}:{number}: {driver} is not for here: {line}"));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn unsafe_code_stands_in_one_file() {
    let with_unsafe =
        |(_, text): &(String, String)| code(text).any(|(_, line)| line.contains("unsafe {"));
    let files: Vec<String> = sources()
        .into_iter()
        .filter(with_unsafe)
        .map(|(file, _)| file)
        .collect();
    assert_eq!(files, ["plugin/cache.rs"]);
}

#[test]
fn plugins_depend_on_the_sdk_alone_and_the_sdk_not_on_the_host() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for folder in ["plugins", "examples/permits", "plugin-sdk"] {
        let manifests = fs::read_dir(root.join(folder))
            .unwrap()
            .map(|entry| entry.unwrap().path().join("Cargo.toml"));
        for manifest in manifests
            .chain([root.join(folder).join("Cargo.toml")])
            .filter(|path| path.exists())
        {
            let text = fs::read_to_string(&manifest).unwrap();
            let dependency =
                |line: &str| line.starts_with("foldhost.") || line.starts_with("foldhost =");
            assert!(
                !text.lines().any(dependency),
                "{} depends on the host",
                manifest.display()
            );
        }
    }
}
