#!/bin/sh
# Frees space on a host's system disk: old rotated logs, the system journal, the package cache.
# Usage: free-disk-space.sh --host NAME --mount PATH [--keep-days N]
# Running it again removes what has become old meanwhile, and nothing else.
set -eu
# shellcheck source=scripts/lib.sh
. "$(dirname -- "$0")/lib.sh"

keep_days=7
options 'host mount' keep-days "$@"

on_host "$host" "$mount" "$keep_days" <<'FAR'
mount=$1 keep_days=$2
mounted_at() { df -P -- "$1" | awk 'NR == 2 { print $6 }'; }
free_kib() { df -Pk -- "$mount" | awk 'NR == 2 { print $4 }'; }
# A folder on another disk would be emptied in vain.
is_there() { [ -d "$1" ] && [ "$(mounted_at "$1")" = "$mount" ]; }

before=$(free_kib)
if is_there /var/log; then
    find /var/log -xdev -type f \( -name '*.gz' -o -name '*.[1-9]' -o -name '*.old' \) \
        -mtime "+$keep_days" -print -delete
fi
if is_there /var/log/journal && command -v journalctl >/dev/null; then
    journalctl --quiet --vacuum-time="${keep_days}d"
fi
if is_there /var/cache/apt && command -v apt-get >/dev/null; then
    apt-get clean
fi
printf 'freed %s KiB on %s\n' "$(($(free_kib) - before))" "$mount"
FAR
