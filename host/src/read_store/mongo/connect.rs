//! Reaching a server.

use std::time::{Duration, Instant};

use mongodb::bson::doc;
use mongodb::error::{Error as Driver, ErrorKind};
use mongodb::options::{
    Acknowledgment, ClientOptions, ReadConcern, ReadPreference, SelectionCriteria, WriteConcern,
};
use mongodb::{Client, Database};

use super::super::Error;
use super::MongoOptions;
use super::failure;

/// How long a call looks for a server before it says that there is none, unless the URL says otherwise.
const SELECTION: Duration = Duration::from_secs(2);
/// How long opening tries to find out whether the settings are right.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(200);
/// The wire version of MongoDB 4.4.
const OLDEST_WIRE_VERSION: i32 = 9;
/// The longest prefix; names have room for the rest behind it.
const MAX_PREFIX: usize = 40;
/// Authentication failed; not authorized.
const CREDENTIALS: [i32; 2] = [18, 13];

/// Prepares the connections to the database that a URL names, and finds out whether they can ever be made.
pub(super) async fn open(options: &MongoOptions) -> Result<Database, Error> {
    let refused = |reason: String| Error::CannotOpen {
        store: shown(&options.url),
        reason: format!("the setting read_store {}", conceal(&options.url, &reason)),
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if options.prefix.len() > MAX_PREFIX || !options.prefix.bytes().all(plain) {
        return Err(refused(
            "has a prefix that is not at most 40 letters, digits, _ and -".into(),
        ));
    }
    let mut parsed = ClientOptions::parse(&options.url).await.map_err(|error| {
        refused(format!(
            "is no URL of a MongoDB server: {}",
            failure::reason(&error)
        ))
    })?;
    let name = parsed
        .default_database
        .clone()
        .filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| refused("names no database: mongodb://host/database".into()))?;
    configure(&mut parsed);
    let client = Client::with_options(parsed)
        .map_err(|error| refused(format!("cannot be used: {}", failure::reason(&error))))?;
    let database = client.database(&name);
    reach(&database).await.map_err(refused)?;
    Ok(database)
}

/// Everything is read from the primary as a majority has it, and written to a majority's journals.
fn configure(options: &mut ClientOptions) {
    options.server_selection_timeout.get_or_insert(SELECTION);
    options.connect_timeout.get_or_insert(SELECTION);
    options.app_name.get_or_insert_with(|| "foldhost".into());
    options.read_concern = Some(ReadConcern::majority());
    options.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
    options.write_concern = Some(
        WriteConcern::builder()
            .w(Acknowledgment::Majority)
            .journal(true)
            .build(),
    );
}

/// Tries for a while; a server that does not answer may answer later, one that answers wrongly never will.
async fn reach(database: &Database) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match probe(database).await {
            Ok(version) if version < OLDEST_WIRE_VERSION => {
                return Err(format!(
                    "leads to a server that is too old: wire version {version}, {OLDEST_WIRE_VERSION} (MongoDB 4.4) is the least"
                ));
            }
            Ok(_) => return Ok(()),
            Err(error) => {
                if let Some(reason) = lasting(&error) {
                    return Err(reason);
                }
                if Instant::now() > deadline {
                    tracing::warn!(
                        reason = failure::reason(&error),
                        "the read store does not answer yet"
                    );
                    return Ok(());
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Asks the server for its wire version, in a way that needs valid credentials.
async fn probe(database: &Database) -> Result<i32, Driver> {
    database
        .run_command(doc! {"listCollections": 1, "nameOnly": true, "cursor": {"batchSize": 1}})
        .await?;
    let hello = database.run_command(doc! {"hello": 1}).await?;
    Ok(hello
        .get_i32("maxWireVersion")
        .unwrap_or(OLDEST_WIRE_VERSION))
}

/// Returns why it makes no sense to try again.
fn lasting(error: &Driver) -> Option<String> {
    let reason = failure::reason(error);
    match &*error.kind {
        ErrorKind::Authentication { .. } => {
            Some(format!("has credentials that the server refuses: {reason}"))
        }
        ErrorKind::IncompatibleServer { .. } => {
            Some(format!("leads to a server that does not fit: {reason}"))
        }
        ErrorKind::ServerSelection { message, .. } if message.contains("wire version") => {
            Some(format!("leads to a server that does not fit: {reason}"))
        }
        ErrorKind::InvalidTlsConfig { .. } | ErrorKind::InvalidArgument { .. } => {
            Some(format!("cannot be used: {reason}"))
        }
        _ if failure::code(error).is_some_and(|code| CREDENTIALS.contains(&code)) => {
            Some(format!("has credentials that the server refuses: {reason}"))
        }
        _ => None,
    }
}

/// Returns the URL without its credentials and parameters.
fn shown(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return "(no URL)".into();
    };
    let rest = rest.split('?').next().unwrap_or_default();
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    format!("{scheme}://{rest}")
}

/// Takes everything out of a text that the URL has before its host.
fn conceal(url: &str, text: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let Some((credentials, _)) = rest.rsplit_once('@') else {
        return text.into();
    };
    let secrets = credentials.split_once(':').map(|(_, password)| password);
    [Some(credentials), secrets]
        .into_iter()
        .flatten()
        .filter(|secret| !secret.is_empty())
        .fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_credentials_nor_parameters_are_shown() {
        for (url, expected) in [
            ("mongodb://host:27017/db", "mongodb://host:27017/db"),
            ("mongodb://me:secret@host/db?tls=true", "mongodb://host/db"),
            ("mongodb+srv://me:se@cret@host/db", "mongodb+srv://host/db"),
            ("nonsense", "(no URL)"),
        ] {
            assert_eq!(shown(url), expected);
        }
    }

    #[test]
    fn what_the_driver_repeats_of_the_credentials_is_concealed() {
        let text = conceal("mongodb://me:secret@host/db", "no \"secret\" in me:secret");
        assert!(!text.contains("secret"), "{text}");
    }
}
