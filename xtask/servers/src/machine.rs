//! Users, packages, ports and folders of the machine.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read as _;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, bail};

/// A port of 127.0.0.1 that was free a moment ago.
pub fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no port is free")?;
    Ok(listener.local_addr()?.port())
}

/// So many random bytes, in hexadecimal digits.
pub fn random_hex(bytes: usize) -> anyhow::Result<String> {
    let mut random = vec![0; bytes];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Whether servers can get to a folder: always, unless we are root, for then PostgreSQL runs as somebody else, who must
/// be let through every folder on the way.
pub fn reachable_by_servers(folder: &Path) -> bool {
    !is_root() || blocked_by(folder).is_none()
}

/// The first folder on the way that does not let others through.
pub(crate) fn blocked_by(folder: &Path) -> Option<PathBuf> {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let blocks = |path: &&Path| fs::metadata(path).is_ok_and(|found| found.mode() & 0o001 == 0);
    folder.ancestors().find(blocks).map(Path::to_owned)
}

pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// User and group of `postgres`, else `nobody`: whoever is nobody else.
pub(crate) fn unprivileged_user() -> anyhow::Result<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").context("/etc/passwd cannot be read")?;
    let ids = |wanted: &str| {
        let fields = users
            .lines()
            .map(|line| line.split(':').collect::<Vec<_>>());
        let mut found = fields.filter(|fields| fields.len() > 3 && fields[0] == wanted);
        let user = found.next()?;
        Some((user[2].parse().ok()?, user[3].parse().ok()?))
    };
    ids("postgres")
        .or_else(|| ids("nobody"))
        .context("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")
}

/// The program of that name in the search path.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut places = std::env::split_paths(&path).map(|folder| folder.join(name));
    places.find(|place| place.is_file())
}

/// Runs a program to its end and returns what it printed on either output; fails with the end of that.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<String> {
    let shown = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{shown} cannot be started"))?;
    let both = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&both).trim().to_owned();
    if !output.status.success() {
        let lines: Vec<&str> = text.lines().collect();
        let end = lines[lines.len().saturating_sub(15)..].join("\n");
        bail!("{shown} failed, {}:\n{end}", output.status);
    }
    Ok(text)
}

/// Installs Debian packages, as root; the package lists are fetched when they do not know one.
pub(crate) fn apt_install(packages: &[&str]) -> anyhow::Result<()> {
    // Several servers are prepared at a time, and dpkg has one lock.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    if program("apt-get").is_none() {
        bail!(
            "there is no apt-get to install {} with",
            packages.join(", ")
        );
    }
    if !is_root() {
        bail!("only root can install {}", packages.join(", "));
    }
    let install = || {
        let mut arguments = vec!["install", "--yes", "--no-install-recommends"];
        arguments.extend(["-o", "DPkg::Lock::Timeout=300"]);
        arguments.extend(packages);
        apt_get(&arguments)
    };
    install().or_else(|_| {
        apt_get(&["update"])?;
        install()
    })?;
    Ok(())
}

fn apt_get<S: AsRef<OsStr>>(arguments: &[S]) -> anyhow::Result<String> {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    run(command.args(arguments))
}

/// Fills a new folder, and gives it its name only when it is complete: what was broken off is never taken for it.
pub(crate) fn fill(
    folder: &Path,
    fill: impl FnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let beginning = folder.with_extension(format!("{}.new", random_hex(4)?));
    fs::create_dir_all(&beginning)?;
    let filled = fill(&beginning);
    if filled.is_err() {
        fs::remove_dir_all(&beginning)?;
        return filled;
    }
    fs::rename(&beginning, folder)
        .with_context(|| format!("{} cannot be put in its place", folder.display()))
}
