//! Where a new crate stands: which SDK it uses, and which workspace it belongs to.

use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result};

use super::put;
use crate::cli::failure::Usage;
use crate::cli::plugin::crates::{SDK, Workspace};

/// The SDK of the checkout that this program was built from.
const OWN_SDK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../plugin-sdk");
/// What a workspace of its own says in the manifest.
const OWN_WORKSPACE: &str =
    "\n# A workspace of its own: the one around it does not take it as a member.\n[workspace]\n";

/// What stands behind the names of dependencies in the manifest, and what follows them.
pub(super) struct Dependencies {
    pub(super) sdk: String,
    pub(super) serde_json: String,
    pub(super) rest: String,
}

/// Finds the SDK: where it was said to be, in a folder above, or where this program was built.
pub(super) fn find_sdk(given: Option<&Path>, folder: &Path) -> Result<PathBuf> {
    if let Some(given) = given {
        let real = given.canonicalize().ok().filter(|given| is_sdk(given));
        return real.ok_or_else(|| {
            Usage(format!(
                "--sdk {}: the crate {SDK} is not there",
                given.display()
            ))
            .into()
        });
    }
    let folder = std::path::absolute(folder).context("cannot tell the present folder")?;
    let above = folder.ancestors().map(|above| above.join("plugin-sdk"));
    let known = above
        .chain([PathBuf::from(OWN_SDK)])
        .find(|sdk| is_sdk(sdk));
    let known = known.and_then(|sdk| sdk.canonicalize().ok());
    known.ok_or_else(|| {
        Usage(format!(
            "there is no folder plugin-sdk above; say with --sdk where {SDK} is"
        ))
        .into()
    })
}

fn is_sdk(folder: &Path) -> bool {
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
    let manifest: toml::Table = manifest.parse().unwrap_or_default();
    manifest
        .get("package")
        .and_then(|package| package.get("name"))
        .and_then(toml::Value::as_str)
        == Some(SDK)
}

/// Writes the manifest so that cargo takes it where it stands.
pub(super) fn place(
    folder: &Path,
    sdk: &Path,
    manifest: &dyn Fn(&Dependencies) -> String,
) -> Result<()> {
    let file = folder.join("Cargo.toml");
    let folder = folder
        .canonicalize()
        .with_context(|| format!("cannot read {}", folder.display()))?;
    let alone = |rest: &str| Dependencies {
        sdk: format!(" = {{ path = {:?} }}", relative(&folder, sdk)),
        serde_json: " = \"1\"".to_owned(),
        rest: rest.to_owned(),
    };
    put(&file, &manifest(&alone("")))?;
    match Workspace::of(&file) {
        Ok(workspace) if workspace.workspace_root == folder => {}
        Ok(workspace) => {
            return put(
                &file,
                &manifest(&member(&workspace.workspace_root, &alone(""))),
            );
        }
        Err(_) => {
            put(&file, &manifest(&alone(OWN_WORKSPACE)))?;
            Workspace::of(&file)?;
        }
    }
    put(&folder.join(".gitignore"), "/target\n")?;
    // The versions that the SDK was built with: tried, and on this machine already.
    let lock = sdk.join("../Cargo.lock");
    if lock.is_file() {
        std::fs::copy(&lock, folder.join("Cargo.lock"))
            .with_context(|| format!("cannot copy {}", lock.display()))?;
    }
    Ok(())
}

/// Takes from a workspace what it has for its members.
fn member(workspace: &Path, alone: &Dependencies) -> Dependencies {
    let manifest = std::fs::read_to_string(workspace.join("Cargo.toml")).unwrap_or_default();
    let manifest: toml::Table = manifest.parse().unwrap_or_default();
    let workspace = manifest.get("workspace");
    let has = |name: &str| {
        workspace
            .and_then(|it| it.get("dependencies"))
            .is_some_and(|all| all.get(name).is_some())
    };
    let shared = |name: &str, alone: &str| {
        if has(name) {
            ".workspace = true".to_owned()
        } else {
            alone.to_owned()
        }
    };
    let lints = workspace.is_some_and(|workspace| workspace.get("lints").is_some());
    Dependencies {
        sdk: shared(SDK, &alone.sdk),
        serde_json: shared("serde_json", &alone.serde_json),
        rest: if lints {
            "\n[lints]\nworkspace = true\n".to_owned()
        } else {
            String::new()
        },
    }
}

/// Returns the way from one folder to another where they have a folder in common that is not the root, else the whole
/// path.
fn relative(from: &Path, to: &Path) -> PathBuf {
    let common = from
        .components()
        .zip(to.components())
        .take_while(|(from, to)| from == to)
        .count();
    if common <= 1 {
        return to.to_owned();
    }
    let up = from.components().skip(common).map(|_| Component::ParentDir);
    up.chain(to.components().skip(common)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_between_two_folders_is_short_where_it_can_be() {
        let way = |from: &str, to: &str| {
            relative(Path::new(from), Path::new(to))
                .display()
                .to_string()
        };
        assert_eq!(
            way("/code/house/plugins/a", "/code/house/plugin-sdk"),
            "../../plugin-sdk"
        );
        assert_eq!(
            way("/tmp/a", "/code/house/plugin-sdk"),
            "/code/house/plugin-sdk"
        );
    }
}
