//! `serve`: where it listens, how it ends, and when it does not start.

use std::net::TcpListener;

use crate::program::{Running, foldhost, run};
use crate::support::Folder;

const ANYWHERE: [&str; 3] = ["serve", "--listen", "127.0.0.1:0"];

#[test]
fn it_says_where_it_listens_and_ends_with_0_when_it_is_told_to() {
    let folder = Folder::new();
    let mut host = Running::start(foldhost(folder.path(), &ANYWHERE));
    let url = host.url();
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
    assert_eq!(host.terminate(), Some(0));
}

#[test]
fn it_says_where_it_listens_as_json() {
    let folder = Folder::new();
    let arguments = [&ANYWHERE[..], &["--json"]].concat();
    let mut host = Running::start(foldhost(folder.path(), &arguments));
    let url = host.wait_for("its address", |line| {
        let value: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(value["listening"].as_str()?.to_owned())
    });
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
}

#[test]
fn a_second_start_on_the_same_data_folder_is_refused() {
    let folder = Folder::new();
    let mut first = Running::start(foldhost(folder.path(), &ANYWHERE));
    first.url();
    let error = run(foldhost(folder.path(), &ANYWHERE)).error(1);
    assert!(
        error.contains(".foldhost is in use by another process"),
        "{error}"
    );
    assert_eq!(first.terminate(), Some(0));
    let mut again = Running::start(foldhost(folder.path(), &ANYWHERE));
    again.url();
}

#[test]
fn a_port_that_is_taken_is_told_with_the_flag_that_chooses_another() {
    let folder = Folder::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for command in ["serve", "dev"] {
        let error = run(foldhost(folder.path(), &[command, "--listen", &address])).error(1);
        assert!(
            error.contains(&address) && error.contains("--listen"),
            "{error}"
        );
        assert!(
            !folder.path().join(".foldhost").exists(),
            "nothing was begun"
        );
    }
}

#[test]
fn flags_override_the_environment_and_that_overrides_the_file() {
    let folder = Folder::new();
    let file = "listen = \"127.0.0.1:1\"\ndata = \"of-the-file\"\nplugins = \"of-the-file-too\"\n";
    std::fs::write(folder.path().join("foldhost.toml"), file).unwrap();
    let mut command = foldhost(folder.path(), &ANYWHERE);
    command
        .env("FOLDHOST_DATA", "of-the-environment")
        .env("FOLDHOST_LISTEN", "127.0.0.1:2");
    let mut host = Running::start(command);
    host.url();
    assert_eq!(host.terminate(), Some(0));
    assert!(folder.path().join("of-the-environment").is_dir());
    assert!(folder.path().join("of-the-file-too").is_dir());
    assert!(!folder.path().join("of-the-file").exists());
}
