//! What a pause holds back: everything, one rule, or one channel.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rule::RuleId;

/// What a pause holds back.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PauseScope {
    /// The whole engine.
    #[default]
    Everything,
    /// One rule.
    Rule(#[schemars(with = "String")] RuleId),
    /// One channel, by its id or its name.
    Channel(String),
}

impl PauseScope {
    /// Whether a run of `rule`, on an event of this channel, is held back.
    pub fn covers(&self, rule: &RuleId, channel: Option<i64>, channel_name: Option<&str>) -> bool {
        match self {
            Self::Everything => true,
            Self::Rule(paused) => paused == rule,
            Self::Channel(paused) => channel_name == Some(paused) || channel.is_some_and(|id| paused.parse() == Ok(id)),
        }
    }
}

impl fmt::Display for PauseScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => f.write_str("the engine"),
            Self::Rule(rule) => write!(f, "rule {rule}"),
            Self::Channel(channel) => write!(f, "channel {channel}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_is_named_by_its_id_or_its_name() {
        let rule: RuleId = serde_json::from_str("\"a\"").unwrap();
        let covers = |scope: &str| PauseScope::Channel(scope.into()).covers(&rule, Some(5), Some("Orders"));
        assert!(covers("5") && covers("Orders"));
        assert!(!covers("6") && !covers("orders") && !covers(""));
        assert!(!PauseScope::Channel("5".into()).covers(&rule, None, None));
    }

    #[test]
    fn a_record_of_before_there_were_scopes_is_of_the_whole_engine() {
        let read: super::super::Record = serde_json::from_str(r#"{"kind":"resumed"}"#).unwrap();
        assert_eq!(read, super::super::Record::Resumed { scope: PauseScope::Everything, by: None });
    }
}
