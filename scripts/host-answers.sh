#!/bin/sh
# Succeeds if a host's SSH server answers. Needs no account there. Only reads.
# Usage: host-answers.sh --host NAME
set -eu
# shellcheck source=scripts/lib.sh
. "$(dirname -- "$0")/lib.sh"

options host '' "$@"
needs ssh-keyscan

answer=$(ssh-keyscan -T 5 "$host" 2>/dev/null || true)
[ -n "$answer" ] || { printf '%s does not answer\n' "$host" >&2; exit 1; }
printf '%s answers\n' "$host"
