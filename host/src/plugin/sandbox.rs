//! The engine that runs guests, and what a guest's store carries.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::component::{HasSelf, Linker, ResourceTable};
use wasmtime::{
    Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, ResourceLimiter, Store,
    Trap, UpdateDeadline,
};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::bindings::aggregate_world::foldhost::plugin::log;
use super::bindings::projection_world::foldhost::plugin::documents;
use super::fault::Fault;
use super::limits::Limits;
use super::wasi::{self, Seed, World};
use super::working_set::{Misuse, WorkingSet};
use crate::message::Time;

/// How often a running guest looks whether its time is up: the precision of every deadline.
const TICK: Duration = Duration::from_millis(10);
/// The largest memory of one instance; also the size of a pool slot, which costs address space only.
const MAX_MEMORY: usize = 256 * 1024 * 1024;
/// The stack of a guest. Rust guests get a mebibyte of shadow stack of their own; this bounds call depth.
pub(super) const GUEST_STACK: usize = 1024 * 1024;

/// Runs guests: one per host.
#[derive(Clone)]
pub struct Sandbox {
    pub(super) engine: Engine,
    pub(super) linker: Arc<Linker<GuestContext>>,
}

impl Sandbox {
    /// Makes an engine with room for `instances` guests at a time.
    pub fn new(instances: u32) -> wasmtime::Result<Self> {
        let engine = Engine::new(&config(instances))?;
        let mut linker = Linker::new(&engine);
        wasi::add_to_linker(&mut linker)?;
        log::add_to_linker::<_, HasSelf<_>>(&mut linker, |context: &mut GuestContext| context)?;
        documents::add_to_linker::<_, HasSelf<_>>(&mut linker, |context: &mut GuestContext| {
            context
        })?;
        start_ticking(&engine);
        Ok(Self {
            engine,
            linker: Arc::new(linker),
        })
    }
}

fn config(instances: u32) -> Config {
    let mut pool = PoolingAllocationConfig::default();
    // A Rust component is a main module and two or three small ones that tie it to WASI.
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(5))
        .total_memories(instances.saturating_mul(2))
        .total_tables(instances.saturating_mul(6))
        .max_memory_size(MAX_MEMORY)
        .max_memories_per_component(2)
        .table_elements(20_000)
        // Guests are called synchronously, on the caller's stack.
        .total_stacks(0)
        .linear_memory_keep_resident(1024 * 1024);
    let mut config = Config::new();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .concurrency_support(false)
        .epoch_interruption(true)
        .max_wasm_stack(GUEST_STACK)
        .wasm_backtrace_details(wasmtime::WasmBacktraceDetails::Disable)
        .memory_init_cow(true);
    config
}

/// Ends by itself when the engine is gone.
fn start_ticking(engine: &Engine) {
    let engine = engine.weak();
    let tick = move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(TICK);
        }
    };
    let started = std::thread::Builder::new()
        .name("foldhost-epoch".to_owned())
        .spawn(tick);
    if let Err(error) = started {
        tracing::error!(%error, "no thread for guest deadlines");
    }
}

/// What a guest's store carries between and during calls.
pub(super) struct GuestContext {
    wasi: WasiCtx,
    table: ResourceTable,
    plugin: Arc<str>,
    memory: MemoryMeter,
    lines: u32,
    max_lines: u32,
    /// The documents of the running batch; absent outside `project`.
    pub(super) documents: Option<WorkingSet>,
    /// How long the guest has waited for documents since its time was last prolonged by it.
    waited: Duration,
    misuse: Option<Misuse>,
}

/// Watches linear memory grow, and tells whether it was what ended a call.
struct MemoryMeter {
    limit: usize,
    used: usize,
    exceeded: bool,
}

impl ResourceLimiter for MemoryMeter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let used = self.used.saturating_sub(current).saturating_add(desired);
        if used > self.limit {
            self.exceeded = true;
            return Err(wasmtime::Error::msg("memory limit reached"));
        }
        self.used = used;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= 20_000)
    }
}

