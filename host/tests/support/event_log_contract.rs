//! What every event log does.

use std::sync::Arc;

use foldhost::event_log::EventLog;
use foldhost::event_store::EventStore;

pub(crate) mod following;

/// Where one event store and its log are.
pub(crate) trait EventLogPlace {
    /// The store that the log carries.
    fn store(&self) -> Arc<dyn EventStore>;

    /// The log.
    fn log(&self) -> Arc<dyn EventLog>;
}

/// Holds an adapter to the contract.
#[macro_export]
macro_rules! event_log_contract {
    ($adapter:ident, $make:path) => {
        mod $adapter {
            $crate::behaviours! { event_log_contract, $make,
                following:
                    events_are_given_from_any_position_up_to_a_limit
                    a_follower_at_the_head_gets_the_next_commit
                    an_abandoned_wait_loses_nothing
                    followers_near_and_far_see_each_event_once_and_in_order;
            }
        }
    };
}
