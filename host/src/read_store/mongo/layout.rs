//! How the collections of a generation are stored.

use std::collections::{BTreeMap, HashMap};

use mongodb::bson::{Document, doc};
use serde::{Deserialize, Serialize};

use super::super::{CollectionSpec, Error, FieldPath};
use super::names;

/// A projection's alias document: which generations there are, and which one is live.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Alias {
    /// The projection's name.
    #[serde(rename = "_id")]
    pub(super) projection: String,
    /// The last number that was given.
    #[serde(default)]
    pub(super) last: i64,
    /// The live generation.
    #[serde(default)]
    pub(super) live: Option<i64>,
    /// The generations by their numbers, `g1` and so on.
    #[serde(default)]
    pub(super) generations: BTreeMap<String, Entry>,
}

/// One generation of a projection.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) number: i64,
    /// When it stopped being live, in microseconds.
    #[serde(default)]
    pub(super) retired_at: Option<i64>,
    /// Set while it is being deleted.
    #[serde(default)]
    pub(super) dropping: bool,
    pub(super) collections: Vec<Declared>,
}

/// One collection of a generation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Declared {
    /// Its name in the host.
    pub(super) name: String,
    /// Its name in the database.
    pub(super) documents: String,
    /// The paths that are part of an index.
    pub(super) indexed: Vec<String>,
    /// The paths whose times are kept as dates.
    pub(super) dates: Vec<String>,
}

/// One collection of a generation, ready for use.
#[derive(Debug)]
pub(super) struct Layout {
    /// Its name in the database.
    pub(super) documents: String,
    /// The paths that are part of an index and lead to scalars.
    pub(super) indexed: Vec<FieldPath>,
    /// The paths whose times are kept as dates.
    pub(super) dates: Vec<Vec<String>>,
}

/// The collections of a generation.
#[derive(Debug, Default)]
pub(super) struct Layouts(HashMap<String, Layout>);

impl Layouts {
    /// Returns the names that the collections have in the host, in order.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.0.keys().cloned().collect();
        names.sort_unstable();
        names
    }

    /// Looks up a collection by its name in the host.
    pub(super) fn find(&self, collection: &str) -> Result<&Layout, Error> {
        self.0.get(collection).ok_or_else(|| Error::NoCollection {
            collection: collection.to_owned(),
        })
    }
}

impl Layout {
    /// Tells whether a path is part of an index, so that every document has a scalar there.
    pub(super) fn is_indexed(&self, path: &FieldPath) -> bool {
        self.indexed.contains(path)
    }

    /// Tells whether times under a path are kept as dates.
    pub(super) fn is_date(&self, path: &FieldPath) -> bool {
        let names = path.as_str().split('.');
        self.dates
            .iter()
            .any(|date| date.iter().map(String::as_str).eq(names.clone()))
    }
}

impl Entry {
    /// Returns the collections, ready for use.
    pub(super) fn layouts(&self) -> Result<Layouts, Error> {
        let layouts = self.collections.iter().map(|declared| {
            let indexed = declared
                .indexed
                .iter()
                .map(|path| parse(path))
                .collect::<Result<_, _>>()?;
            let dates = declared.dates.iter();
            let dates = dates.map(|path| path.split('.').map(ToOwned::to_owned).collect());
            let layout = Layout {
                documents: declared.documents.clone(),
                indexed,
                dates: dates.collect(),
            };
            Ok((declared.name.clone(), layout))
        });
        Ok(Layouts(layouts.collect::<Result<_, Error>>()?))
    }
}

/// Says how a collection is to be stored.
pub(super) fn declare(prefix: &str, number: u64, spec: &CollectionSpec) -> Result<Declared, Error> {
    let mut indexed: Vec<String> = Vec::new();
    for key in spec.indexes.iter().flatten() {
        let path = parse(&key.path)?;
        if !path.is_id() && !indexed.contains(&key.path) {
            indexed.push(key.path.clone());
        }
    }
    Ok(Declared {
        name: spec.name.clone(),
        documents: names::documents(prefix, &spec.name, number),
        indexed,
        dates: spec.date_fields.clone(),
    })
}

/// Returns the indexes as the server takes them. Every index ends with the id, as every order does.
pub(super) fn indexes(spec: &CollectionSpec) -> Vec<Document> {
    let mut all: Vec<Document> = Vec::new();
    for index in &spec.indexes {
        let mut keys = Document::new();
        for key in index {
            if key.path != "_id" && !keys.contains_key(&key.path) {
                keys.insert(key.path.clone(), if key.descending { -1 } else { 1 });
            }
        }
        keys.insert("_id", 1);
        if keys.len() > 1 && !all.contains(&keys) {
            all.push(keys);
        }
    }
    let named = all.into_iter().enumerate();
    named
        .map(|(at, keys)| doc! {"key": keys, "name": format!("foldhost_{at}")})
        .collect()
}

fn parse(path: &str) -> Result<FieldPath, Error> {
    FieldPath::parse(path).map_err(|error| Error::Refused {
        reason: error.to_string(),
    })
}
