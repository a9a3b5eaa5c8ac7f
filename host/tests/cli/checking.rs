//! `plugin check`: what a host would take, and what it would refuse, each in one line.

use std::path::PathBuf;

use crate::program::{foldhost, run};
use crate::support::{Folder, component};

#[track_caller]
fn check_refused(bytes: &[u8], says: &str) {
    let folder = Folder::new();
    std::fs::write(folder.path().join("plugin.wasm"), bytes).unwrap();
    let error = run(foldhost(folder.path(), &["plugin", "check", "plugin.wasm"])).error(1);
    assert!(error.starts_with("plugin.wasm: "), "{error}");
    assert!(error.contains(says), "does not say {says:?}: {error}");
}

fn file(folder: &Folder, name: &str) -> PathBuf {
    let file = folder.path().join(format!("{name}.wasm"));
    std::fs::write(&file, component(name)).unwrap();
    file
}

#[test]
fn an_aggregate_tells_its_commands_and_events() {
    let folder = Folder::new();
    file(&folder, "post");
    let told = run(foldhost(folder.path(), &["plugin", "check", "post.wasm"])).worked();
    for part in [
        "post 0.1.0",
        "digest",
        "aggregate   post",
        "add-comment",
        "PostCreated",
    ] {
        assert!(told.contains(part), "does not tell {part}: {told}");
    }
}

#[test]
fn a_projection_tells_its_collections_and_queries() {
    let folder = Folder::new();
    file(&folder, "posts");
    let told = run(foldhost(
        folder.path(),
        &["--json", "plugin", "check", "posts.wasm"],
    ))
    .values();
    let projection = &told[0]["projection"];
    assert_eq!(told[0]["aggregate"], serde_json::Value::Null);
    assert_eq!(projection["collections"][0]["name"], "posts");
    assert_eq!(projection["events"][0]["type"], "post.PostCreated");
    let names = projection["queries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|query| &query["name"]);
    assert!(
        names.into_iter().any(|name| name == "find-posts-by-author"),
        "{told:?}"
    );
}

#[test]
fn a_half_written_component_is_refused() {
    let whole = component("post");
    for part in [1, 7, 12, 1_000, whole.len() / 2, whole.len() - 1] {
        check_refused(&whole[..part], "not a WebAssembly component");
    }
    check_refused(b"", "not a WebAssembly component");
}

#[test]
fn bytes_that_mean_nothing_are_refused() {
    let mut state = 1_u64;
    let mut random = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    let bytes: Vec<u8> = (0..10_000).map(|_| random()).collect();
    check_refused(&bytes, "it does not begin as one");
    // The beginning of a component, then anything.
    check_refused(
        &[b"\0asm\x0d\0\x01\0", bytes.as_slice()].concat(),
        "not a WebAssembly component",
    );
}

#[test]
fn a_core_module_is_refused_with_what_to_build_instead() {
    check_refused(b"\0asm\x01\0\0\0", "build it for the target wasm32-wasip2");
}

#[test]
fn a_component_that_is_no_plugin_is_refused() {
    check_refused(
        b"\0asm\x0d\0\x01\0",
        "it does not export foldhost:plugin/plugin@0.1.0",
    );
}

#[test]
fn a_component_of_another_contract_version_is_refused_by_name() {
    let mut bytes = component("post");
    let (ours, other) = (
        b"foldhost:plugin/plugin@0.1.0",
        b"foldhost:plugin/plugin@9.1.0",
    );
    let places: Vec<usize> = (0..bytes.len() - ours.len())
        .filter(|place| bytes[*place..].starts_with(ours))
        .collect();
    assert!(!places.is_empty(), "the component names its contract");
    for place in places {
        bytes[place..place + ours.len()].copy_from_slice(other);
    }
    check_refused(&bytes, "9.1.0");
}
