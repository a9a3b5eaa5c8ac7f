//! `#[derive(Event)]`.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::ext::IdentExt as _;
use syn::{
    Attribute, DeriveInput, Error, Ident, LitInt, LitStr, Path, Result, Token, Variant,
    parenthesized,
};

use crate::payload::{Derives, Payload, variants};

/// What `#[event(..)]` says about one variant.
struct EventAttributes {
    /// The event type.
    name: String,
    /// The aggregate it belongs to, where it is said.
    aggregate: Option<String>,
    /// The newest schema version.
    version: u32,
    /// The upcasters with the version that each starts from, in ascending order, without holes.
    upcasters: Vec<(u32, Path)>,
}

/// Expands `#[derive(Event)]`.
pub(crate) fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let variants = variants(input, "events")?;
    let common_aggregate = aggregate_of_enum(&input.attrs)?;
    let events = variants
        .iter()
        .map(|variant| EventAttributes::of(variant, common_aggregate.as_ref()))
        .collect::<Result<Vec<_>>>()?;
    refuse_ambiguous(&events, &variants)?;

    let ident = &input.ident;
    let payloads: Vec<_> = variants
        .iter()
        .map(|variant| Payload::of(variant, Derives::Lenient))
        .collect();
    let definitions = payloads.iter().map(|payload| &payload.definition);
    let all = || variants.iter().zip(&events).zip(&payloads);
    let types = all().map(|((_, event), payload)| event.descriptor(&payload.name));
    let reads = all().map(|((variant, event), payload)| event.read(&variant.ident, payload));
    let writes = all().map(|((variant, event), payload)| event.write(&variant.ident, payload));
    let foreign = events
        .iter()
        .all(|event| event.aggregate.is_some())
        .then(|| {
            quote! {
                #[automatically_derived]
                impl ::foldhost_plugin_sdk::ForeignEvent for #ident {}
            }
        });
    Ok(quote! {
        const _: () = {
            #(#definitions)*

            #[automatically_derived]
            impl ::foldhost_plugin_sdk::Event for #ident {
                fn types() -> ::std::vec::Vec<::foldhost_plugin_sdk::describe::EventType> {
                    ::std::vec![#(#types),*]
                }

                fn read(
                    aggregate: &str,
                    name: &str,
                    schema_version: u32,
                    data: &[u8],
                ) -> ::core::result::Result<::core::option::Option<Self>, ::std::string::String> {
                    let _ = (aggregate, schema_version, data);
                    match name {
                        #(#reads)*
                        _ => ::core::result::Result::Ok(::core::option::Option::None),
                    }
                }

                fn write(self) -> ::foldhost_plugin_sdk::guest::NewEvent {
                    match self {
                        #(#writes,)*
                    }
                }
            }

            #foreign
        };
    })
}

