//! The program that the paced case's steps start: writes when it started.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

/// `stamp FOLDER NAME`: writes the time of its own start to a file.
pub(crate) fn write(args: &[String]) {
    let now = now_ns();
    let path = std::path::Path::new(&args[2]).join(&args[3]);
    let mut file = std::fs::File::create(path.with_extension("new")).unwrap();
    write!(file, "{now}").unwrap();
    std::fs::rename(path.with_extension("new"), path).unwrap();
}

/// Nanoseconds since the Unix epoch, by the clock that all processes share.
pub(crate) fn now_ns() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()
}
