//! `stanch send`: posts a payload as Flashduty would.

use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};

use super::output::{cell, complain, note, say};
use super::{Exit, payload, setup};
use crate::action::HttpError;
use crate::clock::{Stopwatch, wall_now};
use crate::config::{Auth, Config, Source};
use crate::report::printable;

/// How long the answer may take. Flashduty waits one second; whoever tries things out wants to see a slow answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long Flashduty waits.
const SENDER_PATIENCE_MS: u64 = 1000;
/// The largest payload that is read, in bytes.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// How much of an answer is shown, in characters; ours are short, but any URL can be asked.
const ANSWER_CHARS_MAX: usize = 4096;

/// Post a payload as Flashduty would, with a fresh id and time.
#[derive(Debug, Args)]
pub(super) struct Send {
    /// The payload, a JSON file; `-` for standard input.
    file: PathBuf,
    /// Where to; the first source of the config unless given.
    #[arg(long, value_name = "URL")]
    url: Option<url::Url>,
    /// A header; the config's secret is sent to the config's own listener unless given.
    #[arg(long = "header", value_name = "K:V", value_parser = header)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// A value to set: incident.labels.resource=db-07.
    #[arg(long = "set", value_name = "PATH=VALUE", value_parser = setting)]
    settings: Vec<(String, Value)>,
    /// Send `event_id` and `event_time` as they are in the file.
    #[arg(long)]
    keep: bool,
}

/// What goes out.
struct Push {
    url: url::Url,
    headers: HeaderMap,
    body: Vec<u8>,
    what: String,
}

impl Send {
    pub(super) fn run(self, config: &Path) -> Exit {
        match self.push(config).and_then(|push| setup::runtime()?.block_on(deliver(push))) {
            Ok(exit) | Err(exit) => exit,
        }
    }

    fn push(self, config: &Path) -> Result<Push, Exit> {
        let (body, what) = self.body()?;
        let config = match &self.url {
            // Whoever says where to needs no config; with one, its own listener is known by its URL.
            Some(_) if !config.exists() => None,
            _ => Some(setup::config(config)?),
        };
        let url = match (self.url, &config) {
            (Some(url), _) => url,
            (None, Some(config)) => own_url(config, config.sources.first())?,
            (None, None) => return Err(fail("there is neither a URL nor a config", Exit::Usage)),
        };
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some((name, value)) = config.as_ref().map(|config| secret_for(config, &url)).transpose()?.flatten() {
            headers.insert(name, value);
        }
        for (name, value) in self.headers {
            headers.insert(name, value);
        }
        Ok(Push { url, headers, body, what })
    }

    /// The body, and what it is called in messages.
    fn body(&self) -> Result<(Vec<u8>, String), Exit> {
        let bytes =
            read(&self.file).map_err(|why| fail(&format!("cannot read {}: {why}", self.file.display()), Exit::No))?;
        if self.keep && self.settings.is_empty() {
            return Ok((bytes, self.file.display().to_string()));
        }
        let mut payload: Map<String, Value> = serde_json::from_slice(&bytes).map_err(|error| {
            let hint = "`--keep` sends it as it is";
            fail(&format!("{} is not a JSON object: {error}; {hint}", self.file.display()), Exit::No)
        })?;
        if !self.keep {
            payload::freshen(&mut payload, wall_now())
                .map_err(|error| fail(&format!("cannot make an id: {error}"), Exit::Internal))?;
        }
        for (path, value) in &self.settings {
            payload::set(&mut payload, path, value.clone()).map_err(|error| fail(&error.to_string(), Exit::Usage))?;
        }
        let text = |name: &str| cell(payload.get(name).and_then(Value::as_str).unwrap_or("?"), 128);
        let what = format!("{} {}", text("event_type"), text("event_id"));
        Ok((Value::Object(payload).to_string().into_bytes(), what))
    }
}

fn fail(message: &str, exit: Exit) -> Exit {
    complain(message);
    exit
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("write it as NAME:VALUE")?;
    let name = name.trim().parse::<HeaderName>().map_err(|error| error.to_string())?;
    let mut value = value.trim().parse::<HeaderValue>().map_err(|error| error.to_string())?;
    value.set_sensitive(true);
    Ok((name, value))
}

