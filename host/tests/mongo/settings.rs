use std::time::{Duration, Instant};

use foldhost::read_store::{Error, ReadStore as _};

use crate::eventually::eventually;
use crate::fold::{docs, generation};
use crate::proxy::Proxy;
use crate::server::{open, place, server};

#[tokio::test]
async fn settings_that_can_never_work_are_one_line_without_a_password() {
    let bad = [
        ("", "no URL"),
        ("nonsense", "no URL"),
        ("mongodb://", "no URL"),
        ("mongodb://me:s3cret@127.0.0.1:1", "names no database"),
        ("mongodb://me:s3cret@127.0.0.1:1/", "names no database"),
        ("mongodb://me:s3cret@127.0.0.1:port/db", "no URL"),
        (
            "mongodb://me:s3cret@127.0.0.1:1/db?directConnection=perhaps",
            "no URL",
        ),
        ("mongodb://me:s3:cret@127.0.0.1:1/db", "no URL"),
        ("postgres://me:s3cret@127.0.0.1:1/db", "no URL"),
    ];
    for (url, expected) in bad {
        let Err(error) = open(url).await else {
            panic!("{url} was opened");
        };
        let line = error.to_string();
        assert!(matches!(error, Error::CannotOpen { .. }), "{line}");
        assert!(
            line.contains(expected) && line.contains("read_store"),
            "{line}"
        );
        assert!(!line.contains("cret") && !line.contains('\n'), "{line}");
    }
}

#[tokio::test]
async fn credentials_that_the_server_refuses_are_told_at_once() {
    let Some(server) = server() else {
        return;
    };
    let host = server.split_once("://").unwrap().1;
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let url = format!("mongodb://nobody:s3cret@{host}/db?authSource=admin");
    let Err(error) = open(&url).await else {
        panic!("somebody is nobody");
    };
    let line = error.to_string();
    assert!(matches!(error, Error::CannotOpen { .. }), "{line}");
    assert!(
        line.contains("credentials") && !line.contains("s3cret"),
        "{line}"
    );
}

#[tokio::test]
async fn a_server_that_is_away_is_unavailable_until_it_comes() {
    let Some(place) = place().await else {
        return;
    };
    let url = place.url();
    let (host, database) = url.split_once("://").unwrap().1.split_once('/').unwrap();
    let free = Proxy::start(([127, 0, 0, 1], 0).into(), host.into()).await;
    let address = free.address;
    drop(free);
    let store = open(&format!("mongodb://{address}/{database}"))
        .await
        .unwrap();
    let asked = Instant::now();
    let error = store.generations("posts").await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert!(
        asked.elapsed() < Duration::from_secs(5),
        "{:?}",
        asked.elapsed()
    );
    let _proxy = eventually("listening again", || async {
        match tokio::net::TcpListener::bind(address).await {
            Ok(listener) => {
                drop(listener);
                Ok(Proxy::start(address, host.into()).await)
            }
            Err(error) => Err(error),
        }
    })
    .await;
    eventually("the server is there", || store.generations("posts")).await;
    let generation = generation(&store, &docs(&[], &[])).await;
    assert_eq!(generation.number, 1);
}
