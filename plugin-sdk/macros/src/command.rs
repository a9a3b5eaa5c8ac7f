//! `#[derive(Command)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, Error, Ident, LitStr, Result, Variant};

use crate::naming::{description, kebab_case};
use crate::payload::{Derives, Payload, refuse_duplicates, variants};

/// Expands `#[derive(Command)]`.
pub(crate) fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let variants = variants(input, "commands")?;
    let names = variants
        .iter()
        .map(|variant| Ok((name(variant)?, &variant.ident)))
        .collect::<Result<Vec<_>>>()?;
    refuse_duplicates(&names)?;

    let ident = &input.ident;
    let payloads: Vec<_> = variants
        .iter()
        .map(|variant| Payload::of(variant, Derives::Strict))
        .collect();
    let definitions = payloads.iter().map(|payload| &payload.definition);
    let known = names.iter().map(|(name, _)| name);
    let types = types(&variants, &names, &payloads);
    let reads = names
        .iter()
        .zip(&payloads)
        .map(|((name, variant), payload)| {
            let (payload, fields) = (&payload.name, &payload.fields);
            quote! {
                #name => {
                    let #payload #fields = ::foldhost_plugin_sdk::__private::read_payload(payload)?;
                    ::core::result::Result::Ok(Self::#variant #fields)
                }
            }
        });
    let writes = names.iter().zip(&payloads).map(|((name, variant), payload)| {
        let (payload, fields) = (&payload.name, &payload.fields);
        quote! {
            Self::#variant #fields => (#name, ::foldhost_plugin_sdk::__private::write_json(&#payload #fields))
        }
    });
    Ok(quote! {
        const _: () = {
            #(#definitions)*

            #[automatically_derived]
            impl ::foldhost_plugin_sdk::Command for #ident {
                fn types() -> ::std::vec::Vec<::foldhost_plugin_sdk::describe::CommandType> {
                    ::std::vec![#types]
                }

                fn read(name: &str, payload: &[u8]) -> ::core::result::Result<Self, ::std::string::String> {
                    match name {
                        #(#reads)*
                        _ => ::core::result::Result::Err(
                            ::foldhost_plugin_sdk::__private::unknown("command", name, &[#(#known),*]),
                        ),
                    }
                }

                fn write(self) -> (&'static str, ::std::vec::Vec<u8>) {
                    match self {
                        #(#writes,)*
                    }
                }
            }
        };
    })
}

/// The descriptors of all commands.
fn types(variants: &[&Variant], names: &[(String, &Ident)], payloads: &[Payload]) -> TokenStream {
    let types = variants
        .iter()
        .zip(names)
        .zip(payloads)
        .map(|((variant, (name, _)), payload)| {
            let (description, payload) = (description(&variant.attrs), &payload.name);
            quote! {
                ::foldhost_plugin_sdk::describe::CommandType {
                    name: #name.into(),
                    description: #description.into(),
                    schema: ::foldhost_plugin_sdk::__private::schema_of_input::<#payload>(),
                }
            }
        });
    quote!(#(#types),*)
}

/// The name of a command: its own in kebab-case, or that of `#[command(name = "..")]`.
fn name(variant: &Variant) -> Result<String> {
    let mut name = kebab_case(&variant.ident);
    for attribute in &variant.attrs {
        if attribute.path().is_ident("command") {
            attribute.parse_nested_meta(|meta| {
                if !meta.path.is_ident("name") {
                    return Err(meta.error("unknown attribute; a command takes `name = \"..\"`"));
                }
                let given = meta.value()?.parse::<LitStr>()?;
                name = given.value();
                if name.is_empty()
                    || !name
                        .chars()
                        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
                {
                    return Err(Error::new_spanned(
                        given,
                        "a command's name is kebab-case: `a-z`, `0-9` and `-`",
                    ));
                }
                Ok(())
            })?;
        }
    }
    Ok(name)
}
