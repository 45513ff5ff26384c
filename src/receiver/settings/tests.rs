//! What a config must have before the receiver goes by it.

use super::*;
use crate::receiver::tests::config;

fn errors(change: impl FnOnce(&mut Config)) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    change(&mut config);
    match Settings::from_config(&config) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn without_a_usable_secret_there_are_no_settings() {
    let set = |content: &'static str| {
        move |config: &mut Config| {
            let file = config.base.join("token");
            std::fs::write(file, content).unwrap();
        }
    };
    assert_eq!(errors(|_| {}), [""; 0]);
    assert!(errors(set("")).join("").contains("it is empty"));
    assert!(errors(set("short")).join("").contains("fewer than the 16"));
    let gone = errors(|config| std::fs::remove_file(config.base.join("token")).unwrap());
    assert!(gone.join("").contains("source `flashduty`"), "{gone:?}");
}

#[test]
fn an_unguarded_source_is_for_loopback_alone() {
    let unguarded = |listen: &'static str| {
        errors(move |config| {
            config.listen = listen.parse().unwrap();
            config.sources[0].auth = Auth::None;
        })
    };
    for loopback in ["127.0.0.1:8080", "127.9.9.9:1", "[::1]:8080", "[::ffff:127.0.0.1]:8080"] {
        assert_eq!(unguarded(loopback), [""; 0]);
    }
    for open in ["0.0.0.0:8080", "[::]:8080", "10.0.0.1:80"] {
        assert!(unguarded(open).join("").contains("auth: none"));
    }
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let said = errors(|config| {
        let mut second = config.sources[0].clone();
        second.name = "second".into();
        config.sources.push(second.clone());
        second.path = "/third".into();
        second.auth = Auth::Header { header: "not a name".into(), secret: SecretRef::Env("X".into()), previous: None };
        config.sources.push(second);
        config.tls = Some(Tls { cert: config.base.join("none"), key: config.base.join("none") });
    });
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said[0].contains("same path /flashduty"));
    assert!(said[1].contains("`not a name` cannot be the name of a header"));
    assert!(said[2].contains("cannot read PEM"));
}

#[test]
fn a_secret_that_all_can_read_is_warned_of_and_never_shown() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    std::fs::set_permissions(folder.path().join("token"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let settings = Settings::from_config(&config).unwrap();
    assert_eq!(settings.warnings.len(), 1);
    assert!(!format!("{settings:?}").contains(crate::receiver::tests::TOKEN));
}
