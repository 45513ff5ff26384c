#!/bin/sh
# Succeeds if a systemd service is active on a host. Only reads.
# Usage: service-active.sh --host NAME --service UNIT
set -eu
. "$(dirname -- "$0")/lib.sh"

host='' service=''
while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || die "$1 needs a value"
    case $1 in
        --host) host=$2 ;;
        --service) service=$2 ;;
        *) die "unknown argument: $1" ;;
    esac
    shift 2
done
check_host "$host"
check_service "$service"

on_host "$host" "$service" <<'FAR'
systemctl is-active -- "$1"
FAR
