//! Where an `ssh` step may go: what counts as a host, an account and a port.
//!
//! OpenSSH takes options among its arguments, expands tokens in them and hands some of them to a shell (`ProxyCommand`,
//! `Match exec`). So only what can be nothing but a name or an address passes, whatever OpenSSH itself would make of
//! the rest. Literals are checked when rules are loaded, values when they are rendered, by the same functions.

use std::net::Ipv6Addr;

/// The longest name of a host, as DNS has it.
const HOST_CHARS_MAX: usize = 253;
/// The longest name of an account; Linux itself allows 32, directories more.
const USER_CHARS_MAX: usize = 64;

/// A host: a name, an alias of the SSH config, or an address; IPv6 with or without brackets, which are taken off.
///
/// # Errors
/// Why it is none, to be read behind what it is called.
pub fn host(text: &str) -> Result<String, String> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if bare.contains(':') || bare.len() != text.len() {
        return match bare.parse::<Ipv6Addr>() {
            Ok(address) => Ok(address.to_string()),
            Err(_) => Err("is no IPv6 address; a port stands in `port`".into()),
        };
    }
    let starts = bare.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_');
    if !starts || !bare.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')) {
        return Err("is not the name or address of a host: those have letters, digits, `.`, `-` and `_`, and begin \
                    with a letter or digit; an account stands in `user`"
            .into());
    }
    if bare.len() > HOST_CHARS_MAX {
        return Err(format!("is longer than {HOST_CHARS_MAX} characters"));
    }
    if bare.eq_ignore_ascii_case("all") {
        return Err("is `all`, which would mean everything".into());
    }
    Ok(bare.to_owned())
}

/// An account on the other host.
///
/// # Errors
/// Why it is none, to be read behind what it is called.
pub fn user(text: &str) -> Result<String, String> {
    let starts = text.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_');
    if !starts || !text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')) {
        return Err("is not the name of an account: those have letters, digits, `.`, `-` and `_`, and begin with a \
                    letter or digit"
            .into());
    }
    if text.len() > USER_CHARS_MAX {
        return Err(format!("is longer than {USER_CHARS_MAX} characters"));
    }
    Ok(text.to_owned())
}

/// A port.
///
/// # Errors
/// Why it is none, to be read behind what it is called.
pub fn port(text: &str) -> Result<u16, String> {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<u16>() {
        Ok(port @ 1..) if is_plain => Ok(port),
        _ => Err("is not a port: a whole number from 1 to 65535".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_aliases_and_addresses_are_hosts() {
        for (written, host_is) in [
            ("db-07", "db-07"),
            ("db-07.prod.example.com", "db-07.prod.example.com"),
            ("jump_alias", "jump_alias"),
            ("10.1.2.3", "10.1.2.3"),
            ("::1", "::1"),
            ("[2001:db8::7]", "2001:db8::7"),
        ] {
            assert_eq!(host(written).as_deref(), Ok(host_is), "{written}");
        }
    }

    #[test]
    fn what_could_be_more_than_a_name_is_no_host() {
        for written in [
            "",
            " ",
            "-oProxyCommand=id",
            "-l",
            "a;id",
            "a b",
            "a\nb",
            "$(id)",
            "`id`",
            "a|b",
            "a@b",
            "a:22",
            "[db-07]",
            "[::1",
            "::1]",
            "[]",
            "%h",
            "*",
            "?",
            "!a",
            "all",
            "ALL",
            ".",
            ".a",
            "a/b",
            "a\0",
            "ä",
            "::1%eth0",
            "~",
        ] {
            assert!(host(written).is_err(), "{written:?}");
        }
        assert!(host(&"a".repeat(254)).is_err());
    }

    #[test]
    fn accounts_and_ports_are_as_narrow() {
        assert_eq!(user("deploy.bot-1").as_deref(), Ok("deploy.bot-1"));
        for written in ["", "-l", "a;id", "a b", "a@b", "$USER", "%r", "a/b", "a\\b"] {
            assert!(user(written).is_err(), "{written:?}");
        }
        assert_eq!(port("22"), Ok(22));
        for written in ["", "0", "65536", "-1", "+22", "22 ", "0x16", "ssh"] {
            assert!(port(written).is_err(), "{written:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_passes_is_one_harmless_word(text in any::<String>()) {
            let is_harmless = |word: &str| {
                !word.starts_with('-')
                    && word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':'))
            };
            if let Ok(host) = host(&text) {
                prop_assert!(is_harmless(&host), "{host}");
            }
            if let Ok(user) = user(&text) {
                prop_assert!(is_harmless(&user), "{user}");
            }
        }
    }
}
