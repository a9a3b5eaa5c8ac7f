//! Headers that mean something to commands.

use std::sync::Arc;

use axum::http::HeaderMap;
use axum::http::header::{CONTENT_TYPE, HeaderName, IF_MATCH, IF_NONE_MATCH};

use super::super::error::{Kind, Problem};
use crate::message::{CommandId, Expected, Version};

/// As long as a command id may be.
const MAX_CORRELATION_ID: usize = 200;

/// Returns the one value of a header; given twice, it would depend on the reader which one counts.
pub(in super::super) fn one<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(invalid(name, "is given more than once"));
    }
    let text = std::str::from_utf8(value.as_bytes()).map_err(|_| invalid(name, "is not UTF-8"))?;
    Ok(Some(text.trim()))
}

/// Reads `Idempotency-Key`, bare or quoted.
pub(in super::super) fn command_id(headers: &HeaderMap) -> Result<Option<CommandId>, Problem> {
    const NAME: HeaderName = HeaderName::from_static("idempotency-key");
    let Some(text) = one(headers, &NAME)? else {
        return Ok(None);
    };
    let key = match text.strip_prefix('"') {
        Some(quoted) => {
            unquoted(quoted).ok_or_else(|| invalid(&NAME, "has quotes that do not match"))?
        }
        None => text.to_owned(),
    };
    let id = CommandId::parse(&key);
    id.map(Some).map_err(|_| {
        invalid(
            &NAME,
            "holds no command id: 1 to 200 bytes without control characters",
        )
    })
}

/// Reads `If-Match: "<version>"` or `If-None-Match: *`.
pub(in super::super) fn expected(headers: &HeaderMap) -> Result<Expected, Problem> {
    match (one(headers, &IF_MATCH)?, one(headers, &IF_NONE_MATCH)?) {
        (None, None) => Ok(Expected::Any),
        (Some(_), Some(_)) => Err(invalid(
            &IF_MATCH,
            "contradicts If-None-Match: send one of them",
        )),
        (None, Some("*")) => Ok(Expected::NoStream),
        (None, Some(_)) => Err(invalid(
            &IF_NONE_MATCH,
            "takes only *: there is no stream yet",
        )),
        (Some(text), None) => {
            let bare = text
                .strip_prefix('"')
                .map_or(Some(text), |rest| rest.strip_suffix('"'));
            let digits = bare.filter(|bare| bare.bytes().all(|byte| byte.is_ascii_digit()));
            let version = digits.and_then(|digits| digits.parse().ok());
            let version =
                version.ok_or_else(|| invalid(&IF_MATCH, "takes one version, such as \"3\""))?;
            Ok(Expected::Exact(Version(version)))
        }
    }
}

/// Reads `X-Correlation-Id`.
pub(in super::super) fn correlation_id(headers: &HeaderMap) -> Result<Option<Arc<str>>, Problem> {
    const NAME: HeaderName = HeaderName::from_static("x-correlation-id");
    let Some(text) = one(headers, &NAME)? else {
        return Ok(None);
    };
    if text.is_empty() || text.len() > MAX_CORRELATION_ID || text.chars().any(char::is_control) {
        return Err(invalid(
            &NAME,
            "holds no id: 1 to 200 bytes without control characters",
        ));
    }
    Ok(Some(text.into()))
}

/// Reads `traceparent`; one that is malformed is no trace, as W3C Trace Context wants it, and refuses nothing.
pub(in super::super) fn traceparent(headers: &HeaderMap) -> Option<&str> {
    const NAME: HeaderName = HeaderName::from_static("traceparent");
    let text = one(headers, &NAME).ok()??;
    let lengths = text.split('-').map(str::len);
    let digits = |byte: u8| byte == b'-' || matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let sound = lengths.eq([2, 32, 16, 2]) && text.bytes().all(digits) && !text.starts_with("ff");
    sound.then_some(text)
}

/// Takes a body that says it is one of these types, or says nothing.
pub(in super::super) fn media_type(headers: &HeaderMap, taken: &[&str]) -> Result<(), Problem> {
    let Some(text) = one(headers, &CONTENT_TYPE)? else {
        return Ok(());
    };
    let essence = text.split(';').next().unwrap_or_default().trim();
    if taken
        .iter()
        .any(|taken| essence.eq_ignore_ascii_case(taken))
    {
        return Ok(());
    }
    let detail = format!(
        "the body is {essence:?}; {} is taken here",
        taken.join(" or ")
    );
    Err(Problem::new(Kind::UnsupportedMediaType, detail))
}

/// Undoes the escapes of a structured-field string behind its opening quote.
fn unquoted(text: &str) -> Option<String> {
    let mut plain = String::new();
    let mut characters = text.chars();
    loop {
        match characters.next()? {
            '"' => return characters.next().is_none().then_some(plain),
            '\\' => plain.push(characters.next().filter(|c| matches!(c, '"' | '\\'))?),
            other => plain.push(other),
        }
    }
}

fn invalid(name: &HeaderName, what: &str) -> Problem {
    Problem::new(Kind::InvalidHeader, format!("header {name} {what}"))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    fn key(value: &'static str) -> Option<String> {
        let id = command_id(&headers(&[("idempotency-key", value)])).ok()?;
        id.map(|id| id.as_str().to_owned())
    }

    #[test]
    fn an_idempotency_key_is_bare_or_quoted() {
        assert_eq!(key("a-1").as_deref(), Some("a-1"));
        assert_eq!(key("\"a-1\"").as_deref(), Some("a-1"));
        assert_eq!(key(r#""a\"\\b""#).as_deref(), Some(r#"a"\b"#));
        for bad in ["", "\"", "\"\"", "\"a", "\"a\"b", r#""a\b""#] {
            assert_eq!(key(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_expected_version_is_quoted_or_bare_and_strong() {
        let exact = |value| expected(&headers(&[("if-match", value)])).ok();
        assert_eq!(exact("\"3\""), Some(Expected::Exact(Version(3))));
        assert_eq!(exact("3"), Some(Expected::Exact(Version(3))));
        for bad in [
            "",
            "*",
            "W/\"3\"",
            "\"3",
            "3\"",
            "\"3\", \"4\"",
            "-1",
            "+1",
            "99999999999999999999",
        ] {
            assert_eq!(exact(bad), None, "{bad}");
        }
    }

    #[test]
    fn preconditions_that_contradict_each_other_are_refused() {
        assert_eq!(
            expected(&headers(&[("if-none-match", "*")])).ok(),
            Some(Expected::NoStream)
        );
        assert!(expected(&headers(&[("if-none-match", "\"3\"")])).is_err());
        assert!(expected(&headers(&[("if-none-match", "*"), ("if-match", "3")])).is_err());
    }

    #[test]
    fn a_malformed_traceparent_is_no_trace() {
        const SOUND: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(
            traceparent(&headers(&[("traceparent", SOUND)])),
            Some(SOUND)
        );
        assert_eq!(
            traceparent(&headers(&[("traceparent", "00-xyz-1-1")])),
            None
        );
    }

    #[test]
    fn a_media_type_is_compared_without_parameters_and_case() {
        let is_json =
            |value| media_type(&headers(&[("content-type", value)]), &["application/json"]).is_ok();
        assert!(is_json("application/json"));
        assert!(is_json("Application/JSON; charset=utf-8"));
        assert!(!is_json("text/plain"));
        assert!(!is_json(""));
        assert!(media_type(&HeaderMap::new(), &["application/json"]).is_ok());
    }
}
