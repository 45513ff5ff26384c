//! A request as the admin interface sees it, whatever it asks for.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use warp::Stream;
use warp::http::header::{CONTENT_TYPE, HOST, HeaderName, ORIGIN};
use warp::http::{HeaderMap, Method};

/// The largest body, in bytes: as large as a push may be by default, since one can be given to be explained.
pub(super) const BODY_BYTES_MAX: usize = 256 * 1024;
/// How long a body may take to come.
pub(super) const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The head of a request.
#[derive(Debug, Clone)]
pub(super) struct Head {
    /// The method; `HEAD` counts as `GET`, and hyper leaves the body out.
    pub(super) method: Method,
    /// The path as it was sent.
    pub(super) path: String,
    /// What stands behind the `?`.
    pub(super) query: String,
    /// The headers.
    pub(super) headers: HeaderMap,
    /// The address of the other end; the unspecified one on the unix socket.
    pub(super) peer: IpAddr,
    /// The account at the other end of the socket, where it is one.
    pub(super) account: Option<Arc<str>>,
}

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BodyError {
    #[error("the body is larger than {BODY_BYTES_MAX} bytes")]
    TooLarge,
    #[error("the body did not come within {} seconds", BODY_TIMEOUT.as_secs())]
    TooSlow,
    #[error("the body was cut short")]
    Broken,
}

impl Head {
    /// The parts of the path, decoded; `None` where they are no text.
    pub(super) fn segments(&self) -> Option<Vec<String>> {
        let parts = self.path.trim_start_matches('/').split('/').filter(|part| !part.is_empty());
        parts.map(|part| Some(percent_encoding::percent_decode_str(part).decode_utf8().ok()?.into_owned())).collect()
    }

    /// The query.
    pub(super) fn query(&self) -> Result<Pairs, String> {
        Pairs::read(self.query.as_bytes())
    }

    /// The one value of a header; `None` also where it is no text.
    pub(super) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Whether a browser wants a page for a person.
    pub(super) fn wants_page(&self) -> bool {
        self.header(&warp::http::header::ACCEPT).is_some_and(|accept| accept.contains("text/html"))
    }

    /// Whether another site may have sent it: browsers say so. What is no browser says nothing, and sends no cookie
    /// that it was not given.
    pub(super) fn is_from_elsewhere(&self) -> bool {
        const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
        match (self.headers.get(&FETCH_SITE), self.headers.get(ORIGIN)) {
            (Some(site), _) => !matches!(site.as_bytes(), b"same-origin" | b"none"),
            (None, Some(_)) => {
                let origin = self.header(&ORIGIN).and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
                origin.is_none() || origin != self.header(&HOST)
            }
            (None, None) => false,
        }
    }

    /// Whether it names a host that somebody could have pointed here. On the unix socket, forwarded to a port of a
    /// desk, a page of `evil.example` could else be of the same origin as the console.
    pub(super) fn names_a_domain(&self) -> bool {
        let Some(host) = self.header(&HOST) else { return false };
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        let is_address = name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        name.trim_end_matches('.').contains('.') && !is_address
    }

    /// Whether the body is said to be JSON.
    pub(super) fn is_json(&self) -> bool {
        let kind = self.header(&CONTENT_TYPE).map(|value| value.split(';').next().unwrap_or_default().trim());
        kind.is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"))
    }
}

/// The largest number that is taken: JSON carries it without loss wherever it is read, and the journal can have it.
pub(super) const WHOLE_MAX: u64 = 1 << 53;

/// A whole number of at most [`WHOLE_MAX`], also where it is written `5.0`: JSON Schema calls that an integer too.
pub(super) fn whole<'de, D: Deserializer<'de>>(reader: D) -> Result<Option<u64>, D::Error> {
    let Some(number) = Option::<serde_json::Number>::deserialize(reader)? else { return Ok(None) };
    let of_float = || number.as_f64().filter(|it| it.fract() == 0.0 && (0.0..=WHOLE_MAX as f64).contains(it));
    let whole = number.as_u64().or_else(|| of_float().map(|it| it as u64)).filter(|whole| *whole <= WHOLE_MAX);
    whole.map(Some).ok_or_else(|| D::Error::custom(format!("{number} is no whole number from 0 to {WHOLE_MAX}")))
}

/// A small JSON body read into a type; none at all stands for the defaults.
pub(super) fn from_json<T: Default + DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    if body.is_empty() {
        return Ok(T::default());
    }
    // A list would be read as the fields in their order.
    if body.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err("the body is no JSON object".into());
    }
    serde_json::from_slice(body).map_err(|error| format!("the body cannot be read: {error}"))
}

/// What stands behind the `?`, or in a form: each name once.
#[derive(Debug, Clone, Default)]
pub(super) struct Pairs(BTreeMap<String, String>);

