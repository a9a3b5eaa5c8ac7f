//! Points in time and days, without a calendar crate.
//!
//! A plugin has no clock: time comes with the event or the command.

mod calendar;

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use calendar::Day;

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// A point in time in microseconds since 1970-01-01T00:00:00Z.
///
/// In JSON it is RFC 3339 in UTC with milliseconds, `2026-11-23T09:30:00.000Z`;
/// microseconds are written where there are any, so that state and event data keep what they were given.
/// Documents hold whole milliseconds, see [`Time::to_millisecond`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

impl Time {
    /// The time so many microseconds after 1970-01-01T00:00:00Z.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// The time without what is beyond the millisecond.
    #[must_use]
    pub const fn to_millisecond(self) -> Self {
        Self(self.0 - self.0.rem_euclid(1000))
    }

    /// The day of the time in UTC.
    pub const fn day(self) -> Day {
        Day::from_days_since_epoch(self.0.div_euclid(MICROS_PER_DAY))
    }

    /// Microseconds from an earlier time to this one; negative when the other is later.
    pub const fn micros_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// RFC 3339 with all six digits of the microseconds.
    pub fn to_rfc3339_micros(self) -> String {
        format!("{}.{:06}Z", self.whole_seconds(), self.micros_of_second())
    }

    const fn micros_of_second(self) -> i64 {
        self.0.rem_euclid(MICROS_PER_SECOND)
    }

    /// `2026-11-23T09:30:00`.
    fn whole_seconds(self) -> String {
        let seconds = self.0.rem_euclid(MICROS_PER_DAY) / MICROS_PER_SECOND;
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        format!("{}T{hours:02}:{minutes:02}:{:02}", self.day(), seconds % 60)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.micros_of_second();
        if micros % 1000 == 0 {
            write!(formatter, "{}.{:03}Z", self.whole_seconds(), micros / 1000)
        } else {
            write!(formatter, "{}.{micros:06}Z", self.whole_seconds())
        }
    }
}

/// Why a text is no time or no day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseTimeError {
    text: String,
    expected: &'static str,
}

impl fmt::Display for ParseTimeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?} is not {}", self.text, self.expected)
    }
}

impl std::error::Error for ParseTimeError {}

impl FromStr for Time {
    type Err = ParseTimeError;

    /// Reads RFC 3339 with any offset; digits beyond the microsecond are dropped.
    fn from_str(text: &str) -> Result<Self, ParseTimeError> {
        parse(text).ok_or_else(|| ParseTimeError {
            text: text.to_owned(),
            expected: "an RFC 3339 time such as 2026-11-23T09:30:00Z",
        })
    }
}

/// Reads `2026-11-23T09:30:00[.123456](Z|+01:00)`; `None` for anything else.
fn parse(text: &str) -> Option<Time> {
    let bytes = text.as_bytes();
    let day: Day = text.get(..10)?.parse().ok()?;
    if !matches!(bytes.get(10)?, b'T' | b't' | b' ')
        || bytes.get(13)? != &b':'
        || bytes.get(16)? != &b':'
    {
        return None;
    }
    let (hours, minutes) = (
        number(text.get(11..13)?, 23)?,
        number(text.get(14..16)?, 59)?,
    );
    // A leap second is read as the first moment of the next minute, as POSIX clocks show it.
    let seconds = number(text.get(17..19)?, 60)?;
    let (micros, rest) = fraction(text.get(19..)?)?;
    let offset = offset_seconds(rest)?;
    let seconds = hours * 3600 + minutes * 60 + seconds - offset;
    let days = day.days_since_epoch().checked_mul(MICROS_PER_DAY)?;
    days.checked_add(seconds * MICROS_PER_SECOND + micros)
        .map(Time)
}

/// Reads the digits after the point, if there is one, as microseconds; gives what follows them too.
fn fraction(text: &str) -> Option<(i64, &str)> {
    let Some(digits) = text.strip_prefix('.') else {
        return Some((0, text));
    };
    let end = digits.find(|c: char| !c.is_ascii_digit())?;
    let (digits, rest) = digits.split_at(end);
    let micros = digits.bytes().chain([b'0'; 6]).take(6);
    let micros = micros.fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    (!digits.is_empty()).then_some((micros, rest))
}

