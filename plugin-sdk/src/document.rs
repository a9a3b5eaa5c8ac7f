//! Documents and the working set that a projection writes them into.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::describe::{CollectionType, IndexField};
use crate::guest::DocumentStore;
use crate::{Failure, schema, time};

/// A document of a read model; implemented by `#[derive(Document)]` on a struct.
///
/// `#[document(collection = "..", index("author_key"), index("-likes", "posted_at"))]` names the collection and indexes;
/// a `-` makes a field descend.
/// The collection's name is unique among all of the host's.
/// Fields of type [`Time`](crate::Time), in the document or in objects inside it, are declared as dates;
/// they are written with milliseconds, which is what the read stores keep.
/// Fields take the attributes of `serde`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no document",
    note = "add `#[derive(Document)]` and `#[document(collection = \"..\")]` to the struct"
)]
pub trait Document: Serialize + DeserializeOwned + JsonSchema {
    /// Name of the collection.
    const COLLECTION: &'static str;

    /// The indexes, each with its fields in order.
    const INDEXES: &'static [&'static [IndexField]] = &[];

    /// The descriptor of the collection.
    fn collection() -> CollectionType {
        let schema = schema::schema_of_output::<Self>();
        CollectionType {
            name: Self::COLLECTION.into(),
            date_fields: schema::date_fields(&schema),
            indexes: Self::INDEXES.iter().map(|index| index.to_vec()).collect(),
            schema,
        }
    }
}

/// The document types of a projection: one of them, or a tuple of several.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a document nor a tuple of documents",
    note = "add `#[derive(Document)]` to the struct"
)]
pub trait Collections {
    /// The descriptors of their collections.
    fn collections() -> Vec<CollectionType>;
}

impl<D: Document> Collections for D {
    fn collections() -> Vec<CollectionType> {
        vec![D::collection()]
    }
}

macro_rules! collections_of_tuple {
    ($($document:ident)+) => {
        impl<$($document: Document),+> Collections for ($($document,)+) {
            fn collections() -> Vec<CollectionType> {
                vec![$($document::collection()),+]
            }
        }
    };
}

collections_of_tuple!(A);
collections_of_tuple!(A B);
collections_of_tuple!(A B C);
collections_of_tuple!(A B C D);
collections_of_tuple!(A B C D E);
collections_of_tuple!(A B C D E F);

/// The documents as they stand at the event being folded.
///
/// The host keeps the working set of a batch: a document is fetched once and stored once,
/// however many events of the batch touch it.
/// Only the collections that the projection declares exist; a call for another one is a trap.
pub struct Documents<'a> {
    store: &'a mut dyn DocumentStore,
}

impl<'a> Documents<'a> {
    /// Documents of a store.
    pub fn new(store: &'a mut dyn DocumentStore) -> Self {
        Self { store }
    }

    /// The document of this id, if there is one.
    ///
    /// # Errors
    /// When what is stored does not have the form of `D`.
    pub fn get<D: Document>(&self, id: &str) -> Result<Option<D>, Failure> {
        let Some(json) = self.store.get(D::COLLECTION, id) else {
            return Ok(None);
        };
        let document = serde_json::from_slice(&json);
        document
            .map(Some)
            .map_err(|error| Failure::new(format!("{}/{id}: {error}", D::COLLECTION)))
    }

    /// Writes a whole document.
    ///
    /// # Errors
    /// When the document cannot be written as JSON.
    pub fn put<D: Document>(&mut self, id: &str, document: &D) -> Result<(), Failure> {
        let json = time::as_in_documents(|| serde_json::to_vec(document));
        let json =
            json.map_err(|error| Failure::new(format!("{}/{id}: {error}", D::COLLECTION)))?;
        self.store.put(D::COLLECTION, id, json);
        Ok(())
    }

    /// Deletes a document; nothing happens when there is none.
    pub fn delete<D: Document>(&mut self, id: &str) {
        self.store.delete(D::COLLECTION, id);
    }

    /// Changes a document in place and says whether there was one.
    ///
    /// # Errors
    /// When what is stored does not have the form of `D`.
    pub fn update<D: Document>(
        &mut self,
        id: &str,
        change: impl FnOnce(&mut D),
    ) -> Result<bool, Failure> {
        let Some(mut document) = self.get::<D>(id)? else {
            return Ok(false);
        };
        change(&mut document);
        self.put(id, &document)?;
        Ok(true)
    }

    /// Changes a document in place, starting from its default when there is none.
    ///
    /// # Errors
    /// When what is stored does not have the form of `D`.
    pub fn upsert<D: Document + Default>(
        &mut self,
        id: &str,
        change: impl FnOnce(&mut D),
    ) -> Result<(), Failure> {
        let mut document = self.get::<D>(id)?.unwrap_or_default();
        change(&mut document);
        self.put(id, &document)
    }
}
