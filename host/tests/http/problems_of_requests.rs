//! Paths, names and parameters that are refused.

use expect_test::expect;
use reqwest::Method;
use serde_json::json;

use crate::cases::Cases;
use crate::support::TestHost;

#[tokio::test(flavor = "multi_thread")]
async fn a_path_or_method_that_is_none_is_told() {
    let host = TestHost::start(&[]).await;
    let mut cases = Cases::new(&host);
    for path in [
        "/nothing",
        "/v1",
        "/v1/streams/post/",
        "/v1/streams/post/a%zz",
        "/v1/streams/post/%ff",
        "/docs/secret",
    ] {
        cases.get(path).await;
    }
    for (method, path) in [
        (Method::GET, "/v1/commands/post/1/like"),
        (Method::DELETE, "/v1/plugins/post"),
        (Method::POST, "/v1/collections/posts"),
        (Method::PUT, "/healthz"),
    ] {
        cases.send(method, path, "", |request| request).await;
    }
    expect![[r#"
        GET /nothing
            404 unknown-route: there is nothing at /nothing; /docs lists what there is
        GET /v1
            404 unknown-route: there is nothing at /v1; /docs lists what there is
        GET /v1/streams/post/
            404 unknown-route: there is nothing at /v1/streams/post/; /docs lists what there is
        GET /v1/streams/post/a%zz
            400 malformed-path: the path has a % that is not followed by two hexadecimal digits
        GET /v1/streams/post/%ff
            400 malformed-path: Invalid URL: Invalid UTF-8 in `id`
        GET /docs/secret
            404 unknown-route: there is no page "secret" below /docs
        GET /v1/commands/post/1/like
            405 method-not-allowed: GET is not taken at /v1/commands/post/1/like; Allow lists what is [allow: POST]
        DELETE /v1/plugins/post
            405 method-not-allowed: DELETE is not taken at /v1/plugins/post; Allow lists what is [allow: PUT]
        POST /v1/collections/posts
            405 method-not-allowed: POST is not taken at /v1/collections/posts; Allow lists what is [allow: GET,HEAD]
        PUT /healthz
            405 method-not-allowed: PUT is not taken at /healthz; Allow lists what is [allow: GET,HEAD]
    "#]].assert_eq(cases.lines());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_or_id_that_is_not_valid_or_not_known_is_told() {
    let host = TestHost::start(&["post", "posts"]).await;
    host.client
        .command(
            "post",
            "1",
            "create",
            json!({"author": "ada", "message": "hello"}),
        )
        .await
        .expect(200);
    let mut cases = Cases::new(&host);
    let long = format!("/v1/streams/post/{}", "x".repeat(201));
    for path in [
        "/v1/streams/Post/1",
        "/v1/streams/post/a%00b",
        "/v1/streams/$plugins/1",
        &long,
        "/v1/streams/post/2",
        "/v1/aggregates/post/2",
        "/v1/aggregates/nothing/1",
        "/v1/aggregates/post/1?version=2",
        "/v1/aggregates/post/1?at=2001-01-01T00:00:00Z",
        "/v1/collections/nothing",
        "/v1/collections/nothing/1",
        "/v1/collections/posts/2",
        "/v1/queries/nothing",
        "/v1/projections/nothing/parked",
    ] {
        cases.get(path).await;
    }
    for path in [
        "/v1/commands/nothing/1/like",
        "/v1/commands/post/1/nothing",
        "/v1/commands/post/%0A/like",
    ] {
        cases.post(path, "{}").await;
    }
    expect![[r#"
        GET /v1/streams/Post/1
            400 invalid-id: aggregate "Post" is not valid: a lower-case letter, then lower-case letters, digits or _, 64 at most
        GET /v1/streams/post/a%00b
            400 invalid-id: aggregate id "a\0b" is not valid: 1 to 200 bytes without control characters
        GET /v1/streams/$plugins/1
            400 invalid-id: aggregate "$plugins" is not valid: a lower-case letter, then lower-case letters, digits or _, 64 at most
        GET /v1/streams/post/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
            400 invalid-id: aggregate id "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" is not valid: 1 to 200 bytes without control characters
        GET /v1/streams/post/2
            404 unknown-stream: stream post-2 has no events
        GET /v1/aggregates/post/2
            404 unknown-stream: stream post-2 has no events
        GET /v1/aggregates/nothing/1
            404 unknown-aggregate: there is no aggregate "nothing"
        GET /v1/aggregates/post/1?version=2
            404 unknown-version: stream post-1 has no version 2 yet {"actual_version":1}
        GET /v1/aggregates/post/1?at=2001-01-01T00:00:00Z
            404 unknown-version: stream post-1 had no events at that time {"actual_version":1}
        GET /v1/collections/nothing
            404 unknown-collection: there is no collection "nothing"; there are posts
        GET /v1/collections/nothing/1
            404 unknown-collection: there is no collection "nothing"; there are posts
        GET /v1/collections/posts/2
            404 unknown-document: collection posts has no document "2"
        GET /v1/queries/nothing
            404 unknown-query: there is no query "nothing"; there are find-all-posts, find-post-by-id, find-posts-by-author, find-posts-with-comments, find-posts-with-likes
        GET /v1/projections/nothing/parked
            404 unknown-projection: there is no projection "nothing"; there are posts
        POST /v1/commands/nothing/1/like {}
            404 unknown-aggregate: there is no aggregate "nothing"; there are post
        POST /v1/commands/post/1/nothing {}
            404 unknown-command: aggregate post has no command "nothing"; it has create, edit-message, like, add-comment, edit-comment, remove-comment, delete
        POST /v1/commands/post/%0A/like {}
            400 invalid-id: aggregate id "\n" is not valid: 1 to 200 bytes without control characters
    "#]].assert_eq(cases.lines());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parameter_that_is_unknown_or_out_of_bounds_is_named() {
    let host = TestHost::start(&["post", "posts"]).await;
    let mut cases = Cases::new(&host);
    for path in [
        "/v1/streams/post/1?from=1",
        "/v1/streams/post/1?after=-1",
        "/v1/streams/post/1?after=99999999999999999999",
        "/v1/streams/post/1?after=9223372036854775808",
        "/v1/streams/post/1?after=1&cursor=x",
        "/v1/streams/post/1?limit=0",
        "/v1/streams/post/1?limit=1001",
        "/v1/streams/post/1?limit=many",
        "/v1/streams/post/1?limit=1&limit=2",
        "/v1/streams/post/1?limit=%zz",
        "/v1/streams/post/1?limit=%ff",
        "/v1/aggregates/post/1?version=0",
        "/v1/aggregates/post/1?version=1&at=2001-01-01T00:00:00Z",
        "/v1/aggregates/post/1?at=yesterday",
        "/v1/collections/posts?page=2",
        "/v1/collections/posts?timeout=60001",
        "/v1/collections/posts/1?limit=3",
        "/v1/queries/find-all-posts?likes=3",
        "/v1/queries/find-post-by-id",
        "/v1/queries/find-posts-with-likes?likes=many",
        "/v1/queries/find-post-by-id?id=1&id=2",
        "/v1/events?from=1",
        "/v1/events?aggregate=Post",
        "/v1/events?type=post.",
        "/v1/plugins?name=post",
        "/v1/projections?name=post",
        "/openapi.json?version=3",
    ] {
        cases.get(path).await;
    }
    cases.post("/v1/commands/post/1/like?force=true", "").await;
    expect![[r#"
        GET /v1/streams/post/1?from=1
            400 unknown-parameter: parameter "from" is not known here; known are after, cursor, limit
        GET /v1/streams/post/1?after=-1
            400 invalid-parameter: parameter "after" is no whole number from 0: "-1"
        GET /v1/streams/post/1?after=99999999999999999999
            400 invalid-parameter: parameter "after" is no whole number from 0: "99999999999999999999"
        GET /v1/streams/post/1?after=9223372036854775808
            400 invalid-parameter: parameter "after" is no whole number from 0: "9223372036854775808"
        GET /v1/streams/post/1?after=1&cursor=x
            400 invalid-parameter: parameter "cursor" cannot be given together with "after"
        GET /v1/streams/post/1?limit=0
            400 invalid-parameter: parameter "limit" is 0; it can be 1 to 1000
        GET /v1/streams/post/1?limit=1001
            400 invalid-parameter: parameter "limit" is 1001; it can be 1 to 1000
        GET /v1/streams/post/1?limit=many
            400 invalid-parameter: parameter "limit" is no whole number from 0: "many"
        GET /v1/streams/post/1?limit=1&limit=2
            400 invalid-parameter: parameter "limit" is given more than once
        GET /v1/streams/post/1?limit=%zz
            400 malformed-query: the query string has a % that is not followed by two hexadecimal digits
        GET /v1/streams/post/1?limit=%ff
            400 malformed-query: the query string is not UTF-8
        GET /v1/aggregates/post/1?version=0
            400 invalid-parameter: parameter "version" is 0; the first version is 1
        GET /v1/aggregates/post/1?version=1&at=2001-01-01T00:00:00Z
            400 invalid-parameter: parameter "at" cannot be given together with "version"
        GET /v1/aggregates/post/1?at=yesterday
            400 invalid-parameter: parameter "at" is no RFC 3339 time, such as 2026-01-31T12:00:00Z (a + is written %2B)
        GET /v1/collections/posts?page=2
            400 unknown-parameter: parameter "page" is not known here; known are filter, sort, limit, cursor, wait_for, timeout
        GET /v1/collections/posts?timeout=60001
            400 invalid-parameter: parameter "timeout" is 60001; it can be 0 to 60000 milliseconds
        GET /v1/collections/posts/1?limit=3
            400 unknown-parameter: parameter "limit" is not known here; known are wait_for, timeout
        GET /v1/queries/find-all-posts?likes=3
            400 invalid-parameter: query find-all-posts: parameter "likes" is not known; it takes none
        GET /v1/queries/find-post-by-id
            400 invalid-parameter: query find-post-by-id: parameter "id" is missing
        GET /v1/queries/find-posts-with-likes?likes=many
            400 invalid-parameter: query find-posts-with-likes: parameter "likes" is no whole number: "many"
        GET /v1/queries/find-post-by-id?id=1&id=2
            400 invalid-parameter: parameter "id" is given more than once
        GET /v1/events?from=1
            400 unknown-parameter: parameter "from" is not known here; known are after, aggregate, type
        GET /v1/events?aggregate=Post
            400 invalid-id: aggregate "Post" is not valid: a lower-case letter, then lower-case letters, digits or _, 64 at most
        GET /v1/events?type=post.
            400 invalid-parameter: parameter "type" is no event type: "post."; it is Type or aggregate.Type
        GET /v1/plugins?name=post
            400 unknown-parameter: parameter "name" is not known here; none are
        GET /v1/projections?name=post
            400 unknown-parameter: parameter "name" is not known here; none are
        GET /openapi.json?version=3
            400 unknown-parameter: parameter "version" is not known here; none are
        POST /v1/commands/post/1/like?force=true
            400 unknown-parameter: parameter "force" is not known here; none are
    "#]].assert_eq(cases.lines());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_sort_or_cursor_that_is_none_is_told() {
    let host = TestHost::start(&["post", "posts"]).await;
    let mut cases = Cases::new(&host);
    for query in [
        "filter={",
        "filter=[]",
        "filter=7",
        "filter={\"likes\":3}",
        "filter={\"likes\":{\"above\":3}}",
        "filter={\"likes\":{\"in\":3}}",
        "filter={\"_foldhost\":{\"eq\":3}}",
        "filter={\"a b\":{\"eq\":3}}",
        "filter={\"or\":[]}",
        "sort=",
        "sort=likes,likes",
        "sort=$likes",
        "cursor=nonsense",
        "cursor=%21",
        "cursor=",
    ] {
        cases.get(&format!("/v1/collections/posts?{query}")).await;
    }
    cases
        .get("/v1/queries/find-all-posts?cursor=nonsense")
        .await;
    cases.get("/v1/streams/post/1?cursor=nonsense").await;
    expect![[r#"
        GET /v1/collections/posts?filter={
            400 invalid-filter: the filter is not JSON: EOF while parsing an object at line 1 column 1
        GET /v1/collections/posts?filter=[]
            400 invalid-filter: a filter must be an object, such as {"state": {"eq": "open"}}
        GET /v1/collections/posts?filter=7
            400 invalid-filter: a filter must be an object, such as {"state": {"eq": "open"}}
        GET /v1/collections/posts?filter={"likes":3}
            400 invalid-filter: what field "likes" is compared with must be an object, such as {"eq": 1}
        GET /v1/collections/posts?filter={"likes":{"above":3}}
            400 invalid-filter: field "likes": unknown operator "above", known are eq, ne, lt, lte, gt, gte, in, exists, prefix
        GET /v1/collections/posts?filter={"likes":{"in":3}}
            400 invalid-filter: field "likes": "in" takes an array of at most 100 scalars
        GET /v1/collections/posts?filter={"_foldhost":{"eq":3}}
            400 invalid-filter: "_foldhost" is no path to a field: _foldhost is the host's
        GET /v1/collections/posts?filter={"a b":{"eq":3}}
            400 invalid-filter: "a b" is no path to a field: names are ASCII letters, digits, _ and -, joined by dots
        GET /v1/collections/posts?filter={"or":[]}
            400 invalid-filter: "or" takes an array of at least one filter
        GET /v1/collections/posts?sort=
            400 invalid-sort: "" is no path to a field: names are ASCII letters, digits, _ and -, joined by dots
        GET /v1/collections/posts?sort=likes,likes
            400 invalid-sort: the sort names likes twice
        GET /v1/collections/posts?sort=$likes
            400 invalid-sort: "$likes" is no path to a field: names are ASCII letters, digits, _ and -, joined by dots
        GET /v1/collections/posts?cursor=nonsense
            400 invalid-cursor: the cursor is not one that this list gave: it is damaged
        GET /v1/collections/posts?cursor=%21
            400 invalid-cursor: the cursor is not one that this list gave: it is no base64
        GET /v1/collections/posts?cursor=
            400 invalid-cursor: the cursor is not one that this list gave: it is damaged
        GET /v1/queries/find-all-posts?cursor=nonsense
            400 invalid-cursor: the cursor is not one that this list gave: it is damaged
        GET /v1/streams/post/1?cursor=nonsense
            400 invalid-cursor: the cursor is not one that this list gave
    "#]].assert_eq(cases.lines());
}
