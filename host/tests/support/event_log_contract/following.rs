use std::sync::Arc;

use foldhost::event_log::EventLog;
use foldhost::message::Position;
use futures_util::FutureExt as _;
use tokio::task::JoinSet;

use super::EventLogPlace;
use crate::support::entries::{all, fill, positions};

pub(crate) async fn events_are_given_from_any_position_up_to_a_limit(place: &dyn EventLogPlace) {
    fill(&place.store(), "a", 20).await;
    assert_eq!(
        follow(&place.log(), 0, 20, 7).await,
        (1..=20).collect::<Vec<u64>>()
    );
    assert_eq!(
        follow(&place.log(), 12, 20, 1).await,
        (13..=20).collect::<Vec<u64>>()
    );
    let events = place.log().next(Position(3), 2).await.unwrap();
    assert_eq!(events[..], all(&place.store()).await[3..3 + events.len()]);
    assert!((1..=2).contains(&events.len()));
}

pub(crate) async fn a_follower_at_the_head_gets_the_next_commit(place: &dyn EventLogPlace) {
    fill(&place.store(), "a", 2).await;
    let log = place.log();
    let waiting = tokio::spawn(async move { positions(&log.next(Position(2), 10).await.unwrap()) });
    tokio::task::yield_now().await;
    fill(&place.store(), "b", 1).await;
    assert_eq!(waiting.await.unwrap(), [3]);
}

pub(crate) async fn an_abandoned_wait_loses_nothing(place: &dyn EventLogPlace) {
    let log = place.log();
    for round in 0..20_u64 {
        let mut wait = log.next(Position(round), 10);
        assert!(
            (&mut wait).now_or_never().is_none(),
            "there is nothing behind {round} yet"
        );
        fill(&place.store(), &format!("{round}-"), 1).await;
        let _ = (&mut wait).now_or_never();
        drop(wait);
        assert_eq!(
            positions(&log.next(Position(round), 10).await.unwrap()),
            [round + 1]
        );
    }
}

pub(crate) async fn followers_near_and_far_see_each_event_once_and_in_order(
    place: &dyn EventLogPlace,
) {
    const EVENTS: u64 = 600;
    let mut followers = JoinSet::new();
    for (after, limit) in [(0, 1), (0, 7), (0, 1_000), (150, 64), (400, 3), (599, 1)] {
        let log = place.log();
        followers.spawn(async move { (after, follow(&log, after, EVENTS, limit).await) });
    }
    for round in 0..EVENTS / 30 {
        fill(&place.store(), &format!("{round}-"), 30).await;
        if round % 5 == 0 {
            // One that begins in the middle, behind those that are already there.
            let log = place.log();
            followers.spawn(async move { (round, follow(&log, round, EVENTS, 50).await) });
        }
    }
    for (after, seen) in followers.join_all().await {
        assert_eq!(seen, (after + 1..=EVENTS).collect::<Vec<u64>>());
    }
}

/// Follows the log from behind one position up to another.
async fn follow(log: &Arc<dyn EventLog>, after: u64, until: u64, limit: usize) -> Vec<u64> {
    let (mut seen, mut at) = (Vec::new(), after);
    while at < until {
        let events = log.next(Position(at), limit).await.unwrap();
        assert!((1..=limit).contains(&events.len()));
        seen.extend(positions(&events));
        at = events.last().unwrap().position.0;
    }
    seen
}
