//! Reading the config: every problem at once, each with its place.
//!
//! Secrets themselves are not read here, only where they are kept. Nothing is opened but the config file.

mod limits;
mod listeners;
mod network;
mod schedule;
mod secrets;
mod sources;
mod traces;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::secret::SecretRef;
use super::{Admin, Budget, Config, Flashduty, Limits, Log, LogFormat, Retention};
use crate::rule::diagnostic::{self, Diagnostic, Sources, codes};
use crate::rule::load::find::read_text;
use crate::rule::yaml::doc::Doc;
use crate::rule::yaml::fields::Fields;
use crate::rule::yaml::{Kind, Node, parse};
use crate::rule::{Mode, Reporting, read};

/// Where the webhook listener is unless the config says otherwise.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);
/// How many budgets there may be; each is asked for every run.
const BUDGETS_MAX: usize = 100;

/// A config that may be used, with the warnings about it.
#[derive(Debug)]
pub struct LoadedConfig {
    /// The config.
    pub config: Config,
    /// Warnings alone.
    pub warnings: Vec<Diagnostic>,
    /// The text that they point into.
    pub sources: Sources,
    /// Where it says what is only looked at by those who want to.
    pub places: Places,
}

/// Where a config names files that reading it does not open, as bytes of its text.
#[derive(Debug, Default)]
pub struct Places {
    /// Each secret.
    pub secrets: Vec<(SecretRef, Range<usize>)>,
    /// The certificate and its key.
    pub tls: Option<Range<usize>>,
}

/// Why a config cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the config cannot be used: {} problems, the first is: {}", diagnostics.len(), first(diagnostics))]
pub struct InvalidConfig {
    /// Errors, and warnings beside them, ordered by place.
    pub diagnostics: Vec<Diagnostic>,
    /// The text that they point into.
    pub sources: Sources,
    /// What could be read, with defaults for what has an error: for checking rules beside it, never for running them.
    pub partial: Option<Box<Config>>,
    /// Where it says what is only looked at by those who want to.
    pub places: Places,
}

fn first(diagnostics: &[Diagnostic]) -> &str {
    diagnostics.first().map_or("none", |found| &found.message)
}

/// Reads the config file at `path`. Relative paths in it begin at its folder.
///
/// # Errors
///
/// Every problem that was found, if any of them is an error.
pub fn load(path: &Path) -> Result<LoadedConfig, InvalidConfig> {
    let mut texts = Sources::default();
    let refuse = |mut diagnostics: Vec<Diagnostic>, sources| {
        diagnostic::sort(&mut diagnostics);
        Err(InvalidConfig { diagnostics, sources, partial: None, places: Places::default() })
    };
    let text = match read_text(path) {
        Ok(text) => text,
        Err(mut problem) => {
            problem.hint.get_or_insert_with(|| "`stanch init` makes a working folder; `-c` names another file".into());
            return refuse(vec![problem], texts);
        }
    };
    texts.insert(path, text.clone());
    let file = match std::path::absolute(path) {
        Ok(file) => file,
        Err(error) => {
            let message = format!("the folder of {} is not known: {error}", path.display());
            return refuse(vec![Diagnostic::of_file(codes::FILE_UNREADABLE, path, message, None)], texts);
        }
    };
    let doc = Doc::new(path, text);
    let places = RefCell::default();
    let config = read_config(&doc, file, &places);
    let places = places.into_inner();
    let failed = doc.has_errors();
    let mut diagnostics = doc.take();
    match config {
        Some(config) if !failed => {
            diagnostic::sort(&mut diagnostics);
            Ok(LoadedConfig { config, warnings: diagnostics, sources: texts, places })
        }
        partial => {
            diagnostic::sort(&mut diagnostics);
            Err(InvalidConfig { diagnostics, sources: texts, partial: partial.map(Box::new), places })
        }
    }
}

/// Reads all of it; what has an error gets its default, and is then not used.
fn read_config(doc: &Doc, file: PathBuf, places: &RefCell<Places>) -> Option<Config> {
    let base = file.parent().unwrap_or_else(|| Path::new("/")).to_owned();
    let root = parse(doc)?;
    let fields = Fields::open(doc, &root, "the config")?;
    let reader = Reader { doc, base: &base, places };

    let listen_node = fields.get("listen");
    let listen = listen_node.and_then(|node| listeners::address(doc, node, "`listen`"));
    let tls = fields.get("tls").and_then(|node| listeners::tls(&reader, node));
    let data = reader.path(&fields, "data", "data");
    let rules = reader.path(&fields, "rules", "rules");
    let scripts = reader.path(&fields, "scripts", "scripts");
    let mode = fields.get("mode").and_then(|node| read::mode(doc, node)).unwrap_or(Mode::Auto);
    let strict_ordering = fields
        .get("ordering")
        .and_then(|node| doc.choice(node, "`ordering`", &[("default", false), ("strict", true)]))
        .unwrap_or(false);
    let listen = listen.unwrap_or(LISTEN);
    let sources = fields
        .require("sources", "say where pushes come from: `sources: [ { name: flashduty, path: /flashduty, auth: … } ]`")
        .map(|node| sources::read(&reader, node, listen))
        .unwrap_or_default();
    let flashduty = fields.get("flashduty").and_then(|node| flashduty(&reader, node));
    let http_allow = fields.get("http").map(|node| network::http(&reader, node)).unwrap_or_default();
    let ssh_config = fields.get("ssh").and_then(|node| network::ssh(&reader, node));
    let limits = fields.get("limits").map_or_else(Limits::default, |node| limits::read(doc, node));
    let budgets = fields.get("budgets").map(|node| budgets(doc, node)).unwrap_or_default();
    let schedules = fields.get("schedules").map_or_else(BTreeMap::new, |node| schedule::read(doc, node));
    let retention = fields.get("retention").map_or_else(Retention::default, |node| retention(doc, node));
    let mut admin = Admin { socket: data.join("stanch.sock"), listen: None, token: None, read_token: None };
    if let Some(node) = fields.get("admin") {
        listeners::admin(&reader, node, listen, &mut admin);
    }
    let log = fields.get("log").map_or_else(default_log, |node| log(doc, node));
    let traces = fields.get("traces").and_then(|node| traces::read(&reader, node));
    fields.close();

    Some(Config {
        file,
        listen,
        tls,
        data,
        rules,
        scripts,
        mode,
        strict_ordering,
        sources,
        flashduty,
        http_allow,
        ssh_config,
        limits,
        budgets,
        schedules,
        retention,
        admin,
        log,
        traces,
        base,
    })
}

