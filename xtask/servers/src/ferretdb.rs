//! FerretDB: built from its Go module, with SQLite behind it. It speaks MongoDB's protocol; no registry carries MongoDB
//! itself.
//!
//! What it lacks stands in `docs/servers.md`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::machine;
use crate::server::{Kind, Launch, Place, Server};

/// As in `go.mod`.
const VERSION: &str = "1.24.2";
/// The first Go that fetches the one a module asks for by itself.
const FIRST_WITH_TOOLCHAINS: u32 = 21;
/// What an older one fetches as it would any module.
const TOOLCHAIN: &str = "go1.24.6";

fn home(cache: &Path) -> PathBuf {
    cache.join(format!("ferretdb-{VERSION}"))
}

pub(crate) fn find(cache: &Path) -> anyhow::Result<Option<Server>> {
    let home = home(cache);
    Ok(home.join("ferretdb").is_file().then(|| Server {
        kind: Kind::Mongodb,
        version: format!("FerretDB {VERSION} on SQLite"),
        programs: home,
    }))
}

pub(crate) fn install(cache: &Path, progress: &dyn Fn(&str)) -> anyhow::Result<()> {
    if machine::program("go").is_none() {
        progress("FerretDB: installing Debian's Go");
        machine::apt_install(&["golang-go", "ca-certificates"])?;
    }
    progress("FerretDB: building it from its Go module");
    machine::fill(&home(cache), |folder| {
        fs::write(folder.join("main.go"), include_str!("ferretdb/main.go"))?;
        fs::write(folder.join("go.mod"), include_str!("ferretdb/go.mod"))?;
        fs::write(folder.join("go.sum"), include_str!("ferretdb/go.sum"))?;
        let mut go = Command::new(new_enough()?);
        go.args(["build", "-trimpath", "-tags", "ferretdb_no_postgresql"]);
        go.args(["-o", "ferretdb", "."]).env("CGO_ENABLED", "0");
        machine::run(go.current_dir(folder))?;
        Ok(())
    })
}

/// The installed Go, when it can get a newer one for itself; else a newer one, got as a module.
fn new_enough() -> anyhow::Result<PathBuf> {
    let said = machine::run(Command::new("go").arg("version"))?;
    match go_minor(&said) {
        Some(minor) if minor >= FIRST_WITH_TOOLCHAINS => Ok("go".into()),
        Some(_) => toolchain(),
        None => bail!("what `go version` says is not understood: {said}"),
    }
}

/// From `go version go1.19.8 linux/amd64`.
fn go_minor(said: &str) -> Option<u32> {
    let version = said.split_whitespace().nth(2)?.strip_prefix("go1.")?;
    version
        .split(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

fn toolchain() -> anyhow::Result<PathBuf> {
    let processor = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => bail!("no Go toolchain is known for {other}"),
    };
    let module = format!("golang.org/toolchain@v0.0.1-{TOOLCHAIN}.linux-{processor}");
    let mut download = Command::new("go");
    machine::run(download.args(["mod", "download", &module]).current_dir("/"))?;
    let modules = machine::run(Command::new("go").args(["env", "GOMODCACHE"]))?;
    let folder = Path::new(&modules).join(module);
    // An archive of a module keeps no permissions; Go itself restores these when it switches toolchains.
    for programs in ["bin".to_owned(), format!("pkg/tool/linux_{processor}")] {
        for program in fs::read_dir(folder.join(programs)).context("a toolchain is incomplete")? {
            fs::set_permissions(program?.path(), fs::Permissions::from_mode(0o755))?;
        }
    }
    Ok(folder.join("bin/go"))
}

pub(crate) fn launch(server: &Server, place: &Place) -> anyhow::Result<Launch> {
    let files = place.data.join("files");
    fs::create_dir_all(&files)?;
    let mut command = Command::new(server.programs.join("ferretdb"));
    command
        .args(["-listen", &format!("127.0.0.1:{}", place.port), "-data"])
        // Each statement is a transaction there; that each were synced by itself would make it unbearably slow, and its
        // own end, which tests are about, takes nothing back.
        .arg(format!("{}/?_pragma=synchronous(normal)", files.display()))
        .env("DO_NOT_TRACK", "1");
    Ok(Launch {
        command,
        url: format!("mongodb://127.0.0.1:{}/foldhost", place.port),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_go_are_read_as_it_says_them() {
        assert_eq!(go_minor("go version go1.19.8 linux/amd64"), Some(19));
        assert_eq!(go_minor("go version go1.24 linux/arm64"), Some(24));
        assert_eq!(go_minor("go version go1.26rc1 linux/arm64"), Some(26));
        assert_eq!(go_minor("not found"), None);
    }
}
