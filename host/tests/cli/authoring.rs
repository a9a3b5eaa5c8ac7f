//! `plugin new`, `build` and `test`: from nothing to a plugin that a host takes.

use std::path::Path;
use std::sync::OnceLock;

use serde_json::json;

use crate::program::{foldhost, run};
use crate::support::Folder;
use crate::workspace::Workspace;

/// A workspace with a new plugin of each kind.
fn authored() -> &'static Workspace {
    static AUTHORED: OnceLock<Workspace> = OnceLock::new();
    AUTHORED.get_or_init(|| {
        let workspace = Workspace::begin("authored");
        for arguments in [
            ["plugin", "new", "counter", "--kind", "aggregate"],
            ["plugin", "new", "my-totals", "--kind", "projection"],
        ] {
            run(workspace.foldhost(&arguments)).worked();
        }
        workspace
    })
}

#[test]
fn new_plugins_pass_their_own_tests_natively_and_as_components() {
    let tested = run(authored().foldhost(&["--json", "plugin", "test"])).values();
    assert_eq!(
        tested,
        [
            json!({ "name": "counter", "native": true, "component": true }),
            json!({ "name": "my-totals", "native": true, "component": true }),
        ]
    );
}

#[test]
fn new_plugins_please_clippy_and_rustfmt() {
    let clippy = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "--deny",
        "warnings",
    ];
    run(authored().cargo(&clippy)).worked();
    run(authored().cargo(&[
        "fmt",
        "--check",
        "--package",
        "counter",
        "--package",
        "my-totals",
    ]))
    .worked();
}

#[test]
fn new_plugins_build_to_components_that_are_taken_and_are_not_written_twice() {
    let workspace = authored();
    let build = |names: &[&str]| {
        let arguments = [&["--json", "plugin", "build", "--out", "built"], names].concat();
        run(workspace.foldhost(&arguments)).values()
    };
    let built = build(&[]);
    assert_eq!(built.len(), 2);
    assert!(
        built.iter().all(|built| built["changed"] == true),
        "{built:?}"
    );
    let again = build(&["counter"]);
    assert_eq!((again.len(), &again[0]["changed"]), (1, &json!(false)));
    for (name, says) in [
        ("counter", "aggregate   counter"),
        ("my-totals", "my-totals-with-total"),
    ] {
        let file = format!("built/{name}.wasm");
        let told = run(workspace.foldhost(&["plugin", "check", &file])).worked();
        assert!(told.contains(says), "{told}");
    }
}

#[test]
fn a_plugin_that_is_not_there_is_told_with_those_that_are() {
    let error = run(authored().foldhost(&["plugin", "build", "conter"])).error(2);
    assert_eq!(
        error,
        "there is no plugin crate conter in plugins; there are: counter, my-totals"
    );
}

#[test]
fn a_new_crate_that_no_workspace_takes_becomes_a_workspace_of_its_own() {
    // Below the build folder of our own workspace, which does not know it.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("alone");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    run(foldhost(
        &folder,
        &["plugin", "new", "alone", "--kind", "aggregate"],
    ))
    .worked();
    let manifest = std::fs::read_to_string(folder.join("plugins/alone/Cargo.toml")).unwrap();
    assert!(manifest.contains("[workspace]"), "{manifest}");
    assert!(folder.join("plugins/alone/Cargo.lock").is_file());
}

#[test]
fn nothing_is_written_over() {
    let folder = Folder::new();
    std::fs::create_dir_all(folder.path().join("plugins/mine")).unwrap();
    std::fs::write(folder.path().join("plugins/mine/notes"), "precious").unwrap();
    let error = run(foldhost(
        folder.path(),
        &["plugin", "new", "mine", "--kind", "aggregate"],
    ))
    .error(2);
    assert!(error.starts_with("plugins/mine is not empty"), "{error}");
    assert!(folder.path().join("plugins/mine/notes").is_file());
}

#[test]
fn names_and_folders_that_cannot_work_are_told() {
    let folder = Folder::new();
    let new = |arguments: &[&str]| {
        run(foldhost(
            folder.path(),
            &[&["plugin", "new", "--kind", "projection"], arguments].concat(),
        ))
        .error(2)
    };
    assert!(new(&["Counter"]).contains("lower-case letter"));
    assert!(new(&["event"]).contains("a word of Rust or of the SDK"));
    assert!(new(&["totals", "--of", "a-b"]).starts_with("--of: "));
    assert!(new(&["totals", "--sdk", "."]).starts_with("--sdk .: "));
    let error = run(foldhost(folder.path(), &["plugin", "build"])).error(2);
    assert!(
        error.starts_with("--sources plugins: cannot be read"),
        "{error}"
    );
}
