//! `dev`: from sources to answers, again after every change.

use crate::program::{Running, run, until};
use crate::workspace::Workspace;

#[test]
fn dev_builds_serves_and_swaps_and_a_broken_build_leaves_the_old_one_serving() {
    let workspace = Workspace::begin("developed");
    run(workspace.foldhost(&["plugin", "new", "counted", "--kind", "aggregate"])).worked();
    let mut dev = Running::start(workspace.foldhost(&["dev", "--listen", "127.0.0.1:0"]));
    let url = dev.url();
    dev.wait_for("the suggestions", |line| {
        line.starts_with("Everything").then_some(())
    });
    let suggested = dev.lines();
    let suggested: Vec<&str> = suggested
        .iter()
        .filter_map(|line| line.strip_prefix("  "))
        .collect();
    assert!(suggested.len() >= 4, "{suggested:?}");
    for line in suggested.iter().filter(|line| !line.starts_with("curl")) {
        let shell = std::process::Command::new("sh")
            .args(["-c", line])
            .current_dir(&workspace.folder)
            .output();
        let shell = shell.unwrap();
        assert!(
            shell.status.success(),
            "{line}: {}",
            String::from_utf8_lossy(&shell.stderr)
        );
    }

    let source = workspace.folder.join("plugins/counted/src/lib.rs");
    let original = std::fs::read_to_string(&source).unwrap();
    let says = |what: &str| {
        let send = [
            "command",
            "send",
            "--url",
            &url,
            "counted",
            "other",
            "start",
            r#"{"title":" "}"#,
        ];
        run(workspace.foldhost(&send))
            .error(1)
            .starts_with(what)
            .then_some(())
    };
    std::fs::write(
        &source,
        original.replace("it needs a title", "second version"),
    )
    .unwrap();
    until("the second version", || says("second version"));

    std::fs::write(&source, format!("{original}\nthis does not compile")).unwrap();
    // The next good version comes behind the broken one, which therefore has been built by then.
    says("second version").expect("the old one serves");
    std::fs::write(
        &source,
        original.replace("it needs a title", "third version"),
    )
    .unwrap();
    until("the third version", || says("third version"));
    assert_eq!(dev.terminate(), Some(0));
}
