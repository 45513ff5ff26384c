#!/bin/sh
# Shows how full a file system is and what is large on it. Only reads.
# Usage: disk-report.sh --host NAME --mount PATH
set -eu

host='' mount=/
while [ $# -gt 0 ]; do
    case $1 in
        --host) host=${2:?--host needs a name}; shift 2 ;;
        --mount) mount=${2:?--mount needs a path}; shift 2 ;;
        *) printf 'unknown argument: %s\n' "$1" >&2; exit 2 ;;
    esac
done
[ -n "$host" ] || { echo 'usage: disk-report.sh --host NAME --mount PATH' >&2; exit 2; }
case $mount in
    /*) ;;
    *) printf 'not an absolute path: %s\n' "$mount" >&2; exit 2 ;;
esac

# This looks at the machine it runs on. To look at $host itself, call the same two commands over ssh.
printf 'for %s, seen from %s\n' "$host" "$(uname -n)"
df -hP -- "$mount"
echo 'largest below /var/log, in KiB:'
# What may not be read is left out; du then ends with an error that says nothing new.
{ du -xk -- /var/log 2>/dev/null || true; } | sort -rn | head -n 5
