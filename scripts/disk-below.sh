#!/bin/sh
# Succeeds if less than so many percent of a host's file system are used. Only reads.
# Usage: disk-below.sh --host NAME --mount PATH --percent N
set -eu
# shellcheck source=scripts/lib.sh
. "$(dirname -- "$0")/lib.sh"

options 'host mount percent' '' "$@"

on_host "$host" "$mount" "$percent" <<'FAR'
used=$(df -P -- "$1" | awk 'NR == 2 { sub(/%/, "", $5); print $5 }')
# An answer that is no number fails here, and so does not count as below.
printf '%s is %d %% full, the limit is %d %%\n' "$1" "$used" "$2"
[ "$used" -lt "$2" ]
FAR
