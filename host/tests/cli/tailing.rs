//! `events tail`: what is there, what comes, and where it goes on.

use serde_json::json;

use crate::program::{Running, foldhost, run, until};
use crate::sending::Sent;
use crate::support::{Folder, HostProcess, free_port, plugins_folder};

const HELLO: &str = r#"{"author":"Anna","message":"Hello"}"#;

async fn three_events() -> Sent {
    let sent = Sent::start().await;
    run(sent.send(&["post", "a", "create", HELLO])).worked();
    run(sent.send(&["post", "b", "create", HELLO])).worked();
    run(sent.send(&["post", "a", "like"])).worked();
    sent
}

#[tokio::test]
async fn what_is_there_is_printed_a_line_an_event() {
    let sent = three_events().await;
    let told = run(sent.foldhost(&["events", "tail", "--no-follow"])).worked();
    let lines: Vec<Vec<&str>> = told
        .lines()
        .map(|line| line.splitn(6, ' ').collect())
        .collect();
    let parts: Vec<_> = lines
        .iter()
        .map(|line| (line[0], line[2], line[3], line[4], line[5]))
        .collect();
    assert_eq!(
        parts,
        [
            ("1", "post-a", "1", "PostCreated", HELLO),
            ("2", "post-b", "1", "PostCreated", HELLO),
            ("3", "post-a", "2", "PostLiked", "{}"),
        ]
    );
}

#[tokio::test]
async fn it_ends_at_the_head_also_when_the_last_event_is_not_wanted() {
    let sent = three_events().await;
    let tail = |more: &[&str]| {
        let arguments = [&["--json", "events", "tail", "--no-follow"], more].concat();
        let events = run(sent.foldhost(&arguments)).values();
        events
            .iter()
            .map(|event| event["position"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(tail(&["--type", "PostCreated"]), [json!(1), json!(2)]);
    assert_eq!(
        tail(&["--type", "post.PostCreated", "--after", "1"]),
        [json!(2)]
    );
    assert!(tail(&["--aggregate", "permit"]).is_empty());
    assert!(tail(&["--after", "3"]).is_empty());
}

#[tokio::test]
async fn a_tail_goes_on_where_it_was_when_the_host_comes_back() {
    let folder = Folder::new();
    plugins_folder(&folder.path().join("plugins"), &["post"]);
    let (data, plugins, port) = (
        folder.path().join("data"),
        folder.path().join("plugins"),
        free_port(),
    );
    let url = format!("http://127.0.0.1:{port}");
    let send = |id: &str| {
        run(foldhost(
            folder.path(),
            &[
                "command", "send", "--url", &url, "post", id, "create", HELLO,
            ],
        ))
        .worked();
    };
    let host = HostProcess::start_on(port, &data, &plugins, &[]).await;
    let mut tail = Running::start(foldhost(folder.path(), &["events", "tail", "--url", &url]));
    send("a");
    tail.wait_for("the first event", |line| {
        line.contains("post-a").then_some(())
    });
    host.kill();
    let _host = HostProcess::start_on(port, &data, &plugins, &[]).await;
    send("b");
    tail.wait_for("the second event", |line| {
        line.contains("post-b").then_some(())
    });
    until("nothing more", || (tail.lines().len() == 2).then_some(()));
}

#[tokio::test]
async fn a_position_beyond_the_head_is_an_error() {
    let sent = three_events().await;
    let error = run(sent.foldhost(&["events", "tail", "--after", "7"])).error(1);
    assert!(
        error.contains("beyond the head 3") && error.ends_with("(beyond-head)"),
        "{error}"
    );
}

#[test]
fn a_host_that_is_not_there_is_told_at_once() {
    let folder = Folder::new();
    let url = format!("http://127.0.0.1:{}", free_port());
    let error = run(foldhost(folder.path(), &["events", "tail", "--url", &url])).error(1);
    assert!(
        error.starts_with(&format!("no answer from {url}: ")),
        "{error}"
    );
}
