#!/usr/bin/env bash
# Brings what the tests need beside Rust and a C compiler, from Debian's packages: a real sshd for the remote steps, strace
# for the crash sweep, systemd-analyze to judge the shipped unit. Does nothing where all of it is there, so it costs nothing to call before every test run.
set -euo pipefail

# program → the package that brings it.
needs=(
  "/usr/sbin/sshd openssh-server"
  "/usr/bin/ssh openssh-client"
  "/usr/bin/strace strace"
  "/usr/bin/systemd-analyze systemd"
)

missing=()
for need in "${needs[@]}"; do
  read -r program package <<<"$need"
  [[ -x $program ]] || missing+=("$package")
done
[[ ${#missing[@]} -eq 0 ]] && exit 0

if ! command -v apt-get >/dev/null; then
  echo "tests/setup.sh: the tests need ${missing[*]}, and there is no apt-get here to bring them: install them by hand" >&2
  exit 1
fi
as_root=()
[[ $(id -u) -eq 0 ]] || as_root=(sudo)

# The tests start an sshd of their own on a free port: the system's service has no part in them and stays off.
echo "tests/setup.sh: installing ${missing[*]}"
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
