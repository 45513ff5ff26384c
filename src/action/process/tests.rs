//! Real processes, through the surface that the runner uses.

mod ending;
mod output;
mod starting;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{RUN_MARK, table};
use crate::action::{Actor, Attempt, Expected, Live, Settings, SshSettings, Stop, Stopper};
use crate::journal::record::{RunId, StepResult};
use crate::plan::{Call, ProcessCall, RunCall, ShellCall, StdinCall};
use crate::report::redact::Redactor;

/// So long that a test which gets there hangs visibly.
const LONG: Duration = Duration::from_secs(120);

/// One try of a step in a folder of its own.
struct Case {
    run: RunId,
    environment: BTreeMap<String, String>,
    process: ProcessCall,
    event_body: Bytes,
    timeout: Duration,
    settings: Settings,
    stopper: Arc<Stopper>,
    stop: Stop,
    folder: tempfile::TempDir,
}

impl Case {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (stopper, stop) = Stopper::new();
        let name = folder.path().file_name().expect("it has a name").to_string_lossy().into_owned();
        Self {
            run: RunId::new(format!("r-test-{name}")),
            environment: [("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned())].into(),
            process: ProcessCall {
                env: BTreeMap::new(),
                stdin: StdinCall::None,
                cwd: folder.path().to_owned(),
                user: None,
                exit_codes: vec![0],
                allow_sudo: false,
            },
            event_body: Bytes::from_static(b"{}"),
            timeout: LONG,
            settings: Settings {
                output_bytes: 64 * 1024,
                flashduty: None,
                run_link: None,
                http_allow: vec![],
                redactor: Arc::new(Redactor::none()),
                own_program: "/proc/self/exe".into(),
                isolation: Default::default(),
                ssh: SshSettings::default(),
                traces: None,
            },
            stopper: Arc::new(stopper),
            stop,
            folder,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn act(&self, call: Call) -> StepResult {
        let attempt = Attempt {
            run: &self.run,
            environment: &self.environment,
            event_body: &self.event_body,
            traceparent: None,
            timeout: self.timeout,
            stop: &self.stop,
            live: &Live::default(),
            settings: &self.settings,
        };
        let actor = Actor::new().expect("it is made ready");
        actor.act(&call, &Expected { status: &[], when: None }, &attempt).await
    }

    async fn run(&self, argv: &[&str]) -> StepResult {
        let argv: Vec<String> = argv.iter().map(|arg| (*arg).to_owned()).collect();
        let program = PathBuf::from(argv.first().cloned().unwrap_or_default());
        self.act(Call::Run(RunCall { argv, program, files: vec![], process: self.process.clone() })).await
    }

    async fn shell(&self, script: &str) -> StepResult {
        self.act(Call::Shell(ShellCall { script: script.to_owned(), process: self.process.clone() })).await
    }

    /// The processes that carry the mark of this run.
    fn marked(&self) -> Vec<i32> {
        table::all()
            .into_iter()
            .filter(|process| !process.zombie)
            .filter(|process| table::mark(process.pid).is_some_and(|mark| mark == self.run.as_str().as_bytes()))
            .map(|process| process.pid)
            .collect()
    }
}

/// Waits until a file has a whole line, and gives it.
async fn line_of(path: &Path) -> String {
    loop {
        if let Some((line, _)) = std::fs::read_to_string(path).unwrap_or_default().split_once('\n') {
            return line.to_owned();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn is_alive(pid: &str) -> bool {
    table::read(pid.parse().expect("a process id")).is_some_and(|process| !process.zombie)
}
