//! The hosts of `ssh` steps that stand in the rules as they are. Those that come from an event are known only then.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::Finding;
use crate::action::{SshSettings, probe_ssh};
use crate::config::Config;
use crate::rule::step::{Action, SshSpec, Step};
use crate::rule::template::Template;
use crate::rule::{RuleSet, destination};

/// How many hosts are looked at. More than that are an inventory, which other tools watch.
const HOSTS_MAX: usize = 256;
/// How many are looked at together, so that many silent ones take no longer than a few.
const TOGETHER_MAX: usize = 16;

/// Where a step goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Host {
    host: String,
    user: Option<String>,
    port: Option<u16>,
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        f.write_str(&self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, " port {port}"))
    }
}

/// What the rules name: hosts with the rules that go there, and how many steps learn theirs from the event.
#[derive(Debug, Default)]
struct Named {
    hosts: BTreeMap<Host, BTreeSet<String>>,
    later: usize,
}

impl Named {
    fn of(rules: &RuleSet) -> Self {
        let mut named = Self::default();
        for rule in &rules.rules {
            let verify = rule.verify.iter().flat_map(|verify| &verify.steps);
            let steps = rule.steps.iter().chain(verify).chain(&rule.on_success).chain(&rule.on_failure);
            named.gather(rule.id.as_str(), steps);
        }
        named
    }

    fn gather<'a>(&mut self, rule: &str, steps: impl Iterator<Item = &'a Arc<Step>>) {
        for step in steps {
            match &step.action {
                Action::Ssh(spec) => match host(spec) {
                    Some(host) => {
                        self.hosts.entry(host).or_default().insert(rule.to_owned());
                    }
                    None => self.later += 1,
                },
                Action::Each(each) => self.gather(rule, each.steps.iter()),
                _ => {}
            }
        }
    }
}

/// Where a step goes, if that stands in the rule.
fn host(spec: &SshSpec) -> Option<Host> {
    let literal = |template: &Template| template.is_constant().then(|| template.source().to_owned());
    let user = spec.user.as_ref().map(literal);
    let port = spec.port.as_ref().map(|port| literal(port).and_then(|port| destination::port(&port).ok()));
    Some(Host {
        host: destination::host(&literal(&spec.host)?).ok()?,
        user: user.map_or(Some(None), |user| user.map(Some))?,
        port: port.map_or(Some(None), |port| port.map(Some))?,
    })
}

/// Looks at each of them; with `login` as far as logging in.
pub(super) fn look(config: &Config, rules: &RuleSet, login: bool, runtime: &Runtime) -> Vec<Finding> {
    let Named { hosts, later } = Named::of(rules);
    let mut findings = Vec::new();
    if later > 0 {
        let found = format!("steps whose host comes from the event: {later}; such a host cannot be looked at before");
        findings.push(Finding::good("ssh", found));
    }
    if hosts.is_empty() {
        return findings;
    }
    findings.extend(account(config));
    let count = hosts.len();
    if count > HOSTS_MAX {
        let found = format!("{count} hosts stand in the rules, and only the first {HOSTS_MAX} were looked at");
        findings.push(Finding::doubtful("ssh", found, "look at the rest with tools that are made for many"));
    }
    let settings = Arc::new(SshSettings::of(config));
    let mut left = hosts.into_iter().take(HOSTS_MAX);
    let mut found = runtime.block_on(async {
        let (mut going, mut found) = (JoinSet::new(), Vec::new());
        loop {
            while going.len() < TOGETHER_MAX
                && let Some((host, rules)) = left.next()
            {
                let settings = Arc::clone(&settings);
                going.spawn(async move {
                    let probed = probe_ssh(&settings, &host.host, host.user.as_deref(), host.port, login).await;
                    (host, rules, probed)
                });
            }
            match going.join_next().await {
                Some(Ok(one)) => found.push(one),
                // A look that panicked has been reported by the panic itself.
                Some(Err(_)) => {}
                None => break found,
            }
        }
    });
    found.sort();
    findings.extend(found.into_iter().map(|(host, rules, probed)| judge(&host, &rules, probed, login)));
    findings
}

fn judge(host: &Host, rules: &BTreeSet<String>, probed: Result<(), String>, login: bool) -> Finding {
    let rules = rules.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    match probed {
        Ok(()) if login => Finding::good("ssh", format!("{host} lets us in (for {rules})")),
        Ok(()) => Finding::good("ssh", format!("{host} answers, and its key is known (for {rules})")),
        Err(why) => {
            let advice = if why.contains("Host key verification failed") {
                "compare its key with the host's own, then add it to the known hosts of the daemon's account"
            } else if why.contains("Permission denied") {
                "give the daemon's account a key that the host takes"
            } else {
                "try `ssh -v` as the daemon's account"
            };
            Finding::bad("ssh", format!("{host} (for {rules}): {why}"), advice)
        }
    }
}

/// Whether who asks is who will connect: OpenSSH reads the keys and the known hosts of the account that calls it.
fn account(config: &Config) -> Option<Finding> {
    let owner = std::fs::metadata(&config.data).ok()?.uid();
    (owner != rustix::process::geteuid().as_raw()).then(|| {
        Finding::doubtful(
            "ssh",
            "hosts are looked at with the keys and known hosts of this account, and the daemon has another one",
            "run this as the account that owns `data`",
        )
    })
}
