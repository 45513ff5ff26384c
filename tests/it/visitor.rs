//! A visitor of the admin interface over TCP: with a token, with a session, or with nothing.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::support::{Daemon, Folder};

/// The token that may act.
pub(crate) const ADMIN: &str = "the-admin-token-of-the-tests-0123";
/// The token that may look.
pub(crate) const READER: &str = "the-read-token-of-the-tests-45678";

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The stable word of an error.
    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(String::as_str).unwrap_or_default()
    }
}

/// A folder whose daemon has an admin listener with both tokens, and its address.
pub(crate) fn with_console(folder: Folder, extra: &str) -> (Folder, SocketAddr) {
    let addr = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    folder.write("secrets/admin", ADMIN, 0o600);
    folder.write("secrets/reader", READER, 0o600);
    let admin = format!(
        "admin: {{ listen: {addr}, token: {{ file: secrets/admin }}, read_token: {{ file: secrets/reader }} }}\n{extra}"
    );
    (folder.config(&admin), addr)
}

/// A daemon with a console, and where that is.
pub(crate) fn console(rules: &str) -> (Daemon, SocketAddr) {
    let (folder, addr) = with_console(Folder::with_rules(rules), "");
    (folder.start(), addr)
}

/// Sends a request as it is told to, and reads the answer to its end.
pub(crate) fn ask(addr: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut head = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    if !headers.iter().any(|(name, _)| *name == "host") {
        head.push_str(&format!("host: {addr}\r\n"));
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}\r\n{body}").as_bytes()).unwrap();
    let mut reader = BufReader::new(stream);
    let (status, headers) = read_head(&mut reader);
    let mut rest = Vec::new();
    match headers.get("content-length").map(|length| length.parse().unwrap()) {
        Some(length) => {
            rest.resize(length, 0);
            reader.read_exact(&mut rest).unwrap();
        }
        None => {
            reader.read_to_end(&mut rest).unwrap();
        }
    }
    let rest = String::from_utf8(rest).unwrap();
    assert!(!headers.contains_key("transfer-encoding"), "an answer of known length is not sent in chunks");
    Answer { status, headers, body: rest }
}

/// Reads a status line and the headers; of one that is there several times, the last.
pub(crate) fn read_head(reader: &mut impl BufRead) -> (u16, BTreeMap<String, String>) {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let status = line.split_whitespace().nth(1).and_then(|code| code.parse().ok());
    let status = status.unwrap_or_else(|| panic!("no status in {line:?}"));
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(':') else { return (status, headers) };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
}

/// Somebody who is logged in.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    pub(crate) addr: SocketAddr,
    pub(crate) cookie: String,
}

impl Visitor {
    /// Logs in with a token.
    pub(crate) fn log_in(addr: SocketAddr, token: &str) -> Self {
        let answer = log_in(addr, token);
        assert_eq!(answer.status, 303, "{answer:?}");
        let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
        Self { addr, cookie }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        ask(self.addr, "GET", path, &[("cookie", &self.cookie), ("accept", "text/html")], "")
    }

    /// Sends a form with fields of one's own choice.
    pub(crate) fn post(&self, path: &str, fields: &str) -> Answer {
        let headers = [("cookie", &*self.cookie), ("content-type", "application/x-www-form-urlencoded")];
        ask(self.addr, "POST", path, &headers, fields)
    }

    /// What the forms of this visitor carry.
    pub(crate) fn form_token(&self) -> String {
        form_token(&self.get("/").body)
    }

    /// Sends a form as the page has it.
    pub(crate) fn submit(&self, path: &str, fields: &str) -> Answer {
        self.post(path, &format!("form_token={}&{fields}", self.form_token()))
    }
}

/// Sends the login form as the page has it.
pub(crate) fn log_in(addr: SocketAddr, token: &str) -> Answer {
    log_in_as(addr, token, "", &[])
}

/// The same with a name, and with further headers.
pub(crate) fn log_in_as(addr: SocketAddr, token: &str, name: &str, headers: &[(&str, &str)]) -> Answer {
    let (cookie, form_token) = login_page(addr);
    let fields = form_urlencoded::Serializer::new(String::new())
        .append_pair("form_token", &form_token)
        .append_pair("token", token)
        .append_pair("name", name)
        .finish();
    let own = [("content-type", "application/x-www-form-urlencoded"), ("cookie", &*cookie)];
    ask(addr, "POST", "/login", &[&own, headers].concat(), &fields)
}

/// The cookie that the login page gives, and what its form carries.
pub(crate) fn login_page(addr: SocketAddr) -> (String, String) {
    let page = ask(addr, "GET", "/login", &[("accept", "text/html")], "");
    let cookie = page.header("set-cookie").split(';').next().unwrap().to_owned();
    (cookie, form_token(&page.body))
}

/// What the first form of a page carries.
fn form_token(page: &str) -> String {
    let (_, rest) = page.split_once("name=\"form_token\" value=\"").unwrap_or_else(|| panic!("no form in {page}"));
    rest.split('"').next().unwrap().to_owned()
}

/// The header that a bearer of a token sends.
pub(crate) fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}
