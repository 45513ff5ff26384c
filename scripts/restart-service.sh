#!/bin/sh
# Restarts a systemd service on a host, unless it is active.
# Usage: restart-service.sh --host NAME --service UNIT
# Running it again does nothing once the service is active.
set -eu
# shellcheck source=scripts/lib.sh
. "$(dirname -- "$0")/lib.sh"

options 'host service' '' "$@"

on_host "$host" "$service" <<'FAR'
needs systemctl
if systemctl is-active --quiet -- "$1"; then
    printf '%s is active, nothing to do\n' "$1"
    exit 0
fi
# What it said before it went down is gone from sight after the restart.
journalctl --unit="$1" --lines=20 --no-pager --quiet || true
# A unit that failed too often in a row refuses to start until this.
systemctl reset-failed -- "$1" || true
systemctl restart -- "$1"
printf 'restarted %s\n' "$1"
FAR
