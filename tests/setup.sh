#!/usr/bin/env bash
# Brings what the tests need beside Rust and a C compiler, from Debian's packages, and from npm axe, which looks for what
# keeps people from using a page. Does nothing where all of it is there, so it costs nothing to call before every test run.
set -euo pipefail

# program → the package that brings it.
needs=(
  "/usr/sbin/sshd openssh-server" # a real far side for remote steps
  "/usr/bin/ssh openssh-client"
  "/usr/bin/strace strace" # kills the daemon at a chosen system call
  "/usr/bin/systemd-analyze systemd" # judges the shipped unit
  "/usr/bin/shellcheck shellcheck" # for the scripts of the rule library
  "/usr/bin/chromium chromium" # looks at the console
  "/usr/bin/chromedriver chromium-driver"
)
# The version of axe; another one may find more, so it is raised on purpose.
axe=4.14.1
axe_file=${CARGO_TARGET_DIR:-$(dirname "$0")/../target}/tmp/axe.min.js
[[ -s $axe_file && -e $axe_file.$axe ]] || command -v npm >/dev/null || needs+=("/usr/bin/npm npm")

missing=()
for need in "${needs[@]}"; do
  read -r program package <<<"$need"
  [[ -x $program ]] || missing+=("$package")
done

bring_axe() {
  [[ -s $axe_file && -e $axe_file.$axe ]] && return
  echo "tests/setup.sh: bringing axe-core $axe from npm"
  local folder
  folder=$(mktemp -d)
  (cd "$folder" && npm pack --silent "axe-core@$axe" >/dev/null && tar xzf axe-core-*.tgz package/axe.min.js)
  mkdir -p "$(dirname "$axe_file")"
  mv "$folder/package/axe.min.js" "$axe_file"
  rm -rf "$folder" "$axe_file".*
  touch "$axe_file.$axe"
}

if [[ ${#missing[@]} -eq 0 ]]; then
  bring_axe
  exit 0
fi

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
bring_axe
