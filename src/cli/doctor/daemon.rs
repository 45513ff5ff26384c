//! What the daemon says of itself.

use super::super::client::Client;
use super::Finding;
use crate::admin::views::StatusView;
use crate::config::Config;

/// Asks it, where it can be reached.
pub(super) fn ask(config: &Config) -> Vec<Finding> {
    let advice = "start `stanch serve` with this config, and run this as the same account";
    let status =
        Client::connect(config).and_then(|client| client.try_get::<StatusView>("status").map_err(|(_, why)| why));
    let status = match status {
        Ok(status) => status,
        Err(why) => return vec![Finding::bad("daemon", why, advice)],
    };
    let mut findings = Vec::new();
    let own = env!("CARGO_PKG_VERSION");
    findings.push(if status.version == own {
        let (rules, generation) = (status.rules, status.generation);
        Finding::good("daemon", format!("version {own} runs, with {rules} rules (generation {generation})"))
    } else {
        let found = format!("version {} runs, and this is {own}", status.version);
        Finding::doubtful("daemon", found, "restart the daemon to finish the upgrade")
    });
    if let Some(pause) = &status.paused {
        let until = pause.until.map(|until| format!(" until {until}")).unwrap_or_default();
        let why = pause.reason.as_deref().unwrap_or("no reason given");
        findings.push(Finding::doubtful(
            "paused",
            format!("nothing new starts{until}: {why}"),
            "`stanch resume`, once the reason is gone",
        ));
    }
    findings
}
