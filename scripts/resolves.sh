#!/bin/sh
# Succeeds if a host can resolve a name. Only reads.
# Usage: resolves.sh --host NAME --domain NAME
set -eu
# shellcheck source=scripts/lib.sh
. "$(dirname -- "$0")/lib.sh"

options 'host domain' '' "$@"

on_host "$host" "$domain" <<'FAR'
needs getent
getent ahosts "$1"
FAR
