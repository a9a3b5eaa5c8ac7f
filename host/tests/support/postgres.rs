//! Schemas of their own on the PostgreSQL server that tests are given.

use std::sync::Arc;

use async_trait::async_trait;
use foldhost::event_store::postgres::{PostgresEventStore, PostgresOptions};
use foldhost::event_store::{Error, EventStore};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, PgConnection};
use uuid::Uuid;

use super::event_store_contract::EventStorePlace;
use super::missing::missing;

const VARIABLE: &str = "FOLDHOST_TEST_POSTGRES";

/// A schema that nobody else uses, dropped with this value.
pub(crate) struct Schema {
    url: String,
    name: String,
}

/// Gives the server's URL; without one, the test that runs on this thread is noted as missing.
#[track_caller]
pub(crate) fn server() -> Option<String> {
    let url = std::env::var(VARIABLE).ok();
    if url.is_none() {
        let thread = std::thread::current();
        let reason = format!("{VARIABLE} is not set; run cargo xtask services up");
        missing(thread.name().unwrap_or("a test"), &reason);
    }
    url
}

/// Makes a name up for a schema, which the store is to make.
pub(crate) async fn place() -> Option<Schema> {
    let name = format!("test_{}", Uuid::now_v7().simple());
    server().map(|url| Schema { url, name })
}

impl Schema {
    /// The server's URL.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The schema's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Opens the store, as another process would.
    pub(crate) async fn store(&self) -> Arc<dyn EventStore> {
        self.try_open(&self.url).await.unwrap()
    }

    /// Opens the store by way of another URL.
    pub(crate) async fn try_open(&self, url: &str) -> Result<Arc<dyn EventStore>, Error> {
        let options = PostgresOptions {
            url: url.to_owned(),
            schema: self.name.clone(),
        };
        Ok(Arc::new(PostgresEventStore::open(options).await?))
    }

    /// Begins a session as an administrator, whose statements concern this schema.
    pub(crate) async fn administrator(&self) -> PgConnection {
        administrator(&self.url, &self.name).await
    }

    /// Runs statements behind the store's back.
    pub(crate) async fn run(&self, sql: &str) -> Result<(), sqlx::Error> {
        run(&mut self.administrator().await, sql).await
    }

    /// The server's URL, with another address in the place of its own.
    pub(crate) fn url_by_way_of(&self, address: std::net::SocketAddr) -> String {
        self.url.replace(&self.address(), &address.to_string())
    }

    /// The server's host and port, as the URL has them.
    pub(crate) fn address(&self) -> String {
        let (_, behind) = self.url.split_once('@').expect("the URL holds a user");
        behind.split('/').next().unwrap_or(behind).to_owned()
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        let drop = format!("DROP SCHEMA IF EXISTS {} CASCADE", self.name);
        let url = self.url.clone();
        // The test's own runtime is busy with being dropped.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async { run(&mut administrator(&url, "public").await, &drop).await })
        });
        // What is left over does not concern the test.
        let _ = dropping.join();
    }
}

#[async_trait]
impl EventStorePlace for Schema {
    async fn open(&self) -> Arc<dyn EventStore> {
        self.store().await
    }
}

async fn administrator(url: &str, schema: &str) -> PgConnection {
    let options: PgConnectOptions = url.parse().unwrap();
    options
        .options([("search_path", schema)])
        .connect()
        .await
        .unwrap()
}

async fn run(connection: &mut PgConnection, sql: &str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(connection)
        .await
        .map(|_| ())
}
