//! One loaded plugin version: compiled, checked against the contract, described, ready to be instantiated.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, InstancePre};

use super::bindings::aggregate_world::{AggregatePluginPre, exports::foldhost::plugin::plugin};
use super::bindings::projection_world::ProjectionPluginPre;
use super::cache::CodeCache;
use super::descriptor::Descriptor;
use super::fault::Fault;
use super::limits::Limits;
use super::sandbox::{Cell, GuestContext, Sandbox};
use super::translate;
use super::wasi::Seed;
use crate::message::{Digest, Time};

/// The contract that this host runs. Other versions are refused by name.
pub const CONTRACT: &str = "0.1.0";
/// Where the contract's interfaces live.
const PACKAGE: &str = "foldhost:plugin/";
/// The largest component: some interpreted languages bring their whole runtime.
pub const MAX_COMPONENT_BYTES: usize = 64 * 1024 * 1024;
/// How long a component may take to describe itself, its first call: its memory is touched for the first time.
const DESCRIBE: Duration = Duration::from_secs(1);

/// Why some bytes are not taken as a plugin. The text is for the plugin's author.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAPlugin {
    /// Larger than any plugin may be. **Handling:** tell the author; strip the component.
    #[error("the component has {bytes} bytes, the most is {MAX_COMPONENT_BYTES}")]
    TooLarge {
        /// How many bytes it has.
        bytes: usize,
    },
    /// No WebAssembly component. **Handling:** tell the author; a half-written file is read again when it is whole.
    #[error("not a WebAssembly component: {reason}")]
    NotAComponent {
        /// What the parser says.
        reason: String,
    },
    /// A component of another contract. **Handling:** tell the author to build it against this host's SDK.
    #[error("not a plugin for this host, which runs contract foldhost:plugin@{CONTRACT}: {reason}")]
    WrongContract {
        /// What is missing or too much.
        reason: String,
    },
    /// Its description contradicts itself. **Handling:** tell the author.
    #[error("the plugin's description is not sound: {reason}")]
    BadDescription {
        /// What is wrong.
        reason: String,
    },
    /// It broke when it was asked to describe itself. **Handling:** tell the author.
    #[error(transparent)]
    Broken(#[from] Fault),
}

/// One version of a plugin, ready to be instantiated any number of times.
pub struct Plugin {
    /// The identity of its bytes.
    pub digest: Digest,
    /// What it says of itself.
    pub descriptor: Descriptor,
    /// What its guests may use.
    pub limits: Limits,
    pub(super) name: Arc<str>,
    pub(super) sandbox: Sandbox,
    pub(super) aggregate: Option<AggregatePluginPre<GuestContext>>,
    pub(super) projection: Option<ProjectionPluginPre<GuestContext>>,
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} {} ({:?})",
            self.descriptor.name, self.descriptor.version, self.digest
        )
    }
}

impl Plugin {
    /// Compiles bytes, checks them and asks them to describe themselves. Takes up to seconds: not for an async thread.
    ///
    /// `limits` gives the limits for a plugin of some name.
    pub fn load(
        sandbox: &Sandbox,
        cache: &CodeCache,
        bytes: &[u8],
        limits: impl FnOnce(&str) -> Limits,
    ) -> Result<Self, NotAPlugin> {
        check_form(bytes)?;
        let digest = Digest::of(bytes);
        let component = cache
            .load(&sandbox.engine, digest, bytes)
            .map_err(|error| NotAPlugin::NotAComponent {
                reason: format!("{error:#}")
                    .lines()
                    .next()
                    .unwrap_or_default()
                    .to_owned(),
            })?;
        let exports = check_contract(sandbox, &component)?;
        let wrong = |error: wasmtime::Error| NotAPlugin::WrongContract {
            reason: format!("{error:#}"),
        };
        let pre: InstancePre<GuestContext> =
            sandbox.linker.instantiate_pre(&component).map_err(wrong)?;
        let aggregate = exports
            .aggregate
            .then(|| AggregatePluginPre::new(pre.clone()))
            .transpose()
            .map_err(wrong)?;
        let projection = exports
            .projection
            .then(|| ProjectionPluginPre::new(pre))
            .transpose()
            .map_err(wrong)?;
        let mut loaded = Self {
            digest,
            descriptor: Descriptor {
                name: String::new(),
                version: String::new(),
                description: String::new(),
                aggregate: None,
                projection: None,
            },
            limits: Limits::default(),
            name: "(unnamed)".into(),
            sandbox: sandbox.clone(),
            aggregate,
            projection,
        };
        loaded.descriptor = describe(&loaded)?;
        loaded
            .descriptor
            .check()
            .map_err(|reason| NotAPlugin::BadDescription { reason })?;
        loaded.name = loaded.descriptor.name.as_str().into();
        loaded.limits = limits(&loaded.descriptor.name);
        Ok(loaded)
    }