/// Reads `Z`, `+01:00` or `-01:00`.
fn offset_seconds(text: &str) -> Option<i64> {
    if text == "Z" || text == "z" {
        return Some(0);
    }
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    Some(sign * (number(hours, 23)? * 3600 + number(minutes, 59)? * 60))
}

/// Reads exactly two digits, at most `highest`.
fn number(text: &str, highest: i64) -> Option<i64> {
    let two_digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| *number <= highest)?;
    two_digits.then_some(number)
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let time = if WRITING_DOCUMENT.get() {
            self.to_millisecond()
        } else {
            *self
        };
        serializer.collect_str(&time)
    }
}

thread_local! {
    /// Whether a document is being written, whose times are whole milliseconds.
    ///
    /// The read stores keep no more, so a document that held more would change by being stored,
    /// and what a fold reads back would depend on where a batch was cut.
    static WRITING_DOCUMENT: Cell<bool> = const { Cell::new(false) };
}

/// Runs `write` with times written as documents hold them.
pub(crate) fn as_in_documents<R>(write: impl FnOnce() -> R) -> R {
    let before = WRITING_DOCUMENT.replace(true);
    let written = write();
    WRITING_DOCUMENT.set(before);
    written
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text::new("an RFC 3339 time"))
    }
}

/// Reads a text in place and parses it, whether the deserializer can lend it or not.
struct Text<T> {
    expected: &'static str,
    parsed: PhantomData<T>,
}

impl<T> Text<T> {
    const fn new(expected: &'static str) -> Self {
        Self {
            expected,
            parsed: PhantomData,
        }
    }
}

impl<T: FromStr<Err = ParseTimeError>> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.expected)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

impl JsonSchema for Time {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

/// As documents hold it, so that a filter finds what was written.
impl From<Time> for serde_json::Value {
    fn from(time: Time) -> Self {
        time.to_millisecond().to_string().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, micros: i64, written: &str) {
        let time: Time = text.parse().unwrap();
        assert_eq!(time.as_micros(), micros);
        assert_eq!(time.to_string(), written);
        assert_eq!(written.parse(), Ok(time));
    }

    #[test]
    fn times_are_read_and_written_as_rfc_3339() {
        check("1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00.000Z");
        check(
            "2026-11-23T09:30:15.5Z",
            1_795_426_215_500_000,
            "2026-11-23T09:30:15.500Z",
        );
        check(
            "2000-02-29T23:59:59.123456789Z",
            951_868_799_123_456,
            "2000-02-29T23:59:59.123456Z",
        );
        check(
            "1969-12-31T23:59:59.999Z",
            -1_000,
            "1969-12-31T23:59:59.999Z",
        );
    }

    #[test]
    fn an_offset_is_taken_off() {
        check(
            "2026-11-23T01:30:00+02:00",
            1_795_390_200_000_000,
            "2026-11-22T23:30:00.000Z",
        );
        check(
            "2026-11-22T20:00:00-03:30",
            1_795_390_200_000_000,
            "2026-11-22T23:30:00.000Z",
        );
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2026-11-23",
            "2026-11-23T09:30:00",
            "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-11-23T24:00:00Z",
            "2026-11-23T09:30:00.Z",
            "2026-11-23T09:30:00.5",
            "2026-11-23T09:30:00+1:00",
            "2026-11-23T+9:30:00Z",
            "2026-11-23T09:30:00Zé",
            "é026-11-23T09:30:00Z",
        ] {
            assert!(text.parse::<Time>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_day_of_a_time_before_the_epoch_is_the_earlier_one() {
        assert_eq!(Time::from_micros(-1).day().to_string(), "1969-12-31");
        assert_eq!(
            Time::from_micros(MICROS_PER_DAY).day().to_string(),
            "1970-01-02"
        );
    }

    #[test]
    fn json_keeps_the_microseconds() {
        let time = Time::from_micros(1_001);
        let json = serde_json::to_string(&time).unwrap();
        assert_eq!(json, r#""1970-01-01T00:00:00.001001Z""#);
        assert_eq!(serde_json::from_str::<Time>(&json).unwrap(), time);
    }
}
