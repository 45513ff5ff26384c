//! Reading what may be absent, and the functions about time and addresses.

use std::net::IpAddr;

use ipnet::IpNet;
use rhai::{Dynamic, Engine, EvalAltResult, FuncRegistration, Map};

use super::limits;

/// Unix seconds above this are milliseconds: it is the year 5138.
const SECONDS_MAX: i64 = 100_000_000_000;

/// Registers `has`, `get`, `minutes_since` and `in_cidr`.
pub(super) fn register(engine: &mut Engine) {
    // Pure, so that they work as methods of the event's constants: `labels.get("a.b", "")`.
    FuncRegistration::new("has")
        .with_purity(true)
        .register_into_engine(engine, |map: &mut Map, path: &str| find(map, path).is_some());
    FuncRegistration::new("get")
        .with_purity(true)
        .register_into_engine(engine, |map: &mut Map, path: &str, default: Dynamic| find(map, path).unwrap_or(default));
    engine.register_fn("minutes_since", minutes_since).register_fn("in_cidr", in_cidr);
}

/// The value at `path`. A name with dots in it is found as well: at each level the rest of the path is tried as one
/// name before it is split. Null counts as absent.
fn find(map: &Map, path: &str) -> Option<Dynamic> {
    if let Some(value) = map.get(path).filter(|value| !value.is_unit()) {
        return Some(value.clone());
    }
    path.match_indices('.').find_map(|(dot, _)| {
        let inner = map.get(path.get(..dot)?)?.as_map_ref().ok()?;
        find(&inner, path.get(dot + 1..)?)
    })
}

fn minutes_since(unix_seconds: i64) -> Result<i64, Box<EvalAltResult>> {
    let now = limits::now_secs().ok_or("`minutes_since` works only while an event is decided")?;
    match unix_seconds {
        0 => Err("`minutes_since` got 0, by which Flashduty says that the time is not set".into()),
        SECONDS_MAX.. => Err("`minutes_since` takes Unix seconds, and this looks like milliseconds".into()),
        _ => Ok(now.saturating_sub(unix_seconds).div_euclid(60)),
    }
}

fn in_cidr(ip: &str, net: &str) -> Result<bool, Box<EvalAltResult>> {
    let address: IpAddr = ip.parse().map_err(|_| format!("`in_cidr`: {ip:?} is not an IP address"))?;
    let network: IpNet = match net.parse() {
        Ok(network) => network,
        Err(_) => net.parse::<IpAddr>().map(IpNet::from).map_err(|_| format!("`in_cidr`: {net:?} is not a network"))?,
    };
    // `::ffff:10.0.0.1` is 10.0.0.1.
    Ok(network.contains(&address.to_canonical()))
}