impl EventAttributes {
    /// Reads the attributes of one variant.
    fn of(variant: &Variant, aggregate: Option<&String>) -> Result<Self> {
        let mut event = Self {
            name: variant.ident.unraw().to_string(),
            aggregate: aggregate.cloned(),
            version: 1,
            upcasters: Vec::new(),
        };
        for attribute in variant
            .attrs
            .iter()
            .filter(|attribute| attribute.path().is_ident("event"))
        {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("name") {
                    event.name = meta.value()?.parse::<LitStr>()?.value();
                } else if meta.path.is_ident("aggregate") {
                    event.aggregate = Some(aggregate_name(&meta.value()?.parse()?)?);
                } else if meta.path.is_ident("version") {
                    event.version = version(&meta.value()?.parse()?)?;
                } else if meta.path.is_ident("upcast") {
                    let list;
                    parenthesized!(list in meta.input);
                    let upcasters = list.parse_terminated(upcaster, Token![,])?;
                    event.upcasters.extend(upcasters);
                } else {
                    return Err(meta.error(
                        "unknown attribute; an event takes `name`, `aggregate`, `version` and `upcast(1 => function)`",
                    ));
                }
                Ok(())
            })?;
        }
        event.refuse_broken_chain(variant.ident.span())?;
        Ok(event)
    }

    /// Each upcaster leads to the next version, so the chain has to reach the newest one without a hole.
    fn refuse_broken_chain(&self, place: Span) -> Result<()> {
        let Some((oldest, _)) = self.upcasters.first() else {
            return Ok(());
        };
        let given: Vec<u32> = self.upcasters.iter().map(|(from, _)| *from).collect();
        let wanted: Vec<u32> = (*oldest..self.version).collect();
        if given == wanted {
            return Ok(());
        }
        let newest = self.version;
        Err(Error::new(
            place,
            format!(
                "upcasters lead from one version to the next, in order, up to version {newest}: \
                 expected {wanted:?}, found {given:?}"
            ),
        ))
    }

    /// The descriptor of the event type.
    fn descriptor(&self, payload: &Ident) -> TokenStream {
        let (name, newest) = (&self.name, self.version);
        let reads = self.upcasters.iter().map(|(from, _)| *from).chain([newest]);
        let aggregate = match &self.aggregate {
            Some(aggregate) => quote!(::core::option::Option::Some(#aggregate)),
            None => quote!(::core::option::Option::None),
        };
        quote! {
            ::foldhost_plugin_sdk::describe::EventType {
                name: #name,
                aggregate: #aggregate,
                schema_version: #newest,
                reads: ::std::vec![#(#reads),*],
                schema: ::foldhost_plugin_sdk::__private::schema_of_output::<#payload>(),
            }
        }
    }

    /// The match arm that reads a recorded event.
    fn read(&self, variant: &Ident, payload: &Payload) -> TokenStream {
        let (name, newest) = (&self.name, self.version);
        let guard = self
            .aggregate
            .as_ref()
            .map(|aggregate| quote!(if aggregate == #aggregate));
        let upcasters = self.upcasters.iter().map(|(from, function)| {
            quote!((#from, { let upcaster: ::foldhost_plugin_sdk::Upcaster = #function; upcaster }))
        });
        let (payload, fields) = (&payload.name, &payload.fields);
        quote! {
            #name #guard => {
                let #payload #fields = ::foldhost_plugin_sdk::__private::read_data(
                    name, #newest, &[#(#upcasters),*], schema_version, data,
                )?;
                ::core::result::Result::Ok(::core::option::Option::Some(Self::#variant #fields))
            }
        }
    }

    /// The match arm that writes a new event.
    fn write(&self, variant: &Ident, payload: &Payload) -> TokenStream {
        let (name, newest) = (&self.name, self.version);
        let fields = &payload.fields;
        let data = if payload.is_empty {
            quote!(b"{}".to_vec())
        } else {
            let payload = &payload.name;
            quote!(::foldhost_plugin_sdk::__private::write_json(&#payload #fields))
        };
        quote! {
            Self::#variant #fields => ::foldhost_plugin_sdk::guest::NewEvent {
                name: #name.into(),
                schema_version: #newest,
                data: #data,
            }
        }
    }
}

/// `#[event(aggregate = "..")]` on the enum itself.
fn aggregate_of_enum(attributes: &[Attribute]) -> Result<Option<String>> {
    let mut aggregate = None;
    for attribute in attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("event"))
    {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("aggregate") {
                return Err(
                    meta.error("unknown attribute; an enum of events takes `aggregate = \"..\"`")
                );
            }
            aggregate = Some(aggregate_name(&meta.value()?.parse()?)?);
            Ok(())
        })?;
    }
    Ok(aggregate)
}

/// The name of an aggregate holds no dash, since the stream id is cut at the first one.
fn aggregate_name(name: &LitStr) -> Result<String> {
    let text = name.value();
    if text.is_empty() || text.contains('-') {
        return Err(Error::new_spanned(
            name,
            "the name of an aggregate is not empty and holds no `-`",
        ));
    }
    Ok(text)
}

/// A schema version, from 1.
fn version(number: &LitInt) -> Result<u32> {
    match number.base10_parse()? {
        0 => Err(Error::new_spanned(number, "schema versions start at 1")),
        version => Ok(version),
    }
}

/// One `1 => function` of `upcast(..)`.
fn upcaster(input: syn::parse::ParseStream<'_>) -> Result<(u32, Path)> {
    let from = version(&input.parse()?)?;
    input.parse::<Token![=>]>()?;
    Ok((from, input.parse()?))
}

/// Two variants of the same type and aggregate could not be told apart.
fn refuse_ambiguous(events: &[EventAttributes], variants: &[&Variant]) -> Result<()> {
    for (place, event) in events.iter().enumerate() {
        let clashes = |other: &&EventAttributes| {
            other.name == event.name
                && (other.aggregate == event.aggregate
                    || other.aggregate.is_none()
                    || event.aggregate.is_none())
        };
        if events[..place].iter().any(|other| clashes(&other)) {
            return Err(Error::new_spanned(
                variants[place],
                format!(
                    "`{}` is the name of two variants of one aggregate",
                    event.name
                ),
            ));
        }
    }
    Ok(())
}
