//! Servers as processes of our own, with programs from package registries.

use std::net::TcpListener;
use std::sync::Mutex;
use std::time::Instant;

use anyhow::anyhow;
use foldhost_test_servers::{Kind, Place, Server, free_port};

use super::state::{Entry, Locked, Origin, data_folder};
use super::{folder, given};
use crate::note;

/// Prepares and starts the servers, all at a time, and returns the URL of each or what went wrong.
pub(crate) fn all(
    locked: &mut Locked,
    wanted: &[Kind],
    for_tests: bool,
) -> Vec<(Kind, anyhow::Result<String>)> {
    let locked = Mutex::new(locked);
    at_a_time(wanted, |kind| one(&locked, kind, for_tests))
}

/// Prepares the servers, all at a time, and starts none.
pub(crate) fn prepare(wanted: &[Kind]) -> anyhow::Result<()> {
    let prepare = |kind: Kind| kind.prepare_with(&folder(), &note);
    let prepared = at_a_time(wanted, prepare).into_iter();
    prepared.map(|(_, server)| server.map(drop)).collect()
}

/// Does something for each kind, in a thread for each.
fn at_a_time<T: Send>(
    wanted: &[Kind],
    action: impl Fn(Kind) -> anyhow::Result<T> + Sync,
) -> Vec<(Kind, anyhow::Result<T>)> {
    let action = &action;
    std::thread::scope(|scope| {
        let threads: Vec<_> = wanted
            .iter()
            .map(|kind| (*kind, scope.spawn(move || action(*kind))))
            .collect();
        let results = threads.into_iter().map(|(kind, thread)| {
            let broken = || Err(anyhow!("the thread of {} broke", kind.name()));
            (kind, thread.join().unwrap_or_else(|_| broken()))
        });
        results.collect()
    })
}

fn one(locked: &Mutex<&mut Locked>, kind: Kind, for_tests: bool) -> anyhow::Result<String> {
    let began = Instant::now();
    let server = kind.prepare_with(&folder(), &note)?;
    let place = place(locked, &server)?;
    let mut running = server.begin(&place)?;
    // Noted before it answers, so that a call that is killed meanwhile leaves nothing that nobody knows of.
    let url = running.url().to_owned();
    let noted = Entry {
        url: url.clone(),
        for_tests,
        origin: Origin::Process(Box::new(running.as_seen_by_others())),
    };
    with(locked, |locked| locked.add(kind, noted))?;
    if let Err(error) = running.wait_until_it_answers() {
        with(locked, |locked| locked.stop(kind))?;
        return Err(error);
    }
    let seconds = began.elapsed().as_secs_f32();
    note(&format!("{} is up after {seconds:.1} s", server.version));
    Ok(url)
}

/// A folder per version that may not understand another's files; the port it had before, while nobody else has it.
fn place(locked: &Mutex<&mut Locked>, server: &Server) -> anyhow::Result<Place> {
    let kind = server.kind;
    let major = server.version.split('.').next().unwrap_or_default();
    let name = major.to_lowercase().replace(' ', "-");
    let before = with(locked, |locked| {
        Ok(locked.before(kind).and_then(|url| given::port(kind, url)))
    })?;
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let port = before.filter(is_free).map_or_else(free_port, Ok)?;
    let mut place = Place::new(data_folder()?.join(name), port);
    place.log = folder().join("logs").join(format!("{}.log", kind.name()));
    Ok(place)
}

fn with<T>(
    locked: &Mutex<&mut Locked>,
    action: impl FnOnce(&mut Locked) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let mut locked = locked
        .lock()
        .map_err(|_| anyhow!("another server's thread broke"))?;
    action(&mut locked)
}
