//! `#[derive(Document)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt as _;
use syn::punctuated::Punctuated;
use syn::{Data, DataStruct, DeriveInput, Error, Fields, LitStr, Result, Token, parenthesized};

use crate::json;

/// What `#[document(..)]` says.
#[derive(Default)]
struct DocumentAttributes {
    collection: Option<LitStr>,
    indexes: Vec<Vec<LitStr>>,
}

/// Expands `#[derive(Document)]`, which includes `Json`.
pub(crate) fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let Data::Struct(DataStruct {
        fields: fields @ Fields::Named(_),
        ..
    }) = &input.data
    else {
        return Err(Error::new_spanned(
            &input.ident,
            "a document is a struct with named fields",
        ));
    };
    let attributes = DocumentAttributes::of(input)?;
    for path in attributes.indexes.iter().flatten() {
        refuse_unknown_field(path, input, fields)?;
    }
    let Some(collection) = &attributes.collection else {
        return Err(Error::new_spanned(
            &input.ident,
            "a document says where it is kept: add `#[document(collection = \"..\")]`",
        ));
    };
    let indexes = attributes.indexes.iter().map(|index| {
        let fields = index.iter().map(|path| {
            let (path, descending) = direction(path);
            quote!(::foldhost_plugin_sdk::describe::IndexField { path: #path, descending: #descending })
        });
        quote!(&[#(#fields),*])
    });
    let (ident, json) = (&input.ident, json::derive(input)?);
    Ok(quote! {
        #json

        #[automatically_derived]
        impl ::foldhost_plugin_sdk::Document for #ident {
            const COLLECTION: &'static str = #collection;
            const INDEXES: &'static [&'static [::foldhost_plugin_sdk::describe::IndexField]] = &[#(#indexes),*];
        }
    })
}

impl DocumentAttributes {
    fn of(input: &DeriveInput) -> Result<Self> {
        let mut found = Self::default();
        for attribute in input
            .attrs
            .iter()
            .filter(|attribute| attribute.path().is_ident("document"))
        {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("collection") {
                    let name: LitStr = meta.value()?.parse()?;
                    refuse_bad_collection(&name)?;
                    found.collection = Some(name);
                } else if meta.path.is_ident("index") {
                    let list;
                    parenthesized!(list in meta.input);
                    let fields = Punctuated::<LitStr, Token![,]>::parse_terminated(&list)?;
                    if fields.is_empty() {
                        return Err(
                            meta.error("an index has at least one field: `index(\"field\")`")
                        );
                    }
                    found.indexes.push(fields.into_iter().collect());
                } else {
                    return Err(
                        meta.error("unknown attribute; a document takes `collection` and `index`")
                    );
                }
                Ok(())
            })?;
        }
        Ok(found)
    }
}

/// Splits the `-` of a descending field from its path.
fn direction(path: &LitStr) -> (String, bool) {
    let text = path.value();
    match text.strip_prefix('-') {
        Some(path) => (path.to_owned(), true),
        None => (text, false),
    }
}

/// The contract's rule for names of collections.
fn refuse_bad_collection(name: &LitStr) -> Result<()> {
    let text = name.value();
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if text.starts_with(|c: char| c.is_ascii_lowercase()) && text.chars().all(allowed) {
        return Ok(());
    }
    Err(Error::new_spanned(
        name,
        "the name of a collection is a lower-case letter, then letters, digits, `_` or `-`",
    ))
}

/// Catches a misspelt path, unless serde may have given the fields other names.
fn refuse_unknown_field(path: &LitStr, input: &DeriveInput, fields: &Fields) -> Result<()> {
    let renamed = json::has_attributes(&input.attrs)
        || fields
            .iter()
            .any(|field| json::has_attributes(&field.attrs));
    if renamed {
        return Ok(());
    }
    let (text, _) = direction(path);
    let first = text.split('.').next().unwrap_or_default();
    let names: Vec<String> = fields
        .iter()
        .filter_map(|field| field.ident.as_ref())
        .map(|ident| ident.unraw().to_string())
        .collect();
    if names.iter().any(|name| name == first) {
        return Ok(());
    }
    let known = names.join("`, `");
    Err(Error::new_spanned(
        path,
        format!("the document has no field `{first}`; it has `{known}`"),
    ))
}
