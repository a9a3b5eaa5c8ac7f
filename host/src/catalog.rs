//! The catalog: which plugin versions are active, and who defines what.
//!
//! A value that is replaced as a whole ([`Catalogs::replace`]), so that a request sees one state of affairs from its
//! beginning to its end.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::message::Time;
use crate::plugin::{Descriptor, Plugin, QueryType};

/// All active plugins at one moment.
#[derive(Clone, Default)]
pub struct Catalog {
    plugins: BTreeMap<String, Arc<Plugin>>,
    refusals: BTreeMap<String, Refusal>,
}

/// Why some component was not taken up, kept until a good one comes from the same place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The plugin's name where it was known, else where it came from.
    pub source: String,
    /// For people.
    pub reason: String,
    /// When it was refused.
    pub at: Time,
    /// Whether nothing serves in its place: the plugin was active before this start, and does not load now.
    pub leaves_gap: bool,
}

impl Catalog {
    /// Returns the active plugins by name.
    pub fn plugins(&self) -> impl Iterator<Item = &Arc<Plugin>> {
        self.plugins.values()
    }

    /// Finds an active plugin by its name.
    pub fn plugin(&self, name: &str) -> Option<&Arc<Plugin>> {
        self.plugins.get(name)
    }

    /// Finds the plugin that defines an aggregate.
    pub fn aggregate(&self, name: &str) -> Option<&Arc<Plugin>> {
        let defines = |plugin: &&Arc<Plugin>| {
            plugin
                .descriptor
                .aggregate
                .as_ref()
                .is_some_and(|aggregate| aggregate.name.as_str() == name)
        };
        self.plugins().find(defines)
    }

    /// Finds the plugin that defines a projection.
    pub fn projection(&self, name: &str) -> Option<&Arc<Plugin>> {
        let defines = |plugin: &&Arc<Plugin>| {
            plugin
                .descriptor
                .projection
                .as_ref()
                .is_some_and(|projection| projection.name == name)
        };
        self.plugins().find(defines)
    }

    /// Finds the plugin whose projection writes a collection.
    pub fn collection(&self, name: &str) -> Option<&Arc<Plugin>> {
        let writes = |plugin: &&Arc<Plugin>| {
            let projection = plugin.descriptor.projection.as_ref();
            projection
                .is_some_and(|projection| projection.collections.iter().any(|it| it.name == name))
        };
        self.plugins().find(writes)
    }

    /// Finds a named query and the plugin that answers it.
    pub fn query(&self, name: &str) -> Option<(&Arc<Plugin>, &QueryType)> {
        self.plugins().find_map(|plugin| {
            let projection = plugin.descriptor.projection.as_ref()?;
            let query = projection.queries.iter().find(|query| query.name == name)?;
            Some((plugin, query))
        })
    }

    /// Returns what was refused lately.
    pub fn refusals(&self) -> impl Iterator<Item = &Refusal> {
        self.refusals.values()
    }

    /// Checks that a plugin takes no name that another one holds; the error is for its author.
    pub fn check_names(&self, new: &Descriptor) -> Result<(), String> {
        let others = || {
            self.plugins()
                .filter(|plugin| plugin.descriptor.name != new.name)
        };
        for other in others() {
            if let Some(taken) = taken_name(&other.descriptor, new) {
                return Err(format!(
                    "{taken} is defined by plugin {}",
                    other.descriptor.name
                ));
            }
        }
        Ok(())
    }
}

fn taken_name(other: &Descriptor, new: &Descriptor) -> Option<String> {
    if let (Some(other), Some(new)) = (&other.aggregate, &new.aggregate)
        && other.name == new.name
    {
        return Some(format!("aggregate {}", new.name));
    }
    let (other, new) = (other.projection.as_ref()?, new.projection.as_ref()?);
    if other.name == new.name {
        return Some(format!("projection {}", new.name));
    }
    let collection = new
        .collections
        .iter()
        .find(|new| other.collections.iter().any(|it| it.name == new.name));
    let query = new
        .queries
        .iter()
        .find(|new| other.queries.iter().any(|it| it.name == new.name));
    collection
        .map(|collection| format!("collection {}", collection.name))
        .or_else(|| query.map(|query| format!("query {}", query.name)))
}

/// The present catalog, shared by all who look things up in it.
#[derive(Clone, Default)]
pub struct Catalogs(Arc<ArcSwap<Catalog>>);

impl Catalogs {
    /// Returns the present catalog.
    pub fn load(&self) -> Arc<Catalog> {
        self.0.load_full()
    }

    /// Takes a plugin up in place of the former version of the same name.
    pub fn replace(&self, plugin: &Arc<Plugin>) {
        self.0.rcu(|catalog| {
            let mut catalog = Catalog::clone(catalog);
            catalog.refusals.remove(&plugin.descriptor.name);
            catalog
                .plugins
                .insert(plugin.descriptor.name.clone(), Arc::clone(plugin));
            catalog
        });
    }

    /// Notes that something was refused.
    pub fn refuse(&self, refusal: &Refusal) {
        self.0.rcu(|catalog| {
            let mut catalog = Catalog::clone(catalog);
            catalog
                .refusals
                .insert(refusal.source.clone(), refusal.clone());
            catalog
        });
    }

    /// Forgets what was refused from some source.
    pub fn absolve(&self, source: &str) {
        self.0.rcu(|catalog| {
            let mut catalog = Catalog::clone(catalog);
            catalog.refusals.remove(source);
            catalog
        });
    }
}
