//! The aggregate `saboteur`: a command for each harm, and a healthy one.

use foldhost_plugin_sdk::{Aggregate, Command, Context, Envelope, Event, Json, Rejection};

use crate::harm::{
    Harm, read_clocks, read_environment, read_files, read_hash_seed, read_random, text_of,
};

/// The state of one saboteur.
#[derive(Debug, Default, Json)]
pub struct Saboteur {
    /// How often it behaved.
    pub behaved: u64,
    /// How many other events there are.
    pub other: u64,
}

/// What one may ask of a saboteur.
#[derive(Command)]
pub enum SaboteurCommand {
    /// Behaves: records one healthy event.
    Behave {
        /// How often it behaves; once unless said.
        times: Option<u32>,
    },
    /// Is refused, as a healthy aggregate refuses.
    Refuse,
    /// Runs for ever.
    LoopForever,
    /// Calls itself without end.
    Recurse,
    /// Takes 10 GiB of memory.
    Allocate,
    /// Takes memory little by little without end.
    Grow,
    /// Panics with a message.
    Panic,
    /// Sleeps for an hour.
    Sleep,
    /// Logs without end.
    Chatter,
    /// Records what the clocks show.
    ReadClock,
    /// Records two draws of each kind of randomness.
    ReadRandom,
    /// Records what it finds of files and environment.
    ReadFiles,
    /// Records an event whose data is no JSON.
    NotJson,
    /// Records an event whose data does not fit its schema.
    WrongData,
    /// Records an event of a type that it does not declare.
    UndeclaredEvent,
    /// Records an event in a schema version that it does not declare.
    UndeclaredVersion,
    /// Records an event of 64 MiB.
    HugeEvent,
    /// Records 100,000 events at once.
    ManyEvents,
    /// Is refused with a message of 64 MiB.
    HugeRejection,
    /// Records an event that its own state cannot fold without a trap.
    BreakEvolve,
    /// Records a healthy event that harms the projection when it is folded.
    Poison {
        /// What the projection shall do.
        how: Harm,
    },
}

/// What happened to a saboteur.
#[derive(Event)]
pub enum SaboteurEvent {
    /// It behaved.
    Behaved {
        /// How often.
        times: u32,
    },
    /// It harms whoever folds this in the projection.
    Sabotage {
        /// What is done.
        how: Harm,
    },
    /// It read the clocks.
    ClockRead {
        /// Microseconds since 1970 of the system's clock.
        system_micros: u64,
        /// Nanoseconds between two looks at the steady clock.
        elapsed_nanos: u64,
    },
    /// It drew random numbers.
    RandomRead {
        /// Two draws from the system's randomness, in hexadecimal.
        draws: [String; 2],
        /// Two draws from the seeds of hash maps, in hexadecimal.
        hash_seeds: [String; 2],
    },
    /// It looked for files and environment.
    FilesRead {
        /// What came of the folder `/`, of `.` and of a file that every Unix has.
        files: Vec<String>,
        /// Names of environment variables, and arguments.
        environment: Vec<String>,
    },
    /// It recorded something large.
    Swollen {
        /// As large as asked for.
        text: String,
    },
    /// It recorded what it cannot fold.
    EvolveBroken,
}

impl Aggregate for Saboteur {
    const NAME: &'static str = "saboteur";
    const SNAPSHOT_INTERVAL: u32 = 50;
    type Command = SaboteurCommand;
    type Event = SaboteurEvent;

    fn decide(
        &self,
        command: SaboteurCommand,
        _: &Context<'_>,
    ) -> Result<Vec<SaboteurEvent>, Rejection> {
        let event = match command {
            SaboteurCommand::Behave { times } => SaboteurEvent::Behaved {
                times: times.unwrap_or(1),
            },
            SaboteurCommand::Refuse => return refuse("refused on purpose"),
            SaboteurCommand::LoopForever => return harm(Harm::Loop),
            SaboteurCommand::Recurse => return harm(Harm::Recurse),
            SaboteurCommand::Allocate => return harm(Harm::Allocate),
            SaboteurCommand::Grow => return harm(Harm::Grow),
            SaboteurCommand::Panic => return harm(Harm::Panic),
            SaboteurCommand::Sleep => return harm(Harm::Sleep),
            SaboteurCommand::Chatter => return harm(Harm::Chatter),
            SaboteurCommand::ReadClock => clock_read(),
            SaboteurCommand::ReadRandom => random_read(),
            SaboteurCommand::ReadFiles => SaboteurEvent::FilesRead {
                files: read_files(),
                environment: read_environment(),
            },
            SaboteurCommand::HugeEvent => SaboteurEvent::Swollen { text: text_of(64) },
            SaboteurCommand::ManyEvents => {
                let behaved = || SaboteurEvent::Behaved { times: 1 };
                return Ok((0..100_000).map(|_| behaved()).collect());
            }
            SaboteurCommand::HugeRejection => return refuse(&text_of(64)),
            SaboteurCommand::BreakEvolve => SaboteurEvent::EvolveBroken,
            SaboteurCommand::Poison { how } => SaboteurEvent::Sabotage { how },
            // Told by `LyingSaboteur`, before it comes to this.
            SaboteurCommand::NotJson
            | SaboteurCommand::WrongData
            | SaboteurCommand::UndeclaredEvent
            | SaboteurCommand::UndeclaredVersion => {
                return refuse("only the low-level door lets it lie");
            }
        };
        Ok(vec![event])
    }

    fn evolve(&mut self, event: SaboteurEvent, _: &Envelope<'_>) {
        match event {
            SaboteurEvent::Behaved { times } => self.behaved += u64::from(times),
            SaboteurEvent::EvolveBroken => panic!("the saboteur cannot fold this on purpose"),
            SaboteurEvent::Sabotage { .. }
            | SaboteurEvent::ClockRead { .. }
            | SaboteurEvent::RandomRead { .. }
            | SaboteurEvent::FilesRead { .. }
            | SaboteurEvent::Swollen { .. } => self.other += 1,
        }
    }
}

/// Does harm; one that comes to an end is recorded as if nothing had happened.
fn harm(harm: Harm) -> Result<Vec<SaboteurEvent>, Rejection> {
    match harm.be_done() {
        Ok(()) => Ok(vec![SaboteurEvent::Behaved { times: 1 }]),
        Err(failure) => refuse(failure.message()),
    }
}

fn refuse(message: &str) -> Result<Vec<SaboteurEvent>, Rejection> {
    Err(Rejection::new("refused", message))
}

fn clock_read() -> SaboteurEvent {
    let (system_micros, elapsed_nanos) = read_clocks();
    SaboteurEvent::ClockRead {
        system_micros,
        elapsed_nanos,
    }
}

fn random_read() -> SaboteurEvent {
    let hexadecimal = |draw: u64| format!("{draw:016x}");
    SaboteurEvent::RandomRead {
        draws: [read_random(), read_random()].map(hexadecimal),
        hash_seeds: [read_hash_seed(), read_hash_seed()].map(hexadecimal),
    }
}
