//! What must be reachable: our own listener's address, and the Flashduty API where it is configured.

use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;

use super::Finding;
use crate::action::nss::services_out_of_reach;
use crate::clock::wall_now;
use crate::config::{Auth, Config};
use crate::report::flashduty::{CallError, Client, Pace};

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The span of the list of incidents that is asked for, in seconds. Short: what is on it does not matter.
const LOOK_BACK_S: i64 = 3600;
/// What to do where the API is not reached.
const LET_OUT: &str = "let the bastion out to it, or take `flashduty` out of the config";

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

/// Whether hosts can be looked up here, which a static program may not be able to.
pub(super) fn name_services() -> Option<Finding> {
    let services = services_out_of_reach();
    (!services.is_empty()).then(|| {
        let found = format!(
            "/etc/nsswitch.conf names {} for hosts, which this static program cannot load",
            services.join(", ")
        );
        Finding::bad("names", found, "take the package, a build with musl, or `hosts: files dns`")
    })
}

/// Whether the API answers and takes the app key. Where the key is the unit's alone, whether it can be connected to.
pub(super) fn flashduty(config: &Config, runtime: &Runtime) -> Option<Finding> {
    let flashduty = config.flashduty.as_ref()?;
    let api = &flashduty.api;
    Some(match flashduty.app_key.resolve() {
        // What is wrong with the key is a finding of its own.
        Err(_) => connect(api),
        Ok(key) => match Client::new(api, key, Arc::new(Pace::new())) {
            Err(error) => Finding::bad("flashduty", error.to_string(), "look at the system's certificates"),
            Ok(client) => {
                let now = wall_now().as_millis() / 1000;
                judge(api, runtime.block_on(client.look(now - LOOK_BACK_S, now)))
            }
        },
    })
}

fn judge(api: &str, asked: Result<(), CallError>) -> Finding {
    match asked {
        Ok(()) => Finding::good("flashduty", format!("{api} answers, and takes the app key")),
        Err(error @ CallError::NotReached { .. }) => Finding::bad("flashduty", error.to_string(), LET_OUT),
        Err(error) if error.is_for_now() => {
            Finding::doubtful("flashduty", error.to_string(), "it is busy: ask again in a minute")
        }
        Err(error @ CallError::Refused { .. }) => {
            let advice = "put an app key of this account where `flashduty.app_key` of the config points to";
            Finding::bad("flashduty", error.to_string(), advice)
        }
        Err(error @ CallError::NoAnswer { .. }) => {
            let advice = "is `flashduty.api` of the config the Open API, and no proxy in between?";
            Finding::bad("flashduty", error.to_string(), advice)
        }
    }
}

fn connect(api: &str) -> Finding {
    let parsed = url::Url::parse(api).ok();
    let Some((host, port)) = parsed.as_ref().and_then(|url| url.host_str().zip(url.port_or_known_default())) else {
        return Finding::bad("flashduty", format!("{api} names no host"), "mend `flashduty.api` of the config");
    };
    match (host, port).to_socket_addrs().map(|addrs| addrs.collect::<Vec<_>>()) {
        Err(error) => Finding::bad("flashduty", format!("{host} has no address: {error}"), LET_OUT),
        Ok(addrs) => match addrs.iter().find_map(|addr| TcpStream::connect_timeout(addr, CONNECT_TIMEOUT).ok()) {
            Some(_) => {
                Finding::good("flashduty", format!("{host}:{port} can be connected to; the app key was not tried"))
            }
            None => Finding::bad("flashduty", format!("{host}:{port} cannot be connected to"), LET_OUT),
        },
    }
}
