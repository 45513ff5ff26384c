//! The event files that tests name, each read once.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::event;

/// The largest fixture that is read, in bytes. The limit for bodies is the config's, and asked when the body is made.
const FIXTURE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The files read so far. They live as long as the tests run, and there are no more than the tests name.
#[derive(Debug, Default)]
pub(crate) struct Fixtures(RefCell<HashMap<PathBuf, Result<Value, String>>>);

impl Fixtures {
    /// The JSON of a file, or why it cannot be used.
    pub(crate) fn load(&self, file: &Path) -> Result<Value, String> {
        let mut read = self.0.borrow_mut();
        read.entry(file.to_owned()).or_insert_with(|| self::read(file)).clone()
    }
}

fn read(file: &Path) -> Result<Value, String> {
    let fail = |why: String| format!("cannot use {}: {why}", file.display());
    // A pipe or device would block or never end.
    let is_file = std::fs::metadata(file).map_err(|error| fail(error.to_string()))?.is_file();
    if !is_file {
        return Err(fail("it is not a regular file".into()));
    }
    let mut body = Vec::new();
    std::fs::File::open(file)
        .and_then(|file| file.take(FIXTURE_BYTES_MAX + 1).read_to_end(&mut body))
        .map_err(|error| fail(error.to_string()))?;
    if body.len() as u64 > FIXTURE_BYTES_MAX {
        return Err(fail(format!("it has more than {FIXTURE_BYTES_MAX} bytes")));
    }
    event::payload(&body).map_err(|error| fail(error.to_string()))
}
