#!/bin/sh
# Brings a host's clock back by chrony, slowly: the clock never jumps, so no timestamp goes backwards.
# Usage: sync-clock.sh --host NAME --milliseconds N
# Running it again does nothing once the clock is within N milliseconds.
set -eu
# shellcheck source=scripts/lib.sh
. "$(dirname -- "$0")/lib.sh"

options 'host milliseconds' '' "$@"

on_host "$host" "$milliseconds" <<'FAR'
needs chronyc systemctl
# Comma-separated; the fifth field is the offset of the system's clock in seconds. Unsynchronised chrony says 0 there, and
# stratum 0 in the third. Debian's unit has the other name as an alias.
unit=chrony
if systemctl is-enabled --quiet -- chronyd 2>/dev/null; then
    unit=chronyd
fi
within() {
    chronyc -c tracking | awk -F, -v limit="$1" '
        { offset = $5 < 0 ? -$5 : $5; printf "stratum %d, off by %.3f ms\n", $3, offset * 1000; found = 1
          exit !($3 > 0 && offset * 1000 < limit) }
        END { if (!found) exit 1 }'
}
if systemctl is-active --quiet -- "$unit" && within "$1"; then
    echo 'nothing to do'
    exit 0
fi
# A daemon that died, or lost its sources at a change of the network, is the usual cause.
systemctl restart -- "$unit"
chronyc waitsync 30 0 0 1
chronyc -n sources
FAR