impl WasiView for GuestContext {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl log::Host for GuestContext {
    fn log(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        self.lines += 1;
        if self.lines > self.max_lines {
            return Ok(());
        }
        let plugin = &*self.plugin;
        match level {
            log::Level::Trace => tracing::trace!(target: "plugin", plugin, "{message}"),
            log::Level::Debug => tracing::debug!(target: "plugin", plugin, "{message}"),
            log::Level::Info => tracing::info!(target: "plugin", plugin, "{message}"),
            log::Level::Warn => tracing::warn!(target: "plugin", plugin, "{message}"),
            log::Level::Error => tracing::error!(target: "plugin", plugin, "{message}"),
        }
        Ok(())
    }
}

impl GuestContext {
    fn with_documents<R>(
        &mut self,
        work: impl FnOnce(&mut WorkingSet) -> Result<R, Misuse>,
    ) -> wasmtime::Result<R> {
        let result = match &mut self.documents {
            Some(documents) => work(documents),
            None => Err(Misuse::Refused(
                "documents exist only while events are projected".to_owned(),
            )),
        };
        result.map_err(|misuse| {
            self.misuse = Some(misuse);
            wasmtime::Error::msg("misuse of documents")
        })
    }
}

impl documents::Host for GuestContext {
    fn get(&mut self, collection: String, id: String) -> wasmtime::Result<Option<Vec<u8>>> {
        let asked = Instant::now();
        let document = self.with_documents(|documents| documents.get(&collection, &id))?;
        self.waited += asked.elapsed();
        Ok(document.map(|json| json.as_str().as_bytes().to_vec()))
    }

    fn put(&mut self, collection: String, id: String, document: Vec<u8>) -> wasmtime::Result<()> {
        self.with_documents(|documents| documents.put(&collection, &id, &document))
    }

    fn delete(&mut self, collection: String, id: String) -> wasmtime::Result<()> {
        self.with_documents(|documents| documents.delete(&collection, &id))
    }
}

/// A store with one guest in it, and the bounds of its calls. A trap ends it for good.
pub(super) struct Cell {
    pub(super) store: Store<GuestContext>,
    world: World,
    plugin: Arc<str>,
    limits: Limits,
    poisoned: bool,
}

impl Cell {
    pub(super) fn new(sandbox: &Sandbox, plugin: &Arc<str>, limits: &Limits) -> Self {
        let world = World::new();
        let context = GuestContext {
            wasi: world.context(),
            table: ResourceTable::new(),
            plugin: Arc::clone(plugin),
            memory: MemoryMeter {
                limit: limits.memory_bytes().min(MAX_MEMORY),
                used: 0,
                exceeded: false,
            },
            lines: 0,
            max_lines: limits.log_lines,
            documents: None,
            waited: Duration::ZERO,
            misuse: None,
        };
        let mut store = Store::new(&sandbox.engine, context);
        store.limiter(|context| &mut context.memory);
        // A slow read store is no fault of the guest's: what it has waited for documents does not count.
        store.epoch_deadline_callback(|mut context| {
            match std::mem::take(&mut context.data_mut().waited) {
                Duration::ZERO => Err(Trap::Interrupt.into()),
                waited => Ok(UpdateDeadline::Continue(ticks(waited))),
            }
        });
        // Bounds what one call may lift out of the guest, so that lists which overlap cannot multiply.
        store.set_hostcall_fuel(limits.output_bytes());
        Self {
            store,
            world,
            plugin: Arc::clone(plugin),
            limits: limits.clone(),
            poisoned: false,
        }
    }

    /// Bytes of linear memory in use.
    pub(super) fn memory(&self) -> usize {
        self.store.data().memory.used
    }

    pub(super) fn is_poisoned(&self) -> bool {
        self.poisoned
    }

