//! Requests to the webhook and the admin socket.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use serde_json::Value;

use super::PATIENCE;

/// Posts a body and returns the status and the answer.
pub(crate) fn post(addr: SocketAddr, token: &str, body: &[u8]) -> (u16, Value) {
    try_post(addr, token, body).unwrap()
}

/// The same where the daemon may die meanwhile.
pub(crate) fn try_post(addr: SocketAddr, token: &str, body: &[u8]) -> std::io::Result<(u16, Value)> {
    post_to(addr, "/flashduty", token, body)
}

/// The same to the path of another source.
pub(crate) fn post_to(addr: SocketAddr, path: &str, token: &str, body: &[u8]) -> std::io::Result<(u16, Value)> {
    let stream = TcpStream::connect(addr)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: t\r\nx-stanch-token: {token}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let (status, text) = exchange(stream, &[head.as_bytes(), body].concat())?;
    Ok((status, serde_json::from_str(&text).unwrap_or(Value::Null)))
}

/// A request to the admin socket; `None` where nobody listens.
pub(crate) fn admin(socket: &Path, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
    let stream = std::os::unix::net::UnixStream::connect(socket).ok()?;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    exchange(stream, request.as_bytes()).ok()
}

fn exchange(mut stream: impl Read + Write, request: &[u8]) -> std::io::Result<(u16, String)> {
    stream.write_all(request)?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line.split_whitespace().nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| std::io::Error::other(format!("no status in {line:?}")))?;
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest)?;
    let rest = String::from_utf8_lossy(&rest).into_owned();
    Ok((status, rest.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()))
}
