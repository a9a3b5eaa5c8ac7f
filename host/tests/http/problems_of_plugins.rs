//! What plugins do wrong, and components that are none.

use expect_test::expect;
use reqwest::Method;
use serde_json::json;

use crate::cases::Cases;
use crate::support::{TestHost, component};

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_breaks_is_named_and_tells_nothing_of_its_inside() {
    // Long enough for what is quick, however busy the machine is.
    let host =
        TestHost::start_with(&["saboteur"], |config| config.limits.deadline_ms = 1_000).await;
    let mut cases = Cases::new(&host);
    for command in [
        "refuse",
        "panic",
        "loop-forever",
        "not-json",
        "undeclared-event",
        "break-evolve",
    ] {
        cases
            .post(
                Box::leak(format!("/v1/commands/saboteur/{command}/{command}").into_boxed_str()),
                "",
            )
            .await;
    }
    cases.get("/v1/queries/plan-badly?how=panic").await;
    cases.get("/v1/queries/plan-badly?how=loop").await;
    cases.get("/v1/queries/plan-badly?how=kindly").await;
    expect![[r#"
        POST /v1/commands/saboteur/refuse/refuse
            422 refused: refused on purpose
        POST /v1/commands/saboteur/panic/panic
            500 plugin-failed: plugin saboteur trapped in decide; the host's log says why {"plugin":"saboteur"}
        POST /v1/commands/saboteur/loop-forever/loop-forever
            504 plugin-too-slow: plugin saboteur did not finish decide within 1000 ms {"plugin":"saboteur"}
        POST /v1/commands/saboteur/not-json/not-json
            500 plugin-failed: plugin saboteur broke the contract in decide: the data of event Behaved: not JSON: EOF while parsing an object at line 1 column 11 {"plugin":"saboteur"}
        POST /v1/commands/saboteur/undeclared-event/undeclared-event
            500 plugin-failed: plugin saboteur broke the contract in decide: event type "NeverDeclared" is not declared {"plugin":"saboteur"}
        POST /v1/commands/saboteur/break-evolve/break-evolve
            500 plugin-failed: plugin saboteur trapped in evolve; the host's log says why {"plugin":"saboteur"}
        GET /v1/queries/plan-badly?how=panic
            500 plugin-failed: plugin saboteur trapped in plan; the host's log says why {"plugin":"saboteur"}
        GET /v1/queries/plan-badly?how=loop
            504 plugin-too-slow: plugin saboteur did not finish plan within 1000 ms {"plugin":"saboteur"}
        GET /v1/queries/plan-badly?how=kindly
            422 invalid-parameter: field `how`: unknown variant `kindly`, expected one of `loop`, `recurse`, `allocate`, `grow`, `panic`, `sleep`, `chatter`, `fail`, `undeclared-collection`, `huge-document`, `not-an-object`
    "#]].assert_eq(cases.lines());
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_plugin_are_refused_with_the_cause() {
    let host = TestHost::start(&["post"]).await;
    let mut cases = Cases::new(&host);
    let post = component("post");
    let half = post[..post.len() / 2].to_vec();
    let mut module = post.clone();
    module[4..8].copy_from_slice(&[1, 0, 0, 0]);
    let put = |bytes: Vec<u8>| move |request: reqwest::RequestBuilder| request.body(bytes);
    cases
        .send(Method::PUT, "/v1/plugins/post", "nothing", put(Vec::new()))
        .await;
    cases
        .send(
            Method::PUT,
            "/v1/plugins/post",
            "random bytes",
            put(b"\x93\x01random".to_vec()),
        )
        .await;
    cases
        .send(
            Method::PUT,
            "/v1/plugins/post",
            "a core module",
            put(module),
        )
        .await;
    cases
        .send(
            Method::PUT,
            "/v1/plugins/other",
            "another name",
            put(post.clone()),
        )
        .await;
    cases
        .send(Method::PUT, "/v1/plugins/post", "text/plain", |request| {
            request.header("content-type", "text/plain")
        })
        .await;
    expect![[r#"
        PUT /v1/plugins/post nothing
            422 plugin-refused: not a WebAssembly component: it does not begin as one
        PUT /v1/plugins/post random bytes
            422 plugin-refused: not a WebAssembly component: it does not begin as one
        PUT /v1/plugins/post a core module
            422 plugin-refused: not a WebAssembly component: it is a core module; build it for the target wasm32-wasip2
        PUT /v1/plugins/other another name
            422 plugin-refused: the component is plugin post, not "other"; it is kept as post, nothing is activated
        PUT /v1/plugins/post text/plain
            415 unsupported-media-type: the body is "text/plain"; application/wasm or application/octet-stream is taken here
    "#]].assert_eq(cases.lines());
    // What the parser says of a torn file depends on its version.
    let torn = host.client.put("/v1/plugins/post", half).await.expect(422);
    assert_eq!(torn.code(), "plugin-refused");
    assert!(
        torn.body["detail"]
            .as_str()
            .unwrap()
            .starts_with("not a WebAssembly component: "),
        "{torn:?}"
    );
    let refusals = host.client.get("/v1/plugins").await.expect(200).body["refusals"].clone();
    assert!(
        refusals.to_string().contains("not a WebAssembly component"),
        "{refusals}"
    );
    host.client
        .command(
            "post",
            "1",
            "create",
            json!({"author": "ada", "message": "hello"}),
        )
        .await
        .expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_not_installed_is_not_activated() {
    let host = TestHost::start(&["post"]).await;
    let mut cases = Cases::new(&host);
    let zeros: &'static str = Box::leak(
        json!({"digest": "0".repeat(64)})
            .to_string()
            .into_boxed_str(),
    );
    for body in [
        "",
        "{",
        "{}",
        r#"{"digest": "x"}"#,
        r#"{"digest": 7}"#,
        r#"{"digest": "0", "force": true}"#,
        zeros,
    ] {
        cases.post("/v1/plugins/post/activate", body).await;
    }
    expect![[r#"
        POST /v1/plugins/post/activate
            400 malformed-body: the body is not {"digest": "…"}: EOF while parsing a value at line 1 column 0
        POST /v1/plugins/post/activate {
            400 malformed-body: the body is not {"digest": "…"}: EOF while parsing an object at line 1 column 1
        POST /v1/plugins/post/activate {}
            400 malformed-body: the body is not {"digest": "…"}: missing field `digest` at line 1 column 2
        POST /v1/plugins/post/activate {"digest": "x"}
            400 invalid-id: digest "x" is not valid: 64 hexadecimal digits
        POST /v1/plugins/post/activate {"digest": 7}
            400 malformed-body: the body is not {"digest": "…"}: invalid type: integer `7`, expected a string at line 1 column 12
        POST /v1/plugins/post/activate {"digest": "0", "force": true}
            400 malformed-body: the body is not {"digest": "…"}: unknown field `force`, expected `digest` at line 1 column 23
        POST /v1/plugins/post/activate {"digest":"00000000000000000000000000000
            404 unknown-plugin: plugin "post" has no installed version 0000000000000000000000000000000000000000000000000000000000000000
    "#]].assert_eq(cases.lines());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installed_version_becomes_active_under_its_own_name_alone() {
    let host = TestHost::start(&["post"]).await;
    let installed = host
        .client
        .put("/v1/plugins/posts", component("posts"))
        .await
        .expect(200)
        .body;
    assert_eq!(
        (&installed["name"], &installed["active"]),
        (&json!("posts"), &json!(false))
    );
    assert_eq!(installed["projection"]["collections"], json!(["posts"]));
    let activation = json!({"digest": installed["digest"]});
    assert_eq!(
        host.client
            .post("/v1/plugins/post/activate", activation.clone())
            .await
            .expect(404)
            .code(),
        "unknown-plugin"
    );
    let activated = host
        .client
        .post("/v1/plugins/posts/activate", activation)
        .await
        .expect(200)
        .body;
    assert_eq!(
        (&activated["name"], &activated["active"]),
        (&json!("posts"), &json!(true))
    );
    let listed = host.client.get("/v1/plugins").await.expect(200).body;
    let names: Vec<_> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|plugin| plugin["name"].clone())
        .collect();
    assert_eq!(names, ["post", "posts"]);
    assert_eq!(listed["next"], json!(null));
    assert_eq!(listed["items"][0]["aggregate"]["name"], "post");
    assert!(listed["items"][0]["limits"]["deadline_ms"].is_u64());
}
