//! Places on a real Kafka: a topic of its own per test, over a SQLite event store.

#![allow(dead_code, reason = "each test file uses a part")]

use std::sync::Arc;
use std::time::Duration;

use foldhost::event_log::EventLog;
use foldhost::event_log::kafka::{KafkaEventLog, KafkaOptions};
use foldhost::event_store::EventStore;
use foldhost::event_store::sqlite::SqliteEventStore;
use foldhost::relay::Relay;
use rdkafka::TopicPartitionList;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::topic_partition_list::Offset;
use tokio::net::{TcpListener, TcpStream};
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

    /// Makes the topic before the relay does.
    pub(crate) async fn make(&self, settings: &[(&str, &str)]) {
        let admin: AdminClient<DefaultClientContext> = self.config().create().unwrap();
        let mut topic = NewTopic::new(&self.options.topic, 4, TopicReplication::Fixed(1));
        for (name, value) in settings {
            topic = topic.set(name, value);
        }
        let made = admin.create_topics([&topic], &AdminOptions::new()).await;
        made.unwrap()[0].as_ref().unwrap();
    }

    /// Returns how many records of all partitions are committed for the group.
    pub(crate) fn committed(&self) -> i64 {
        let mut config = self.config();
        let consumer: BaseConsumer = config
            .set("group.id", &self.options.group)
            .create()
            .unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_range(&self.options.topic, 0, self.options.partitions - 1);
        let patience = Duration::from_secs(5);
        let Ok(list) = consumer.committed_offsets(list, patience) else {
            return -1;
        };
        let offsets = list.elements().into_iter().map(|one| one.offset());
        offsets
            .filter_map(|offset| match offset {
                Offset::Offset(offset) => Some(offset),
                _ => None,
            })
            .sum()
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

/// An address that begins to lead to the brokers only when it is opened. Clients find brokers through it, and then speak
/// with them directly.
pub(crate) struct Proxy {
    port: u16,
}

impl Proxy {
    /// Takes an address where nobody listens.
    pub(crate) fn reserved() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        Self { port }
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Leads everyone to the brokers from now on.
    pub(crate) async fn open(&self, brokers: &str) {
        let listener = TcpListener::bind(self.address()).await.unwrap();
        let brokers = brokers.to_owned();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let brokers = brokers.clone();
                tokio::spawn(async move {
                    let mut broker = TcpStream::connect(&brokers).await?;
                    tokio::io::copy_bidirectional(&mut client, &mut broker).await
                });
            }
        });
    }
}

/// A store in a folder.
pub(crate) struct Store {
    folder: Folder,
    pub(crate) store: Arc<dyn EventStore>,
}

impl Store {
    pub(crate) fn fresh() -> Self {
        let folder = Folder::fresh();
        let store = Arc::new(SqliteEventStore::open(folder.path()).unwrap());
        Self {
            folder,
            store,
        }
    }

    /// Makes the store what it was when it had this many events.
    pub(crate) fn forget_behind(&mut self, position: u64) {
        let file = rusqlite::Connection::open(self.folder.path().join("events.db")).unwrap();
        file.execute_batch(&format!(
            "DROP TRIGGER events_are_never_deleted;
             DELETE FROM events WHERE position > {position};
             DELETE FROM cursors;"
        ))
        .unwrap();
        self.store = Arc::new(SqliteEventStore::open(self.folder.path()).unwrap());
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
