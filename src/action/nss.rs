//! Accounts and name services, as a program with glibc inside can bear them.
//!
//! glibc looks accounts and hosts up by modules that `/etc/nsswitch.conf` names, and loads those at run time. In a static
//! program that was seen to end it by a signal: with `passwd: files systemd` on Debian 12, with any module at all on a system
//! with another glibc. So a static build reads accounts from `/etc/passwd` and `/etc/group` itself, and refuses to serve
//! where hosts are looked up by more than what is built in. Every other build asks the C library.

use std::ffi::CString;
use std::fs;
use std::io;
use std::path::PathBuf;

use nix::unistd::{Gid, Uid, User, initgroups, setgroups};

/// Whether glibc is inside this program. musl has no modules to load.
pub(crate) const IS_STATIC_GLIBC: bool = cfg!(all(target_env = "gnu", target_feature = "crt-static"));
/// What glibc has built in for hosts.
const BUILT_IN: &[&str] = &["files", "dns"];

/// An account of this system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) uid: Uid,
    pub(crate) gid: Gid,
    pub(crate) home: PathBuf,
}

impl From<User> for Account {
    fn from(user: User) -> Self {
        Self { name: user.name, uid: user.uid, gid: user.gid, home: user.dir }
    }
}

impl Account {
    /// The account with this name.
    pub(crate) fn named(name: &str) -> io::Result<Option<Self>> {
        if IS_STATIC_GLIBC {
            return Ok(accounts(&fs::read_to_string("/etc/passwd")?).find(|account| account.name == name));
        }
        Ok(User::from_name(name)?.map(Self::from))
    }

    /// The account with this number.
    pub(crate) fn numbered(uid: u32) -> io::Result<Option<Self>> {
        if IS_STATIC_GLIBC {
            return Ok(accounts(&fs::read_to_string("/etc/passwd")?).find(|account| account.uid.as_raw() == uid));
        }
        Ok(User::from_uid(uid.into())?.map(Self::from))
    }

    /// Takes on all groups of the account, its own among them. Needs root.
    pub(crate) fn take_groups(&self) -> io::Result<()> {
        if IS_STATIC_GLIBC {
            return Ok(setgroups(&groups(&fs::read_to_string("/etc/group")?, self))?);
        }
        Ok(initgroups(&CString::new(self.name.as_str())?, self.gid)?)
    }
}

/// The accounts of a text like `/etc/passwd`; a line that is none is passed over.
fn accounts(text: &str) -> impl Iterator<Item = Account> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty() && !name.starts_with(['#', '+', '-']))?;
        let (_password, uid, gid) = (fields.next()?, fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        let (_comment, home) = (fields.next()?, fields.next()?);
        Some(Account { name: name.to_owned(), uid: Uid::from_raw(uid), gid: Gid::from_raw(gid), home: home.into() })
    })
}

/// The groups of an account by a text like `/etc/group`.
fn groups(text: &str, account: &Account) -> Vec<Gid> {
    let mut all = vec![account.gid];
    all.extend(text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (_name, _password, gid) = (fields.next()?, fields.next()?, fields.next()?.parse().ok()?);
        fields.next()?.split(',').any(|member| member.trim() == account.name).then(|| Gid::from_raw(gid))
    }));
    all.sort_by_key(|gid| gid.as_raw());
    all.dedup();
    all
}

/// The name services for hosts that this program cannot load, if it is such a one and the system names any.
pub(crate) fn services_out_of_reach() -> Vec<String> {
    if !IS_STATIC_GLIBC {
        return Vec::new();
    }
    // Without the file glibc takes what it has built in.
    out_of_reach(&fs::read_to_string("/etc/nsswitch.conf").unwrap_or_default())
}

fn out_of_reach(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    let hosts = lines.filter_map(|line| line.strip_prefix("hosts")?.trim_start().strip_prefix(':'));
    // `[!UNAVAIL=return]` is what to do after a service, and may have spaces in it.
    let mut in_action = false;
    let mut named = Vec::new();
    for word in hosts.flat_map(str::split_whitespace) {
        in_action |= word.starts_with('[');
        if !in_action && !BUILT_IN.contains(&word) {
            named.push(word.to_owned());
        }
        in_action &= !word.ends_with(']');
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n# a comment\n+::::::\nbroken:x:one:1::/:\n\
                          stanch:x:101:104:,,,:/var/lib/stanch:/usr/sbin/nologin\n";

    #[test]
    fn accounts_are_read_from_the_file_as_the_c_library_reads_them() {
        let all: Vec<_> = accounts(PASSWD).collect();
        assert_eq!(all.iter().map(|account| account.name.as_str()).collect::<Vec<_>>(), ["root", "stanch"]);
        assert_eq!((all[1].uid.as_raw(), all[1].gid.as_raw()), (101, 104));
        assert_eq!(all[1].home, PathBuf::from("/var/lib/stanch"));
        // And those of this machine, where its own file is all that it asks.
        for account in accounts(&fs::read_to_string("/etc/passwd").unwrap()) {
            assert_eq!(Account::named(&account.name).unwrap().map(|found| found.uid), Some(account.uid));
        }
    }

    #[test]
    fn an_account_has_its_own_group_and_those_that_name_it() {
        let account = accounts(PASSWD).last().unwrap();
        let text = "root:x:0:\nssl-cert:x:110:postgres,stanch\nstanch:x:104:stanch\nadm:x:4:stanchion\nodd:x:\n";
        assert_eq!(groups(text, &account), [Gid::from_raw(104), Gid::from_raw(110)]);
    }

    #[test]
    fn name_services_beyond_what_is_built_in_are_named() {
        for (text, expected) in [
            ("", &[][..]),
            ("passwd: files systemd\nhosts: files dns\n", &[]),
            ("hosts:\tfiles mdns4_minimal [NOTFOUND=return] dns # mdns off\n", &["mdns4_minimal"]),
            (
                "hosts : mymachines resolve [ !UNAVAIL=return ] files myhostname dns",
                &["mymachines", "resolve", "myhostname"],
            ),
            ("# hosts: resolve\n", &[]),
        ] {
            assert_eq!(out_of_reach(text), expected, "{text}");
        }
    }
}
