//! What an author is told who got something wrong.

use proc_macro2::TokenStream;
use syn::{DeriveInput, Result, parse_quote};

#[track_caller]
fn check(derive: fn(&DeriveInput) -> Result<TokenStream>, input: DeriveInput, expected: &str) {
    let error = derive(&input).err().map(|error| error.to_string());
    assert_eq!(error.as_deref(), Some(expected));
}

#[test]
fn commands_that_are_no_enum_are_refused() {
    check(
        crate::command::derive,
        parse_quote!(
            struct Create {}
        ),
        "commands are the variants of an enum",
    );
}

#[test]
fn variants_with_unnamed_fields_are_refused() {
    check(
        crate::event::derive,
        parse_quote!(
            enum Events {
                Created(String),
            }
        ),
        "events have named fields: `Created { field: Type }`",
    );
}

#[test]
fn generic_enums_and_types_are_refused() {
    check(
        crate::command::derive,
        parse_quote!(
            enum Commands<T> {
                Create { of: T },
            }
        ),
        "an enum of commands cannot be generic",
    );
    check(
        crate::json::derive,
        parse_quote!(
            struct Pair<T>(T, T);
        ),
        "a generic type cannot derive `Json`; derive the traits of serde and schemars themselves",
    );
}

#[test]
fn two_commands_of_one_name_are_refused() {
    check(
        crate::command::derive,
        parse_quote!(
            enum Commands {
                Create,
                #[command(name = "create")]
                Make,
            }
        ),
        "`create` is the name of two variants",
    );
}

#[test]
fn a_command_name_that_is_not_kebab_case_is_refused() {
    check(
        crate::command::derive,
        parse_quote!(
            enum Commands {
                #[command(name = "Make It")]
                Make,
            }
        ),
        "a command's name is kebab-case: `a-z`, `0-9` and `-`",
    );
}

#[test]
fn attributes_that_do_not_exist_are_refused() {
    check(
        crate::event::derive,
        parse_quote!(
            enum Events {
                #[event(versoin = 2)]
                Created,
            }
        ),
        "unknown attribute; an event takes `name`, `aggregate`, `version` and `upcast(1 => function)`",
    );
}

#[test]
fn a_chain_of_upcasters_with_a_hole_is_refused() {
    check(
        crate::event::derive,
        parse_quote!(
            enum Events {
                #[event(version = 4, upcast(1 => a, 3 => b))]
                Created,
            }
        ),
        "upcasters lead from one version to the next, in order, up to version 4: expected [1, 2, 3], found [1, 3]",
    );
}

#[test]
fn one_event_type_of_two_aggregates_is_fine_and_of_one_is_refused() {
    let fine: DeriveInput = parse_quote!(
        enum Events {
            #[event(aggregate = "post")]
            Created,
            #[event(aggregate = "user", name = "Created")]
            UserCreated,
        }
    );
    assert!(crate::event::derive(&fine).is_ok());
    check(
        crate::event::derive,
        parse_quote!(
            #[event(aggregate = "post")]
            enum Events {
                Created,
                #[event(name = "Created")]
                CreatedAgain,
            }
        ),
        "`Created` is the name of two variants of one aggregate",
    );
}

#[test]
fn an_aggregate_name_with_a_dash_is_refused() {
    check(
        crate::event::derive,
        parse_quote!(
            #[event(aggregate = "blog-post")]
            enum Events {
                Created,
            }
        ),
        "the name of an aggregate is not empty and holds no `-`",
    );
}

#[test]
fn a_misspelt_index_is_refused_with_what_there_is() {
    check(
        crate::document::derive,
        parse_quote!(
            #[document(collection = "posts", index("-autor_key"))]
            struct Post {
                author_key: String,
                likes: u64,
            }
        ),
        "the document has no field `autor_key`; it has `author_key`, `likes`",
    );
}

#[test]
fn a_document_without_a_collection_is_refused() {
    check(
        crate::document::derive,
        parse_quote!(
            struct Post {
                likes: u64,
            }
        ),
        "a document says where it is kept: add `#[document(collection = \"..\")]`",
    );
}

#[test]
fn a_query_without_a_document_is_refused() {
    check(
        crate::query::derive,
        parse_quote!(
            enum Queries {
                All,
            }
        ),
        "which documents does it search? Add `#[query(document = Type)]`",
    );
}
