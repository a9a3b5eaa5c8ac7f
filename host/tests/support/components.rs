//! The sample components, built once per run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Plugin crates that tests use.
const PACKAGES: &[&str] = &[
    "post",
    "posts",
    "authors",
    "activity",
    "saboteur",
    "post-variant",
    "posts-variant",
    "permit",
    "permits",
    "workload",
    "flow",
];

/// Gives the bytes of one component.
pub(crate) fn component(name: &str) -> Vec<u8> {
    let path = components()
        .get(name)
        .unwrap_or_else(|| panic!("no component {name}"));
    std::fs::read(path).expect("a built component can be read")
}

/// Gives all components: name and file.
pub(crate) fn components() -> &'static BTreeMap<String, PathBuf> {
    static BUILT: OnceLock<BTreeMap<String, PathBuf>> = OnceLock::new();
    BUILT.get_or_init(build)
}

/// The repository's root.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the host crate lies in the repository")
}

fn build() -> BTreeMap<String, PathBuf> {
    let target = root().join("target").join("test-components");
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args([
            "build",
            "--release",
            "--target",
            "wasm32-wasip2",
            "--target-dir",
        ])
        .arg(&target);
    for package in PACKAGES {
        cargo.args(["--package", package]);
    }
    let status = cargo
        .current_dir(root())
        .env("CARGO_PROFILE_RELEASE_STRIP", "true")
        .status();
    assert!(
        status.expect("cargo can be started").success(),
        "the sample plugins can be built"
    );
    let folder = target.join("wasm32-wasip2").join("release");
    PACKAGES
        .iter()
        .map(|package| {
            (
                (*package).to_owned(),
                folder.join(format!("{}.wasm", package.replace('-', "_"))),
            )
        })
        .collect()
}

/// Fills a folder with components, as an operator would.
pub(crate) fn plugins_folder(folder: &Path, names: &[&str]) {
    std::fs::create_dir_all(folder).expect("the plugins folder can be made");
    for name in names {
        let from = &components()[*name];
        std::fs::copy(from, folder.join(format!("{name}.wasm")))
            .expect("a component can be copied");
    }
}
