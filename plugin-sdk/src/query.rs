//! Named queries.

use crate::Rejection;
use crate::describe::{ParameterKind, QueryType};

/// The named queries of a projection; implemented by `#[derive(Query)]` on an enum.
///
/// One variant is one query: its name in kebab-case is the query's name, its fields are the parameters,
/// doc comments are the descriptions in the host's API.
/// Fields are of a type that is a [`Parameter`]; an [`Option`] need not be given.
///
/// `#[query(document = Type)]` on the enum or on a variant says which documents are searched,
/// `#[query(name = "..")]` on a variant gives another name, unique among all of the host's queries.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no enum of queries",
    note = "add `#[derive(Query)]` and `#[query(document = Type)]` to the enum, or use `NoQueries`"
)]
pub trait Query: Sized {
    /// Descriptors of all queries.
    fn types() -> Vec<QueryType>;

    /// Reads a query from its name and the JSON object of its parameters.
    ///
    /// # Errors
    /// What is wrong with the parameters; or that there is no such query.
    fn read(name: &str, parameters: &[u8]) -> Result<Self, Rejection>;
}

/// For projections that answer no named queries: `fn plan(query: NoQueries) -> .. { match query {} }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoQueries {}

impl Query for NoQueries {
    fn types() -> Vec<QueryType> {
        Vec::new()
    }

    fn read(name: &str, _: &[u8]) -> Result<Self, Rejection> {
        Err(Rejection::new(
            "unknown-query",
            crate::payload::unknown("query", name, &[]),
        ))
    }
}

/// A type that can be given in a query string.
///
/// An enum of choices is one too: derive `Json` and implement this trait with [`ParameterKind::Text`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the parameter of a query",
    note = "use a text, an integer, a number or a `bool`, or an `Option` of one; \
            for a type of your own with a JSON form implement `Parameter`"
)]
pub trait Parameter {
    /// How the host reads the text.
    const KIND: ParameterKind;

    /// Whether it has to be given.
    const REQUIRED: bool = true;
}

impl<T: Parameter> Parameter for Option<T> {
    const KIND: ParameterKind = T::KIND;
    const REQUIRED: bool = false;
}

macro_rules! parameters {
    ($($kind:ident: $($type:ty)+;)+) => {
        $($(
            impl Parameter for $type {
                const KIND: ParameterKind = ParameterKind::$kind;
            }
        )+)+
    };
}

parameters! {
    Text: String crate::Time crate::Day;
    Integer: i8 i16 i32 i64 u8 u16 u32 u64;
    Number: f32 f64;
    Boolean: bool;
}
