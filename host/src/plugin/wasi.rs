//! A WASI of our own: no files, no environment, no sockets, clocks that stand still, seeded randomness.
//!
//! What a guest prints is kept, bounded, and told with its fault; a sleep is refused, since it would only hold a worker.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Infallible, SeedableRng as _, TryRng};
use tokio::io::AsyncWrite;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{DynPollable, OutputStream, Pollable, StreamError, StreamResult};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxBuilder, WasiView};

use crate::message::Time;

/// The most bytes kept of what a guest prints in one call: a long panic message with room to spare.
const PRINTED_BYTES: usize = 16 * 1024;

/// What a guest can see of the world, set before each call.
#[derive(Clone)]
pub(super) struct World(Arc<Mutex<Inner>>);

struct Inner {
    time: Time,
    seed: Seed,
    random: Option<ChaCha8Rng>,
    printed: Vec<u8>,
}

/// Where the randomness of a call comes from. Hashed only when the guest asks for some.
#[derive(Clone, Default)]
pub(super) struct Seed(pub(super) Vec<Arc<str>>);

impl World {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Inner {
            time: Time::default(),
            seed: Seed::default(),
            random: None,
            printed: Vec::new(),
        })))
    }

    /// Begins a call: sets the clock, the seed, and forgets what was printed.
    pub(super) fn begin(&self, time: Time, seed: Seed) {
        let mut inner = self.lock();
        inner.time = time;
        inner.seed = seed;
        inner.random = None;
        inner.printed.clear();
    }

    /// Takes what the guest printed during the call.
    pub(super) fn take_printed(&self) -> String {
        let printed = std::mem::take(&mut self.lock().printed);
        String::from_utf8_lossy(&printed).trim().to_owned()
    }

    /// Builds the context that `wasmtime_wasi` serves the guest from.
    pub(super) fn context(&self) -> WasiCtx {
        WasiCtxBuilder::new()
            .stdout(self.clone())
            .stderr(self.clone())
            .wall_clock(self.clone())
            .monotonic_clock(self.clone())
            .secure_random(self.clone())
            .insecure_random(self.clone())
            .insecure_random_seed(0x666f_6c64_686f_7374)
            .max_random_size(1024 * 1024)
            .allow_tcp(false)
            .allow_udp(false)
            .build()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn random(&mut self) -> &mut ChaCha8Rng {
        let seed = &self.seed;
        self.random.get_or_insert_with(|| {
            let mut text = Vec::new();
            for part in &seed.0 {
                text.extend_from_slice(&part.len().to_le_bytes());
                text.extend_from_slice(part.as_bytes());
            }
            ChaCha8Rng::from_seed(crate::message::Digest::of(&text).0)
        })
    }
}

impl HostWallClock for World {
    fn resolution(&self) -> Duration {
        Duration::from_micros(1)
    }

    fn now(&self) -> Duration {
        Duration::from_micros(u64::try_from(self.lock().time.0).unwrap_or(0))
    }
}

impl HostMonotonicClock for World {
    fn resolution(&self) -> u64 {
        1_000
    }

    fn now(&self) -> u64 {
        0
    }
}

impl TryRng for World {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.lock().random().try_next_u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.lock().random().try_next_u64()
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.lock().random().try_fill_bytes(bytes)
    }
}

impl IsTerminal for World {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for World {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for World {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut inner = self.lock();
        let room = PRINTED_BYTES.saturating_sub(inner.printed.len());
        inner
            .printed
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> Result<usize, StreamError> {
        Ok(64 * 1024)
    }
}

#[async_trait::async_trait]
impl Pollable for World {
    async fn ready(&mut self) {}
}

/// Adds WASI 0.2 to a linker, with sleeping refused.
pub(super) fn add_to_linker<T: WasiView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_sync(linker)?;
    linker.allow_shadowing(true);
    let mut clock = linker.instance(MONOTONIC_CLOCK)?;
    for function in ["subscribe-duration", "subscribe-instant"] {
        clock.func_wrap(
            function,
            |_, (_,): (u64,)| -> wasmtime::Result<(Resource<DynPollable>,)> {
                Err(wasmtime::Error::msg(
                    "a plugin may not sleep: time comes from the command or the event",
                ))
            },
        )?;
    }
    linker.allow_shadowing(false);
    Ok(())
}

/// As `wasmtime_wasi` 48 names it; the linker matches other patch versions of 0.2 to it.
const MONOTONIC_CLOCK: &str = "wasi:clocks/monotonic-clock@0.2.12";
