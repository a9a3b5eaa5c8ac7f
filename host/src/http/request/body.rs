//! Bodies of bounded size.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_LENGTH;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;

use super::super::error::{Kind, Problem};
use super::media_type;

/// A client that takes longer to send a body is cut off, so that slow ones cannot hold every place.
const PATIENCE: Duration = Duration::from_secs(30);
/// How much of a body that is too large is read and thrown away, so that its sender gets to read the answer instead of a
/// connection that breaks under it.
const DRAINED: usize = 16 * 1024 * 1024;
/// How long that may take.
const DRAINING: Duration = Duration::from_secs(2);

/// Reads a whole body of at most `limit` bytes, whether its length is announced or not.
pub(in super::super) async fn read(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
) -> Result<Bytes, Problem> {
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let mut chunks = body.into_data_stream();
    let collected = if announced.is_some_and(|length| length > limit) {
        Err(too_large(limit))
    } else {
        let collecting = collect(&mut chunks, limit);
        let slow = || {
            Problem::new(
                Kind::BodyTooSlow,
                format!("the body did not arrive within {} s", PATIENCE.as_secs()),
            )
        };
        tokio::time::timeout(PATIENCE, collecting)
            .await
            .unwrap_or_else(|_| Err(slow()))
    };
    if collected.as_ref().is_err_and(Problem::is_too_large) {
        // Whether all of it could be drained makes no difference to the answer.
        let _ = tokio::time::timeout(DRAINING, drain(&mut chunks)).await;
    }
    collected
}

/// Tells whether a body claims to be JSON, or claims nothing.
pub(in super::super) fn is_json(headers: &HeaderMap) -> Result<(), Problem> {
    media_type(headers, &["application/json"])
}

/// The first chunk is mostly the only one, and is not copied.
async fn collect(chunks: &mut BodyDataStream, limit: usize) -> Result<Bytes, Problem> {
    let broken = |error: axum::Error| {
        Problem::new(Kind::MalformedBody, format!("the body broke off: {error}"))
    };
    let Some(first) = chunks.next().await.transpose().map_err(broken)? else {
        return Ok(Bytes::new());
    };
    if first.len() > limit {
        return Err(too_large(limit));
    }
    let Some(second) = chunks.next().await.transpose().map_err(broken)? else {
        return Ok(first);
    };
    let mut all = BytesMut::from(first);
    let mut next = Some(second);
    while let Some(chunk) = next {
        if all.len() + chunk.len() > limit {
            return Err(too_large(limit));
        }
        all.extend_from_slice(&chunk);
        next = chunks.next().await.transpose().map_err(broken)?;
    }
    Ok(all.freeze())
}

async fn drain(chunks: &mut BodyDataStream) {
    let mut drained = 0;
    while let Some(Ok(chunk)) = chunks.next().await {
        drained += chunk.len();
        if drained > DRAINED {
            return;
        }
    }
}

fn too_large(limit: usize) -> Problem {
    Problem::new(
        Kind::TooLarge,
        format!("the body has more than {limit} bytes"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read_chunks(chunks: &[&'static str], limit: usize) -> Result<Bytes, Problem> {
        let chunks: Vec<_> = chunks
            .iter()
            .map(|chunk| Ok::<_, std::io::Error>(*chunk))
            .collect();
        read(
            &HeaderMap::new(),
            Body::from_stream(futures_util::stream::iter(chunks)),
            limit,
        )
        .await
    }

    #[tokio::test]
    async fn chunks_are_joined_up_to_the_limit_and_refused_beyond_it() {
        assert_eq!(read_chunks(&[], 3).await.unwrap(), "");
        assert_eq!(read_chunks(&["abc"], 3).await.unwrap(), "abc");
        assert_eq!(read_chunks(&["a", "b", "c"], 3).await.unwrap(), "abc");
        assert!(
            read_chunks(&["a", "b", "cd"], 3)
                .await
                .unwrap_err()
                .is_too_large()
        );
        assert!(read_chunks(&["abcd"], 3).await.unwrap_err().is_too_large());
    }
}
