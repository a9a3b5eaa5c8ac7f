//! The export macros: one line turns a library into a plugin.
//!
//! What they expand to is compiled for WebAssembly alone.
//! Natively a plugin is an ordinary library, which is how its tests run.

/// Exports an aggregate as the plugin.
///
/// Name, version and description are those of the crate, unless given, in this order:
/// `export_aggregate!(Post, name = "post", version = "2.0.0", description = "Posts and their comments.")`.
#[macro_export]
macro_rules! export_aggregate {
    ($aggregate:ty $(, $key:ident = $value:expr)* $(,)?) => {
        $crate::export_guest!(aggregate = $crate::guest::Stream<$aggregate> $(, $key = $value)*);
    };
}

/// Exports a projection as the plugin.
///
/// Name, version and description are those of the crate, unless given as in [`export_aggregate!`](crate::export_aggregate).
#[macro_export]
macro_rules! export_projection {
    ($projection:ty $(, $key:ident = $value:expr)* $(,)?) => {
        $crate::export_guest!(projection = $crate::guest::Fold<$projection> $(, $key = $value)*);
    };
}

/// Exports an aggregate and a projection as one plugin: `export_plugin!(aggregate = Post, projection = Posts)`.
///
/// Name, version and description are those of the crate, unless given as in [`export_aggregate!`](crate::export_aggregate).
#[macro_export]
macro_rules! export_plugin {
    (aggregate = $aggregate:ty, projection = $projection:ty $(, $key:ident = $value:expr)* $(,)?) => {
        $crate::export_guest!(
            aggregate = $crate::guest::Stream<$aggregate>,
            projection = $crate::guest::Fold<$projection>
            $(, $key = $value)*
        );
    };
}

/// Exports types that implement the traits of [`guest`](crate::guest), the low-level door.
#[macro_export]
macro_rules! export_guest {
    (aggregate = $aggregate:ty, projection = $projection:ty $(, $key:ident = $value:expr)* $(,)?) => {
        $crate::__export!(plugin $($key = $value),*);
        $crate::__export!(aggregate $aggregate);
        $crate::__export!(projection $projection);
    };
    (aggregate = $aggregate:ty $(, $key:ident = $value:expr)* $(,)?) => {
        $crate::__export!(plugin $($key = $value),*);
        $crate::__export!(aggregate $aggregate);
    };
    (projection = $projection:ty $(, $key:ident = $value:expr)* $(,)?) => {
        $crate::__export!(plugin $($key = $value),*);
        $crate::__export!(projection $projection);
    };
}

/// Exports one interface.
#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    (plugin $(name = $name:expr)? $(, version = $version:expr)? $(, description = $description:expr)?) => {
        $crate::__export!(@plugin
            [$($name,)? ::core::env!("CARGO_PKG_NAME")]
            [$($version,)? ::core::env!("CARGO_PKG_VERSION")]
            [$($description,)? ::core::env!("CARGO_PKG_DESCRIPTION")]
        );
    };
    (plugin version = $version:expr $(, description = $description:expr)?) => {
        $crate::__export!(plugin name = ::core::env!("CARGO_PKG_NAME"), version = $version $(, description = $description)?);
    };
    (plugin description = $description:expr) => {
        $crate::__export!(plugin
            name = ::core::env!("CARGO_PKG_NAME"),
            version = ::core::env!("CARGO_PKG_VERSION"),
            description = $description
        );
    };
    (@plugin [$name:expr $(, $_1:expr)?] [$version:expr $(, $_2:expr)?] [$description:expr $(, $_3:expr)?]) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            use $crate::wasm::plugin_part::{self, exports::foldhost::plugin::plugin};

            struct Exported;

            impl plugin::Guest for Exported {
                fn describe() -> plugin::PluginDescriptor {
                    plugin::PluginDescriptor {
                        name: $name.into(),
                        version: $version.into(),
                        description: $description.into(),
                    }
                }
            }

            plugin_part::export_plugin_part!(Exported with_types_in plugin_part);
        };
    };
    (aggregate $aggregate:ty) => {
        const _: () = {
            const fn is_guest<G: $crate::guest::AggregateGuest>() {}
            is_guest::<$aggregate>();
        };

        #[cfg(target_family = "wasm")]
        const _: () = {
            use $crate::wasm::aggregate_part;

            type Exported = $crate::wasm::AggregateExport<$aggregate>;
            aggregate_part::export_aggregate_part!(Exported with_types_in aggregate_part);
        };
    };
    (projection $projection:ty) => {
        const _: () = {
            const fn is_guest<G: $crate::guest::ProjectionGuest>() {}
            is_guest::<$projection>();
        };

        #[cfg(target_family = "wasm")]
        const _: () = {
            use $crate::wasm::projection_part;

            type Exported = $crate::wasm::ProjectionExport<$projection>;
            projection_part::export_projection_part!(Exported with_types_in projection_part);
        };
    };
}
