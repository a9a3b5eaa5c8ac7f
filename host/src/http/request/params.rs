//! Query strings, each parameter of which must be known.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::percent_decode_str;

use super::super::error::{Kind, Problem};
use super::has_sound_escapes;
use crate::message::Position;
use crate::query::{PageRequest, Wait};

/// Items of a list when the client does not say.
const DEFAULT_LIMIT: usize = 50;
/// The most items of one page: bounds what one request holds in memory.
const MAX_LIMIT: usize = 1_000;
/// Milliseconds to wait for a position when the client does not say.
const DEFAULT_TIMEOUT: u64 = 5_000;
/// The most milliseconds to wait: below what proxies allow.
const MAX_TIMEOUT: u64 = 60_000;

/// The parameters of a query string that were not taken yet.
pub(in super::super) struct Params {
    pairs: Vec<(String, String)>,
    taken: Vec<&'static str>,
}

impl<S: Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::parse(parts.uri.query().unwrap_or_default())
    }
}

impl Params {
    fn parse(query: &str) -> Result<Self, Problem> {
        let malformed =
            |what: &str| Problem::new(Kind::MalformedQuery, format!("the query string {what}"));
        if !has_sound_escapes(query) {
            return Err(malformed(
                "has a % that is not followed by two hexadecimal digits",
            ));
        }
        let decode = |text: &str| {
            let spaced = text.replace('+', " ");
            let decoded = percent_decode_str(&spaced).decode_utf8();
            decoded
                .map(|text| text.into_owned())
                .map_err(|_| malformed("is not UTF-8"))
        };
        let parts = query.split('&').filter(|part| !part.is_empty());
        let pairs = parts.map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            Ok((decode(name)?, decode(value)?))
        });
        Ok(Self {
            pairs: pairs.collect::<Result<_, Problem>>()?,
            taken: Vec::new(),
        })
    }

    /// Takes a parameter that is given once at most.
    pub(in super::super) fn take(&mut self, name: &'static str) -> Result<Option<String>, Problem> {
        let mut values = self.take_all(name);
        if values.len() > 1 {
            return Err(invalid(name, "is given more than once"));
        }
        Ok(values.pop())
    }

    /// Takes a parameter that may be given several times.
    pub(in super::super) fn take_all(&mut self, name: &'static str) -> Vec<String> {
        self.taken.push(name);
        self.pairs
            .extract_if(.., |(given, _)| given == name)
            .map(|(_, value)| value)
            .collect()
    }

    /// Takes a whole number from 0.
    pub(in super::super) fn number(&mut self, name: &'static str) -> Result<Option<u64>, Problem> {
        let Some(text) = self.take(name)? else {
            return Ok(None);
        };
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        // Stores keep their numbers signed.
        let number = text
            .parse()
            .ok()
            .filter(|number| digits && *number <= i64::MAX.unsigned_abs());
        number
            .map(Some)
            .ok_or_else(|| invalid(name, &format!("is no whole number from 0: {text:?}")))
    }

    /// Takes `limit`.
    pub(in super::super) fn limit(&mut self) -> Result<usize, Problem> {
        let Some(number) = self.number("limit")? else {
            return Ok(DEFAULT_LIMIT);
        };
        let limit = usize::try_from(number)
            .ok()
            .filter(|limit| (1..=MAX_LIMIT).contains(limit));
        limit.ok_or_else(|| invalid("limit", &format!("is {number}; it can be 1 to {MAX_LIMIT}")))
    }

    /// Takes `wait_for` and `timeout`.
    pub(in super::super) fn wait(&mut self) -> Result<Wait, Problem> {
        let position = self.number("wait_for")?.map(Position);
        let millis = self.number("timeout")?.unwrap_or(DEFAULT_TIMEOUT);
        if millis > MAX_TIMEOUT {
            return Err(invalid(
                "timeout",
                &format!("is {millis}; it can be 0 to {MAX_TIMEOUT} milliseconds"),
            ));
        }
        Ok(Wait {
            position,
            timeout: Duration::from_millis(millis),
        })
    }

    /// Takes `limit`, `cursor`, `wait_for` and `timeout`.
    pub(in super::super) fn page(&mut self) -> Result<PageRequest, Problem> {
        Ok(PageRequest {
            limit: self.limit()?,
            cursor: self.take("cursor")?,
            wait: self.wait()?,
        })
    }

    /// Takes where a list of numbered things begins: behind `after`, or where the `cursor` of the same list says.
    pub(in super::super) fn after(&mut self, list: &str) -> Result<u64, Problem> {
        match (self.number("after")?, self.take("cursor")?) {
            (Some(_), Some(_)) => Err(invalid("cursor", "cannot be given together with \"after\"")),
            (after, None) => Ok(after.unwrap_or(0)),
            (None, Some(cursor)) => parse_cursor(&cursor, list),
        }
    }

    /// Takes all that is left, each given once.
    pub(in super::super) fn rest(self) -> Result<BTreeMap<String, String>, Problem> {
        let mut rest = BTreeMap::new();
        for (name, value) in self.pairs {
            if rest.contains_key(&name) {
                return Err(invalid(&name, "is given more than once"));
            }
            rest.insert(name, value);
        }
        Ok(rest)
    }

    /// Refuses what is left.
    pub(in super::super) fn finish(self) -> Result<(), Problem> {
        let Some((name, _)) = self.pairs.first() else {
            return Ok(());
        };
        let known = if self.taken.is_empty() {
            "none are".to_owned()
        } else {
            format!("known are {}", self.taken.join(", "))
        };
        let name: String = name.chars().take(60).collect();
        Err(Problem::new(
            Kind::UnknownParameter,
            format!("parameter {name:?} is not known here; {known}"),
        ))
    }
}

