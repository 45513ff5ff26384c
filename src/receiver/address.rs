//! Whose address counts: the peer's, or the one that a trusted proxy vouches for.
//!
//! `X-Forwarded-For` is what anybody may write, followed by what each proxy on the way appended. So it is read
//! only where the peer is a trusted proxy, and from the right: the first address that is not itself a trusted
//! proxy is the client, whatever stands to its left.

use std::net::{IpAddr, SocketAddr};

use hyper::HeaderMap;
use hyper::header::HeaderName;
use ipnet::IpNet;

/// The header that proxies append to.
pub(super) const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// The most addresses that are looked at. A real chain has two or three; a longer one is an attempt.
const HOPS_MAX: usize = 32;

/// The address of the client, or `None` where a trusted proxy sent an `X-Forwarded-For` that is malformed or
/// longer than [`HOPS_MAX`]: what is not understood is not allowed.
pub(super) fn client(peer: IpAddr, trusted_proxies: &[IpNet], headers: &HeaderMap) -> Option<IpAddr> {
    let peer = peer.to_canonical();
    if !contains(trusted_proxies, peer) {
        return Some(peer);
    }
    let mut client = None;
    let mut hops = 0_usize;
    let mut leftmost = peer;
    // Several header lines are one list. Every entry is parsed, though the walk is over at the client's.
    for line in headers.get_all(FORWARDED_FOR).iter().rev() {
        for entry in line.to_str().ok()?.rsplit(',') {
            hops += 1;
            if hops > HOPS_MAX {
                return None;
            }
            leftmost = parse(entry.trim())?;
            if client.is_none() && !contains(trusted_proxies, leftmost) {
                client = Some(leftmost);
            }
        }
    }
    // Proxies all the way: the request began at the first of them.
    Some(client.unwrap_or(leftmost))
}

/// An address, as some proxies write it with the port. An IPv4 address in IPv6 form is the IPv4 address.
fn parse(entry: &str) -> Option<IpAddr> {
    let address = entry.parse::<IpAddr>().or_else(|_| entry.parse::<SocketAddr>().map(|address| address.ip()));
    address.ok().map(|address| address.to_canonical())
}

/// Whether one of `nets` holds `address`; an empty list holds nothing.
pub(super) fn contains(nets: &[IpNet], address: IpAddr) -> bool {
    nets.iter().any(|net| net.contains(&address))
}

/// The network with IPv4-mapped IPv6 turned into IPv4, as addresses are before they are compared.
pub(super) fn canonical(net: IpNet) -> IpNet {
    const MAPPED_PREFIX: u8 = 96;
    match (net.addr().to_canonical(), net.prefix_len().checked_sub(MAPPED_PREFIX)) {
        (IpAddr::V4(address), Some(prefix)) if net.addr().is_ipv6() => {
            ipnet::Ipv4Net::new(address, prefix).map_or(net, IpNet::V4)
        }
        _ => net,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWED: &str = "47.94.95.118";
    const PROXY: &str = "10.0.0.1";
    const EVIL: &str = "203.0.113.66";

    fn seen(peer: &str, lines: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        client(peer.parse().unwrap(), &trusted, &headers).map(|address| address.to_string())
    }

    fn some(address: &str) -> Option<String> {
        Some(address.to_owned())
    }

    #[test]
    fn the_header_of_an_unknown_peer_is_ignored() {
        assert_eq!(seen(EVIL, &[ALLOWED]), some(EVIL));
        assert_eq!(seen(EVIL, &["garbage"]), some(EVIL));
    }

    #[test]
    fn a_proxys_header_is_walked_from_the_right() {
        assert_eq!(seen(PROXY, &[ALLOWED]), some(ALLOWED));
        assert_eq!(seen(PROXY, &[&format!("{ALLOWED}, {EVIL}")]), some(EVIL));
        assert_eq!(seen(PROXY, &[&format!("{EVIL}, {ALLOWED}, 10.1.1.1")]), some(ALLOWED));
        assert_eq!(seen(PROXY, &[ALLOWED, EVIL]), some(EVIL));
        assert_eq!(seen(PROXY, &[EVIL, ALLOWED]), some(ALLOWED));
        assert_eq!(seen(PROXY, &["10.3.3.3, 10.2.2.2"]), some("10.3.3.3"));
        assert_eq!(seen(PROXY, &[]), some(PROXY));
    }

    #[test]
    fn forms_of_one_address_are_equal() {
        assert_eq!(seen("::ffff:47.94.95.118", &[]), some(ALLOWED));
        assert_eq!(seen("::ffff:10.0.0.1", &["::ffff:47.94.95.118"]), some(ALLOWED));
        assert_eq!(seen(PROXY, &["47.94.95.118:4711"]), some(ALLOWED));
        assert_eq!(seen("fd00::1", &["[2001:db8::7]:443"]), some("2001:db8::7"));
        let mapped: IpNet = "::ffff:10.0.0.0/104".parse().unwrap();
        assert_eq!(canonical(mapped), "10.0.0.0/8".parse().unwrap());
        let plain: IpNet = "2001:db8::/32".parse().unwrap();
        assert_eq!(canonical(plain), plain);
    }

    #[test]
    fn what_is_not_understood_is_nobody() {
        for garbage in ["", "unknown", "_hidden", "1.2.3", "1.2.3.4.5", "47.94.95.118, ,", "fe80::1%eth0", "1.2.3.4/8"]
        {
            assert_eq!(seen(PROXY, &[garbage]), None, "{garbage}");
        }
        assert_eq!(seen(PROXY, &[&format!("garbage, {ALLOWED}")]), None);
        assert_eq!(seen(PROXY, &[&vec![ALLOWED; 300].join(", ")]), None);
        assert_eq!(seen(PROXY, &vec![ALLOWED; 300]), None);
    }
}
