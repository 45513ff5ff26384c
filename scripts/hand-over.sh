#!/bin/sh
# Leaves a note in the system log that a person has to go on; whoever forwards the log forwards it.
# Usage: hand-over.sh --service NAME --reason TEXT
set -eu
. "$(dirname -- "$0")/lib.sh"

service='' reason=''
while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || die "$1 needs a value"
    case $1 in
        --service) service=$2 ;;
        --reason) reason=$2 ;;
        *) die "unknown argument: $1" ;;
    esac
    shift 2
done
check_service "$service"

# What Stanch does not know it leaves out; by hand there is no incident.
note="$service needs a person: $reason (incident ${STANCH_INCIDENT_ID:-none}, run ${STANCH_RUN_ID:-none})"
printf '%s\n' "$note"
# Without a system log the note stands in the run's record.
logger --tag stanch --priority user.err -- "$note" || true
