//! Moving a store: its history as one file, and the digests by which two stores are compared.
//!
//! An export is JSON lines: a header, every installed plugin version, every event, every accepted command, and a last line
//! with counts and digests. One pass over the store writes it, page by page, however long the history is. The digest of a
//! kind of lines is SHA-256 over those lines as they stand in the file, each with its line end; [`digest`] makes the same
//! lines of a store and so the same digests.
//!
//! An import reads the file twice: once to see that it is whole and right, before anything is written, and once to write.
//! At its end the digests are made again of what the store holds then, and only if they are the file's is it finished.
//! What it deliberately does not move: snapshots, cursors, documents. All of them can be made again.

mod compare;
mod export;
mod import;
mod lines;
mod pages;
mod record;
mod sum;

use std::path::PathBuf;

use crate::message::{Position, StoreId};
use crate::{event_store, read_store};
pub use compare::{DocumentsDigest, Kind, StoreDigest, digest, documents};
pub use export::{Exported, export};
pub use import::{Imported, import};

/// What is told while it goes on.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// What is being done.
    pub step: Step,
    /// How much of it is done.
    pub done: u64,
    /// How much there is, where that is known: events, or bytes of a file.
    pub of: Option<u64>,
}

/// A part of the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The file is being checked; counted in bytes.
    Checking,
    /// The file is being taken over; counted in bytes.
    Writing,
    /// Events are being read.
    Events,
    /// Commands are being read.
    Commands,
    /// Documents are being read.
    Documents,
}

/// Is told how it goes.
pub type Watch<'a> = &'a mut (dyn FnMut(Progress) + Send);

/// Why a store was not moved or compared.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The event store did not do as asked. **Handling:** as it says.
    #[error(transparent)]
    EventStore(#[from] event_store::Error),
    /// The read store did not do as asked. **Handling:** as it says.
    #[error(transparent)]
    ReadStore(#[from] read_store::Error),
    /// The file cannot be read. **Handling:** stop with this line.
    #[error("cannot read {}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The output cannot be written. **Handling:** stop with this line; what was written is no export.
    #[error("cannot write the export")]
    Write(#[from] std::io::Error),
    /// The file is something else. **Handling:** stop with this line.
    #[error("this is no export of a store: {reason}")]
    NotAnExport {
        /// What its first line is.
        reason: String,
    },
    /// A line is not what it has to be. **Handling:** stop with this line; nothing was written.
    #[error("line {line}: {reason}")]
    Line {
        /// Its number, from 1.
        line: u64,
        /// What is wrong.
        reason: String,
    },
    /// The file ends before its last line. **Handling:** stop with this line; nothing was written.
    #[error("the file ends after line {line} without the line that ends an export: it was cut off")]
    CutOff {
        /// The last line there is.
        line: u64,
    },
    /// The file is not what was exported. **Handling:** stop with this line; nothing was written.
    #[error("the {what} of the file are not those that were exported: {reason}")]
    Changed {
        /// Which kind of lines.
        what: Kind,
        /// How that shows.
        reason: String,
    },
    /// The store refused some lines. **Handling:** stop with this line; the import stays unfinished.
    #[error("lines {from} to {to} were refused")]
    Refused {
        /// The first line of the batch.
        from: u64,
        /// The last line of the batch.
        to: u64,
        /// What the store says.
        source: event_store::Error,
    },
    /// The store was written to and does not hold what the file says. **Handling:** begin anew with an empty store.
    #[error(
        "the store does not hold what the file says: its {what} differ; begin anew with an empty store"
    )]
    Differs {
        /// Which kind.
        what: Kind,
    },
    /// Documents changed at each attempt to read them at one position. **Handling:** try again later, or stop the hosts.
    #[error(
        "the documents of {projection} moved on while they were read; try again when less is written, or with the host stopped"
    )]
    Moving {
        /// Whose documents.
        projection: String,
    },
    /// The store was not reached. **Handling:** try again later.
    #[error("the event store was not reached")]
    NoStore,
}

/// Gives the identity and the head that everything else is about.
async fn fixed(store: &dyn event_store::EventStore) -> Result<(StoreId, Position), Error> {
    if store.unfinished_import().await?.is_some() {
        return Err(event_store::Error::Unfinished.into());
    }
    let head = pages::head(store).await?;
    Ok((store.id().ok_or(Error::NoStore)?, head))
}
