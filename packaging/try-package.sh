#!/usr/bin/env bash
# Installs the package on a Debian that has never seen it, and does there what docs/install.md tells, word for word: start, a
# push, why a rule did not fire, behind nginx, a copy and the way back, remove, purge. Ends by itself and leaves nothing but a
# cached base system. Needs root, debootstrap, and a mirror, which is the one that apt is configured with here.
#
#   packaging/try-package.sh PACKAGE.deb CACHE-FOLDER
set -euo pipefail

suite=bookworm
# What the package depends on and recommends, and what the walk needs: a proxy before it, and a client.
with=adduser,ca-certificates,openssh-client,init-system-helpers,curl,nginx-light,openssl,procps
config=/etc/stanch/stanch.yaml

say() { printf '\n== %s\n' "$*"; }
fail() {
  printf 'try-package: %s\n' "$*" >&2
  exit 1
}

# The base system, made once.
base() {
  local tar=$1/$suite.tar mirror folder
  [[ -s $tar ]] && return
  command -v debootstrap >/dev/null || fail "debootstrap is missing: apt-get install debootstrap"
  # shellcheck disable=SC2016 # apt's own form of variables
  mirror=${MIRROR:-$(apt-get indextargets --format '$(CODENAME) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
    awk -v suite=$suite '$1 == suite && $2 == "main" { print $3; exit }')}
  [[ -n $mirror ]] || fail "apt here has no mirror of $suite: name one in the variable MIRROR"
  say "making a base system of $suite"
  mkdir -p "$1"
  folder=$(mktemp -d "$1/base.XXXXXX")
  debootstrap --variant=minbase --include=$with $suite "$folder" "$mirror" >"$1/debootstrap.log" 2>&1 ||
    fail "debootstrap failed; see $1/debootstrap.log"
  tar -C "$folder" --numeric-owner -cf "$tar.part" .
  mv "$tar.part" "$tar"
  rm -rf --one-file-system "$folder"
}

# Runs a line in the new system as root, and shows it first as a person would type it.
line() {
  printf '$ %s\n' "$*"
  chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 /bin/sh -c "cd /root && $*"
}

# The same, where the answer is looked at: it must hold every further word.
expect() {
  local said word
  said=$(line "$1" 2>&1) || fail "$1: $said"
  printf '%s\n' "$said"
  for word in "${@:2}"; do
    [[ $said == *"$word"* ]] || fail "no \"$word\" in what it said"
  done
}

# One value of the unit. There is no systemd in a chroot, so its part is done by hand, from the unit itself.
unit() { sed -n "s/^$1=//p" "$root/usr/lib/systemd/system/stanch.service" | head -1; }

start() {
  local account run=$root/run/stanch credentials=$root/run/credentials/stanch.service from
  account=$(unit User)
  install -d -m 0755 "$root/run/credentials"
  line "install -d -m $(unit StateDirectoryMode) -o $account -g $account /var/lib/$(unit StateDirectory) && install -d -m $(unit RuntimeDirectoryMode) -o $account -g $account ${run#"$root"} ${credentials#"$root"}"
  from=$(unit LoadCredential)
  line "install -m 0400 -o $account -g $account ${from#*:} ${credentials#"$root"}/${from%%:*}"
  chroot "$root" /usr/bin/env -i PATH=/usr/bin:/bin CREDENTIALS_DIRECTORY="${credentials#"$root"}" \
    setpriv --reuid "$account" --regid "$account" --init-groups --no-new-privs --bounding-set=-all --inh-caps=-all \
    sh -c "umask $(unit UMask) && cd $(unit WorkingDirectory) && exec $(unit ExecStart)" >>"$log" 2>&1 &
  daemon=$!
  for _ in $(seq 100); do
    curl -fsS --unix-socket "$run/stanch.sock" http://stanch/readyz >/dev/null 2>&1 && return
    kill -0 "$daemon" 2>/dev/null || break
    sleep 0.1
  done
  cat "$log" >&2
  fail "the daemon did not become ready"
}

