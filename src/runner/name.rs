//! What a step is called in records and errors.

use std::time::Duration;

use crate::rule::step::{Action, FlashdutySpec, RemoteSpec, Step};

/// The step's name, else what it does.
pub(crate) fn of(step: &Step) -> String {
    if let Some(name) = &step.name {
        return name.clone();
    }
    match &step.action {
        Action::Run(spec) => format!("run {}", spec.program.display()),
        Action::Shell(_) => "shell".into(),
        Action::Http(spec) => format!("{} {}", spec.method, spec.authority),
        Action::Ssh(spec) => match &spec.command {
            RemoteSpec::Run(argv) => {
                let program = argv.first().map_or("", |program| program.source());
                format!("ssh {} {program}", spec.host.source())
            }
            RemoteSpec::Shell(_) => format!("ssh {} shell", spec.host.source()),
        },
        Action::Each(spec) => format!("each {}", spec.name),
        Action::Flashduty(calls) => {
            let names: Vec<&str> = calls.iter().map(FlashdutySpec::name).collect();
            format!("flashduty {}", names.join(", "))
        }
        Action::Wait(duration) => wait(*duration),
    }
}

fn wait(duration: Duration) -> String {
    format!("wait {duration:?}")
}
