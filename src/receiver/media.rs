//! Whether a body claims to be what alone is read here: JSON in UTF-8, not compressed.

use hyper::HeaderMap;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE};

/// Whether there is one `Content-Type`, it is `application/json`, and its charset, if given, is UTF-8.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(CONTENT_TYPE).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return false };
    let Ok(line) = line.to_str() else { return false };
    let mut parts = line.split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"));
    is_json && parts.all(is_fine_parameter)
}

fn is_fine_parameter(parameter: &str) -> bool {
    match parameter.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            let value = value.trim().trim_matches('"');
            value.eq_ignore_ascii_case("utf-8") || value.eq_ignore_ascii_case("utf8")
        }
        _ => true,
    }
}

/// Whether the body is as it is, neither compressed nor otherwise encoded.
pub(super) fn is_plain(headers: &HeaderMap) -> bool {
    headers.get_all(CONTENT_ENCODING).iter().all(|line| line.as_bytes().eq_ignore_ascii_case(b"identity"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(types: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in types {
            headers.append(CONTENT_TYPE, line.parse().unwrap());
        }
        headers
    }

    #[test]
    fn json_is_recognised() {
        for line in [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/json;charset=\"UTF-8\"",
            "application/json; profile=x; charset=utf8",
            "application/json;",
        ] {
            assert!(is_json(&with(&[line])), "{line}");
        }
    }

    #[test]
    fn everything_else_is_not() {
        for line in [
            "",
            "text/plain",
            "application/jsonp",
            "application/json, text/plain",
            "multipart/form-data; boundary=application/json",
            "application/x-www-form-urlencoded",
            "application/json; charset=utf-16",
        ] {
            assert!(!is_json(&with(&[line])), "{line}");
        }
        assert!(!is_json(&with(&[])));
        assert!(!is_json(&with(&["application/json", "application/json"])));
    }

    #[test]
    fn encodings_are_seen() {
        let mut headers = HeaderMap::new();
        assert!(is_plain(&headers));
        headers.append(CONTENT_ENCODING, "identity".parse().unwrap());
        assert!(is_plain(&headers));
        headers.append(CONTENT_ENCODING, "gzip".parse().unwrap());
        assert!(!is_plain(&headers));
    }
}
