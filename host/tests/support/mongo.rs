//! Databases of their own on the MongoDB server that tests are given.

use foldhost::read_store::Error;
use foldhost::read_store::mongo::{MongoOptions, MongoReadStore};
use mongodb::bson::Document;
use mongodb::{Client, Database};
use uuid::Uuid;

use super::missing::missing;

const VARIABLE: &str = "FOLDHOST_TEST_MONGODB";
/// What the tests' collections begin with.
const PREFIX: &str = "t_";

/// A database that nobody else uses, dropped with this value.
pub(crate) struct Place {
    server: String,
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
    url.map(|url| url.trim_end_matches('/').to_owned())
}

/// Makes a name up for a database, which comes with the first document.
pub(crate) async fn place() -> Option<Place> {
    let name = format!("test_{}", Uuid::now_v7().simple());
    server().map(|server| Place { server, name })
}

impl Place {
    /// The URL of the database.
    pub(crate) fn url(&self) -> String {
        format!("{}/{}", self.server, self.name)
    }

    /// Opens the store, as another process would.
    pub(crate) async fn store(&self) -> MongoReadStore {
        open(&self.url()).await.unwrap()
    }

    /// The database as ordinary tools see it.
    pub(crate) async fn database(&self) -> Database {
        let client = Client::with_uri_str(self.url()).await.unwrap();
        client.database(&self.name)
    }

    /// One of the store's own collections, or one of documents, as ordinary tools see it.
    pub(crate) async fn collection(&self, name: &str) -> mongodb::Collection<Document> {
        self.database().await.collection(&format!("{PREFIX}{name}"))
    }
}

/// Opens a store at a URL.
pub(crate) async fn open(url: &str) -> Result<MongoReadStore, Error> {
    MongoReadStore::open(MongoOptions {
        url: url.into(),
        prefix: PREFIX.into(),
    })
    .await
}

impl Drop for Place {
    /// On a thread of its own, since the runtime of the test cannot be waited for here.
    fn drop(&mut self) {
        let (url, name) = (self.url(), self.name.clone());
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async {
                let client = Client::with_uri_str(url).await?;
                client.database(&name).drop().await
            })
        });
        // A database that stays behind fails nobody's test.
        let _ = dropped.join();
    }
}
