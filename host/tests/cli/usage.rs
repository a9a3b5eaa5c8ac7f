//! Exit codes and help.

use crate::program::{foldhost, run};
use crate::support::Folder;

const EXIT_CODES: &str =
    "Exit codes: 0 it worked, 1 it did not, 2 the command line or the configuration is wrong.";

#[track_caller]
fn check(arguments: &[&str], code: i32, says: &str) {
    let folder = Folder::new();
    let ended = run(foldhost(folder.path(), arguments));
    assert_eq!(ended.code, Some(code), "{arguments:?}: {ended:?}");
    let said = format!("{}{}", ended.stdout, ended.stderr);
    assert!(
        said.contains(says),
        "{arguments:?} does not say {says:?}: {said}"
    );
}

#[test]
fn help_ends_with_0_and_tells_the_exit_codes() {
    for command in [
        &["--help"][..],
        &["dev", "--help"],
        &["serve", "--help"],
        &["plugin", "--help"],
        &["plugin", "new", "--help"],
        &["plugin", "build", "--help"],
        &["plugin", "test", "--help"],
        &["plugin", "check", "--help"],
        &["command", "send", "--help"],
        &["events", "tail", "--help"],
        &["doctor", "--help"],
    ] {
        check(command, 0, EXIT_CODES);
    }
    check(&["--version"], 0, env!("CARGO_PKG_VERSION"));
}

#[test]
fn a_command_line_that_is_not_understood_ends_with_2() {
    check(&[], 2, "Usage");
    check(&["sevre"], 2, "sevre");
    check(&["serve", "--lisen", "127.0.0.1:1"], 2, "--lisen");
    check(&["serve", "--listen", "nowhere"], 2, "--listen");
    check(&["plugin", "new", "counter"], 2, "--kind");
    check(&["command", "send", "post", "1"], 2, "COMMAND");
    check(
        &["command", "send", "post", "1", "like", "--file", "x"],
        2,
        "--file",
    );
    check(
        &["command", "send", "post", "1", "like", "{no"],
        2,
        "the payload is not JSON",
    );
    check(&["command", "send", "post", "..", "like"], 2, "URL");
    check(
        &["command", "send", "post", "1", "like", "--url", "https://h"],
        2,
        "http://",
    );
}

#[test]
fn an_unknown_key_of_the_configuration_is_named_and_ends_with_2() {
    let folder = Folder::new();
    std::fs::write(
        folder.path().join("foldhost.toml"),
        "lisen = \"127.0.0.1:1\"\n",
    )
    .unwrap();
    let error = run(foldhost(folder.path(), &["serve"])).error(2);
    assert!(
        error.contains("lisen") && error.contains("foldhost.toml"),
        "{error}"
    );
}

#[test]
fn an_unknown_setting_in_the_environment_is_named_and_ends_with_2() {
    let folder = Folder::new();
    let mut command = foldhost(folder.path(), &["serve"]);
    command.env("FOLDHOST_LISEN", "127.0.0.1:1");
    let error = run(command).error(2);
    assert!(error.to_lowercase().contains("lisen"), "{error}");
}

#[test]
fn a_configuration_file_that_is_not_there_ends_with_2() {
    let folder = Folder::new();
    let error = run(foldhost(folder.path(), &["serve", "--config", "no.toml"])).error(2);
    assert_eq!(error, "configuration: there is no file no.toml");
}

#[test]
fn a_store_that_is_not_known_ends_with_2() {
    let folder = Folder::new();
    let error = run(foldhost(
        folder.path(),
        &["serve", "--event-store", "oracle:"],
    ))
    .error(2);
    assert!(
        error.starts_with("event_store: \"oracle:\" is not known"),
        "{error}"
    );
}

#[test]
fn stores_that_do_not_go_together_or_are_not_whole_are_told_with_their_setting_and_no_password() {
    let cases: [(&[&str], i32, &str); 5] = [
        (&["--event-log", "kafka://one:9092/events"], 2, "event_log"),
        (&["--read-store", "mongodb://me:secret@"], 1, "read_store"),
        (
            &["--read-store", "mongodb://me:secret@127.0.0.1:1"],
            1,
            "read_store",
        ),
        (
            &["--event-store", "postgres://me:secret@127.0.0.1:x/events"],
            1,
            "event_store",
        ),
        (
            &["--read-store", "mongo://me:secret@127.0.0.1/x"],
            2,
            "read_store",
        ),
    ];
    for (arguments, code, setting) in cases {
        let folder = Folder::new();
        let error = run(foldhost(folder.path(), &[&["serve"], arguments].concat())).error(code);
        assert!(
            error.contains(setting) && !error.contains("secret"),
            "{error}"
        );
    }
}

#[test]
fn errors_are_json_where_json_is_asked_for() {
    let folder = Folder::new();
    let ended = run(foldhost(
        folder.path(),
        &["--json", "plugin", "check", "no.wasm"],
    ));
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    let error: serde_json::Value = serde_json::from_str(&ended.stderr).unwrap();
    let detail = error["error"]["detail"].as_str().unwrap();
    assert!(detail.starts_with("cannot read no.wasm"), "{detail}");
}

#[test]
fn the_doctor_looks_at_everything() {
    let folder = Folder::new();
    let arguments = [
        "--json",
        "doctor",
        "--listen",
        "127.0.0.1:0",
        "--url",
        "http://127.0.0.1:1",
    ];
    let findings = run(foldhost(folder.path(), &arguments)).values();
    let state = |what: &str| {
        let found = findings.iter().find(|finding| finding["what"] == what);
        found.unwrap_or_else(|| panic!("nothing about {what}: {findings:?}"))["state"].clone()
    };
    assert_eq!(state("cargo"), "ok");
    assert_eq!(state("wasm target"), "ok");
    assert_eq!(state("configuration"), "ok");
    assert_eq!(state("data folder"), "ok");
    assert_eq!(state("port"), "ok");
    assert_eq!(state("plugins"), "note");
    assert_eq!(state("running host"), "note");
}