fn setting(text: &str) -> Result<(String, Value), String> {
    let (path, value) = text.split_once('=').ok_or("write it as PATH=VALUE")?;
    Ok((path.to_owned(), payload::written(path, value)))
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
    };
    match read {
        Ok(read) if read as u64 > FILE_BYTES_MAX => Err(format!("it has more than {FILE_BYTES_MAX} bytes")),
        Ok(_) => Ok(bytes),
        Err(error) => Err(error.to_string()),
    }
}

/// The URL of a source of the config, as somebody on this machine reaches it.
fn own_url(config: &Config, source: Option<&Source>) -> Result<url::Url, Exit> {
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let path = source.map_or("/", |source| source.path.as_str());
    let text = format!("{scheme}://{}{path}", reachable(config.listen));
    url::Url::parse(&text).map_err(|error| fail(&format!("{text} is not a URL: {error}"), Exit::Internal))
}

/// An address to connect to for one that is listened on: a listener on all addresses is reached on loopback.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// The secret's header if `url` is one of the config's own sources; no other listener is told the secret.
fn secret_for(config: &Config, url: &url::Url) -> Result<Option<(HeaderName, HeaderValue)>, Exit> {
    let own = config.sources.iter().find_map(|source| {
        let own = own_url(config, Some(source)).ok()?;
        let same = (own.scheme(), own.host_str(), own.port_or_known_default(), own.path())
            == (url.scheme(), url.host_str(), url.port_or_known_default(), url.path());
        same.then_some(source)
    });
    let Some(Source { auth: Auth::Header { header, secret, .. }, .. }) = own else { return Ok(None) };
    let secret = secret.resolve().map_err(|error| fail(&error.to_string(), Exit::Config))?;
    let unusable = |what: &str| fail(&format!("the {what} of the config cannot be sent"), Exit::Config);
    let name = header.parse::<HeaderName>().map_err(|_| unusable("secret's header"))?;
    let mut value = secret.expose().parse::<HeaderValue>().map_err(|_| unusable("secret"))?;
    value.set_sensitive(true);
    Ok(Some((name, value)))
}

/// A client that sends to `url` as Flashduty does: one request, no redirect followed.
pub(super) fn http_client(url: &str) -> Result<reqwest::Client, Exit> {
    crate::action::install_crypto();
    let builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        // A secret has no business with a proxy on the way.
        .no_proxy()
        .timeout(TIMEOUT);
    // Without TLS nothing is certified, so a machine without certificates can send as well.
    let builder = if url.starts_with("https:") { builder } else { builder.tls_certs_only([]) };
    builder.build().map_err(|error| fail(&HttpError::new(&error).to_string(), Exit::Internal))
}

async fn deliver(push: Push) -> Result<Exit, Exit> {
    let client = http_client(push.url.as_str())?;
    let url = printable(push.url.as_str()).into_owned();
    note(&format!("sending {} to {url}", push.what));
    let watch = Stopwatch::start();
    let answered = client.post(push.url).headers(push.headers).body(push.body).send().await;
    let mut response = answered.map_err(|error| {
        let why = super::client::root(&error);
        fail(&format!("cannot reach {url}: {why}; does `stanch serve` listen there?"), Exit::Unreachable)
    })?;
    let took_ms = watch.elapsed_ms();
    let status = response.status();
    let mut answer = Vec::new();
    while answer.len() < ANSWER_CHARS_MAX {
        match response.chunk().await {
            Ok(Some(chunk)) => answer.extend_from_slice(&chunk),
            // What did arrive is shown; the status is what counts.
            Ok(None) | Err(_) => break,
        }
    }
    say(&format!("{status} in {took_ms} ms"));
    let answer = String::from_utf8_lossy(&answer);
    if !answer.trim().is_empty() {
        say(&cell(answer.trim(), ANSWER_CHARS_MAX));
    }
    if took_ms > SENDER_PATIENCE_MS {
        note(&format!("Flashduty would have given up after {SENDER_PATIENCE_MS} ms"));
    }
    // Flashduty counts nothing but 200 as delivered.
    Ok(if status == reqwest::StatusCode::OK { Exit::Done } else { Exit::No })
}