    /// Runs one guest call within its bounds, at a time and with a seed; a failure ends the cell.
    pub(super) fn call<R>(
        &mut self,
        name: &'static str,
        limit: Duration,
        sight: (Time, Seed),
        call: impl FnOnce(&mut Store<GuestContext>) -> wasmtime::Result<R>,
    ) -> Result<R, Fault> {
        if self.poisoned {
            let message = "the instance had trapped before".to_owned();
            return Err(Fault::Trapped {
                plugin: self.plugin.to_string(),
                call: name,
                message,
            });
        }
        self.world.begin(sight.0, sight.1);
        self.store.data_mut().lines = 0;
        self.store.data_mut().waited = Duration::ZERO;
        self.store.set_epoch_deadline(ticks(limit));
        call(&mut self.store).map_err(|error| {
            self.poisoned = true;
            self.fault(name, limit, &error)
        })
    }

    /// Makes a fault of what the guest answered.
    pub(super) fn broken(&self, call: &'static str, message: impl Into<String>) -> Fault {
        Fault::ContractBroken {
            plugin: self.plugin.to_string(),
            call,
            message: message.into(),
        }
    }

    fn fault(&mut self, call: &'static str, limit: Duration, error: &wasmtime::Error) -> Fault {
        let plugin = self.plugin.to_string();
        let printed = self.world.take_printed();
        let context = self.store.data_mut();
        if let Some(misuse) = context.misuse.take() {
            return match misuse {
                Misuse::Refused(message) => Fault::ContractBroken {
                    plugin,
                    call,
                    message,
                },
                Misuse::Unavailable(reason) => Fault::DocumentsUnavailable { plugin, reason },
            };
        }
        if context.memory.exceeded {
            return Fault::MemoryExceeded {
                plugin,
                call,
                limit_mib: self.limits.memory_mib,
            };
        }
        if matches!(error.downcast_ref::<Trap>(), Some(Trap::Interrupt)) {
            return Fault::DeadlineExceeded {
                plugin,
                call,
                limit,
            };
        }
        if is_stack_overflow(error) && printed.is_empty() {
            let message =
                "the call stack grew too deep: look for a recursion without end".to_owned();
            return Fault::Trapped {
                plugin,
                call,
                message,
            };
        }
        let cause = error.root_cause().to_string();
        if cause.contains("fuel allocated for hostcalls") {
            return Fault::OutputExceeded {
                plugin,
                call,
                limit_kib: self.limits.output_kib,
            };
        }
        let message = if printed.is_empty() {
            cause
        } else {
            panic_message(&printed)
        };
        Fault::Trapped {
            plugin,
            call,
            message,
        }
    }
}

/// Rust guests keep a second stack at the bottom of linear memory: when it runs over, that is an access out of bounds.
fn is_stack_overflow(error: &wasmtime::Error) -> bool {
    matches!(
        error.downcast_ref::<Trap>(),
        Some(Trap::StackOverflow | Trap::MemoryOutOfBounds)
    )
}

/// One tick more than needed, since the first may come at once.
fn ticks(limit: Duration) -> u64 {
    u64::try_from(limit.as_millis().div_ceil(TICK.as_millis()))
        .unwrap_or(u64::MAX)
        .saturating_add(1)
}

/// Brings a Rust panic into one line: the place, then the message, without hints on backtraces.
fn panic_message(printed: &str) -> String {
    let start = printed.rfind("panicked at ").unwrap_or(0);
    let lines = printed[start..].lines().map(str::trim);
    let told = lines.filter(|line| !line.is_empty() && !line.starts_with("note: "));
    told.collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(2_000)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_in_one_line_with_its_place() {
        let printed = "some output\n\nthread 'main' panicked at src/lib.rs:3:9:\nno such thing\nnote: run with `RUST_BACKTRACE=1`\n";
        assert_eq!(
            panic_message(printed),
            "panicked at src/lib.rs:3:9: no such thing"
        );
    }
}
