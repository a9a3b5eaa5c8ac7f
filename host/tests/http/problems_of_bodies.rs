//! Bodies and headers of commands that are refused, and those that are not.

use expect_test::expect;
use reqwest::{Body, Method};

use crate::cases::Cases;
use crate::support::TestHost;

const CREATE: &str = "/v1/commands/post/1/create";
const LIKE: &str = "/v1/commands/post/1/like";
const SOUND: &str = r#"{"author": "ada", "message": "hello"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_that_is_not_what_the_command_takes_is_told() {
    let host = TestHost::start(&["post"]).await;
    let mut cases = Cases::new(&host);
    for body in [
        "{",
        "hello",
        "[]",
        "7",
        "{}",
        r#"{"author": "ada"}"#,
        r#"{"author": 7, "message": "hello"}"#,
        r#"{"author": "ada", "message": "\u0000"}"#,
        r#"{"author": "", "message": "hello"}"#,
        SOUND,
        SOUND,
    ] {
        cases.post(CREATE, body).await;
    }
    cases.post(LIKE, "").await;
    cases.post(LIKE, "null").await;
    let deep = format!("{}{}", "[".repeat(65), "]".repeat(65));
    cases
        .send(Method::POST, LIKE, "65 levels", |request| {
            request.body(deep)
        })
        .await;
    cases
        .send(Method::POST, LIKE, "not UTF-8", |request| {
            request.body(b"{\"a\": \"\xff\"}".to_vec())
        })
        .await;
    expect![[r#"
        POST /v1/commands/post/1/create {
            400 malformed-body: not JSON: EOF while parsing an object at line 1 column 1
        POST /v1/commands/post/1/create hello
            400 malformed-body: not JSON: expected value at line 1 column 1
        POST /v1/commands/post/1/create []
            400 malformed-body: the payload is not a JSON object
        POST /v1/commands/post/1/create 7
            400 malformed-body: the payload is not a JSON object
        POST /v1/commands/post/1/create {}
            400 malformed-body: the payload of create is malformed: missing field `author`
        POST /v1/commands/post/1/create {"author": "ada"}
            400 malformed-body: the payload of create is malformed: field `author`: missing field `message`
        POST /v1/commands/post/1/create {"author": 7, "message": "hello"}
            400 malformed-body: the payload of create is malformed: field `author`: invalid type: integer `7`, expected a string
        POST /v1/commands/post/1/create {"author": "ada", "message": "\u0000"}
            400 malformed-body: a string holds the character U+0000
        POST /v1/commands/post/1/create {"author": "", "message": "hello"}
            422 blank-author: a post needs an author
        POST /v1/commands/post/1/create {"author": "ada", "message": "hello"}
            200 {"stream":"post-1","version":1,"position":1,"command_id":"01
        POST /v1/commands/post/1/create {"author": "ada", "message": "hello"}
            422 already-exists: the post exists already
        POST /v1/commands/post/1/like
            200 {"stream":"post-1","version":2,"position":2,"command_id":"01
        POST /v1/commands/post/1/like null
            200 {"stream":"post-1","version":3,"position":3,"command_id":"01
        POST /v1/commands/post/1/like 65 levels
            400 malformed-body: nested deeper than 64 levels
        POST /v1/commands/post/1/like not UTF-8
            400 malformed-body: not JSON: invalid unicode code point at line 1 column 8
    "#]].assert_eq(cases.lines());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_taken_up_to_the_limit_however_it_is_sent() {
    let host = TestHost::start_with(&["post"], |config| config.body_bytes = 1_000).await;
    let mut cases = Cases::new(&host);
    let padded = |length: usize| SOUND.to_owned() + &" ".repeat(length - SOUND.len());
    let chunked = |length: usize| {
        let text = padded(length);
        let chunks: Vec<_> = text
            .as_bytes()
            .chunks(300)
            .map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec()))
            .collect();
        Body::wrap_stream(futures_util::stream::iter(chunks))
    };
    cases
        .send(Method::POST, CREATE, "1000 bytes", |request| {
            request.body(padded(1_000))
        })
        .await;
    cases
        .send(Method::POST, CREATE, "1001 bytes", |request| {
            request.body(padded(1_001))
        })
        .await;
    cases
        .send(Method::POST, CREATE, "1000 bytes in chunks", |request| {
            request.body(chunked(1_000))
        })
        .await;
    cases
        .send(Method::POST, CREATE, "1001 bytes in chunks", |request| {
            request.body(chunked(1_001))
        })
        .await;
    cases
        .send(Method::POST, CREATE, "5 MB", |request| {
            request.body(padded(5_000_000))
        })
        .await;
    cases
        .send(Method::POST, CREATE, "5 MB in chunks", |request| {
            request.body(chunked(5_000_000))
        })
        .await;
    expect![[r#"
        POST /v1/commands/post/1/create 1000 bytes
            200 {"stream":"post-1","version":1,"position":1,"command_id":"01
        POST /v1/commands/post/1/create 1001 bytes
            413 too-large: the body has more than 1000 bytes
        POST /v1/commands/post/1/create 1000 bytes in chunks
            422 already-exists: the post exists already
        POST /v1/commands/post/1/create 1001 bytes in chunks
            413 too-large: the body has more than 1000 bytes
        POST /v1/commands/post/1/create 5 MB
            413 too-large: the body has more than 1000 bytes
        POST /v1/commands/post/1/create 5 MB in chunks
            413 too-large: the body has more than 1000 bytes
    "#]]
    .assert_eq(cases.lines());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_means_nothing_is_refused_by_name() {
    let host = TestHost::start(&["post"]).await;
    let mut cases = Cases::new(&host);
    let long: &'static str = Box::leak("x".repeat(201).into_boxed_str());
    let headers: [&[(&str, &str)]; 20] = [
        &[("content-type", "text/plain")],
        &[("content-type", "application/x-www-form-urlencoded")],
        &[("content-type", "application/json; charset=utf-8")],
        &[("idempotency-key", "")],
        &[("idempotency-key", "\"\"")],
        &[("idempotency-key", "\"a")],
        &[("idempotency-key", "a"), ("idempotency-key", "b")],
        &[("idempotency-key", long)],
        &[("if-match", "*")],
        &[("if-match", "W/\"1\"")],
        &[("if-match", "\"1\", \"2\"")],
        &[("if-match", "one")],
        &[("if-match", "1"), ("if-match", "1")],
        &[("if-none-match", "\"1\"")],
        &[("if-match", "1"), ("if-none-match", "*")],
        &[("x-correlation-id", "")],
        &[("x-correlation-id", long)],
        &[("if-match", "\"7\"")],
        &[("if-match", "1")],
        &[("if-none-match", "*")],
    ];
    cases.post(CREATE, SOUND).await;
    for headers in headers {
        let note: Vec<_> = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value:.12}"))
            .collect();
        cases
            .send(Method::POST, LIKE, &note.join(", "), |request| {
                headers.iter().fold(request, |request, (name, value)| {
                    request.header(*name, *value)
                })
            })
            .await;
    }
    expect![[r#"
        POST /v1/commands/post/1/create {"author": "ada", "message": "hello"}
            200 {"stream":"post-1","version":1,"position":1,"command_id":"01
        POST /v1/commands/post/1/like content-type: text/plain
            415 unsupported-media-type: the body is "text/plain"; application/json is taken here
        POST /v1/commands/post/1/like content-type: application/
            415 unsupported-media-type: the body is "application/x-www-form-urlencoded"; application/json is taken here
        POST /v1/commands/post/1/like content-type: application/
            200 {"stream":"post-1","version":2,"position":2,"command_id":"01
        POST /v1/commands/post/1/like idempotency-key: 
            400 invalid-header: header idempotency-key holds no command id: 1 to 200 bytes without control characters
        POST /v1/commands/post/1/like idempotency-key: ""
            400 invalid-header: header idempotency-key holds no command id: 1 to 200 bytes without control characters
        POST /v1/commands/post/1/like idempotency-key: "a
            400 invalid-header: header idempotency-key has quotes that do not match
        POST /v1/commands/post/1/like idempotency-key: a, idempotency-key: b
            400 invalid-header: header idempotency-key is given more than once
        POST /v1/commands/post/1/like idempotency-key: xxxxxxxxxxxx
            400 invalid-header: header idempotency-key holds no command id: 1 to 200 bytes without control characters
        POST /v1/commands/post/1/like if-match: *
            400 invalid-header: header if-match takes one version, such as "3"
        POST /v1/commands/post/1/like if-match: W/"1"
            400 invalid-header: header if-match takes one version, such as "3"
        POST /v1/commands/post/1/like if-match: "1", "2"
            400 invalid-header: header if-match takes one version, such as "3"
        POST /v1/commands/post/1/like if-match: one
            400 invalid-header: header if-match takes one version, such as "3"
        POST /v1/commands/post/1/like if-match: 1, if-match: 1
            400 invalid-header: header if-match is given more than once
        POST /v1/commands/post/1/like if-none-match: "1"
            400 invalid-header: header if-none-match takes only *: there is no stream yet
        POST /v1/commands/post/1/like if-match: 1, if-none-match: *
            400 invalid-header: header if-match contradicts If-None-Match: send one of them
        POST /v1/commands/post/1/like x-correlation-id: 
            400 invalid-header: header x-correlation-id holds no id: 1 to 200 bytes without control characters
        POST /v1/commands/post/1/like x-correlation-id: xxxxxxxxxxxx
            400 invalid-header: header x-correlation-id holds no id: 1 to 200 bytes without control characters
        POST /v1/commands/post/1/like if-match: "7"
            412 precondition-failed: stream post-1 is at version 2, not where the command expects it {"actual_version":2}
        POST /v1/commands/post/1/like if-match: 1
            412 precondition-failed: stream post-1 is at version 2, not where the command expects it {"actual_version":2}
        POST /v1/commands/post/1/like if-none-match: *
            412 precondition-failed: stream post-1 is at version 2, not where the command expects it {"actual_version":2}
    "#]].assert_eq(cases.lines());
}
