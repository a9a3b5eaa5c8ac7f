//! Servers that the environment names, and the variables by which tests are told of servers.

use foldhost_test_servers::Kind;

/// The host's settings that name servers.
pub(crate) const SETTINGS: [&str; 3] = [
    "FOLDHOST_EVENT_STORE",
    "FOLDHOST_EVENT_LOG",
    "FOLDHOST_READ_STORE",
];

/// The setting of a kind.
pub(crate) fn setting(kind: Kind) -> &'static str {
    match kind {
        Kind::Postgres => SETTINGS[0],
        Kind::Kafka => SETTINGS[1],
        Kind::Mongodb => SETTINGS[2],
    }
}

/// The URL that the environment gives, when it names a server: `sqlite:` and `tail` are none.
pub(crate) fn url(kind: Kind) -> Option<String> {
    let url = std::env::var(setting(kind)).ok()?;
    let schemes: &[&str] = match kind {
        Kind::Postgres => &["postgres://", "postgresql://"],
        Kind::Kafka => &["kafka://"],
        Kind::Mongodb => &["mongodb://", "mongodb+srv://"],
    };
    let names_a_server = schemes.iter().any(|scheme| url.starts_with(scheme));
    names_a_server.then_some(url)
}

/// Whether one of the servers that a URL names answers. Servers that are found through DNS, or that speak TLS from the
/// first byte on, are believed: the host itself will tell.
pub(crate) fn answers(kind: Kind, url: &str) -> bool {
    let encrypted = ["mongodb+srv://", "tls=true", "ssl=true"];
    if encrypted.iter().any(|mark| url.contains(mark)) {
        return true;
    }
    let mut hosts = hosts(kind, url).into_iter();
    hosts.any(|address| foldhost_test_servers::answers(kind, &address))
}

/// The part between scheme and path, without user and password.
fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next().unwrap_or(rest);
    authority
        .rsplit_once('@')
        .map_or(authority, |(_, hosts)| hosts)
}

/// `host:port` of each server.
fn hosts(kind: Kind, url: &str) -> Vec<String> {
    let usual_port = match kind {
        Kind::Postgres => 5432,
        Kind::Kafka => 9092,
        Kind::Mongodb => 27017,
    };
    let hosts = authority(url).split(',').map(|host| {
        let has_port = host
            .rsplit_once(':')
            .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        if has_port {
            host.to_owned()
        } else {
            format!("{host}:{usual_port}")
        }
    });
    hosts.collect()
}

/// The port of a URL that names one server.
pub(crate) fn port(kind: Kind, url: &str) -> Option<u16> {
    let hosts = hosts(kind, url);
    hosts.first()?.rsplit_once(':')?.1.parse().ok()
}

/// The variable that tells tests of a server, and its value: PostgreSQL's URL, Kafka's brokers, MongoDB's URL without
/// database and options, since each test adds a database of its own.
pub(crate) fn for_tests(kind: Kind, url: &str) -> (&'static str, String) {
    match kind {
        Kind::Postgres => ("FOLDHOST_TEST_POSTGRES", url.to_owned()),
        Kind::Kafka => ("FOLDHOST_TEST_KAFKA", hosts(kind, url).join(",")),
        Kind::Mongodb => ("FOLDHOST_TEST_MONGODB", without_database(url)),
    }
}

fn without_database(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let hosts = rest.split(['/', '?']).next().unwrap_or(rest);
    format!("{scheme}://{hosts}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: Kind, url: &str, expected: &str) {
        assert_eq!(for_tests(kind, url).1, expected);
    }

    #[test]
    fn tests_are_told_servers_and_not_topics_or_databases() {
        let postgres = "postgres://user:p%40ss@db:5433/foldhost?sslmode=disable";
        check(Kind::Postgres, postgres, postgres);
        check(Kind::Kafka, "kafka://a:1,b:2/topic", "a:1,b:2");
        check(Kind::Kafka, "kafka://broker/topic", "broker:9092");
        check(Kind::Mongodb, "mongodb://a:1/foldhost", "mongodb://a:1");
        check(
            Kind::Mongodb,
            "mongodb://u:p@a,b/x?replicaSet=r",
            "mongodb://u:p@a,b",
        );
    }

    #[test]
    fn a_port_is_found_behind_user_and_password() {
        let url = "postgres://user:secret@127.0.0.1:5433/foldhost";
        assert_eq!(port(Kind::Postgres, url), Some(5433));
        assert_eq!(port(Kind::Mongodb, "mongodb://127.0.0.1/x"), Some(27017));
    }

    #[test]
    fn a_named_server_that_is_not_there_does_not_answer() {
        let port = foldhost_test_servers::free_port().unwrap();
        assert!(!answers(
            Kind::Kafka,
            &format!("kafka://127.0.0.1:{port}/t")
        ));
    }
}
