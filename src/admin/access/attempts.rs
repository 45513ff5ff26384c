//! Wrong tokens, counted by address, so that nobody can go on guessing.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use crate::clock::Timestamp;

/// How many wrong tokens at login an address may send within [`WINDOW`]: a person who mistypes has enough of them.
pub(super) const LOGINS_MAX: u32 = 10;
/// How many wrong tokens in a header: a scraper with an old token asks every few seconds, and should find its way
/// back within the window once it has the new one.
pub(super) const BEARERS_MAX: u32 = 100;
/// How long wrong tokens count, from the first of them.
pub(super) const WINDOW: Duration = Duration::from_secs(60);
/// How many addresses are counted at a time; beyond that the one that began first is forgotten.
pub(super) const ADDRESSES_MAX: usize = 1024;

/// Wrong tokens of one kind.
#[derive(Debug)]
pub(super) struct Attempts {
    max: u32,
    seen: HashMap<IpAddr, (Timestamp, u32)>,
}

impl Attempts {
    pub(super) fn of_logins() -> Self {
        Self { max: LOGINS_MAX, seen: HashMap::new() }
    }

    pub(super) fn of_bearers() -> Self {
        Self { max: BEARERS_MAX, seen: HashMap::new() }
    }

    /// Whether an address has to wait before its next token is looked at.
    pub(super) fn are_too_many(&self, peer: IpAddr, now: Timestamp) -> bool {
        self.seen.get(&network(peer)).is_some_and(|(since, count)| now.since(*since) < WINDOW && *count >= self.max)
    }

    /// Counts a wrong token.
    pub(super) fn failed(&mut self, peer: IpAddr, now: Timestamp) {
        if self.seen.len() >= ADDRESSES_MAX {
            self.seen.retain(|_, (since, _)| now.since(*since) < WINDOW);
        }
        let peer = network(peer);
        if self.seen.len() >= ADDRESSES_MAX && !self.seen.contains_key(&peer) {
            let first = self.seen.iter().min_by_key(|(_, (since, _))| *since).map(|(peer, _)| *peer);
            first.map(|peer| self.seen.remove(&peer));
        }
        let (since, count) = self.seen.entry(peer).or_insert((now, 0));
        if now.since(*since) >= WINDOW {
            (*since, *count) = (now, 0);
        }
        *count += 1;
    }
}

/// Whoever has one address of an IPv6 network has 2^64 of them.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Timestamp {
        Timestamp::default().plus(Duration::from_millis(ms))
    }

    #[test]
    fn an_address_waits_after_too_many_wrong_tokens_and_the_others_do_not() {
        let mut attempts = Attempts::of_logins();
        let (one, other): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        for _ in 0..LOGINS_MAX {
            assert!(!attempts.are_too_many(one, at(1)));
            attempts.failed(one, at(1));
        }
        assert!(attempts.are_too_many(one, at(2)));
        assert!(attempts.are_too_many("::ffff:192.0.2.1".parse().unwrap(), at(2)));
        assert!(!attempts.are_too_many(other, at(2)));
        let later = at(1).plus(WINDOW);
        assert!(!attempts.are_too_many(one, later));
        attempts.failed(one, later);
        assert!(!attempts.are_too_many(one, later), "the count begins anew");
    }

    #[test]
    fn an_ipv6_network_counts_as_one_and_addresses_are_bounded() {
        let mut attempts = Attempts::of_logins();
        for nth in 0..LOGINS_MAX {
            attempts.failed(format!("2001:db8::{nth:x}").parse().unwrap(), at(0));
        }
        assert!(attempts.are_too_many("2001:db8::ffff".parse().unwrap(), at(0)));
        for nth in 0..2 * u32::try_from(ADDRESSES_MAX).unwrap() {
            attempts.failed(IpAddr::from(std::net::Ipv4Addr::from(nth)), at(u64::from(nth)));
        }
        assert!(attempts.seen.len() <= ADDRESSES_MAX);
    }
}