/// The file being read, and where relative paths begin.
struct Reader<'a> {
    doc: &'a Doc,
    base: &'a Path,
    places: &'a RefCell<Places>,
}

impl Reader<'_> {
    /// A path, absolute.
    fn path(&self, fields: &Fields<'_>, name: &'static str, default: &str) -> PathBuf {
        let written = fields.get(name).and_then(|node| self.doc.text(node, &format!("`{name}`")));
        self.absolute(written.unwrap_or(default))
    }

    /// `./data` at the base, without the `./`.
    fn absolute(&self, written: &str) -> PathBuf {
        self.base.join(written).components().collect()
    }
}

fn flashduty(reader: &Reader<'_>, node: &Node) -> Option<Flashduty> {
    let doc = reader.doc;
    let fields = Fields::open(doc, node, "`flashduty`")?;
    let api = match fields.get("api") {
        None => Some("https://api.flashcat.cloud".to_owned()),
        Some(node) => network::api(doc, node),
    };
    let app_key = fields
        .require("app_key", "say where it is kept: `app_key: { env: FLASHDUTY_APP_KEY }`")
        .and_then(|node| secrets::read(reader, node, "`app_key`"));
    let catch_up = fields.get("catch_up").and_then(|node| doc.boolean(node, "`catch_up`")).unwrap_or(true);
    let report = fields.get("report").and_then(|node| read::reporting(doc, node)).unwrap_or(Reporting::Runs);
    let run_link = fields.get("run_link").and_then(|node| network::link(doc, node));
    fields.close();
    Some(Flashduty { api: api?, app_key: app_key?, catch_up, report, run_link })
}

fn budgets(doc: &Doc, node: &Node) -> Vec<Budget> {
    let mut budgets: Vec<Budget> = Vec::new();
    for node in doc.list_or_empty(node, "`budgets`", BUDGETS_MAX).unwrap_or_default() {
        let Some(fields) = Fields::open(doc, node, "the budget") else { continue };
        let name_node = fields.require("name", "name it: reasons refer to it");
        let name = name_node.and_then(|node| doc.text(node, "`name`")).unwrap_or_default().to_owned();
        if let Some(node) = name_node
            && budgets.iter().any(|other| other.name == name)
        {
            doc.error(codes::DUPLICATE_NAME, node.span.clone(), format!("another budget is named `{name}`"));
        }
        let rate = fields.get("rate").and_then(|node| read::guards::rate(doc, node, read::by::BUDGET));
        let blast_radius =
            fields.get("blast_radius").and_then(|node| read::guards::blast_radius(doc, node, read::by::BUDGET));
        if !fields.has("rate") && !fields.has("blast_radius") {
            doc.error_hint(
                codes::MISSING_KEY,
                fields.head(),
                "the budget caps nothing",
                "give it `rate: { max: 200, per: 1h }` or `blast_radius: { targets: 20, per: 1h }`",
            );
        }
        fields.close();
        budgets.push(Budget { name, rate, blast_radius });
    }
    budgets
}

fn retention(doc: &Doc, node: &Node) -> Retention {
    let mut read = Retention::default();
    let Some(fields) = Fields::open(doc, node, "`retention`") else { return read };
    if let Some(events) = fields.get("events").and_then(|node| doc.duration(node, "`retention.events`")) {
        read.events = events;
    }
    if let Some(runs) = fields.get("runs").and_then(|node| doc.duration(node, "`retention.runs`")) {
        read.runs = runs;
    }
    fields.close();
    read
}

fn default_log() -> Log {
    Log { format: LogFormat::Auto, level: "info".to_owned() }
}

fn log(doc: &Doc, node: &Node) -> Log {
    const FORMATS: &[(&str, LogFormat)] =
        &[("auto", LogFormat::Auto), ("human", LogFormat::Human), ("json", LogFormat::Json)];
    const LEVELS: &[(&str, &str)] =
        &[("error", "error"), ("warn", "warn"), ("info", "info"), ("debug", "debug"), ("trace", "trace")];
    let mut read = default_log();
    let Some(fields) = Fields::open(doc, node, "`log`") else { return read };
    if let Some(format) = fields.get("format").and_then(|node| doc.choice(node, "`log.format`", FORMATS)) {
        read.format = format;
    }
    if let Some(level) = fields.get("level").and_then(|node| doc.choice(node, "`log.level`", LEVELS)) {
        read.level = level.to_owned();
    }
    fields.close();
    read
}

/// Whether a URL stays on this machine.
fn is_loopback(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Whether a value is a mapping, for keys that may also be a word.
fn is_map(node: &Node) -> bool {
    matches!(node.kind, Kind::Map(_))
}

#[cfg(test)]
mod tests;
