#!/bin/sh
# Succeeds if a service is active and uses less than so much memory. Only reads.
# Usage: memory-below.sh --host NAME --service UNIT --mebibytes N
set -eu
# shellcheck source=scripts/lib.sh
. "$(dirname -- "$0")/lib.sh"

options 'host service mebibytes' '' "$@"

on_host "$host" "$service" "$mebibytes" <<'FAR'
needs systemctl
# A service that did not come back uses no memory at all.
systemctl is-active --quiet -- "$1"
bytes=$(systemctl show --property=MemoryCurrent --value -- "$1")
printf '%s uses %d bytes, the limit is %s MiB\n' "$1" "$bytes" "$2"
[ "$bytes" -lt "$(($2 * 1048576))" ]
FAR
