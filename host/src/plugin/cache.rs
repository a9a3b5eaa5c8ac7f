//! Compiled code, kept between starts: compiling a guest takes half a second, loading it half a millisecond.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

use wasmtime::Engine;
use wasmtime::component::Component;

use crate::message::Digest;

/// A folder of compiled components, named by the component's digest and the engine's version and settings.
#[derive(Clone, Debug)]
pub struct CodeCache {
    folder: Option<PathBuf>,
}

impl CodeCache {
    /// Keeps compiled code in a folder that nobody but the host's user may write: it is run as it is.
    pub fn in_folder(folder: &Path) -> Self {
        let made = std::fs::create_dir_all(folder);
        if let Err(error) = &made {
            tracing::warn!(%error, folder = %folder.display(), "no code cache: plugins are compiled at every start");
        }
        Self {
            folder: made.is_ok().then(|| folder.to_owned()),
        }
    }

    /// Keeps nothing.
    pub fn none() -> Self {
        Self { folder: None }
    }

    /// Gives the compiled component, from the folder where it is, else by compiling it and keeping the result.
    pub(super) fn load(
        &self,
        engine: &Engine,
        digest: Digest,
        bytes: &[u8],
    ) -> wasmtime::Result<Component> {
        let Some(path) = self.path(engine, digest) else {
            return Component::new(engine, bytes);
        };
        if let Some(component) = read(engine, &path) {
            return Ok(component);
        }
        let code = engine.precompile_component(bytes)?;
        if let Err(error) = write(&path, &code) {
            tracing::debug!(%error, "compiled code was not kept");
        }
        deserialize(engine, &code)
    }

    fn path(&self, engine: &Engine, digest: Digest) -> Option<PathBuf> {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Some(
            self.folder
                .as_ref()?
                .join(format!("{digest}-{:016x}", hasher.finish())),
        )
    }
}

/// A file is the digest of the code, then the code: a torn write is never run.
fn read(engine: &Engine, path: &Path) -> Option<Component> {
    let file = std::fs::read(path).ok()?;
    let (digest, code) = file.split_at_checked(32)?;
    if Digest::of(code).0 != digest {
        return None;
    }
    deserialize(engine, code).ok()
}

fn write(path: &Path, code: &[u8]) -> std::io::Result<()> {
    let mut file = Digest::of(code).0.to_vec();
    file.extend_from_slice(code);
    let unfinished = path.with_extension(format!("{}.tmp", std::process::id()));
    std::fs::write(&unfinished, file)?;
    std::fs::rename(unfinished, path)
}

#[allow(
    unsafe_code,
    reason = "the only way to load precompiled code; it is our own, checked against its digest"
)]
fn deserialize(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: `code` came from `precompile_component` of an engine with the same compatibility hash: just now, or from a
    // folder that only the host's user writes, whole as its digest shows.
    unsafe { Component::deserialize(engine, code) }
}
