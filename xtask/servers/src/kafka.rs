//! Apache Kafka: the broker's own artifacts from Maven Central, on an installed Java.
//!
//! `pom.xml` lists what a broker needs on its class path; Maven fetches it, and is not needed after that.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::machine;
use crate::server::{Kind, Launch, Place, Server};

/// As in `pom.xml`.
const VERSION: &str = "4.1.1";
/// The oldest Java that the broker runs on.
const OLDEST_JAVA: u32 = 17;
/// Any UUID in URL-safe base 64 would do.
const CLUSTER_ID: &str = "4L6g3nShT-eMCtK--X86sw";

fn home(cache: &Path) -> PathBuf {
    cache.join(format!("kafka-{VERSION}"))
}

pub(crate) fn find(cache: &Path) -> anyhow::Result<Option<Server>> {
    let home = home(cache);
    let is_there = home.join("lib").is_dir() && java().is_some();
    Ok(is_there.then(|| Server {
        kind: Kind::Kafka,
        version: format!("Apache Kafka {VERSION}"),
        programs: home,
    }))
}

/// A Java that is new enough.
fn java() -> Option<PathBuf> {
    let of_home = std::env::var_os("JAVA_HOME").map(|home| Path::new(&home).join("bin/java"));
    let mut candidates = machine::program("java").into_iter().chain(of_home);
    candidates.find(|java| {
        let said = machine::run(Command::new(java).arg("-version"));
        said.is_ok_and(|said| java_version(&said).is_some_and(|version| version >= OLDEST_JAVA))
    })
}

/// From `openjdk version "17.0.15" 2025-04-15`.
fn java_version(said: &str) -> Option<u32> {
    let version = said.split('"').nth(1)?;
    version.split(['.', '-']).next()?.parse().ok()
}

pub(crate) fn install(cache: &Path, progress: &dyn Fn(&str)) -> anyhow::Result<()> {
    if java().is_none() {
        progress("Kafka: installing Debian's Java");
        machine::apt_install(&["default-jre-headless"])?;
        java().with_context(|| format!("Kafka needs Java {OLDEST_JAVA} or newer"))?;
    }
    if home(cache).is_dir() {
        return Ok(());
    }
    if machine::program("mvn").is_none() {
        progress("Kafka: installing Debian's Maven");
        machine::apt_install(&["maven"])?;
    }
    progress("Kafka: fetching the broker with Maven");
    machine::fill(&home(cache), |folder| {
        fs::write(folder.join("pom.xml"), include_str!("kafka/pom.xml"))?;
        let logging = include_str!("kafka/log4j2.properties");
        fs::write(folder.join("log4j2.properties"), logging)?;
        let mut maven = Command::new("mvn");
        maven.args(["-q", "-B", "dependency:copy-dependencies"]);
        maven.args(["-DincludeScope=runtime", "-DoutputDirectory=lib"]);
        machine::run(maven.current_dir(folder))?;
        Ok(())
    })
}

pub(crate) fn launch(server: &Server, place: &Place) -> anyhow::Result<Launch> {
    let files = place.data.join("files");
    let settings = write_settings(place, &files)?;
    if !files.join("meta.properties").is_file() {
        let mut format = program(server, &["-Xmx256m"])?;
        format.args([
            "kafka.tools.StorageTool",
            "format",
            "--cluster-id",
            CLUSTER_ID,
        ]);
        machine::run(format.arg("--config").arg(&settings))?;
    }
    // Short of memory and of processors is what tests are; the serial collector starts no threads of its own.
    let mut command = program(server, &["-Xmx512m", "-Xms128m", "-XX:+UseSerialGC"])?;
    command.arg("kafka.Kafka").arg(&settings);
    Ok(Launch {
        command,
        url: format!("kafka://127.0.0.1:{}/foldhost", place.port),
    })
}

/// Writes the settings. The controller's port stays what it was as long as nobody else has it.
fn write_settings(place: &Place, files: &Path) -> anyhow::Result<PathBuf> {
    let settings = place.data.join("server.properties");
    let before = fs::read_to_string(&settings).unwrap_or_default();
    let kept = controller_port(&before);
    let kept = kept.filter(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok());
    let controller = kept.map_or_else(|| port_other_than(place.port), Ok)?;
    let text = include_str!("kafka/server.properties")
        .replace("@PORT@", &place.port.to_string())
        .replace("@CONTROLLER_PORT@", &controller.to_string())
        .replace("@DATA@", &files.to_string_lossy());
    fs::write(&settings, text)?;
    Ok(settings)
}

/// From the line `controller.quorum.voters=1@127.0.0.1:PORT`.
fn controller_port(settings: &str) -> Option<u16> {
    let lines = settings.lines();
    let mut voters = lines.filter_map(|line| line.strip_prefix("controller.quorum.voters="));
    voters.next()?.rsplit_once(':')?.1.parse().ok()
}

/// The broker does not listen yet, so its port still counts as free.
fn port_other_than(taken: u16) -> anyhow::Result<u16> {
    loop {
        let port = machine::free_port()?;
        if port != taken {
            return Ok(port);
        }
    }
}

fn program(server: &Server, options: &[&str]) -> anyhow::Result<Command> {
    let java = java().with_context(|| format!("Kafka needs Java {OLDEST_JAVA} or newer"))?;
    let home = server.programs.display();
    let mut command = Command::new(java);
    command
        .args(options)
        .arg(format!(
            "-Dlog4j2.configurationFile={home}/log4j2.properties"
        ))
        .args(["-cp", &format!("{home}/lib/*")]);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_java_are_read_as_it_says_them() {
        let said = "openjdk version \"17.0.15\" 2025-04-15\nOpenJDK Runtime Environment";
        assert_eq!(java_version(said), Some(17));
        assert_eq!(java_version("openjdk version \"21-ea\""), Some(21));
        assert_eq!(java_version("java version \"1.8.0_402\""), Some(1));
        assert_eq!(java_version("command not found"), None);
    }

    #[test]
    fn the_port_of_the_controller_is_found_in_the_settings_again() {
        let template = include_str!("kafka/server.properties");
        let settings = template.replace("@CONTROLLER_PORT@", "4711");
        assert_eq!(controller_port(&settings), Some(4711));
        assert_eq!(controller_port(""), None);
    }
}
