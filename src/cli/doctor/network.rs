//! What must be reachable: our own listener's address, and the Flashduty API where it is configured.

use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use super::Finding;
use crate::config::{Auth, Config};

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Whether something answers where pushes are to come in.
pub(super) fn listener(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut addr = config.listen;
    if addr.ip().is_unspecified() {
        addr.set_ip(match addr {
            std::net::SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            std::net::SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    findings.push(match TcpStream::connect_timeout(&addr, CONNECT_TIMEOUT) {
        Ok(_) => Finding::good("listener", format!("something answers at {addr}")),
        Err(error) => Finding::bad("listener", format!("nothing answers at {addr}: {error}"), "start `stanch serve`"),
    });
    let is_local = config.listen.ip().is_loopback();
    if config.sources.iter().any(|source| matches!(source.auth, Auth::Header { .. }))
        && config.tls.is_none()
        && !is_local
    {
        findings.push(Finding::doubtful(
            "listener",
            format!("{} takes secrets without TLS", config.listen),
            "give it `tls`, or let it listen on loopback behind a proxy that has",
        ));
    }
    findings
}

/// Whether the API can be connected to.
pub(super) fn flashduty(config: &Config) -> Option<Finding> {
    let api = &config.flashduty.as_ref()?.api;
    let parsed = url::Url::parse(api).ok()?;
    let (host, port) = (parsed.host_str()?.to_owned(), parsed.port_or_known_default()?);
    let advice = "let the bastion out to it, or take `flashduty` out of the config";
    Some(match (host.as_str(), port).to_socket_addrs().map(|addrs| addrs.collect::<Vec<_>>()) {
        Err(error) => Finding::bad("flashduty", format!("{host} has no address: {error}"), advice),
        Ok(addrs) => match addrs.iter().find_map(|addr| TcpStream::connect_timeout(addr, CONNECT_TIMEOUT).ok()) {
            Some(_) => Finding::good("flashduty", format!("{host}:{port} can be connected to")),
            None => Finding::bad("flashduty", format!("{host}:{port} cannot be connected to"), advice),
        },
    })
}
