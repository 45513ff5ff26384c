//! What the kernel lets each process of a step have. Set by our own binary before it becomes the program, so that no
//! descendant can come to be without them.

use std::ffi::OsString;

use rustix::process::{Resource, Rlimit};

/// Limits of one process; what is not set is as the daemon has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StepLimits {
    /// Open files.
    pub files: Option<u64>,
    /// Processes and threads of the account that it runs as, all of them counted. The kernel does not hold root to it.
    pub processes: Option<u64>,
    /// Bytes of its own memory, which the kernel calls data: what is mapped from files is not counted.
    pub memory_bytes: Option<u64>,
    /// Bytes of the largest file that it may write.
    pub file_bytes: Option<u64>,
}

/// The names by which they are handed to our own binary.
const NAMES: [(&str, Resource); 4] = [
    ("files", Resource::Nofile),
    ("processes", Resource::Nproc),
    ("memory", Resource::Data),
    ("file-size", Resource::Fsize),
];

impl StepLimits {
    /// Whether none is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn values(&self) -> [Option<u64>; 4] {
        [self.files, self.processes, self.memory_bytes, self.file_bytes]
    }

    /// The arguments for our own binary: `--limit NAME=VALUE` for each.
    pub(in crate::action) fn to_args(self) -> Vec<OsString> {
        let set = NAMES.iter().zip(self.values()).filter_map(|((name, _), value)| Some((name, value?)));
        set.flat_map(|(name, value)| ["--limit".into(), format!("{name}={value}").into()]).collect()
    }

    /// Reads one such `NAME=VALUE`; false if it is none.
    pub(in crate::action) fn read(&mut self, text: &str) -> bool {
        let Some((name, value)) = text.split_once('=') else { return false };
        let Ok(value) = value.parse() else { return false };
        let place = match name {
            "files" => &mut self.files,
            "processes" => &mut self.processes,
            "memory" => &mut self.memory_bytes,
            "file-size" => &mut self.file_bytes,
            _ => return false,
        };
        *place = Some(value);
        true
    }

    /// Puts them on this process and all that descend from it. None is raised above what it had.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(in crate::action) fn set(self) -> rustix::io::Result<()> {
        for ((_, resource), value) in NAMES.into_iter().zip(self.values()) {
            let Some(value) = value else { continue };
            let had = rustix::process::getrlimit(resource).maximum.unwrap_or(u64::MAX);
            let value = Some(value.min(had));
            rustix::process::setrlimit(resource, Rlimit { current: value, maximum: value })?;
        }
        Ok(())
    }
}

/// Keeps this process, and all that it starts, from leaving memory on disk when they die: it can hold secrets.
///
/// # Errors
/// When the kernel refuses.
pub fn forbid_core_dumps() -> std::io::Result<()> {
    Ok(rustix::process::setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_handed_over_is_read_back() {
        let limits = StepLimits { files: Some(64), processes: None, memory_bytes: Some(1 << 30), file_bytes: Some(0) };
        let args = limits.to_args();
        let mut read = StepLimits::default();
        for pair in args.chunks(2) {
            assert_eq!(pair[0], "--limit");
            assert!(read.read(pair[1].to_str().unwrap()), "{pair:?}");
        }
        assert_eq!(read, limits);
        for wrong in ["files", "files=", "files=-1", "other=1", "=1"] {
            assert!(!StepLimits::default().read(wrong), "{wrong}");
        }
    }
}
