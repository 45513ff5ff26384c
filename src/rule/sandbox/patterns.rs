//! `matches` and `glob`, with a small cache of what was compiled.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use regex::{Regex, RegexBuilder};
use rhai::{Engine, EvalAltResult};

use crate::rule::matching::TextGlob;

/// How many compiled patterns are kept. When full the cache starts anew: rules use a handful of literal patterns,
/// and one who makes patterns from event text must not make it grow.
const CACHED_MAX: usize = 64;
/// The longest pattern in bytes.
const PATTERN_BYTES_MAX: usize = 1024;
/// The size limit of one compiled regex, in bytes. Smaller than that of a rule's own, because so many are cached
/// and a pattern may come from an event.
const COMPILED_BYTES_MAX: usize = 256 * 1024;

/// Patterns by their source.
struct Cache<P>(Mutex<HashMap<String, Arc<P>>>);

impl<P> Cache<P> {
    fn new() -> Self {
        Self(Mutex::new(HashMap::new()))
    }

    fn get(&self, pattern: &str, compile: impl FnOnce(&str) -> Result<P, String>) -> Result<Arc<P>, String> {
        if pattern.len() > PATTERN_BYTES_MAX {
            return Err(format!("it is longer than {PATTERN_BYTES_MAX} bytes"));
        }
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(pattern) {
            return Ok(Arc::clone(known));
        }
        let compiled = Arc::new(compile(pattern)?);
        let mut cached = lock();
        if cached.len() >= CACHED_MAX {
            cached.clear();
        }
        cached.insert(pattern.to_owned(), Arc::clone(&compiled));
        Ok(compiled)
    }
}

/// Registers both.
pub(super) fn register(engine: &mut Engine) {
    let regexes = Cache::<Regex>::new();
    let globs = Cache::<TextGlob>::new();
    engine
        .register_fn("matches", move |text: &str, pattern: &str| -> Result<bool, Box<EvalAltResult>> {
            let regex = regexes.get(pattern, |pattern| {
                let built = RegexBuilder::new(pattern)
                    .size_limit(COMPILED_BYTES_MAX)
                    .dfa_size_limit(COMPILED_BYTES_MAX)
                    .build();
                built.map_err(|error| error.to_string())
            });
            let regex = regex.map_err(|error| format!("`matches`: the regex {pattern:?} cannot be used: {error}"))?;
            Ok(regex.is_match(text))
        })
        .register_fn("glob", move |text: &str, pattern: &str| -> Result<bool, Box<EvalAltResult>> {
            let glob = globs.get(pattern, TextGlob::new);
            let glob = glob.map_err(|error| format!("`glob`: the pattern {pattern:?} cannot be used: {error}"))?;
            Ok(glob.matches(text))
        });
}
