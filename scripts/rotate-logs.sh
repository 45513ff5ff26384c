#!/bin/sh
# Rotates and compresses the logs of a host whose log partition is fuller than so many percent.
# Usage: rotate-logs.sh --host NAME --mount PATH --percent N
# Running it again does nothing once the partition is below the limit.
set -eu
# shellcheck source=scripts/lib.sh
. "$(dirname -- "$0")/lib.sh"

options 'host mount percent' '' "$@"

on_host "$host" "$mount" "$percent" <<'FAR'
needs logrotate
used() { df -P -- "$1" | awk 'NR == 2 { sub(/%/, "", $5); print $5 }'; }
before=$(used "$1")
if [ "$before" -lt "$2" ]; then
    printf '%s is %s %% full, below %s %%, nothing to do\n' "$1" "$before" "$2"
    exit 0
fi
# Which file it was is what people ask first, and the rotation hides it.
find "$1" -xdev -type f -size +64M -exec ls -ln -- {} +
logrotate --force /etc/logrotate.conf
if command -v journalctl >/dev/null; then
    journalctl --quiet --rotate --vacuum-size=512M
fi
printf '%s went from %s %% to %s %%\n' "$1" "$before" "$(used "$1")"
FAR
