//! `plugin check`: a component through the checks of the host, without a host.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use clap::Args;
use foldhost::config::Config;
use foldhost::plugin::{
    AggregateDescriptor, CodeCache, Limits, Plugin, ProjectionDescriptor, Sandbox,
};
use serde_json::{Value, json};

use crate::cli::output::Output;

/// One component runs at a time.
const INSTANCES: u32 = 4;

/// Options of `plugin check`.
#[derive(Args)]
pub(in crate::cli) struct Options {
    /// The component, a .wasm file.
    file: PathBuf,
}

/// What is in a folder of components.
#[derive(Debug, Default)]
pub(in crate::cli) struct Checked {
    /// Name and version of each plugin that a host would take.
    pub(in crate::cli) names: Vec<String>,
    /// Why each other file would be refused.
    pub(in crate::cli) refused: Vec<String>,
}

/// Prints what a component defines, or why a host would refuse it.
pub(super) fn run(options: &Options, output: Output) -> Result<()> {
    let plugin = load(&sandbox()?, &options.file, |_| Limits::default())?;
    output.show(text(&plugin), &value(&plugin))?;
    Ok(())
}

/// Checks all components of the plugins folder.
pub(in crate::cli) fn check_folder(config: &Config) -> Result<Checked> {
    let folder = &config.plugins;
    let mut checked = Checked::default();
    if !folder.exists() {
        return Ok(checked);
    }
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    files.retain(|file| {
        file.extension()
            .is_some_and(|extension| extension == "wasm")
    });
    files.sort_unstable();
    let sandbox = sandbox()?;
    for file in files {
        match load(&sandbox, &file, |name| config.limits_of(name)) {
            Ok(plugin) => {
                checked.names.push(format!(
                    "{} {}",
                    plugin.descriptor.name, plugin.descriptor.version
                ));
            }
            Err(error) => checked.refused.push(format!("{error:#}")),
        }
    }
    Ok(checked)
}

/// Makes a sandbox for one component at a time.
pub(super) fn sandbox() -> Result<Sandbox> {
    Sandbox::new(INSTANCES).map_err(|error| anyhow!("guests cannot be run here: {error:#}"))
}

fn load(sandbox: &Sandbox, file: &Path, limits: impl FnOnce(&str) -> Limits) -> Result<Plugin> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    Plugin::load(sandbox, &CodeCache::none(), &bytes, limits)
        .with_context(|| file.display().to_string())
}

fn text(plugin: &Plugin) -> String {
    let about = &plugin.descriptor;
    let mut lines = vec![format!("{} {}", about.name, about.version)];
    if !about.description.is_empty() {
        lines.push(format!("  {}", about.description));
    }
    lines.push(format!("  digest      {}", plugin.digest));
    if let Some(aggregate) = &about.aggregate {
        lines.push(format!("  aggregate   {}", aggregate.name));
        lines.push(format!(
            "    commands  {}",
            list(aggregate.commands.iter().map(|it| it.name.to_string()))
        ));
        lines.push(format!("    events    {}", list(events(aggregate))));
    }
    if let Some(projection) = &about.projection {
        lines.push(format!("  projection  {}", projection.name));
        lines.push(format!(
            "    folds     {}",
            list(projection.events.iter().map(|it| it.full_type.clone()))
        ));
        lines.push(format!(
            "    documents {}",
            list(projection.collections.iter().map(|it| it.name.clone()))
        ));
        lines.push(format!(
            "    queries   {}",
            list(projection.queries.iter().map(|it| it.name.clone()))
        ));
    }
    lines.join("\n")
}

fn events(aggregate: &AggregateDescriptor) -> impl Iterator<Item = String> {
    aggregate
        .events
        .iter()
        .map(|event| match event.schema_version {
            1 => event.name.to_string(),
            version => format!("{} v{version}", event.name),
        })
}

fn list(names: impl Iterator<Item = String>) -> String {
    let names: Vec<String> = names.collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

fn value(plugin: &Plugin) -> Value {
    let mut value = descriptor(plugin);
    value["digest"] = plugin.digest.to_string().into();
    value
}

/// Shows all that a plugin says of itself.
pub(super) fn descriptor(plugin: &Plugin) -> Value {
    let about = &plugin.descriptor;
    json!({
        "plugin": { "name": about.name, "version": about.version, "description": about.description },
        "aggregate": about.aggregate.as_ref().map(aggregate),
        "projection": about.projection.as_ref().map(projection),
    })
}

fn aggregate(aggregate: &AggregateDescriptor) -> Value {
    let commands = aggregate.commands.iter().map(|command| {
        json!({ "name": *command.name, "description": command.description, "schema": command.schema })
    });
    let events = aggregate.events.iter().map(|event| {
        json!({
            "name": *event.name, "schema_version": event.schema_version, "reads": event.reads, "schema": event.schema,
        })
    });
    json!({
        "name": aggregate.name.as_str(),
        "state_schema_version": aggregate.state_schema_version,
        "snapshot_interval": aggregate.snapshot_interval,
        "commands": commands.collect::<Vec<_>>(),
        "events": events.collect::<Vec<_>>(),
    })
}

fn projection(projection: &ProjectionDescriptor) -> Value {
    let events = projection
        .events
        .iter()
        .map(|event| json!({ "type": event.full_type, "reads": event.reads }));
    let collections = projection.collections.iter().map(|collection| {
        let indexes = collection.indexes.iter().map(|index| {
            let fields = index
                .iter()
                .map(|field| json!({ "path": field.path, "descending": field.descending }));
            fields.collect::<Vec<_>>()
        });
        json!({
            "name": collection.name,
            "schema": collection.schema,
            "indexes": indexes.collect::<Vec<_>>(),
            "date_fields": collection.date_fields,
        })
    });
    let queries = projection.queries.iter().map(|query| {
        let parameters = query.parameters.iter().map(|parameter| {
            let kind = format!("{:?}", parameter.kind).to_lowercase();
            json!({
                "name": parameter.name, "kind": kind, "required": parameter.required,
                "description": parameter.description,
            })
        });
        json!({
            "name": query.name, "collection": query.collection, "description": query.description,
            "parameters": parameters.collect::<Vec<_>>(),
        })
    });
    json!({
        "name": projection.name,
        "events": events.collect::<Vec<_>>(),
        "collections": collections.collect::<Vec<_>>(),
        "queries": queries.collect::<Vec<_>>(),
    })
}
