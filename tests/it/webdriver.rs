//! A real browser, driven by WebDriver: headless, with a profile of its own, ended when the test ends.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use serde_json::{Value, json};

use crate::support::wait_for;
use crate::visitor::ask;

/// The key by which WebDriver names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// Axe, as `tests/setup.sh` brought it.
const AXE: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/axe.min.js");

/// Keys that have no letter.
pub(crate) const TAB: char = '\u{e004}';
pub(crate) const ENTER: char = '\u{e007}';

/// Dark or light, as the system of whoever looks says.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scheme {
    Light,
    Dark,
}

/// How often chromedriver is started until it has a port.
const STARTS_MAX: usize = 5;

/// Starts chromedriver; `None` where it ends without a port.
fn start_driver() -> Option<(Child, SocketAddr)> {
    let started = Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut driver = started.unwrap_or_else(|error| panic!("cannot start chromedriver: {error}; run `make setup`"));
    let lines = BufReader::new(driver.stdout.take().unwrap()).lines();
    let port = lines.map(Result::unwrap).find_map(|line| {
        let (_, port) = line.split_once("started successfully on port ")?;
        port.trim_end_matches('.').parse().ok()
    });
    let Some(port) = port else {
        driver.wait().unwrap();
        return None;
    };
    Some((driver, SocketAddr::from(([127, 0, 0, 1], port))))
}

/// A browser with one window.
pub(crate) struct Browser {
    driver: Child,
    addr: SocketAddr,
    session: String,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts a browser.
    pub(crate) fn start() -> Self {
        // It takes a free port of IPv4 and then the same one of IPv6, and ends where another test was there first.
        let started = (0..STARTS_MAX).find_map(|_| start_driver());
        let (driver, addr) = started.unwrap_or_else(|| panic!("chromedriver says no port"));
        let profile = tempfile::tempdir().unwrap();
        let mut browser = Self { driver, addr, session: String::new(), _profile: profile };
        let profile = format!("--user-data-dir={}", browser._profile.path().display());
        let args = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            &profile,
        ];
        let options = json!({ "browserName": "chrome", "goog:chromeOptions": { "args": args } });
        let made = browser.call("POST", "", &json!({ "capabilities": { "alwaysMatch": options } }));
        browser.session = format!("/{}", made["sessionId"].as_str().unwrap());
        browser
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        self.try_call(method, path, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    fn try_call(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let body = if method == "POST" { body.to_string() } else { String::new() };
        let path = format!("/session{}{path}", self.session);
        let headers = [("content-type", "application/json; charset=utf-8")];
        let answer = ask(self.addr, method, &path, &headers, &body);
        let value = answer.json()["value"].take();
        if answer.status == 200 { Ok(value) } else { Err(value["message"].to_string()) }
    }

    /// Goes to a page and waits until it is there.
    pub(crate) fn open(&self, url: &str) {
        self.call("POST", "/url", &json!({ "url": url }));
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        self.call("GET", "/url", &Value::Null).as_str().unwrap().to_owned()
    }

    /// Evaluates a script in the page.
    pub(crate) fn script(&self, script: &str) -> Value {
        self.call("POST", "/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// The text of the page as it is read.
    pub(crate) fn text(&self) -> String {
        self.script("return document.body.innerText").as_str().unwrap().to_owned()
    }

    /// Waits until the page says something.
    pub(crate) fn wait_for_text(&self, text: &str) {
        wait_for(&format!("the page to say {text:?}"), || {
            let page = self.text();
            if page.contains(text) { Ok(()) } else { Err(format!("{}: {page}", self.url())) }
        });
    }

    fn element(&self, css: &str) -> Result<String, String> {
        let found = self.try_call("POST", "/element", &json!({ "using": "css selector", "value": css }))?;
        Ok(found[ELEMENT].as_str().unwrap().to_owned())
    }

    /// Clicks where a person would.
    pub(crate) fn click(&self, css: &str) {
        wait_for(&format!("{css} to be clicked"), || {
            // The page may have renewed it between the two.
            let element = self.element(css)?;
            self.try_call("POST", &format!("/element/{element}/click"), &json!({}))
        });
    }

    /// Types into what has the focus, key by key.
    pub(crate) fn press(&self, keys: &str) {
        let held = |key: char| json!([{ "type": "keyDown", "value": key }, { "type": "keyUp", "value": key }]);
        let actions: Vec<Value> = keys.chars().flat_map(|key| held(key).as_array().unwrap().clone()).collect();
        self.call("POST", "/actions", &json!({ "actions": [{ "type": "key", "id": "keys", "actions": actions }] }));
    }

    /// The size of the window, in CSS pixels, and the colours of the system.
    pub(crate) fn look(&self, width: u32, height: u32, scheme: Scheme) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.devtools("Emulation.setDeviceMetricsOverride", &size);
        let value = match scheme {
            Scheme::Light => "light",
            Scheme::Dark => "dark",
        };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": value }] });
        self.devtools("Emulation.setEmulatedMedia", &media);
    }

    fn devtools(&self, command: &str, parameters: &Value) -> Value {
        self.call("POST", "/goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }

    /// What axe finds wrong with the page: the rule, how bad, and where.
    pub(crate) fn axe(&self) -> Vec<String> {
        let axe = fs::read_to_string(AXE).unwrap_or_else(|error| panic!("{AXE}: {error}; run `make setup`"));
        let script = format!(
            "{axe};\nconst done = arguments[arguments.length - 1];
             axe.run(document, {{ resultTypes: ['violations'] }}).then((found) => done(found.violations.flatMap((one) =>
               one.nodes.map((node) => `${{one.id}} (${{one.impact}}) at ${{node.target}}: ${{node.failureSummary}}`))));"
        );
        let found = self.call("POST", "/execute/async", &json!({ "script": script, "args": [] }));
        found.as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect()
    }

    /// Saves what is to be seen.
    pub(crate) fn screenshot(&self, path: &Path) {
        let picture = self.call("GET", "/screenshot", &Value::Null);
        let bytes = base64::engine::general_purpose::STANDARD.decode(picture.as_str().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver takes its browser down with the session; alone it would outlive both.
        if !self.session.is_empty() {
            self.try_call("DELETE", "", &Value::Null).ok();
        }
        self.driver.kill().ok();
        self.driver.wait().ok();
    }
}
