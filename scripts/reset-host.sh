#!/bin/sh
# Turns a host that does not answer off and on again through its management controller (IPMI).
# Usage: reset-host.sh --host NAME --bmc NAME --user NAME --secret FILE --state FOLDER --minutes N
# Running it again does nothing while the host answers, nor for N minutes after a reset: it may still be starting.
set -eu
# shellcheck source=scripts/lib.sh
. "$(dirname -- "$0")/lib.sh"

options 'host bmc user secret state minutes' '' "$@"
needs ipmitool ssh-keyscan
[ -r "$secret" ] || die "the file with the controller's password cannot be read: $secret"

# A host that answers is not reset, whatever the alert says. That nothing came back is only taken for silence where the
# program itself ran: its exit code differs between versions, its output does not.
answer=$(ssh-keyscan -T 5 "$host" 2>/dev/null || true)
if [ -n "$answer" ]; then
    printf '%s answers, nothing to do\n' "$host"
    exit 0
fi

mkdir -p -- "$state"
stamp=$state/$host
if [ -n "$(find "$state" -maxdepth 1 -type f -name "$host" -mmin "-$minutes")" ]; then
    printf '%s was reset less than %s minutes ago, nothing to do\n' "$host" "$minutes"
    exit 0
fi

# The password is read from the file, so that no list of processes shows it.
bmc() { ipmitool -I lanplus -N 5 -R 2 -H "$bmc" -U "$user" -f "$secret" "$@"; }

power=$(bmc chassis power status)
# Why it went down is in the controller's log, if anywhere.
bmc sel list last 10 || true
case $power in
    *off) action=on ;;
    *on) action=cycle ;;
    *) printf 'the controller of %s gave no usable answer: %s\n' "$host" "$power" >&2; exit 1 ;;
esac
# The stamp comes first: after a crash between the two, no reset is better than two.
: >"$stamp"
bmc chassis power "$action"
printf 'reset %s, which was: %s\n' "$host" "$power"
