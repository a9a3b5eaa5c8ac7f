//! The documents that one batch of events reads and writes: the host's side of the `documents` import.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::descriptor::Collection;
use crate::message::{Json, JsonLimits, Time};
use crate::read_store::FieldPath;

/// The most bytes of a document's id: an index key anywhere.
const MAX_DOCUMENT_ID: usize = 1_024;
/// The most documents that one batch may touch: bounds the host's memory, not the plugin's meaning.
const MAX_DOCUMENTS: usize = 100_000;

/// Reads one document from the read store; the error is what the store said.
pub type Fetch = Box<dyn FnMut(&str, &str) -> Result<Option<Json>, String> + Send>;

/// A batch's documents: each read once and written once, however many events touch it.
pub struct WorkingSet {
    collections: Arc<[Collection]>,
    /// The indexed paths of each collection, parsed once for all of a batch's documents.
    indexed: Vec<Vec<FieldPath>>,
    limit: usize,
    documents: HashMap<(usize, String), Slot>,
    fetch: Fetch,
}

struct Slot {
    document: Option<Json>,
    dirty: bool,
}

/// Why a guest's use of its documents was refused.
#[derive(Debug)]
pub enum Misuse {
    /// The plugin's fault.
    Refused(String),
    /// The read store's.
    Unavailable(String),
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(reason) | Self::Unavailable(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for Misuse {}

/// A document as it is to stand: collection, id, and the document or nothing.
pub type Change = (String, String, Option<Json>);

impl WorkingSet {
    /// Begins an empty set over a projection's collections; `limit` bounds one document's bytes.
    pub fn new(collections: Arc<[Collection]>, limit: usize, fetch: Fetch) -> Self {
        // Paths were checked when the plugin described itself.
        let paths = |collection: &Collection| {
            let fields = collection.indexes.iter().flatten();
            fields
                .filter_map(|field| FieldPath::parse(&field.path).ok())
                .collect()
        };
        Self {
            indexed: collections.iter().map(paths).collect(),
            collections,
            limit,
            documents: HashMap::new(),
            fetch,
        }
    }

    /// Gives what was written, each document once, in order of collection and id.
    pub fn into_changes(self) -> Vec<Change> {
        let names: Vec<String> = self
            .collections
            .iter()
            .map(|collection| collection.name.clone())
            .collect();
        let mut changes: Vec<Change> = self
            .documents
            .into_iter()
            .filter(|(_, slot)| slot.dirty)
            .map(|((collection, id), slot)| (names[collection].clone(), id, slot.document))
            .collect();
        changes.sort_unstable_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
        changes
    }

    /// Reads a document as it stands now.
    pub fn get(&mut self, collection: &str, id: &str) -> Result<Option<Json>, Misuse> {
        let collection = self.collection(collection)?;
        check_id(id)?;
        let key = (collection, id.to_owned());
        if let Some(slot) = self.documents.get(&key) {
            return Ok(slot.document.clone());
        }
        self.check_room()?;
        let name = self.collections[collection].name.clone();
        let document = (self.fetch)(&name, id).map_err(Misuse::Unavailable)?;
        self.documents.insert(
            key,
            Slot {
                document: document.clone(),
                dirty: false,
            },
        );
        Ok(document)
    }

    /// Writes a whole document.
    pub fn put(&mut self, collection: &str, id: &str, document: &[u8]) -> Result<(), Misuse> {
        let collection = self.collection(collection)?;
        check_id(id)?;
        let declared = (&self.collections[collection], &*self.indexed[collection]);
        let document = check_document(declared, id, document, self.limit)?;
        self.write(collection, id, Some(document))
    }

    /// Deletes a document, if there is one.
    pub fn delete(&mut self, collection: &str, id: &str) -> Result<(), Misuse> {
        let collection = self.collection(collection)?;
        check_id(id)?;
        self.write(collection, id, None)
    }

    fn write(&mut self, collection: usize, id: &str, document: Option<Json>) -> Result<(), Misuse> {
        let key = (collection, id.to_owned());
        if !self.documents.contains_key(&key) {
            self.check_room()?;
        }
        self.documents.insert(
            key,
            Slot {
                document,
                dirty: true,
            },
        );
        Ok(())
    }

    fn collection(&self, name: &str) -> Result<usize, Misuse> {
        self.collections
            .iter()
            .position(|collection| collection.name == name)
            .ok_or_else(|| {
                let known: Vec<&str> = self
                    .collections
                    .iter()
                    .map(|collection| collection.name.as_str())
                    .collect();
                Misuse::Refused(format!(
                    "collection {name:?} is not declared; declared are {}",
                    known.join(", ")
                ))
            })
    }

    fn check_room(&self) -> Result<(), Misuse> {
        if self.documents.len() < MAX_DOCUMENTS {
            return Ok(());
        }
        Err(Misuse::Refused(format!(
            "more than {MAX_DOCUMENTS} documents touched in one batch"
        )))
    }
}

fn check_id(id: &str) -> Result<(), Misuse> {
    if id.is_empty() || id.len() > MAX_DOCUMENT_ID || id.contains('\0') {
        let shown: String = id.chars().take(60).collect();
        return Err(Misuse::Refused(format!(
            "document id {shown:?} is not 1 to {MAX_DOCUMENT_ID} bytes without U+0000"
        )));
    }
    Ok(())
}

/// Refuses what a document database would refuse later, when it could no longer be this event's failure.
fn check_document(
    (collection, indexed): (&Collection, &[FieldPath]),
    id: &str,
    document: &[u8],
    limit: usize,
) -> Result<Json, Misuse> {
    let place = || format!("document {id:?} of collection {:?}", collection.name);
    let json = Json::parse(document, JsonLimits::bytes(limit))
        .map_err(|error| Misuse::Refused(format!("{}: {error}", place())))?;
    let mut value = json.to_value();
    let Value::Object(fields) = &value else {
        return Err(Misuse::Refused(format!("{} is not an object", place())));
    };
    for reserved in ["_id", "_foldhost"] {
        if fields.contains_key(reserved) {
            return Err(Misuse::Refused(format!(
                "{}: the field {reserved} is the host's",
                place()
            )));
        }
    }
    check_fields(&value).map_err(|reason| Misuse::Refused(format!("{}: {reason}", place())))?;
    for path in indexed {
        if path.scalar(&value).is_none() {
            return Err(Misuse::Refused(format!(
                "{}: the indexed field {} must lead to a scalar, not to or through an array",
                place(),
                path.as_str()
            )));
        }
    }
    let mut changed = false;
    for path in &collection.date_fields {
        changed |= normalize_date(&mut value, path)
            .map_err(|reason| Misuse::Refused(format!("{}: {reason}", place())))?;
    }
    Ok(if changed { Json::from(&value) } else { json })
}

fn check_fields(value: &Value) -> Result<(), String> {
    match value {
        Value::Object(fields) => fields.iter().try_for_each(|(name, value)| {
            if name.is_empty() || name.starts_with('$') || name.contains('.') {
                return Err(format!(
                    "field name {name:?} must not be empty, begin with $ or hold a dot"
                ));
            }
            check_fields(value)
        }),
        Value::Array(items) => items.iter().try_for_each(check_fields),
        Value::Number(number)
            if number
                .as_u64()
                .is_some_and(|number| i64::try_from(number).is_err()) =>
        {
            Err(format!("the integer {number} is beyond 64 signed bits"))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

/// Brings a date to UTC with milliseconds, which sorts as text; tells whether it changed anything.
fn normalize_date(document: &mut Value, path: &str) -> Result<bool, String> {
    let Some(value) = find(document, path) else {
        return Ok(false);
    };
    if value.is_null() {
        return Ok(false);
    }
    let time = value.as_str().and_then(Time::parse);
    let Some(time) = time else {
        return Err(format!(
            "the date field {path} holds {value}, not an RFC 3339 time"
        ));
    };
    let text = time.to_string();
    let changed = value.as_str() != Some(&text);
    *value = Value::String(text);
    Ok(changed)
}

fn find<'a>(document: &'a mut Value, path: &str) -> Option<&'a mut Value> {
    path.split('.').try_fold(document, |value, field| {
        value.as_object_mut()?.get_mut(field)
    })
}