impl Pairs {
    /// Reads `a=b&c=d`.
    pub(super) fn read(text: &[u8]) -> Result<Self, String> {
        let mut pairs = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(text) {
            if pairs.insert(name.clone().into_owned(), value.into_owned()).is_some() {
                return Err(format!("`{name}` is given twice"));
            }
        }
        Ok(Self(pairs))
    }

    /// The text behind a name; `None` also where it is empty, as a field of a form is that nobody filled in.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// The number behind a name, at most [`WHOLE_MAX`].
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, String> {
        let number = |text: &String| text.parse().ok().filter(|number| *number <= WHOLE_MAX);
        let no_number = || format!("`{name}` is no whole number from 0 to {WHOLE_MAX}");
        self.0.get(name).map(|text| number(text).ok_or_else(no_number)).transpose()
    }

    /// Whether the name is there, alone or with `true` or `1`.
    pub(super) fn is_set(&self, name: &str) -> Result<bool, String> {
        match self.0.get(name).map(String::as_str) {
            None | Some("false" | "0") => Ok(false),
            Some("" | "true" | "1" | "on") => Ok(true),
            Some(_) => Err(format!("`{name}` is `true` or `false`")),
        }
    }

    /// Refuses names that nobody reads.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), String> {
        match self.0.keys().find(|name| !known.contains(&name.as_str())) {
            Some(other) if known.is_empty() => Err(format!("`{other}` is not known: there is no query here")),
            Some(other) => Err(format!("`{other}` is not known: the query takes {}", known.join(", "))),
            None => Ok(()),
        }
    }
}

/// Reads a body under the limits on its size and its time.
pub(super) async fn collect<S, B>(body: S) -> Result<Bytes, BodyError>
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    let mut body = pin!(body);
    let read = async {
        let mut bytes = BytesMut::new();
        while let Some(piece) = std::future::poll_fn(|cx| body.as_mut().poll_next(cx)).await {
            let mut piece = piece.map_err(|_| BodyError::Broken)?;
            if piece.remaining() > BODY_BYTES_MAX - bytes.len() {
                return Err(BodyError::TooLarge);
            }
            bytes.extend_from_slice(&piece.copy_to_bytes(piece.remaining()));
        }
        Ok(bytes.freeze())
    };
    tokio::time::timeout(BODY_TIMEOUT, read).await.unwrap_or(Err(BodyError::TooSlow))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(headers: &[(&'static str, &'static str)]) -> Head {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let peer = IpAddr::from([127, 0, 0, 1]);
        Head { method: Method::GET, path: "/a%2Fb//c".into(), query: String::new(), headers: map, peer, account: None }
    }

    #[test]
    fn a_request_of_another_site_is_told_from_our_own() {
        for (headers, elsewhere) in [
            (&[][..], false),
            (&[("sec-fetch-site", "same-origin"), ("origin", "http://other")], false),
            (&[("sec-fetch-site", "none")], false),
            (&[("sec-fetch-site", "same-site")], true),
            (&[("sec-fetch-site", "cross-site")], true),
            (&[("origin", "http://here:1"), ("host", "here:1")], false),
            (&[("origin", "http://here:2"), ("host", "here:1")], true),
            (&[("origin", "null"), ("host", "here:1")], true),
            (&[("origin", "http://here:1")], true),
        ] {
            assert_eq!(head(headers).is_from_elsewhere(), elsewhere, "{headers:?}");
        }
    }

    #[test]
    fn names_that_others_could_point_here_are_told_from_addresses() {
        for (host, is_domain) in [
            ("stanch", false),
            ("localhost:8081", false),
            ("127.0.0.1:8081", false),
            ("[::1]:8081", false),
            ("[::1]", false),
            ("evil.example", true),
            ("evil.example:80", true),
            ("evil.example.", true),
        ] {
            assert_eq!(head(&[("host", host)]).names_a_domain(), is_domain, "{host}");
        }
    }

    #[test]
    fn paths_are_split_before_they_are_decoded() {
        assert_eq!(head(&[]).segments().unwrap(), ["a/b", "c"]);
    }

    #[test]
    fn pairs_hold_each_name_once() {
        let pairs = Pairs::read(b"limit=5&now&rule=a%20b").unwrap();
        assert_eq!((pairs.number("limit"), pairs.is_set("now")), (Ok(Some(5)), Ok(true)));
        assert_eq!((pairs.text("rule"), pairs.is_set("rule").is_err()), (Some("a b"), true));
        assert!(pairs.number("rule").is_err() && pairs.only(&["limit"]).is_err());
        assert!(Pairs::read(b"a=1&a=2").is_err());
    }
}
