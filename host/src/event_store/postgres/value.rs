//! Values of rows.

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{
    PgArgumentBuffer, PgHasArrayType, PgRow, PgTypeInfo, PgValueFormat, PgValueRef,
};
use sqlx::{Decode, Encode, Postgres, Row as _, Type};
use uuid::Uuid;

use crate::message::{Digest, Position, StreamHead, Time, Version};

/// The built-in types `timestamptz` and `timestamptz[]`, whose numbers never change.
const TIMESTAMPTZ: Oid = Oid(1184);
const TIMESTAMPTZ_ARRAY: Oid = Oid(1185);
/// From 1970, where our times begin, to 2000, where PostgreSQL's do.
const EPOCHS_APART: i64 = 946_684_800_000_000;

/// A time as PostgreSQL holds it, exact to the microsecond.
pub(super) struct Stamp(pub(super) Time);

impl Type<Postgres> for Stamp {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(TIMESTAMPTZ)
    }
}

impl PgHasArrayType for Stamp {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(TIMESTAMPTZ_ARRAY)
    }
}

impl Encode<'_, Postgres> for Stamp {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let micros = self.0.0.saturating_sub(EPOCHS_APART);
        buffer.extend_from_slice(&micros.to_be_bytes());
        Ok(IsNull::No)
    }
}

impl Decode<'_, Postgres> for Stamp {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        if value.format() != PgValueFormat::Binary {
            return Err("a time that is not binary".into());
        }
        let micros = i64::from_be_bytes(value.as_bytes()?.try_into()?);
        Ok(Self(Time(micros.saturating_add(EPOCHS_APART))))
    }
}

/// Reads a number that was never negative.
pub(super) fn unsigned(row: &PgRow, column: usize) -> sqlx::Result<u64> {
    Ok(row.try_get::<i64, _>(column)?.unsigned_abs())
}

/// Reads a time.
pub(super) fn time(row: &PgRow, column: usize) -> sqlx::Result<Time> {
    Ok(row.try_get::<Stamp, _>(column)?.0)
}

/// Reads a digest.
pub(super) fn digest(row: &PgRow, column: usize) -> sqlx::Result<Digest> {
    let bytes: &[u8] = row.try_get(column)?;
    let digest = bytes.try_into().map_err(|_| sqlx::Error::ColumnDecode {
        index: column.to_string(),
        source: "not 32 bytes".into(),
    })?;
    Ok(Digest(digest))
}

/// Reads a UUID.
pub(super) fn uuid(row: &PgRow, column: usize) -> sqlx::Result<Uuid> {
    row.try_get(column)
}

/// Reads text without copying it.
pub(super) fn text(row: &PgRow, column: usize) -> sqlx::Result<&str> {
    row.try_get(column)
}

/// Reads a head from four columns: version, event id, time and position.
pub(super) fn stream_head(row: &PgRow, first: usize) -> sqlx::Result<StreamHead> {
    Ok(StreamHead {
        version: Version(unsigned(row, first)?),
        event_id: uuid(row, first + 1)?,
        time: time(row, first + 2)?,
        position: Position(unsigned(row, first + 3)?),
    })
}

/// A number as PostgreSQL holds it; what is beyond it is beyond everything stored.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
