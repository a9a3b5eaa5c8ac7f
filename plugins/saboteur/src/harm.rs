//! What the saboteur does to whoever calls it.

use std::hash::{BuildHasher as _, RandomState};
use std::hint::black_box;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{env, fs, thread};

use foldhost_plugin_sdk::describe::ParameterKind;
use foldhost_plugin_sdk::{Failure, Json, Parameter, error};

const MEBIBYTE: usize = 1024 * 1024;

/// Harm that does not come to an end, or to a bad one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Json)]
#[serde(rename_all = "kebab-case")]
pub enum Harm {
    /// Runs for ever.
    Loop,
    /// Calls itself without end.
    Recurse,
    /// Takes 10 GiB at once.
    Allocate,
    /// Takes memory little by little without end.
    Grow,
    /// Panics with a message.
    Panic,
    /// Sleeps for an hour.
    Sleep,
    /// Logs without end.
    Chatter,
    /// Fails with a message; in a projection alone, elsewhere it is a panic.
    Fail,
    /// Writes to a collection that is not declared; in a projection alone.
    UndeclaredCollection,
    /// Writes a document of 32 MiB; in a projection alone.
    HugeDocument,
    /// Writes a document that is no object; in a projection alone.
    NotAnObject,
}

impl Parameter for Harm {
    const KIND: ParameterKind = ParameterKind::Text;
}

impl Harm {
    /// Does it.
    ///
    /// # Errors
    /// With [`Harm::Fail`], and with what only a projection can do.
    pub fn be_done(self) -> Result<(), Failure> {
        match self {
            Self::Loop => while black_box(true) {},
            Self::Recurse => drop(black_box(recurse(0))),
            Self::Allocate => allocate(10 * 1024),
            Self::Grow => allocate(usize::MAX),
            Self::Panic => panic!("the saboteur panics on purpose"),
            Self::Sleep => thread::sleep(Duration::from_secs(3600)),
            Self::Chatter => {
                while black_box(true) {
                    error!("the saboteur chatters on purpose");
                }
            }
            Self::Fail => return Err(Failure::new("the saboteur fails on purpose")),
            Self::UndeclaredCollection | Self::HugeDocument | Self::NotAnObject => {
                return Err(Failure::new("only a projection writes documents"));
            }
        }
        Ok(())
    }
}

/// Keeps something on the stack, so that no compiler turns the call into a jump.
fn recurse(depth: u64) -> u64 {
    let here = black_box([depth; 32]);
    if black_box(true) {
        return recurse(depth + 1).wrapping_add(here[0]);
    }
    depth
}

/// Takes so many mebibytes and touches every page of them.
fn allocate(mebibytes: usize) {
    let mut taken = Vec::new();
    while taken.len() < mebibytes {
        taken.push(black_box(vec![1_u8; MEBIBYTE]));
    }
    drop(black_box(taken));
}

/// A text of so many mebibytes.
pub(crate) fn text_of(mebibytes: usize) -> String {
    "x".repeat(mebibytes * MEBIBYTE)
}

/// What the clocks show: microseconds since 1970, and nanoseconds between two looks at the steady one.
pub(crate) fn read_clocks() -> (u64, u64) {
    let before = Instant::now();
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    let micros = since_epoch.map(|time| time.as_micros()).unwrap_or_default();
    let elapsed = before.elapsed().as_nanos();
    (
        u64::try_from(micros).unwrap_or(u64::MAX),
        u64::try_from(elapsed).unwrap_or(u64::MAX),
    )
}

/// One draw from the system's randomness.
#[allow(unsafe_code, reason = "std has no function for it, libc has")]
pub(crate) fn read_random() -> u64 {
    unsafe extern "C" {
        fn getentropy(buffer: *mut u8, length: usize) -> i32;
    }
    let mut bytes = [0; 8];
    // SAFETY: the buffer is as long as said.
    let status = unsafe { getentropy(bytes.as_mut_ptr(), bytes.len()) };
    if status == 0 {
        u64::from_le_bytes(bytes)
    } else {
        0
    }
}

/// One draw from the randomness that hash maps are seeded with.
pub(crate) fn read_hash_seed() -> u64 {
    RandomState::new().hash_one("saboteur")
}

/// What it gets when it looks for files.
pub(crate) fn read_files() -> Vec<String> {
    let root = fs::read_dir("/").map(|entries| format!("{} entries", entries.count()));
    let here = fs::read_dir(".").map(|entries| format!("{} entries", entries.count()));
    let users = fs::read("/etc/passwd").map(|bytes| format!("{} bytes", bytes.len()));
    let answer = |result: std::io::Result<String>| result.unwrap_or_else(|error| error.to_string());
    vec![answer(root), answer(here), answer(users)]
}

/// What it gets when it looks for environment variables and arguments.
pub(crate) fn read_environment() -> Vec<String> {
    let variables = env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned());
    let arguments = env::args_os().map(|argument| argument.to_string_lossy().into_owned());
    variables.chain(arguments).collect()
}
