//! The disk full: commands are refused, nothing acknowledged is lost, and it goes on when there is room.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod support;

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use support::{Folder, HostProcess, eventually, missing, plugins_folder};

/// A small disk, gone with its owner.
struct Disk<'a>(&'a Path);

impl<'a> Disk<'a> {
    /// Fails where mounting is not allowed.
    fn mount(at: &'a Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        run(
            "mount",
            &["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"],
            at,
        )
        .then_some(Self(at))
    }

    fn grow(&self, size: &str) {
        assert!(
            run("mount", &["-o", &format!("remount,size={size}")], self.0),
            "the disk grows"
        );
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        run("umount", &["-l"], self.0);
    }
}

fn run(program: &str, arguments: &[&str], at: &Path) -> bool {
    Command::new(program)
        .args(arguments)
        .arg(at)
        .status()
        .is_ok_and(|status| status.success())
}

/// Writes until the disk is full, and a little beyond; gives how many commands were acknowledged.
async fn fill(host: &HostProcess, large: &Value) -> u64 {
    let mut acknowledged = 0;
    let edit = async || {
        host.client
            .command("post", "1", "edit-message", large.clone())
            .await
    };
    let refused = loop {
        let answer = edit().await;
        if answer.status != 200 {
            break answer;
        }
        acknowledged += 1;
        assert!(acknowledged < 1_000, "the disk is never full");
    };
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.headers.contains_key("retry-after"), "{refused:?}");
    let detail = refused.body["detail"].as_str().unwrap();
    assert!(detail.contains("no room"), "{detail}");
    for _ in 0..3 {
        edit().await.expect(503);
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_commands_loses_nothing_and_is_over_when_there_is_room() {
    let folder = Folder::new();
    let at = folder.path().join("disk");
    let Some(disk) = Disk::mount(&at, "16m") else {
        return missing(
            "a_full_disk_refuses_commands",
            "a small disk cannot be mounted here; it takes root",
        );
    };
    let plugins = folder.path().join("plugins");
    plugins_folder(&plugins, &["post", "posts"]);
    let host = HostProcess::start(&at.join("data"), &plugins, &[]).await;
    let created = host
        .client
        .command(
            "post",
            "1",
            "create",
            json!({"author": "ada", "message": "hello"}),
        )
        .await;
    let mut acknowledged = created.expect(200).body["version"].as_u64().unwrap();
    let large = json!({"message": "x".repeat(100_000)});
    acknowledged += fill(&host, &large).await;
    disk.grow("256m");
    eventually("commands are taken again", async || {
        let answer = host
            .client
            .command("post", "1", "edit-message", large.clone())
            .await;
        if answer.status == 200 {
            Ok(())
        } else {
            Err(answer)
        }
    })
    .await;
    let events = host.client.all("/v1/streams/post/1").await;
    assert_eq!(events.len() as u64, acknowledged + 1);
    let last = host
        .client
        .command("post", "1", "edit-message", json!({"message": "the last"}))
        .await
        .expect(200);
    let path = format!(
        "/v1/collections/posts/1?wait_for={}&timeout=30000",
        last.position()
    );
    assert_eq!(
        host.client.get(&path).await.expect(200).body["message"],
        "the last"
    );
    host.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_host_on_the_same_folder_is_refused_in_one_line() {
    let folder = Folder::new();
    let (data, plugins) = (folder.path().join("data"), folder.path().join("plugins"));
    let _first = HostProcess::start(&data, &plugins, &[]).await;
    let second = Command::new(env!("CARGO_BIN_EXE_foldhost"))
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(&data)
        .arg("--plugins")
        .arg(&plugins)
        .output()
        .unwrap();
    assert!(!second.status.success());
    let told = String::from_utf8(second.stderr).unwrap();
    let line = told.lines().last().unwrap();
    assert!(line.contains("in use by another process"), "{told}");
}
