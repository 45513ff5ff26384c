//! A fake Flashduty to try rules against: it answers the calls of the Open API, prints what it saw, and pushes one
//! incident to a webhook, if it is told where.
//!
//! ```text
//! cargo run --example fake-flashduty -- --push examples/demo/events/disk-full.json \
//!     --webhook http://127.0.0.1:8080/flashduty --secret-file secrets/webhook-token
//! ```

use std::error::Error;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;
use serde_json::{Map, Value};
use stanch::fake_flashduty::{Fake, Webhook};

/// A fake Flashduty on loopback.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Where it listens: `flashduty.api` of the config is `http://` and this.
    #[arg(long, default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// The app key that it asks for.
    #[arg(long, default_value = "an-app-key-for-trying-things")]
    app_key: String,
    /// A payload whose incident is opened and pushed.
    #[arg(long, value_name = "FILE", requires = "webhook")]
    push: Option<PathBuf>,
    /// Where incidents are pushed to.
    #[arg(long, value_name = "URL", requires = "secret_file")]
    webhook: Option<String>,
    /// The header of the webhook's secret.
    #[arg(long, default_value = "X-Stanch-Token")]
    header: String,
    /// The file with the webhook's secret.
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Ends after so many calls; goes on until Ctrl-C unless given.
    #[arg(long, value_name = "N")]
    calls: Option<usize>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    run(Args::parse(), &mut std::io::stdout()).await
}

/// Serves, and writes to `out` what happens.
pub(crate) async fn run(args: Args, out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let fake = Fake::start(args.listen, &args.app_key).await?;
    writeln!(out, "listening on {}", fake.url())?;
    if let (Some(url), Some(file)) = (&args.webhook, &args.secret_file) {
        let secret = std::fs::read_to_string(file)?;
        fake.set_webhook(Some(Webhook::new(url, &args.header, secret.trim())?));
    }
    if let Some(file) = &args.push {
        let payload: Value = serde_json::from_str(&std::fs::read_to_string(file)?)?;
        let incident = payload["incident"].as_object().cloned().ok_or("the payload has no incident")?;
        let id = incident.get("incident_id").and_then(Value::as_str).unwrap_or_default().to_owned();
        fake.open(incident);
        let (event, status) = fake.push("i_new", &id, Map::new()).await?;
        writeln!(out, "pushed i_new {event} of incident {id}: {status}")?;
    }
    let mut shown = 0;
    while args.calls.is_none_or(|calls| shown < calls) {
        fake.seen_more_than(shown).await;
        for call in fake.seen().iter().skip(shown) {
            writeln!(out, "{} {} {}", call.status, call.path, call.body)?;
            shown += 1;
        }
    }
    Ok(())
}
