//! Aggregate `permit`: the application for an environmental permit and the tasks done on it.
//!
//! Times here are the municipality's own, given with the commands: a log from the past can be recorded as it was.

use std::collections::BTreeSet;

use foldhost_plugin_sdk::{Aggregate, Command, Context, Envelope, Event, Json, Rejection, Time};

/// The longest name in bytes: read models make document ids of names, and those are bounded.
const LONGEST_NAME: usize = 200;

/// The state of one application.
#[derive(Debug, Default, Json)]
pub struct Permit {
    /// When something last happened; nothing before the registration.
    pub latest: Option<Time>,
    /// The task instances that were recorded.
    pub tasks: BTreeSet<String>,
}

/// What one may ask of an application.
#[derive(Command)]
pub enum PermitCommand {
    /// Registers an application.
    Register {
        /// How it came in, such as `Internet`.
        channel: String,
        /// Which department handles it.
        department: String,
        /// Which group handles it, if one does.
        group: Option<String>,
        /// Who is responsible for it.
        responsible: String,
        /// When it came in.
        started_at: Time,
        /// When it was closed, if it was.
        ended_at: Option<Time>,
        /// When it has to be decided.
        deadline: Option<Time>,
    },
    /// Records a task that was done on a registered application.
    RecordTask {
        /// Which task instance; each is recorded once.
        task: String,
        /// What was done, such as `T02 Check confirmation of receipt`.
        activity: String,
        /// Who did it.
        resource: String,
        /// The group of that resource, if it is known.
        group: Option<String>,
        /// When it was done; not before anything that is recorded already.
        at: Time,
    },
}

/// What happened to an application.
#[derive(Event)]
pub enum PermitEvent {
    /// An application was registered.
    PermitRegistered {
        /// How it came in.
        channel: String,
        /// Which department handles it.
        department: String,
        /// Which group handles it, if one does.
        group: Option<String>,
        /// Who is responsible for it.
        responsible: String,
        /// When it came in.
        started_at: Time,
        /// When it was closed, if it was.
        ended_at: Option<Time>,
        /// When it has to be decided.
        deadline: Option<Time>,
    },
    /// A task was done.
    TaskRecorded {
        /// Which task instance.
        task: String,
        /// What was done.
        activity: String,
        /// Who did it.
        resource: String,
        /// The group of that resource, if it is known.
        group: Option<String>,
        /// When it was done.
        at: Time,
    },
}

impl Aggregate for Permit {
    const NAME: &'static str = "permit";
    type Command = PermitCommand;
    type Event = PermitEvent;

    fn decide(
        &self,
        command: PermitCommand,
        _: &Context<'_>,
    ) -> Result<Vec<PermitEvent>, Rejection> {
        match &command {
            PermitCommand::Register {
                channel,
                department,
                responsible,
                ..
            } => {
                self.refuse_if_registered()?;
                refuse_long([channel, department, responsible])?;
            }
            PermitCommand::RecordTask {
                task,
                activity,
                resource,
                at,
                ..
            } => {
                self.refuse_task(task, *at)?;
                refuse_long([task, activity, resource])?;
            }
        }
        Ok(vec![happened(command)])
    }

    fn evolve(&mut self, event: PermitEvent, _: &Envelope<'_>) {
        match event {
            PermitEvent::PermitRegistered { started_at, .. } => self.latest = Some(started_at),
            PermitEvent::TaskRecorded { task, at, .. } => {
                self.latest = Some(at);
                self.tasks.insert(task);
            }
        }
    }
}

impl Permit {
    fn refuse_if_registered(&self) -> Result<(), Rejection> {
        if self.latest.is_some() {
            let message = "the application is registered already";
            return Err(Rejection::new("already-registered", message));
        }
        Ok(())
    }

    /// A task done twice is named before its time, which has passed by then.
    fn refuse_task(&self, task: &str, at: Time) -> Result<(), Rejection> {
        let Some(latest) = self.latest else {
            let message = "the application is not registered";
            return Err(Rejection::new("not-registered", message));
        };
        if self.tasks.contains(task) {
            let message = format!("the task {task} is recorded already");
            return Err(Rejection::new("task-already-recorded", message));
        }
        if at < latest {
            let message = format!("something happened at {latest}, after {at}");
            return Err(Rejection::new("time-goes-back", message));
        }
        Ok(())
    }
}

/// What a command leads to that nothing speaks against.
fn happened(command: PermitCommand) -> PermitEvent {
    match command {
        PermitCommand::Register {
            channel,
            department,
            group,
            responsible,
            started_at,
            ended_at,
            deadline,
        } => PermitEvent::PermitRegistered {
            channel,
            department,
            group,
            responsible,
            started_at,
            ended_at,
            deadline,
        },
        PermitCommand::RecordTask {
            task,
            activity,
            resource,
            group,
            at,
        } => PermitEvent::TaskRecorded {
            task,
            activity,
            resource,
            group,
            at,
        },
    }
}

fn refuse_long(names: [&String; 3]) -> Result<(), Rejection> {
    if names.iter().any(|name| name.len() > LONGEST_NAME) {
        let message = format!("a name has more than {LONGEST_NAME} bytes");
        return Err(Rejection::new("name-too-long", message));
    }
    Ok(())
}

foldhost_plugin_sdk::export_aggregate!(Permit);
