//! What `wit/` becomes on the host's side: generated, private to [`super`].

/// The `aggregate-plugin` world.
pub(super) mod aggregate_world {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "aggregate-plugin",
        imports: { default: trappable },
    });
}

/// The `projection-plugin` world; what it shares with the other one is generated once, there.
pub(super) mod projection_world {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "projection-plugin",
        imports: { default: trappable },
        with: {
            "foldhost:plugin/log": super::aggregate_world::foldhost::plugin::log,
        },
    });
}
