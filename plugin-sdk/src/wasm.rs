//! The component side: the contract's bindings, and what joins them to [`crate::guest`].
//!
//! Public and hidden: the export macros expand to paths into it.
//! The worlds are those of `plugin-sdk/wit`, each with one export, so that nothing is bound twice.

mod aggregate_export;
mod projection_export;

pub use aggregate_export::{AggregateExport, StateExport};
pub use projection_export::ProjectionExport;

use crate::log::Level;

/// Bindings of what every plugin exports, and of the log.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]
pub mod plugin_part {
    wit_bindgen::generate!({
        path: ["../wit", "wit"],
        world: "foldhost:sdk-parts/plugin-part",
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_plugin_part",
        runtime_path: "::foldhost_plugin_sdk::wasm::wit_bindgen_rt",
    });
}

/// Bindings of `aggregate`.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]
pub mod aggregate_part {
    wit_bindgen::generate!({
        path: ["../wit", "wit"],
        world: "foldhost:sdk-parts/aggregate-part",
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_aggregate_part",
        runtime_path: "::foldhost_plugin_sdk::wasm::wit_bindgen_rt",
    });
}

/// Bindings of `projection` and of the documents.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]
pub mod projection_part {
    wit_bindgen::generate!({
        path: ["../wit", "wit"],
        world: "foldhost:sdk-parts/projection-part",
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_projection_part",
        runtime_path: "::foldhost_plugin_sdk::wasm::wit_bindgen_rt",
    });
}

pub use wit_bindgen::rt as wit_bindgen_rt;

/// Writes one line to the host's log.
pub(crate) fn log(level: Level, line: &str) {
    use plugin_part::foldhost::plugin::log;
    let level = match level {
        Level::Trace => log::Level::Trace,
        Level::Debug => log::Level::Debug,
        Level::Info => log::Level::Info,
        Level::Warn => log::Level::Warn,
        Level::Error => log::Level::Error,
    };
    log::log(level, line);
}
