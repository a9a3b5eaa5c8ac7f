//! Days of the proleptic Gregorian calendar.
//!
//! The conversions are Howard Hinnant's `days_from_civil` and `civil_from_days`
//! (<https://howardhinnant.github.io/date_algorithms.html>):
//! years start in March, so that the leap day is the last of its year, and come in eras of 400, which are all alike.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{ParseTimeError, Text};

const DAYS_PER_ERA: i64 = 146_097;
const YEARS_PER_ERA: i64 = 400;
/// Days from 0000-03-01, where the first era starts, to 1970-01-01.
const EPOCH: i64 = 719_468;

/// A day in UTC; in JSON and for people `2026-11-23`.
///
/// Days order as their texts do, from year 0 to 9999.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i64);

impl Day {
    /// The day so many days after 1970-01-01.
    pub const fn from_days_since_epoch(days: i64) -> Self {
        Self(days)
    }

    /// Days since 1970-01-01.
    pub const fn days_since_epoch(self) -> i64 {
        self.0
    }

    /// The day of a year, month and day of the month; `None` when there is no such day.
    pub fn from_date(year: i64, month: u8, day: u8) -> Option<Self> {
        let candidate = Self(days_from_civil(year, i64::from(month), i64::from(day)));
        // A day that does not exist comes back as another one.
        (candidate.date() == (year, month, day)).then_some(candidate)
    }

    /// Year, month from 1 and day of the month from 1.
    pub const fn date(self) -> (i64, u8, u8) {
        let days = self.0 + EPOCH;
        let era = days.div_euclid(DAYS_PER_ERA);
        let day_of_era = days.rem_euclid(DAYS_PER_ERA);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 {
            month_from_march + 3
        } else {
            month_from_march - 9
        };
        let january_or_february = if month <= 2 { 1 } else { 0 };
        (
            year_of_era + era * YEARS_PER_ERA + january_or_february,
            month as u8,
            day as u8,
        )
    }
}

/// Days since 1970-01-01 of a date; months and days out of range run on into their neighbours.
const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(YEARS_PER_ERA);
    let year_of_era = year.rem_euclid(YEARS_PER_ERA);
    let month_from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * DAYS_PER_ERA + day_of_era - EPOCH
}

impl fmt::Display for Day {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.date();
        write!(formatter, "{year:04}-{month:02}-{day:02}")
    }
}

impl FromStr for Day {
    type Err = ParseTimeError;

    fn from_str(text: &str) -> Result<Self, ParseTimeError> {
        parse(text).ok_or_else(|| ParseTimeError {
            text: text.to_owned(),
            expected: "a day such as 2026-11-23",
        })
    }
}

fn parse(text: &str) -> Option<Day> {
    let bytes = text.as_bytes();
    let digits = |byte: &u8| byte.is_ascii_digit();
    let well_formed = bytes.len() == 10
        && bytes.iter().enumerate().all(|(place, byte)| {
            if place == 4 || place == 7 {
                *byte == b'-'
            } else {
                digits(byte)
            }
        });
    if !well_formed {
        return None;
    }
    Day::from_date(
        text[..4].parse().ok()?,
        text[5..7].parse().ok()?,
        text[8..].parse().ok()?,
    )
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text::new("a day"))
    }
}

impl JsonSchema for Day {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Day".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date" })
    }
}

impl From<Day> for serde_json::Value {
    fn from(day: Day) -> Self {
        day.to_string().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(days: i64, text: &str) {
        assert_eq!(Day::from_days_since_epoch(days).to_string(), text);
        assert_eq!(text.parse(), Ok(Day::from_days_since_epoch(days)));
    }

    #[test]
    fn days_are_counted_from_the_epoch() {
        check(0, "1970-01-01");
        check(-1, "1969-12-31");
        check(11_016, "2000-02-29");
        check(20_780, "2026-11-23");
        check(-719_528, "0000-01-01");
        check(2_932_896, "9999-12-31");
    }

    #[test]
    fn every_day_of_an_era_follows_the_one_before() {
        let mut before = Day::from_date(1899, 12, 31).unwrap();
        for days in 1..=DAYS_PER_ERA {
            let day = Day::from_days_since_epoch(before.days_since_epoch() + 1);
            let (year, month, date) = day.date();
            assert_eq!(
                Day::from_date(year, month, date),
                Some(day),
                "{days} days later"
            );
            assert!(day.date() > before.date());
            before = day;
        }
    }

    #[test]
    fn days_that_do_not_exist_are_refused() {
        for text in [
            "2026-02-29",
            "1900-02-29",
            "2026-04-31",
            "2026-00-10",
            "2026-01-00",
            "2026-1-1",
            "+026-01-01",
            "",
        ] {
            assert!(text.parse::<Day>().is_err(), "{text}");
        }
    }
}
