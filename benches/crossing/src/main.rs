//! Measures the ways in which a batch of recorded events can cross into a guest, interleaved in one run.
//!
//! Each round times every form once; the median over the rounds is shown, and each form's ratio to the packed one within
//! the same round. `records` is a WIT record per event, `blobs` a list of bytes per event, `packed` one list for all.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use foldhost::message::{Digest, Json, Position, RecordedEvent, StreamId, Time, Version};
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Config, Engine, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

mod bindings {
    wasmtime::component::bindgen!({ path: "wit", world: "crossing" });
}
use bindings::{Crossing, Event};

/// Events of one batch.
const BATCH: usize = 512;
/// How often each form crosses in one round.
const REPEATS: u32 = 40;
/// How often all forms are timed.
const ROUNDS: usize = 15;

struct Context {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Context {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

fn main() -> anyhow::Result<()> {
    let guest = build()?;
    let mut config = Config::new();
    config.concurrency_support(false).epoch_interruption(true);
    let engine = Engine::new(&config)?;
    let mut linker = Linker::<Context>::new(&engine);
    wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
    let context = Context {
        wasi: WasiCtxBuilder::new().build(),
        table: ResourceTable::new(),
    };
    let mut store = Store::new(&engine, context);
    store.set_epoch_deadline(1_000_000);
    let component = Component::from_file(&engine, guest)?;
    let world = Crossing::instantiate(&mut store, &component, &linker)?;
    let events: Vec<RecordedEvent> = (1..=BATCH as u64).map(event).collect();
    let rounds: Vec<Round> = (0..ROUNDS)
        .map(|_| round(&world, &mut store, &events))
        .collect::<Result<_, _>>()?;
    report(&rounds);
    Ok(())
}

/// Nanoseconds per event: records, blobs, packed, packed and parsed.
type Round = [f64; 4];

fn round(
    world: &Crossing,
    store: &mut Store<Context>,
    events: &[RecordedEvent],
) -> anyhow::Result<Round> {
    let mut sums = [0; 2];
    let records = time(|| {
        let records: Vec<Event> = events.iter().map(record).collect();
        sums[0] = world.call_records(&mut *store, &records)?;
        Ok(())
    })?;
    let blobs = time(|| {
        let blobs: Vec<Vec<u8>> = events.iter().map(|event| pack([event])).collect();
        sums[1] = world.call_blobs(&mut *store, &blobs)?;
        Ok(())
    })?;
    let packed = time(|| {
        let packed = pack(events);
        ensure!(
            world.call_packed(&mut *store, &packed)? == sums[1],
            "the forms do not hold the same"
        );
        Ok(())
    })?;
    let parsed = time(|| {
        let packed = pack(events);
        ensure!(
            world.call_packed_and_parsed(&mut *store, &packed)? > 0,
            "nothing was parsed"
        );
        Ok(())
    })?;
    ensure!(sums[0] > 0, "nothing crossed");
    Ok([records, blobs, packed, parsed])
}

fn time(mut cross: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let started = Instant::now();
    for _ in 0..REPEATS {
        cross()?;
    }
    let nanoseconds = |elapsed: Duration| elapsed.as_secs_f64() * 1e9;
    Ok(nanoseconds(started.elapsed()) / f64::from(REPEATS) / BATCH as f64)
}

/// As the host packs them.
fn pack<'a>(events: impl IntoIterator<Item = &'a RecordedEvent>) -> Vec<u8> {
    foldhost::plugin::Packed::of(events).into_bytes()
}

fn record(event: &RecordedEvent) -> Event {
    Event {
        event_id: event.event_id.to_string(),
        position: event.position.0,
        version: event.version.0,
        time: event.time.0,
        schema_version: event.schema_version,
        stream: event.stream.to_string(),
        type_: event.event_type.to_string(),
        correlation_id: event.correlation_id.to_string(),
        causation_id: event.causation_id.to_string(),
        actor: event.actor.to_string(),
        metadata: event.metadata.as_str().as_bytes().to_vec(),
        data: event.data.as_str().as_bytes().to_vec(),
    }
}

fn event(number: u64) -> RecordedEvent {
    let id = uuid::Uuid::now_v7();
    let data = format!(
        r#"{{"comment":"The {number}th thing that somebody had to say, at about the usual length.","comment_id":"{id}","username":"reader-{number}"}}"#
    );
    RecordedEvent {
        event_id: id,
        stream: StreamId::from_store(&format!("post-{id}")),
        version: Version(number),
        position: Position(number),
        event_type: "CommentAdded".into(),
        schema_version: 1,
        time: Time(1_700_000_000_000_000),
        correlation_id: id.to_string().into(),
        causation_id: id.to_string().into(),
        actor: "anonymous".into(),
        plugin: Digest([7; 32]),
        metadata: Json::from_store("{}"),
        data: Json::from_store(&data),
    }
}

#[allow(clippy::print_stdout, reason = "the bench's result")]
fn report(rounds: &[Round]) {
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    println!(
        "per event, batches of {BATCH}, median of {ROUNDS} rounds; the ratio is to `packed` in the same round"
    );
    for (form, name) in ["records", "blobs", "packed", "packed and parsed"]
        .iter()
        .enumerate()
    {
        let time = median(rounds.iter().map(|round| round[form]).collect());
        let ratio = median(rounds.iter().map(|round| round[form] / round[2]).collect());
        println!("{name:>18}: {time:7.0} ns, {ratio:5.2} x");
    }
}

fn build() -> anyhow::Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = root.join("target").join("bench-components");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args([
        "build",
        "--release",
        "--target",
        "wasm32-wasip2",
        "--package",
        "bench-crossing-guest",
        "--target-dir",
    ]);
    let status = cargo
        .arg(&target)
        .current_dir(root)
        .status()
        .context("cargo cannot be started")?;
    ensure!(status.success(), "the guest cannot be built");
    Ok(target.join("wasm32-wasip2/release/bench_crossing_guest.wasm"))
}
