//! Derive macros of the Foldhost plugin SDK.
//!
//! Plugins reach them through `foldhost-plugin-sdk`, which documents each beside the trait that it implements.
//! What they expand to names everything through `foldhost_plugin_sdk::__private`,
//! so that a plugin depends on the SDK alone and needs neither `serde` nor `schemars` of its own.
//!
//! # Layout
//! - `json`: `Json` and what it lends to `Document`: serde and a JSON schema for a plain type.
//! - `payload`: one hidden struct per enum variant, which is what is read and written.
//! - `command`, `event`, `query`: enums whose variants are payloads.
//! - `document`: structs that are kept in a collection.
//! - `naming`: doc comments and cases.

mod command;
mod document;
mod event;
mod json;
mod naming;
mod payload;
mod query;
#[cfg(test)]
mod tests;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Makes a plain type readable from and writable as JSON, with a schema.
///
/// Implements `serde::Serialize`, `serde::Deserialize` and `schemars::JsonSchema`;
/// takes the attributes of `serde` and `schemars`.
#[proc_macro_derive(Json, attributes(serde, schemars))]
pub fn derive_json(input: TokenStream) -> TokenStream {
    expand(json::derive, parse_macro_input!(input))
}

/// Makes an enum the commands of an aggregate: one variant a command.
///
/// A variant's name in kebab-case is the command's name, its fields are the payload, its doc comment the description.
/// `#[command(name = "..")]` on a variant gives another name.
#[proc_macro_derive(Command, attributes(command, serde, schemars))]
pub fn derive_command(input: TokenStream) -> TokenStream {
    expand(command::derive, parse_macro_input!(input))
}

/// Makes an enum the events of an aggregate, or those that a projection wants: one variant an event type.
///
/// A variant's name is the event type, its fields are the data.
/// `#[event(..)]` takes `name = ".."`, `version = N`, `upcast(1 => function, ..)` on a variant,
/// and `aggregate = ".."` on the enum or on a variant.
#[proc_macro_derive(Event, attributes(event, serde, schemars))]
pub fn derive_event(input: TokenStream) -> TokenStream {
    expand(event::derive, parse_macro_input!(input))
}

/// Makes a struct a document of a read model.
///
/// `#[document(collection = "..", index(..), index(..))]` names the collection and its indexes;
/// an index lists dotted paths, with a `-` before those that descend.
#[proc_macro_derive(Document, attributes(document, serde, schemars))]
pub fn derive_document(input: TokenStream) -> TokenStream {
    expand(document::derive, parse_macro_input!(input))
}

/// Makes an enum the named queries of a projection: one variant a query, its fields the parameters.
///
/// `#[query(document = Type)]` on the enum or on a variant says which documents are searched,
/// `#[query(name = "..")]` on a variant gives another name than its own in kebab-case.
#[proc_macro_derive(Query, attributes(query, serde))]
pub fn derive_query(input: TokenStream) -> TokenStream {
    expand(query::derive, parse_macro_input!(input))
}

/// Runs a derive, turning its error into one the compiler shows at the author's own line.
fn expand(
    derive: fn(&DeriveInput) -> syn::Result<proc_macro2::TokenStream>,
    input: DeriveInput,
) -> TokenStream {
    derive(&input)
        .unwrap_or_else(|error| error.to_compile_error())
        .into()
}
