use std::sync::Arc;

use foldhost::message::{Position, StreamId, Time};
use foldhost::read_store::{Commit, ParkedEvent};

use super::ReadStorePlace;
use super::fold::Fold;

pub(crate) async fn parked_events_are_listed_in_order_page_by_page(place: &dyn ReadStorePlace) {
    let fold = Fold::new(place, &[]).await;
    let events = [
        parked(3, "post-a", Some("it's broken")),
        parked(5, "post-b", Some("x")),
        parked(8, "post-a", None),
    ];
    park(&fold, &[events[2].clone(), events[0].clone()]).await;
    park(&fold, &[events[1].clone()]).await;
    assert_eq!(listed(&fold, 0, 10).await, events);
    assert_eq!(listed(&fold, 3, 1).await, events[1..2]);
    assert_eq!(listed(&fold, 8, 10).await, []);
    assert_eq!(streams(&fold).await, ["post-a", "post-b"]);
    assert_eq!(fold.listed().await.parked, 3);
}

pub(crate) async fn unparked_events_are_listed_no_more(place: &dyn ReadStorePlace) {
    let fold = Fold::new(place, &[]).await;
    let events = [
        parked(3, "post-a", Some("x")),
        parked(5, "post-b", None),
        parked(8, "post-a", None),
    ];
    park(&fold, &events).await;
    let commit = Commit {
        unpark: vec![Position(3), Position(8), Position(99)],
        ..Commit::default()
    };
    fold.commit(commit).await.unwrap();
    assert_eq!(
        (listed(&fold, 0, 10).await, streams(&fold).await),
        (events[1..2].to_vec(), vec!["post-b".to_owned()])
    );
    assert_eq!(fold.listed().await.parked, 1);
}

pub(crate) async fn parking_an_event_again_renews_its_error(place: &dyn ReadStorePlace) {
    let fold = Fold::new(place, &[]).await;
    park(&fold, &[parked(3, "post-a", Some("at first"))]).await;
    let again = ParkedEvent {
        parked_at: Time(99),
        ..parked(3, "post-a", Some("again"))
    };
    let commit = Commit {
        unpark: vec![Position(3)],
        park: vec![again.clone()],
        ..Commit::default()
    };
    fold.commit(commit).await.unwrap();
    assert_eq!(listed(&fold, 0, 10).await, [again]);
    let once_more = parked(3, "post-a", Some("once more"));
    park(&fold, std::slice::from_ref(&once_more)).await;
    assert_eq!(listed(&fold, 0, 10).await, [once_more]);
}

pub(crate) async fn a_commit_out_of_sequence_parks_nothing(place: &dyn ReadStorePlace) {
    let fold = Fold::new(place, &[]).await;
    let commit = Commit {
        park: vec![parked(3, "post-a", None)],
        ..Commit::default()
    };
    fold.store
        .commit(&fold.generation, 5, commit)
        .await
        .unwrap_err();
    assert_eq!(
        (listed(&fold, 0, 10).await, fold.listed().await.parked),
        (vec![], 0)
    );
}

pub(crate) async fn parked_events_are_their_generations_own(place: &dyn ReadStorePlace) {
    let old = Fold::new(place, &[]).await;
    let new = Fold::beside(Arc::clone(&old.store), &[]).await;
    park(&old, &[parked(3, "post-a", None)]).await;
    assert_eq!(
        (listed(&new, 0, 10).await, streams(&new).await),
        (vec![], vec![])
    );
    old.store.drop_generation(&old.generation).await.unwrap();
    assert_eq!(new.listed().await.parked, 0);
}

fn parked(position: u64, stream: &str, error: Option<&str>) -> ParkedEvent {
    ParkedEvent {
        position: Position(position),
        stream: StreamId::parse(stream).unwrap(),
        full_type: "post.PostCreated".into(),
        error: error.map(Into::into),
        parked_at: Time(1_700_000_000_123_456),
    }
}

async fn park(fold: &Fold, events: &[ParkedEvent]) {
    fold.commit(Commit {
        park: events.to_vec(),
        ..Commit::default()
    })
    .await
    .unwrap();
}

async fn listed(fold: &Fold, after: u64, limit: usize) -> Vec<ParkedEvent> {
    fold.store
        .parked(&fold.generation, Position(after), limit)
        .await
        .unwrap()
}

async fn streams(fold: &Fold) -> Vec<String> {
    let mut streams = fold.store.parked_streams(&fold.generation).await.unwrap();
    streams.sort();
    streams
        .iter()
        .map(|stream| stream.as_str().to_owned())
        .collect()
}