/// Makes an opaque cursor of one list that goes on behind a number.
pub(in super::super) fn write_cursor(list: &str, number: u64) -> String {
    URL_SAFE_NO_PAD.encode(format!("{number} {list}"))
}

/// Reads a cursor that [`write_cursor`] made for the same list.
fn parse_cursor(cursor: &str, list: &str) -> Result<u64, Problem> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    let parts = text.as_deref().and_then(|text| text.split_once(' '));
    let number = parts
        .filter(|(_, of)| *of == list)
        .and_then(|(number, _)| number.parse().ok());
    number.ok_or_else(|| {
        Problem::new(
            Kind::InvalidCursor,
            "the cursor is not one that this list gave",
        )
    })
}

fn invalid(name: &str, what: &str) -> Problem {
    let name: String = name.chars().take(60).collect();
    Problem::new(Kind::InvalidParameter, format!("parameter {name:?} {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_pluses_are_decoded() {
        let mut params = Params::parse("a=x+y%26z&b&a%3D=%C3%A4").unwrap();
        assert_eq!(params.take("a").unwrap().as_deref(), Some("x y&z"));
        assert_eq!(params.take("b").unwrap().as_deref(), Some(""));
        assert_eq!(params.take("a=").unwrap().as_deref(), Some("ä"));
        assert!(params.finish().is_ok());
        assert!(Params::parse("a=%zz").is_err());
        assert!(Params::parse("a=%ff").is_err());
    }

    #[test]
    fn what_is_given_twice_or_left_over_is_refused() {
        assert!(Params::parse("a=1&a=2").unwrap().take("a").is_err());
        assert!(Params::parse("a=1&a=2").unwrap().rest().is_err());
        assert!(Params::parse("a=1").unwrap().finish().is_err());
    }

    #[test]
    fn a_limit_is_checked_on_both_sides() {
        let limit = |text: &str| Params::parse(text).unwrap().limit().ok();
        assert_eq!(limit(""), Some(50));
        assert_eq!(
            (limit("limit=1"), limit("limit=1000")),
            (Some(1), Some(1_000))
        );
        for bad in [
            "limit=0",
            "limit=1001",
            "limit=-1",
            "limit=+1",
            "limit=",
            "limit=x",
            "limit=99999999999999999999",
        ] {
            assert_eq!(limit(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_cursor_is_taken_by_the_list_that_gave_it() {
        let cursor = write_cursor("stream post-1", 7);
        assert_eq!(parse_cursor(&cursor, "stream post-1").ok(), Some(7));
        for (cursor, list) in [
            (cursor.as_str(), "stream post-2"),
            ("", "x"),
            ("!", "x"),
            ("YQ", "x"),
        ] {
            assert!(parse_cursor(cursor, list).is_err(), "{cursor}");
        }
    }
}
