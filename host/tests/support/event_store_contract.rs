//! What every event store does.

use std::sync::Arc;

use async_trait::async_trait;
use foldhost::event_store::EventStore;

pub(crate) mod appending;
pub(crate) mod commands;
pub(crate) mod plugins;
pub(crate) mod reading;
pub(crate) mod reopening;
pub(crate) mod transfer;

/// Where one event store is.
#[async_trait]
pub(crate) trait EventStorePlace {
    /// Opens the store: a fresh one at first, the same one again later, as another process would.
    async fn open(&self) -> Arc<dyn EventStore>;
}

/// Holds an adapter to the contract.
#[macro_export]
macro_rules! event_store_contract {
    ($adapter:ident, $make:path) => {
        mod $adapter {
            $crate::behaviours! { event_store_contract, $make,
                appending:
                    positions_are_dense_and_versions_count_within_the_stream
                    an_appended_head_carries_its_time_and_position
                    events_come_back_as_they_were_appended
                    appending_no_entries_changes_nothing
                    a_command_without_events_moves_nothing
                    a_moved_head_is_a_conflict_that_names_the_actual_one
                    the_same_version_with_another_event_id_is_a_conflict
                    an_entry_may_build_on_the_one_before_it
                    what_builds_on_a_failed_entry_falls_and_the_others_stand
                    a_refusal_on_the_true_head_is_checked_and_stores_nothing
                    a_refusal_on_a_moved_head_is_a_conflict
                    a_refusal_may_build_on_an_entry_of_its_batch
                    a_batch_with_a_used_event_id_is_refused_and_leaves_nothing
                    of_twenty_writers_on_one_head_exactly_one_wins
                    sixteen_parallel_writers_leave_no_holes
                    two_processes_at_once_leave_no_holes
                    the_head_is_moved_by_each_commit;
                commands:
                    a_repeated_command_is_answered_with_its_first_outcome
                    a_used_command_id_with_another_hash_is_answered_with_the_first_command
                    a_command_repeated_within_a_batch_is_answered_with_its_first_outcome
                    appending_the_same_batch_again_changes_nothing
                    that_a_command_is_recorded_comes_before_everything_else
                    a_refused_repetition_of_an_accepted_command_is_a_duplicate
                    another_actors_command_id_is_another_command
                    accepted_commands_are_found_and_refused_ones_are_not;
                plugins:
                    what_another_version_decided_is_stale_after_an_activation
                    without_an_active_version_every_plugin_may_decide
                    an_activation_concerns_its_own_aggregate_only
                    an_installed_version_is_found_with_its_bytes
                    installing_again_changes_nothing
                    the_active_version_of_each_name_is_listed
                    what_is_not_installed_cannot_be_activated
                    two_names_never_decide_for_one_aggregate;
                reading:
                    a_stream_is_read_behind_a_version_up_to_a_limit
                    all_events_are_read_behind_a_position_up_to_a_limit
                    a_stream_without_events_has_no_head
                    streams_are_told_apart_by_their_whole_name
                    a_reader_beside_writers_sees_each_event_once_and_in_order
                    the_census_lists_each_type_and_schema_version_once
                    the_streams_written_last_are_sampled_first
                    a_snapshot_is_loaded_only_by_the_plugin_that_wrote_it
                    a_late_snapshot_does_not_replace_a_newer_one
                    a_followers_cursor_is_kept_and_moved;
                reopening:
                    everything_is_there_after_reopening;
                transfer:
                    commands_are_read_in_order_of_actor_and_id_page_by_page
                    a_command_is_read_whole
                    every_installed_version_is_listed_in_order_of_digest
                    an_imported_history_is_the_same_history
                    what_was_imported_is_built_upon
                    an_import_goes_on_where_it_was
                    only_an_empty_store_takes_an_import
                    a_store_with_an_active_plugin_takes_no_import
                    one_import_is_finished_before_another_begins
                    while_an_import_is_unfinished_nothing_is_decided_on_it
                    a_batch_with_a_hole_is_refused_and_leaves_nothing
                    a_command_that_is_there_already_is_left_as_it_is
                    nothing_is_imported_that_was_not_begun
                    an_import_is_not_finished_with_a_plugin_that_is_not_there
                    a_rebased_store_is_another_one_with_the_same_history;
            }
        }
    };
}
