//! Places on a real Kafka: a topic of its own per test, over a SQLite event store.

use std::sync::Arc;
use std::time::Duration;

use foldhost::event_log::EventLog;
use foldhost::event_log::kafka::{KafkaEventLog, KafkaOptions};
use foldhost::event_store::EventStore;
use foldhost::event_store::sqlite::SqliteEventStore;
use foldhost::relay::Relay;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::event_log_contract::EventLogPlace;
use super::folder::Folder;
use super::missing::missing;

/// A store, its relay and its log, on a topic of their own; none where there is no Kafka.
pub(crate) async fn place() -> Option<Place> {
    Some(Place::on(Topic::fresh(&brokers()?)))
}

/// The brokers that the tests use; none, said aloud, where there are none.
#[track_caller]
pub(crate) fn brokers() -> Option<String> {
    let brokers = std::env::var("FOLDHOST_TEST_KAFKA").ok();
    if brokers.is_none() {
        let thread = std::thread::current();
        let what = "FOLDHOST_TEST_KAFKA is not set; run cargo xtask services up";
        missing(thread.name().unwrap_or("kafka"), what);
    }
    brokers
}

/// A topic's name that no other test has.
pub(crate) fn fresh_topic() -> String {
    format!("foldhost-test-{}", Uuid::now_v7())
}

/// A topic, deleted when dropped.
pub(crate) struct Topic {
    pub(crate) options: KafkaOptions,
}

impl Topic {
    pub(crate) fn fresh(brokers: &str) -> Self {
        let url = format!("kafka://{brokers}/{}", fresh_topic());
        let mut options = KafkaOptions::parse_url(&url).unwrap();
        options.group = options.topic.clone();
        Self { options }
    }

    pub(crate) fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.options.brokers);
        config
    }

    pub(crate) async fn delete(&self) {
        let admin: AdminClient<DefaultClientContext> = self.config().create().unwrap();
        let patience = AdminOptions::new().operation_timeout(Some(Duration::from_secs(10)));
        let topic = &*self.options.topic;
        for deleted in admin.delete_topics(&[topic], &patience).await.unwrap() {
            deleted.unwrap();
        }
    }
}

impl Drop for Topic {
    fn drop(&mut self) {
        let (config, topic) = (self.config(), self.options.topic.clone());
        // A test that fails drops it too, perhaps without a runtime; a topic that stays harms none.
        let deleting = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            let admin: Result<AdminClient<DefaultClientContext>, _> = config.create();
            if let (Ok(runtime), Ok(admin)) = (runtime, admin) {
                let patience = AdminOptions::new().request_timeout(Some(Duration::from_secs(3)));
                let _ = runtime.block_on(admin.delete_topics(&[&*topic], &patience));
            }
        });
        let _ = deleting.join();
    }
}

/// A store in a folder.
pub(crate) struct Store {
    _folder: Folder,
    pub(crate) store: Arc<dyn EventStore>,
}

impl Store {
    pub(crate) fn fresh() -> Self {
        let folder = Folder::fresh();
        let store = Arc::new(SqliteEventStore::open(folder.path()).unwrap());
        Self {
            _folder: folder,
            store,
        }
    }
}

/// A relay that runs in the background until it is stopped or dropped.
pub(crate) struct Running {
    pub(crate) relay: Relay,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) fn start(options: &KafkaOptions, store: &Arc<dyn EventStore>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let (relay, task) = Relay::new(options.clone(), Arc::clone(store), stopped).unwrap();
        Self {
            relay,
            stop,
            task: tokio::spawn(task),
        }
    }

    /// Stops it in good order.
    pub(crate) async fn stop(mut self) {
        self.stop.send_replace(true);
        (&mut self.task).await.unwrap();
    }

    /// Ends it wherever it is, as a crash does.
    pub(crate) async fn crash(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A store, its relay and its log.
pub(crate) struct Place {
    pub(crate) log: Arc<KafkaEventLog>,
    pub(crate) relay: Running,
    pub(crate) store: Store,
    // The last, so that nobody makes it again when it is deleted.
    pub(crate) topic: Topic,
}

impl Place {
    pub(crate) fn on(topic: Topic) -> Self {
        let store = Store::fresh();
        let relay = Running::start(&topic.options, &store.store);
        let log = KafkaEventLog::open(topic.options.clone(), Arc::clone(&store.store)).unwrap();
        Self {
            log: Arc::new(log),
            relay,
            store,
            topic,
        }
    }
}

impl EventLogPlace for Place {
    fn store(&self) -> Arc<dyn EventStore> {
        Arc::clone(&self.store.store)
    }

    fn log(&self) -> Arc<dyn EventLog> {
        Arc::clone(&self.log) as Arc<dyn EventLog>
    }
}
