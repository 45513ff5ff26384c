#!/bin/sh
# Succeeds if less than so many percent of a host's file system are used. Only reads.
# Usage: disk-below.sh --host NAME --mount PATH --percent N
set -eu
. "$(dirname -- "$0")/lib.sh"

host='' mount='' percent=''
while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || die "$1 needs a value"
    case $1 in
        --host) host=$2 ;;
        --mount) mount=$2 ;;
        --percent) percent=$2 ;;
        *) die "unknown argument: $1" ;;
    esac
    shift 2
done
check_host "$host"
check_mount "$mount"
check_number "$percent"

on_host "$host" "$mount" "$percent" <<'FAR'
used=$(df -P -- "$1" | awk 'NR == 2 { sub(/%/, "", $5); print $5 }')
# An answer that is no number fails here, and so does not count as below.
printf '%s is %d %% full, the limit is %d %%\n' "$1" "$used" "$2"
[ "$used" -lt "$2" ]
FAR
