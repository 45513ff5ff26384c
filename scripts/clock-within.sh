#!/bin/sh
# Succeeds if a host's clock is synchronised and off by less than so many milliseconds. Only reads.
# Usage: clock-within.sh --host NAME --milliseconds N
set -eu
# shellcheck source=scripts/lib.sh
. "$(dirname -- "$0")/lib.sh"

options 'host milliseconds' '' "$@"

on_host "$host" "$milliseconds" <<'FAR'
needs chronyc
# Fields and their meaning are those of sync-clock.sh.
chronyc -c tracking | awk -F, -v limit="$1" '
    { offset = $5 < 0 ? -$5 : $5; printf "stratum %d, off by %.3f ms\n", $3, offset * 1000; found = 1
      exit !($3 > 0 && offset * 1000 < limit) }
    END { if (!found) exit 1 }'
FAR
