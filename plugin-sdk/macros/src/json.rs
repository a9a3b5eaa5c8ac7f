//! `#[derive(Json)]`: serde and a JSON schema without a dependency on either.
//!
//! The derives of `serde` and `schemars` need to be told where their crates are, by an attribute on the type itself,
//! which a derive cannot add.
//! So it writes the type a second time, as serde's `remote` mirror, with the attribute on the mirror.

use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote};
use syn::ext::IdentExt as _;
use syn::punctuated::Punctuated;
use syn::{Attribute, Data, DeriveInput, Error, Field, Fields, Ident, Result, Visibility};

/// Expands `#[derive(Json)]`.
pub(crate) fn derive(input: &DeriveInput) -> Result<TokenStream> {
    if !input.generics.params.is_empty() {
        return Err(Error::new_spanned(
            &input.generics,
            "a generic type cannot derive `Json`; derive the traits of serde and schemars themselves",
        ));
    }
    let ident = &input.ident;
    let name = ident.unraw().to_string();
    let mirror = mirror(input, "__Json", &["doc", "serde", "cfg"])?;
    let schema_mirror = mirror_for_schema(input)?;
    let schema = schema_impl(ident);
    Ok(quote! {
        const _: () = {
            use ::foldhost_plugin_sdk::__private::serde as __serde;

            #[allow(dead_code, reason = "a mirror is never made")]
            #[derive(__serde::Serialize, __serde::Deserialize)]
            #[serde(crate = "::foldhost_plugin_sdk::__private::serde", remote = #name)]
            #mirror

            #[automatically_derived]
            impl __serde::Serialize for #ident {
                fn serialize<S: __serde::Serializer>(&self, serializer: S) -> ::core::result::Result<S::Ok, S::Error> {
                    __Json::serialize(self, serializer)
                }
            }

            #[automatically_derived]
            impl<'de> __serde::Deserialize<'de> for #ident {
                fn deserialize<D: __serde::Deserializer<'de>>(deserializer: D) -> ::core::result::Result<Self, D::Error> {
                    __Json::deserialize(deserializer)
                }
            }

            #[allow(dead_code, reason = "a mirror is never made")]
            #[derive(::foldhost_plugin_sdk::__private::schemars::JsonSchema)]
            #[schemars(crate = "::foldhost_plugin_sdk::__private::schemars", rename = #name)]
            #schema_mirror

            #schema
        };
    })
}

/// The schema of the type is the schema of its mirror.
fn schema_impl(ident: &Ident) -> TokenStream {
    quote! {
        #[automatically_derived]
        impl ::foldhost_plugin_sdk::__private::schemars::JsonSchema for #ident {
            fn inline_schema() -> bool {
                <__Schema as ::foldhost_plugin_sdk::__private::schemars::JsonSchema>::inline_schema()
            }
            fn schema_name() -> ::std::borrow::Cow<'static, str> {
                <__Schema as ::foldhost_plugin_sdk::__private::schemars::JsonSchema>::schema_name()
            }
            fn schema_id() -> ::std::borrow::Cow<'static, str> {
                <__Schema as ::foldhost_plugin_sdk::__private::schemars::JsonSchema>::schema_id()
            }
            fn json_schema(
                generator: &mut ::foldhost_plugin_sdk::__private::schemars::SchemaGenerator,
            ) -> ::foldhost_plugin_sdk::__private::schemars::Schema {
                <__Schema as ::foldhost_plugin_sdk::__private::schemars::JsonSchema>::json_schema(generator)
            }
        }
    }
}

/// The mirror that `schemars` reads; it understands the attributes of `serde` too.
fn mirror_for_schema(input: &DeriveInput) -> Result<TokenStream> {
    mirror(input, "__Schema", &["doc", "serde", "schemars", "cfg"])
}

/// Writes the type once more under another name, with those of its attributes that are asked for.
fn mirror(input: &DeriveInput, name: &str, attributes: &[&str]) -> Result<TokenStream> {
    let mut copy = input.clone();
    copy.ident = Ident::new(name, input.ident.span());
    copy.vis = Visibility::Inherited;
    keep(&mut copy.attrs, attributes);
    match &mut copy.data {
        Data::Struct(data) => clean_fields(&mut data.fields, attributes),
        Data::Enum(data) => {
            for variant in &mut data.variants {
                keep(&mut variant.attrs, attributes);
                clean_fields(&mut variant.fields, attributes);
            }
        }
        Data::Union(_) => {
            return Err(Error::new_spanned(&input.ident, "a union has no JSON form"));
        }
    }
    Ok(copy.into_token_stream())
}

/// Drops the attributes of other derives, which the mirror does not have.
fn clean_fields(fields: &mut Fields, attributes: &[&str]) {
    fn clean<P>(fields: &mut Punctuated<Field, P>, attributes: &[&str]) {
        for field in fields {
            keep(&mut field.attrs, attributes);
        }
    }
    match fields {
        Fields::Named(fields) => clean(&mut fields.named, attributes),
        Fields::Unnamed(fields) => clean(&mut fields.unnamed, attributes),
        Fields::Unit => {}
    }
}

/// Keeps the attributes of these names.
fn keep(attributes: &mut Vec<Attribute>, names: &[&str]) {
    attributes.retain(|attribute| names.iter().any(|name| attribute.path().is_ident(name)));
}

/// Whether there is an attribute of `serde` or `schemars`, which may give a field another name in JSON.
pub(crate) fn has_attributes(attributes: &[Attribute]) -> bool {
    let named = |attribute: &Attribute| {
        attribute.path().is_ident("serde") || attribute.path().is_ident("schemars")
    };
    attributes.iter().any(named)
}
