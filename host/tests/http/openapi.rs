//! The OpenAPI document says what there is, all of it, and nothing else.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::TestHost;

const SAMPLES: [&str; 5] = ["post", "posts", "authors", "activity", "saboteur"];

async fn document(host: &TestHost) -> Value {
    host.client.get("/openapi.json").await.expect(200).body
}

fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths.flat_map(|(path, item)| {
        item.as_object()
            .unwrap()
            .iter()
            .map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_path_takes_the_methods_that_are_described_and_no_others() {
    let host = TestHost::start(&SAMPLES).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for (path, item) in document(&host).await["paths"].as_object().unwrap() {
        let url = format!(
            "{}{}",
            host.client.base(),
            path.replace("{id}", "1").replace("{name}", "post")
        );
        let answer = http
            .request(Method::PATCH, url.replace("{aggregate}", "post"))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 405, "{path}");
        let allowed: BTreeSet<_> = answer.headers()["allow"]
            .to_str()
            .unwrap()
            .split(',')
            .map(str::to_lowercase)
            .collect();
        let mut described: BTreeSet<_> = item.as_object().unwrap().keys().cloned().collect();
        if described.contains("get") {
            described.insert("head".to_owned());
        }
        assert_eq!(allowed, described, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_loaded_plugins_define_is_described_with_its_types() {
    let host = TestHost::start(&SAMPLES).await;
    let document = document(&host).await;
    let schema = |reference: &Value| {
        let pointer = reference["$ref"]
            .as_str()
            .unwrap()
            .strip_prefix('#')
            .unwrap();
        document.pointer(pointer).unwrap().clone()
    };
    let create = &document["paths"]["/v1/commands/post/{id}/create"]["post"];
    let payload = schema(&create["requestBody"]["content"]["application/json"]["schema"]);
    assert_eq!(payload["required"], json!(["author", "message"]));
    let query = &document["paths"]["/v1/queries/find-posts-with-likes"]["get"];
    let likes = query["parameters"]
        .as_array()
        .unwrap()
        .iter()
        .find(|parameter| parameter["name"] == "likes")
        .unwrap();
    assert_eq!(
        (&likes["schema"]["type"], &likes["required"]),
        (&json!("integer"), &json!(true))
    );
    let one = &document["paths"]["/v1/collections/posts/{id}"]["get"]["responses"]["200"];
    let post = schema(&one["content"]["application/json"]["schema"]);
    assert!(post["properties"]["comments"].is_object(), "{post}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_sound() {
    let host = TestHost::start(&SAMPLES).await;
    let document = document(&host).await;
    let mut ids = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        assert!(
            ids.insert(operation["operationId"].as_str().unwrap()),
            "{method} {path}: its id is taken"
        );
        assert!(
            operation["responses"]["200"]["description"].is_string(),
            "{method} {path}"
        );
        let none = Vec::new();
        let parameters = operation["parameters"].as_array().unwrap_or(&none).iter();
        let in_path = parameters.filter(|parameter| parameter["in"] == "path");
        let described: BTreeSet<_> = in_path
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        let open = path
            .split('{')
            .skip(1)
            .map(|part| part.split('}').next().unwrap());
        assert_eq!(open.collect::<BTreeSet<_>>(), described, "{method} {path}");
    }
    let mut broken = Vec::new();
    references(&document, &mut |reference| {
        let pointer = reference.strip_prefix('#').unwrap_or(reference);
        if document.pointer(pointer).is_none() {
            broken.push(reference.to_owned());
        }
    });
    assert!(broken.is_empty(), "{broken:?}");
}

fn references(value: &Value, found: &mut impl FnMut(&str)) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(reference) if name == "$ref" => found(reference),
                    other => references(other, found),
                }
            }
        }
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_follows_the_plugins() {
    let host = TestHost::start(&[]).await;
    assert!(
        document(&host).await["paths"]
            .get("/v1/commands/post/{id}/like")
            .is_none()
    );
    host.take_up("post").await;
    assert!(
        document(&host).await["paths"]
            .get("/v1/commands/post/{id}/like")
            .is_some()
    );
}
