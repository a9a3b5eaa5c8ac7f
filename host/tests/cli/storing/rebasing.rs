//! A store that becomes another one: what followed it begins anew.

use std::fs;

use serde_json::json;

use super::{Filled, create, posts, serve};
use crate::support::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn a_rebased_store_rebuilds_its_projections_while_the_old_documents_serve() {
    let (filled, host) = Filled::and_host(6).await;
    let before = posts(&host.client, 6).await;
    host.kill();
    let asked = filled.store(&["rebase", "--data", "data"]);
    assert!(
        asked.stdout.contains("would get a new identity"),
        "{asked:?}"
    );
    let error = asked.error(1);
    assert!(error.contains("say --yes to do it"), "{error}");
    let first = filled.digest("data");
    let told = filled
        .store(&["rebase", "--data", "data", "--yes", "--json"])
        .values();
    assert_eq!(told[0]["before"], first["store"]);
    let second = filled.digest("data");
    assert_eq!(second["store"], told[0]["store"]);
    assert_ne!(second["store"], first["store"]);
    assert_eq!(second["events"], first["events"]);
    assert_eq!(
        second["projections"], first["projections"],
        "still those of the old store"
    );

    let host = filled.host("data").await;
    eventually("the new generation", || async {
        let shown = host
            .client
            .get("/v1/collections/posts?limit=1000")
            .await
            .expect(200);
        assert_eq!(shown.body["items"], json!(before), "at every moment");
        let projections = host.client.get("/v1/projections").await.expect(200);
        let generation = projections.body["items"][0]["generation"].as_u64();
        if generation == Some(2) {
            Ok(())
        } else {
            Err(projections)
        }
    })
    .await;
    create(&host.client, 6).await;
    assert_eq!(posts(&host.client, 7).await.len(), 7);
    let third = filled.digest("data");
    assert_eq!(third["projections"][0]["store"], second["store"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_ahead_of_a_restored_backup_stop_until_the_store_is_rebased() {
    let (filled, host) = Filled::and_host(3).await;
    host.kill();
    let copy = |from: &str, to: &str| {
        fs::create_dir_all(filled.path(to)).unwrap();
        for file in ["events.db", "events.db-wal"] {
            let (from, to) = (filled.path(from).join(file), filled.path(to).join(file));
            let _ = fs::remove_file(&to);
            if from.exists() {
                fs::copy(from, to).unwrap();
            }
        }
    };
    copy("data", "backup");
    let host = filled.host("data").await;
    for number in 3..8 {
        create(&host.client, number).await;
    }
    assert_eq!(posts(&host.client, 8).await.len(), 8);
    host.kill();
    copy("backup", "data");
    // Its shared index describes the log that was there before.
    let _ = fs::remove_file(filled.path("data/events.db-shm"));

    let host = serve(&filled.path("data"), &filled.plugins);
    eventually("the fault", || async {
        let ready = host
            .client
            .try_get("/readyz")
            .await
            .map_err(|error| error.to_string())?;
        let said = ready.body.to_string();
        if ready.status == 503 && said.contains("posts") {
            Ok(())
        } else {
            Err(said)
        }
    })
    .await;
    host.kill();
    filled
        .store(&["rebase", "--data", "data", "--yes"])
        .worked();
    let host = filled.host("data").await;
    eventually("one truth", || async {
        let shown = host
            .client
            .get("/v1/collections/posts?limit=1000")
            .await
            .expect(200);
        let count = shown.body["items"].as_array().map(Vec::len);
        if count == Some(3) { Ok(()) } else { Err(shown) }
    })
    .await;
    create(&host.client, 3).await;
    assert_eq!(posts(&host.client, 4).await.len(), 4);
}