stop() {
  kill -TERM "$daemon"
  wait "$daemon" || fail "the daemon ended with $?"
}

clean() {
  local code=$?
  jobs -p | xargs -r kill 2>/dev/null || true
  umount -l "$root/proc" 2>/dev/null || true
  rm -rf --one-file-system "$root" "$log"
  exit "$code"
}

inside() {
  local package=$1 tar=$2
  ip link set lo up
  root=$(mktemp -d /tmp/stanch-try.XXXXXX)
  log=$root.log
  # The mounts and every process end with this namespace; the folder goes here.
  trap clean EXIT
  tar -C "$root" --numeric-owner -xf "$tar"
  chmod 0755 "$root"
  mount -t proc proc "$root/proc"
  # Services do not start by themselves where there is nobody to look after them.
  printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
  chmod 755 "$root/usr/sbin/policy-rc.d"
  # There is no terminal to show progress on.
  echo 'Dpkg::Use-Pty "0";' >"$root/etc/apt/apt.conf.d/99try"
  cp "$package" "$root/tmp/stanch.deb"

  say "install"
  expect 'apt-get install -y /tmp/stanch.deb' 'made a secret for the webhook' 'Setting up stanch'
  expect 'stat -c "%a %U:%G %n" /etc/stanch /etc/stanch/rules /etc/stanch/scripts /etc/stanch/secrets /etc/stanch/secrets/webhook-token' \
    '755 root:root /etc/stanch' '700 root:root /etc/stanch/secrets' '600 root:root /etc/stanch/secrets/webhook-token'
  expect 'dpkg --verify stanch && echo verified' verified
  expect 'stanch --version' 'stanch '
  expect 'man() { zcat /usr/share/man/man1/stanch.1.gz; }; man | head -3' '.TH'

  say "look, then start"
  expect 'stanch check -c /etc/stanch/stanch.yaml' '1 rule'
  start
  expect 'setpriv --reuid stanch --regid stanch --init-groups stanch doctor' 'is valid' 'version' 'something answers'

  say "a push by hand"
  expect 'stanch send /usr/share/stanch/example-push.json' '"status":"accepted"'
  expect 'stanch events' 'hello: dry-run'

  say "why did a rule not fire"
  line 'cp /usr/share/stanch/rules/disk-full.yaml /etc/stanch/rules/'
  line 'mkdir -p /etc/stanch/rules/fixtures'
  line 'cp /usr/share/stanch/rules/fixtures/disk-full.json /etc/stanch/rules/fixtures/'
  line 'cp /usr/share/stanch/scripts/* /etc/stanch/scripts/'
  expect 'stanch test --mode auto' 'failed'
  expect 'stanch reload' 'in force'
  expect 'stanch send /usr/share/stanch/example-push.json --set incident.labels.check=cpu --set incident.incident_id=673f1a2b3c4d5e6f7a8b9c0e' '"status":"accepted"'
  event=$(line "stanch events list --format json" | sed 1d | sed -n 's/^ *"event": "\(.*\)",*$/\1/p' | head -1)
  [[ -n $event ]] || fail "no event in the list"
  expect "stanch explain --event $event --rule disk-full" 'match.labels.check' 'cpu'
  expect 'stanch explain /usr/share/stanch/example-push.json --rule disk-full' 'disk-full'
  expect "stanch events show $event" 'hello: dry-run'

  say "behind nginx, with its TLS"
  line 'mkdir -p /etc/ssl/private && openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=bastion.example -keyout /etc/ssl/private/bastion.key -out /etc/ssl/bastion.pem 2>/dev/null'
  # The very block of the document.
  # shellcheck disable=SC2016 # backticks of Markdown
  sed -n '/^```nginx$/,/^```$/p' "$root/usr/share/doc/stanch/docs/install.md" | sed '/^```/d' >"$root/etc/nginx/conf.d/stanch.conf"
  line 'rm -f /etc/nginx/sites-enabled/default && nginx -t'
  chroot "$root" nginx -g 'daemon off;' >>"$log" 2>&1 &
  nginx=$!
  for _ in $(seq 50); do
    if curl -kso /dev/null https://127.0.0.1/; then break; fi
    sleep 0.1
  done
  # Every address of 127.0.0.0/8 is here: one stands for a stranger once the config trusts only the proxy itself.
  line "sed -i 's/allow_from: .*/allow_from: [flashduty, 127.0.0.9]\n    trusted_proxies: [127.0.0.1]/' $config && stanch check"
  expect 'stanch reload' 'in force'
  push() {
    curl -ks --interface "$1" --resolve bastion.example:443:127.0.0.1 https://bastion.example/flashduty "${@:2}" \
      -H "X-Stanch-Token: $(cat "$root/etc/stanch/secrets/webhook-token")" -H 'Content-Type: application/json' \
      -d '{"event_id":"through-nginx-'"$1"'","event_time":1732000000000,"event_type":"i_new","incident":{"incident_id":"673f1a2b3c4d5e6f7a8b9c0f"}}'
    echo
  }
  said=$(push 127.0.0.9); echo "$said"; [[ $said == *accepted* ]] || fail "nginx did not lead to it"
  said=$(push 127.0.0.8); echo "$said"; [[ $said == *error* ]] || fail "a stranger came in through nginx"
  said=$(push 127.0.0.8 -H 'X-Forwarded-For: 127.0.0.9'); echo "$said"; [[ $said == *error* ]] || fail "a forged X-Forwarded-For was believed"
  kill "$nginx"
  wait "$nginx" || true

  say "a copy, and the way back"
  expect 'mkdir -p /var/backups && stanch backup /var/backups/stanch.db' 'its chain was checked'
  expect 'apt-get install -y --reinstall /tmp/stanch.deb' 'Setting up stanch'
  stop
  # As root, into the folder of another account: what is put back must be the daemon's.
  line 'mv /var/lib/stanch /var/lib/stanch.new'
  line 'install -d -m 0700 -o stanch -g stanch /var/lib/stanch'
  expect 'stanch restore /var/backups/stanch.db' 'has the journal up to record'
  expect 'stat -c %U /var/lib/stanch/journal.db /var/lib/stanch/journal.head /var/lib/stanch/lock | sort -u | tr "\n" ,' 'stanch,'
  start
  expect 'stanch events' 'hello: dry-run'
  expect 'stanch audit verify' intact
  stop

  say "remove keeps the record, purge does not"
  line 'touch /etc/stanch/rules/mine.yaml'
  line 'apt-get remove -y stanch >/dev/null'
  expect 'ls /var/lib/stanch /etc/stanch /etc/stanch/secrets' journal.db stanch.yaml webhook-token
  line 'apt-get purge -y stanch >/dev/null'
  expect 'find / -xdev -path "*stanch*" -not -path "/var/lib/stanch.new*" -not -path "/var/backups/*" -not -path "/var/log/*" -not -path "/proc/*" -not -path "/tmp/*"; echo; getent passwd stanch' \
    '/etc/stanch/rules/mine.yaml' 'stanch:'
  [[ ! -e $root/var/lib/stanch && ! -e $root/etc/stanch/secrets && ! -e $root/etc/stanch/stanch.yaml ]] || fail "purge left what it should not"
  say "all of it went as docs/install.md tells"
}

[[ $# -eq 2 || ${1:-} == --inside ]] || fail "usage: packaging/try-package.sh PACKAGE.deb CACHE-FOLDER"
if [[ $1 == --inside ]]; then
  inside "$2" "$3"
else
  [[ $(id -u) -eq 0 ]] || fail "it makes another system's root folder, so it must be run as root"
  package=$(realpath "$1")
  mkdir -p "$2"
  cache=$(realpath "$2")
  base "$cache"
  # Mounts, processes and the network of its own: whatever happens, all of it ends with this.
  exec unshare --mount --pid --net --fork --kill-child --mount-proc "$0" --inside "$package" "$cache/$suite.tar"
fi
