#!/bin/sh
# Restarts a host's own DNS resolver, unless the host can resolve a name.
# Usage: restart-resolver.sh --host NAME --domain NAME
# Running it again does nothing once the name resolves.
set -eu
# shellcheck source=scripts/lib.sh
. "$(dirname -- "$0")/lib.sh"

options 'host domain' '' "$@"

on_host "$host" "$domain" <<'FAR'
needs getent systemctl
if getent ahosts "$1"; then
    printf '%s resolves, nothing to do\n' "$1"
    exit 0
fi
for unit in systemd-resolved unbound dnsmasq nscd; do
    if systemctl is-enabled --quiet -- "$unit" 2>/dev/null; then
        systemctl restart -- "$unit"
        printf 'restarted %s\n' "$unit"
        restarted=yes
    fi
done
[ -n "${restarted:-}" ] || { echo 'this host runs no resolver of its own: the fault is elsewhere' >&2; exit 1; }
FAR
