//! The demo's folder: the files of `examples/demo`, a secret, and a disk to clean. Gone with its owner.

use std::fs::{self, Permissions};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::cli::payload;

/// What stands in the example's config in the place of the port that is taken.
const LISTEN_WRITTEN: &str = "127.0.0.1:8080";
/// The config.
const CONFIG: &str = include_str!("../../../examples/demo/stanch.yaml");
/// A push about a full disk.
pub(super) const DISK_FULL: &str = include_str!("../../../examples/demo/events/disk-full.json");
/// A push about a service that is down.
pub(super) const SERVICE_DOWN: &str = include_str!("../../../examples/demo/events/service-down.json");
/// A push about a queue that is stuck.
pub(super) const QUEUE_STUCK: &str = include_str!("../../../examples/demo/events/queue-stuck.json");

/// The config of the loop with Flashduty.
const LOOP_CONFIG: &str = include_str!("../../../examples/demo/loop.yaml");
/// What stands in that config in the place of the fake Flashduty's URL.
const API_WRITTEN: &str = "http://127.0.0.1:8090";
/// Files that the loop needs besides.
const LOOP_FILES: &[(&str, &str)] =
    &[("loop-rules/loop.yaml", include_str!("../../../examples/demo/loop-rules/loop.yaml"))];

/// Files that are written as they are.
const FILES: &[(&str, &str)] = &[
    ("rules/demo.yaml", include_str!("../../../examples/demo/rules/demo.yaml")),
    ("scripts/cache-usage.sh", include_str!("../../../examples/demo/scripts/cache-usage.sh")),
    ("scripts/empty-cache.sh", include_str!("../../../examples/demo/scripts/empty-cache.sh")),
    ("scripts/cache-is-empty.sh", include_str!("../../../examples/demo/scripts/cache-is-empty.sh")),
    ("scripts/restart-service.sh", include_str!("../../../examples/demo/scripts/restart-service.sh")),
    ("scripts/drain-queue.sh", include_str!("../../../examples/demo/scripts/drain-queue.sh")),
    ("scripts/hand-over.sh", include_str!("../../../examples/demo/scripts/hand-over.sh")),
    ("events/disk-full.json", DISK_FULL),
    ("events/service-down.json", SERVICE_DOWN),
    ("events/queue-stuck.json", QUEUE_STUCK),
];

/// What fills the disk of the demo's host.
const CACHE: &[&str] =
    &["hosts/db-07/cache/report-1.tmp", "hosts/db-07/cache/report-2.tmp", "hosts/db-07/cache/export.tmp"];
/// Bytes of each of them.
const CACHE_FILE_BYTES: usize = 256 * 1024;

/// A folder that goes when this is dropped.
pub(super) struct Folder {
    dir: TempDir,
    secret: String,
    config: String,
}

impl Folder {
    /// Makes it, with a port in its config that is free now.
    pub(super) fn make() -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix("stanch-demo-").tempdir()?;
        let secret = payload::random_id().map_err(io::Error::other)?;
        let folder = Self { dir, secret, config: CONFIG.to_owned() };
        for (path, text) in FILES {
            folder.write(path, text.as_bytes())?;
        }
        folder.fill_cache()?;
        folder.write("secrets/webhook-token", folder.secret.as_bytes())?;
        folder.take_port()?;
        Ok(folder)
    }

    /// Makes it for the loop with the Flashduty at `api`.
    pub(super) fn make_for_loop(api: &str, app_key: &str) -> io::Result<Self> {
        let mut folder = Self::make()?;
        for (path, text) in LOOP_FILES {
            folder.write(path, text.as_bytes())?;
        }
        folder.write("secrets/app-key", app_key.as_bytes())?;
        folder.config = LOOP_CONFIG.replace(API_WRITTEN, api);
        folder.take_port()?;
        Ok(folder)
    }

    /// Fills the disk of the demo's host, again where it was freed.
    pub(super) fn fill_cache(&self) -> io::Result<()> {
        CACHE.iter().try_for_each(|path| self.write(path, &vec![b'.'; CACHE_FILE_BYTES]))
    }

    /// Writes the config for a port that is free now.
    pub(super) fn take_port(&self) -> io::Result<()> {
        let free = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?.local_addr()?;
        self.write("stanch.yaml", self.config.replace(LISTEN_WRITTEN, &free.to_string()).as_bytes())
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The config file.
    pub(super) fn config(&self) -> PathBuf {
        self.dir.path().join("stanch.yaml")
    }

    /// What pushes have to prove themselves with.
    pub(super) fn secret(&self) -> &str {
        &self.secret
    }

    /// Whether a file is there: the demo looks at what its commands really did.
    pub(super) fn has(&self, path: &str) -> bool {
        self.dir.path().join(path).exists()
    }

    /// How many files still fill the disk.
    pub(super) fn cache_left(&self) -> usize {
        CACHE.iter().filter(|path| self.has(path)).count()
    }

    fn write(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.dir.path().join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
            // The engine trusts no script that others can exchange, and the umask may let them.
            self.close_to_others(parent)?;
        }
        fs::write(&path, bytes)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))
    }

    fn close_to_others(&self, folder: &Path) -> io::Result<()> {
        let mut ours = folder.ancestors().take_while(|path| path.starts_with(self.dir.path()));
        ours.try_for_each(|path| fs::set_permissions(path, Permissions::from_mode(0o700)))
    }
}
