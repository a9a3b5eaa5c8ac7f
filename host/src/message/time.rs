//! Points in time.

use std::fmt;

use jiff::Timestamp;

/// A point in time, in whole microseconds since 1970-01-01T00:00:00Z.
///
/// Its text form is RFC 3339 in UTC with milliseconds; [`Time::to_exact`] shows the microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub i64);

impl Time {
    /// Reads the clock.
    pub fn now() -> Self {
        Self(Timestamp::now().as_microsecond())
    }

    /// Parses RFC 3339 text with any offset.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse::<Timestamp>()
            .ok()
            .map(|time| Self(time.as_microsecond()))
    }

    /// Returns the last moment that is shown with the same milliseconds.
    #[must_use]
    pub fn end_of_millisecond(self) -> Self {
        Self(self.0.div_euclid(1_000) * 1_000 + 999)
    }

    /// Returns RFC 3339 text with microseconds.
    pub fn to_exact(self) -> String {
        format!("{:.6}", self.timestamp())
    }

    fn timestamp(self) -> Timestamp {
        Timestamp::from_microsecond(self.0).unwrap_or(if self.0 < 0 {
            Timestamp::MIN
        } else {
            Timestamp::MAX
        })
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.timestamp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_utc_with_milliseconds() {
        let time = Time::parse("2011-10-11T13:45:40.276+02:00").unwrap();
        assert_eq!(time.to_string(), "2011-10-11T11:45:40.276Z");
        assert_eq!(time.to_exact(), "2011-10-11T11:45:40.276000Z");
    }
}
