//! Rendering of `ssh`.

use super::render::{PlanError, passable, render, stdin, variables};
use super::{RemoteCall, SshCall, StdinCall};
use crate::rule::destination;
use crate::rule::step::{RemoteSpec, SshSpec};
use crate::rule::template::{Template, TemplateNames};

/// `ssh`, rendered.
///
/// # Errors
/// A template that cannot be rendered; what is not a host, an account or a port; a NUL, or too many bytes, in an
/// argument, a variable or standard input.
pub(super) fn ssh(spec: &SshSpec, names: &TemplateNames<'_>) -> Result<SshCall, PlanError> {
    let command = match &spec.command {
        RemoteSpec::Run(argv) => {
            let argv = argv.iter().enumerate().map(|(at, argument)| {
                let field = || format!("ssh.run[{at}]");
                passable(render(argument, names, field)?, 0, field)
            });
            RemoteCall::Run(argv.collect::<Result<_, _>>()?)
        }
        RemoteSpec::Shell(script) => RemoteCall::Shell(passable(script.clone(), 0, || "ssh.shell".into())?),
    };
    let stdin = stdin(&spec.stdin, names, "ssh.stdin")?;
    if let StdinCall::Text(text) = &stdin
        && text.contains('\0')
    {
        return Err(PlanError::new("ssh.stdin", "it holds a NUL, which the shell there cannot pass on"));
    }
    let optional = |template: &Option<Template>, field| template.as_ref().map(|one| render(one, names, || field));
    Ok(SshCall {
        host: checked("ssh.host", &render(&spec.host, names, || "ssh.host".into())?, destination::host)?,
        user: match optional(&spec.user, "ssh.user".to_owned()) {
            None => None,
            Some(user) => Some(checked("ssh.user", &user?, destination::user)?),
        },
        port: match optional(&spec.port, "ssh.port".to_owned()) {
            None => None,
            Some(port) => Some(checked("ssh.port", &port?, destination::port)?),
        },
        command,
        env: variables(&spec.env, names, "ssh.env")?,
        stdin,
        exit_codes: spec.exit_codes.clone(),
    })
}

fn checked<T>(field: &str, text: &str, check: fn(&str) -> Result<T, String>) -> Result<T, PlanError> {
    check(text).map_err(|fault| PlanError::new(field, format!("{text:?} {fault}")))
}
