//! What every read store does.

use std::sync::Arc;

use async_trait::async_trait;
use foldhost::read_store::ReadStore;

pub(crate) mod committing;
pub(crate) mod filtering;
mod fold;
pub(crate) mod generations;
pub(crate) mod paging;
pub(crate) mod parking;

/// Where one read store is.
#[async_trait]
pub(crate) trait ReadStorePlace: Sync {
    /// Opens the store: a fresh one at first, the same one again later.
    async fn open(&self) -> Arc<dyn ReadStore>;
}

/// Holds an adapter to the contract.
#[macro_export]
macro_rules! read_store_contract {
    ($adapter:ident, $make:path) => {
        mod $adapter {
            $crate::behaviours! { read_store_contract, $make,
                generations:
                    a_fresh_generation_is_empty_and_not_live
                    numbers_count_up_and_are_never_used_again
                    a_switch_makes_one_generation_live_and_retires_the_former
                    switching_to_the_live_generation_changes_nothing
                    a_retired_generation_can_be_live_again
                    a_live_generation_is_not_dropped
                    dropping_again_changes_nothing
                    what_was_dropped_is_gone_for_every_call
                    generations_do_not_share_documents
                    names_may_hold_anything
                    projections_with_a_generation_are_listed
                    a_generations_collections_are_listed_in_order;
                committing:
                    a_commit_moves_the_checkpoint_together_with_its_documents
                    a_commit_out_of_sequence_is_refused_and_changes_nothing
                    what_was_taken_over_is_no_longer_committed_to_by_its_former_owner
                    of_twenty_owners_exactly_one_commits
                    a_commit_to_an_undeclared_collection_leaves_nothing
                    a_document_that_cannot_be_indexed_leaves_nothing
                    documents_are_replaced_deleted_and_written_again
                    documents_come_back_byte_for_byte
                    absent_documents_are_left_out
                    once_deviating_a_generation_stays_so
                    everything_is_there_after_reopening;
                parking:
                    parked_events_are_listed_in_order_page_by_page
                    unparked_events_are_listed_no_more
                    parking_an_event_again_renews_its_error
                    a_commit_out_of_sequence_parks_nothing
                    parked_events_are_their_generations_own;
                filtering:
                    filters_mean_what_their_definition_says
                    hostile_text_is_only_text
                    large_integers_are_told_apart
                    an_undeclared_collection_cannot_be_searched;
                paging:
                    kinds_are_ordered_null_number_string_bool
                    pages_put_together_are_the_whole_in_order
                    a_page_walk_beside_writers_misses_nothing_and_repeats_nothing
                    a_sort_by_what_is_no_path_is_refused
                    a_place_from_another_order_is_refused
                    a_page_of_no_documents_is_empty;
            }
        }
    };
}
