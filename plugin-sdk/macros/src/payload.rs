//! The hidden struct behind each variant of a command, event or query enum.
//!
//! A variant `Create { author: String }` is read into and written from a struct `__Create { author: String }`.
//! It carries the author's attributes and gets its serde and schema code from the ordinary derives.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::ext::IdentExt as _;
use syn::{Data, DeriveInput, Error, Fields, Ident, Result, Variant};

use crate::naming::inherited;

/// The variants of the enum, each of which may hold named fields or none.
///
/// # Errors
/// When the type is no enum, is generic, or a variant has unnamed fields.
pub(crate) fn variants<'a>(input: &'a DeriveInput, what: &str) -> Result<Vec<&'a Variant>> {
    let Data::Enum(data) = &input.data else {
        return Err(Error::new_spanned(
            &input.ident,
            format!("{what} are the variants of an enum"),
        ));
    };
    if !input.generics.params.is_empty() {
        return Err(Error::new_spanned(
            &input.generics,
            format!("an enum of {what} cannot be generic"),
        ));
    }
    for variant in &data.variants {
        if matches!(variant.fields, Fields::Unnamed(_)) {
            return Err(Error::new_spanned(
                &variant.fields,
                format!(
                    "{what} have named fields: `{} {{ field: Type }}`",
                    variant.ident
                ),
            ));
        }
    }
    Ok(data.variants.iter().collect())
}

/// One variant as the generated code needs it.
pub(crate) struct Payload {
    /// Name of the hidden struct.
    pub(crate) name: Ident,
    /// Its definition.
    pub(crate) definition: TokenStream,
    /// `{ author, message }`, which takes both the struct and the variant apart and puts them together.
    pub(crate) fields: TokenStream,
    /// Whether there are no fields at all.
    pub(crate) is_empty: bool,
}

/// Which of the ordinary derives the hidden struct gets.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Derives {
    /// Reading, writing and a schema; fields that are not known are refused.
    Strict,
    /// Reading, writing and a schema; fields that are not known are ignored.
    Lenient,
    /// Reading and writing alone; fields that are not known are refused.
    ReadOnly,
}

impl Payload {
    /// Makes the hidden struct of a variant.
    pub(crate) fn of(variant: &Variant, derives: Derives) -> Self {
        let name = format_ident!("__{}", variant.ident.unraw());
        let title = variant.ident.unraw().to_string();
        let docs = inherited(&variant.attrs);
        let idents: Vec<_> = variant
            .fields
            .iter()
            .filter_map(|field| field.ident.as_ref())
            .collect();
        let fields = variant.fields.iter().map(|field| {
            let (attributes, ident, ty) = (inherited(&field.attrs), &field.ident, &field.ty);
            quote!(#(#attributes)* #ident: #ty)
        });
        let schema = (derives != Derives::ReadOnly).then(|| {
            quote! {
                #[derive(::foldhost_plugin_sdk::__private::schemars::JsonSchema)]
                #[schemars(crate = "::foldhost_plugin_sdk::__private::schemars", rename = #title)]
            }
        });
        let strict = (derives != Derives::Lenient).then(|| quote!(#[serde(deny_unknown_fields)]));
        let definition = quote! {
            #[derive(
                ::foldhost_plugin_sdk::__private::serde::Serialize,
                ::foldhost_plugin_sdk::__private::serde::Deserialize,
            )]
            #[serde(crate = "::foldhost_plugin_sdk::__private::serde")]
            #strict
            #schema
            #(#docs)*
            struct #name { #(#fields),* }
        };
        Self {
            name,
            definition,
            is_empty: idents.is_empty(),
            fields: quote!({ #(#idents),* }),
        }
    }
}

/// Fails with the second of two variants that ended up with the same name.
pub(crate) fn refuse_duplicates(names: &[(String, &Ident)]) -> Result<()> {
    for (place, (name, ident)) in names.iter().enumerate() {
        if names[..place].iter().any(|(earlier, _)| earlier == name) {
            return Err(Error::new_spanned(
                ident,
                format!("`{name}` is the name of two variants"),
            ));
        }
    }
    Ok(())
}