    pub(super) fn cell(&self) -> Cell {
        Cell::new(&self.sandbox, &self.name, &self.limits)
    }
}

/// Looks at size and first bytes, so that what is no component at all is told plainly.
fn check_form(bytes: &[u8]) -> Result<(), NotAPlugin> {
    if bytes.len() > MAX_COMPONENT_BYTES {
        return Err(NotAPlugin::TooLarge { bytes: bytes.len() });
    }
    if !bytes.starts_with(b"\0asm\x0d\0\x01\0") {
        let reason = match bytes.get(..4) {
            Some(b"\0asm") => "it is a core module; build it for the target wasm32-wasip2",
            _ => "it does not begin as one",
        };
        return Err(NotAPlugin::NotAComponent {
            reason: reason.to_owned(),
        });
    }
    Ok(())
}

struct Exports {
    aggregate: bool,
    projection: bool,
}

/// Looks at names before anything is linked, so that a wrong version is told by name.
fn check_contract(sandbox: &Sandbox, component: &Component) -> Result<Exports, NotAPlugin> {
    let wrong = |reason: String| Err(NotAPlugin::WrongContract { reason });
    let kind = component.component_type();
    let mut exports = Exports {
        aggregate: false,
        projection: false,
    };
    let mut described = false;
    for (name, item) in kind.exports(&sandbox.engine) {
        let Some(rest) = name.strip_prefix(PACKAGE) else {
            continue;
        };
        let (interface, version) = rest.split_once('@').unwrap_or((rest, "none"));
        if version != CONTRACT {
            return wrong(format!("it exports {interface} of version {version}"));
        }
        if !matches!(item.ty, ComponentItem::ComponentInstance(_)) {
            return wrong(format!("its export {name} is no interface"));
        }
        match interface {
            "aggregate" => exports.aggregate = true,
            "projection" => exports.projection = true,
            "plugin" => described = true,
            _ => {}
        }
    }
    if !described {
        return wrong(format!("it does not export {PACKAGE}plugin@{CONTRACT}"));
    }
    if !exports.aggregate && !exports.projection {
        return wrong("it exports neither aggregate nor projection".to_owned());
    }
    Ok(exports)
}

fn describe(plugin: &Plugin) -> Result<Descriptor, NotAPlugin> {
    let mut cell = plugin.cell();
    let sight = || (Time::default(), Seed::default());
    let mut descriptor = None;
    if let Some(pre) = &plugin.aggregate {
        let world = cell.call("instantiate", DESCRIBE, sight(), |store| {
            pre.instantiate(store)
        })?;
        let about = cell.call("describe", DESCRIBE, sight(), |store| {
            world.foldhost_plugin_plugin().call_describe(store)
        })?;
        let aggregate = cell.call("describe", DESCRIBE, sight(), |store| {
            world.foldhost_plugin_aggregate().call_describe(store)
        })?;
        descriptor = Some(about_plugin(about));
        if let Some(descriptor) = &mut descriptor {
            let sound = translate::aggregate(aggregate)
                .map_err(|reason| NotAPlugin::BadDescription { reason })?;
            descriptor.aggregate = Some(sound);
        }
    }
    if let Some(pre) = &plugin.projection {
        let world = cell.call("instantiate", DESCRIBE, sight(), |store| {
            pre.instantiate(store)
        })?;
        let about = cell.call("describe", DESCRIBE, sight(), |store| {
            world.foldhost_plugin_plugin().call_describe(store)
        })?;
        let projection = cell.call("describe", DESCRIBE, sight(), |store| {
            world.foldhost_plugin_projection().call_describe(store)
        })?;
        let sound = translate::projection(projection)
            .map_err(|reason| NotAPlugin::BadDescription { reason })?;
        let descriptor = descriptor.get_or_insert_with(|| {
            about_plugin(plugin::PluginDescriptor {
                name: about.name,
                version: about.version,
                description: about.description,
            })
        });
        descriptor.projection = Some(sound);
    }
    descriptor.ok_or_else(|| NotAPlugin::WrongContract {
        reason: "it exports nothing that runs".to_owned(),
    })
}

fn about_plugin(about: plugin::PluginDescriptor) -> Descriptor {
    Descriptor {
        name: about.name,
        version: about.version,
        description: about.description,
        aggregate: None,
        projection: None,
    }
}
