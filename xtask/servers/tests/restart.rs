//! Servers are killed and come back.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail like tests"
)]

#[path = "../../../host/tests/support/missing.rs"]
mod missing;

use foldhost_test_servers::{Kind, Place, cache};

fn comes_back(kind: Kind, test: &str) {
    let Some(server) = kind.find(&cache()).unwrap() else {
        return missing::missing(test, "the server is not there; run cargo xtask services up");
    };
    let place = Place::anywhere(kind.name()).unwrap();
    let mut running = server.start(&place).unwrap().until_dropped();
    assert!(running.answers());
    let (first, url) = (running.pid, running.url().to_owned());

    running.kill().unwrap();
    assert!(!running.is_alive());
    assert!(!running.answers());

    running.restart().unwrap();
    assert!(running.answers());
    assert_ne!(running.pid, first);
    assert_eq!(running.url(), url, "port and password are what they were");

    running.stop().unwrap();
    assert!(!running.is_alive());
    drop(running);
    assert!(!place.data.exists());
}

#[test]
fn a_killed_postgresql_comes_back_on_its_data_and_port() {
    comes_back(
        Kind::Postgres,
        "a_killed_postgresql_comes_back_on_its_data_and_port",
    );
}

#[test]
fn a_killed_kafka_comes_back_on_its_data_and_port() {
    comes_back(
        Kind::Kafka,
        "a_killed_kafka_comes_back_on_its_data_and_port",
    );
}

#[test]
fn a_killed_ferretdb_comes_back_on_its_data_and_port() {
    comes_back(
        Kind::Mongodb,
        "a_killed_ferretdb_comes_back_on_its_data_and_port",
    );
}
