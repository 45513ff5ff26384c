#!/bin/sh
# Succeeds if a systemd service is active on a host. Only reads.
# Usage: service-active.sh --host NAME --service UNIT
set -eu
# shellcheck source=scripts/lib.sh
. "$(dirname -- "$0")/lib.sh"

options 'host service' '' "$@"

on_host "$host" "$service" <<'FAR'
needs systemctl
systemctl is-active -- "$1"
FAR
