#!/bin/sh
# Restarts a service whose memory has grown over a limit, after a pause that differs from host to host.
# Usage: restart-leaking-service.sh --host NAME --service UNIT --mebibytes N [--jitter SECONDS]
# Running it again does nothing once the service is small.
set -eu
# shellcheck source=scripts/lib.sh
. "$(dirname -- "$0")/lib.sh"

jitter=0
options 'host service mebibytes' jitter "$@"

# Instances that were started together leak alike and reach the limit together. The pause is a function of the host's name, so
# that it is the same when the step is tried again.
pause=$(($(printf '%s' "$host" | cksum | cut -d ' ' -f 1) % (jitter + 1)))
printf 'waiting %s s before %s on %s\n' "$pause" "$service" "$host"
sleep "$pause"

on_host "$host" "$service" "$mebibytes" <<'FAR'
needs systemctl
bytes=$(systemctl show --property=MemoryCurrent --value -- "$1")
case $bytes in
    '' | *[!0-9]*) printf 'the memory of %s is not known (%s): is MemoryAccounting on?\n' "$1" "$bytes" >&2; exit 1 ;;
esac
used=$((bytes / 1048576))
if [ "$used" -lt "$2" ]; then
    printf '%s uses %s MiB, below %s MiB, nothing to do\n' "$1" "$used" "$2"
    exit 0
fi
systemctl restart -- "$1"
printf 'restarted %s at %s MiB\n' "$1" "$used"
FAR
