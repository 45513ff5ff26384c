//! What pushes were seen to have, so that a name which none of them has can be told from a slip of the pen.
//!
//! It only adds hints and warnings; a rule is never refused for what was not seen yet.

use std::collections::BTreeSet;

use super::yaml::fields::nearest;
use crate::event::Event;

/// How many names of each kind are kept. Names of labels are the senders', so there is no end to them.
const NAMES_MAX: usize = 5000;

/// Names that pushes had.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vocabulary {
    labels: BTreeSet<String>,
    channels: BTreeSet<String>,
}

impl Vocabulary {
    /// Takes in what a push has.
    pub fn learn(&mut self, event: &Event) {
        for (name, _) in event.labels().entries() {
            if self.labels.len() < NAMES_MAX && !self.labels.contains(name) {
                self.labels.insert(name.to_owned());
            }
        }
        if let Some(name) = event.channel_name()
            && self.channels.len() < NAMES_MAX
        {
            self.channels.insert(name.to_owned());
        }
    }

    /// The label that was most likely meant by one which no push has had.
    pub(super) fn label_instead_of(&self, name: &str) -> Option<&str> {
        instead_of(&self.labels, name)
    }

    /// The channel that was most likely meant by one from which nothing has come.
    pub(super) fn channel_instead_of(&self, name: &str) -> Option<&str> {
        instead_of(&self.channels, name)
    }
}

fn instead_of<'n>(seen: &'n BTreeSet<String>, name: &str) -> Option<&'n str> {
    if seen.contains(name) {
        return None;
    }
    let known: Vec<&str> = seen.iter().map(String::as_str).collect();
    nearest(name, &known)
}
