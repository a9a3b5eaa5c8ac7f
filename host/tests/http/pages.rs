//! Pages for people.

use std::net::SocketAddr;

use axum::Router;
use tokio::net::TcpListener;

use crate::support::{Client, TestHost};

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_need_nothing_from_elsewhere_and_run_no_inline_script() {
    let host = TestHost::start(&["post", "posts"]).await;
    for path in ["/", "/docs"] {
        let page = host.client.get(path).await.expect(200);
        let policy = page.headers["content-security-policy"].to_str().unwrap();
        assert!(
            policy.contains("default-src 'none'") && policy.contains("script-src 'self'"),
            "{policy}"
        );
        let html = page.body.as_str().unwrap();
        assert!(
            !html.contains("http://") && !html.contains("https://") && !html.contains("<script>"),
            "{html}"
        );
        for link in links(html) {
            host.client.get(&format!("/{link}")).await.expect(200);
        }
    }
    let landing = host.client.get("/").await.body;
    assert!(
        landing.as_str().unwrap().contains("<td>posts</td>"),
        "{landing}"
    );
}

/// Neighbors that a page loads or links to; the event stream has no end to wait for.
fn links(html: &str) -> Vec<&str> {
    let parts = html
        .split("href=\"")
        .skip(1)
        .chain(html.split("src=\"").skip(1));
    parts
        .map(|rest| rest.split('"').next().unwrap())
        .filter(|link| !link.ends_with("events"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_routes_can_be_nested_in_another_service() {
    let host = TestHost::start(&["post"]).await;
    let service = Router::new().nest("/outer/inner", host.host.router());
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))
        .await
        .unwrap();
    let client = Client::new(listener.local_addr().unwrap());
    let server = tokio::spawn(async move { axum::serve(listener, service).await });
    client.get("/outer/inner/v1/plugins").await.expect(200);
    assert_eq!(
        client.get("/outer/inner/nothing").await.expect(404).code(),
        "unknown-route"
    );
    assert_eq!(
        client
            .put("/outer/inner/healthz", Vec::new())
            .await
            .expect(405)
            .code(),
        "method-not-allowed"
    );
    let landing = client.get("/outer/inner").await.expect(200).body;
    for link in links(landing.as_str().unwrap()) {
        client.get(&format!("/outer/{link}")).await.expect(200);
    }
    server.abort();
}
