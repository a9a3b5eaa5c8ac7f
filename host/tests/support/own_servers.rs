//! Real servers of a test's own, to be killed and brought back.

use foldhost_test_servers::{Kind, Place, UntilDropped, cache};

use super::{Servers, missing};

/// One of each kind, gone when dropped.
pub(crate) struct OwnServers {
    postgres: UntilDropped,
    kafka: UntilDropped,
    mongodb: UntilDropped,
}

impl OwnServers {
    /// Starts them; where one cannot be had, the test is named as missing.
    pub(crate) fn start(test: &str) -> Option<Self> {
        let start = |kind: Kind| {
            let server = kind
                .find(&cache())
                .expect("the cache can be looked through");
            let Some(server) = server else {
                missing(
                    test,
                    &format!("{} is not there; run cargo xtask services up", kind.name()),
                );
                return None;
            };
            let place = Place::anywhere(kind.name()).expect("a port is free");
            let running = server
                .start(&place)
                .unwrap_or_else(|error| panic!("{error:#}"));
            Some(running.until_dropped())
        };
        Some(Self {
            postgres: start(Kind::Postgres)?,
            kafka: start(Kind::Kafka)?,
            mongodb: start(Kind::Mongodb)?,
        })
    }

    /// Where they are.
    pub(crate) fn servers(&self) -> Servers {
        Servers {
            postgres: self.postgres.url().to_owned(),
            kafka: self.kafka.address(),
            mongodb: format!("mongodb://{}", self.mongodb.address()),
        }
    }

    /// One of them.
    pub(crate) fn get(&mut self, kind: Kind) -> &mut UntilDropped {
        match kind {
            Kind::Postgres => &mut self.postgres,
            Kind::Kafka => &mut self.kafka,
            Kind::Mongodb => &mut self.mongodb,
        }
    }

    /// Kills one as hard as there is.
    pub(crate) fn kill(&mut self, kind: Kind) {
        tokio::task::block_in_place(|| self.get(kind).kill()).expect("a server can be killed");
    }

    /// Brings one back with everything it had, and waits until it answers.
    pub(crate) fn restart(&mut self, kind: Kind) {
        tokio::task::block_in_place(|| self.get(kind).restart()).expect("a server comes back");
    }
}
