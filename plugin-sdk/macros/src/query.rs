//! `#[derive(Query)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt as _;
use syn::{Attribute, DeriveInput, Error, Ident, LitStr, Result, Type, Variant};

use crate::naming::{description, kebab_case};
use crate::payload::{Derives, Payload, refuse_duplicates, variants};

/// What `#[query(..)]` says.
#[derive(Default)]
struct QueryAttributes {
    name: Option<String>,
    document: Option<Type>,
}

/// Expands `#[derive(Query)]`.
pub(crate) fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let variants = variants(input, "queries")?;
    let common = QueryAttributes::of(&input.attrs)?;
    if common.name.is_some() {
        return Err(Error::new_spanned(
            &input.ident,
            "`name` belongs on a variant",
        ));
    }
    let mut names: Vec<(String, &Ident)> = Vec::new();
    let mut types = Vec::new();
    let mut reads = Vec::new();
    let mut definitions = Vec::new();
    for variant in &variants {
        let own = QueryAttributes::of(&variant.attrs)?;
        let name = own.name.unwrap_or_else(|| kebab_case(&variant.ident));
        let document = own
            .document
            .as_ref()
            .or(common.document.as_ref())
            .ok_or_else(|| {
                Error::new_spanned(
                    variant,
                    "which documents does it search? Add `#[query(document = Type)]`",
                )
            })?;
        let payload = Payload::of(variant, Derives::ReadOnly);
        types.push(descriptor(&name, document, variant));
        reads.push(read(&name, &variant.ident, &payload));
        definitions.push(payload.definition);
        names.push((name, &variant.ident));
    }
    refuse_duplicates(&names)?;
    let known = names.iter().map(|(name, _)| name);
    let ident = &input.ident;
    Ok(quote! {
        const _: () = {
            #(#definitions)*

            #[automatically_derived]
            impl ::foldhost_plugin_sdk::Query for #ident {
                fn types() -> ::std::vec::Vec<::foldhost_plugin_sdk::describe::QueryType> {
                    ::std::vec![#(#types),*]
                }

                fn read(
                    name: &str,
                    parameters: &[u8],
                ) -> ::core::result::Result<Self, ::foldhost_plugin_sdk::Rejection> {
                    let _ = parameters;
                    match name {
                        #(#reads)*
                        _ => ::core::result::Result::Err(::foldhost_plugin_sdk::Rejection::new(
                            "unknown-query",
                            ::foldhost_plugin_sdk::__private::unknown("query", name, &[#(#known),*]),
                        )),
                    }
                }
            }
        };
    })
}

/// The descriptor of one query.
fn descriptor(name: &str, document: &Type, variant: &Variant) -> TokenStream {
    let about = description(&variant.attrs);
    let parameters = variant.fields.iter().map(|field| {
        let (about, ty) = (description(&field.attrs), &field.ty);
        let name = field.ident.as_ref().map(|ident| ident.unraw().to_string());
        quote! {
            ::foldhost_plugin_sdk::describe::ParameterType {
                name: #name.into(),
                kind: <#ty as ::foldhost_plugin_sdk::Parameter>::KIND,
                required: <#ty as ::foldhost_plugin_sdk::Parameter>::REQUIRED,
                description: #about.into(),
            }
        }
    });
    quote! {
        ::foldhost_plugin_sdk::describe::QueryType {
            name: #name.into(),
            collection: <#document as ::foldhost_plugin_sdk::Document>::COLLECTION.into(),
            parameters: ::std::vec![#(#parameters),*],
            description: #about.into(),
        }
    }
}

/// The match arm that reads the parameters of one query.
fn read(name: &str, variant: &Ident, payload: &Payload) -> TokenStream {
    let (payload, fields) = (&payload.name, &payload.fields);
    quote! {
        #name => {
            let #payload #fields = ::foldhost_plugin_sdk::__private::read_parameters(parameters)?;
            ::core::result::Result::Ok(Self::#variant #fields)
        }
    }
}

impl QueryAttributes {
    fn of(attributes: &[Attribute]) -> Result<Self> {
        let mut found = Self::default();
        for attribute in attributes
            .iter()
            .filter(|attribute| attribute.path().is_ident("query"))
        {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("name") {
                    found.name = Some(meta.value()?.parse::<LitStr>()?.value());
                } else if meta.path.is_ident("document") {
                    found.document = Some(meta.value()?.parse()?);
                } else {
                    return Err(
                        meta.error("unknown attribute; a query takes `name` and `document`")
                    );
                }
                Ok(())
            })?;
        }
        Ok(found)
    }
}
