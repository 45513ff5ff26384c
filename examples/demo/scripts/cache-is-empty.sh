#!/bin/sh
# Succeeds if nothing lies in the cache of a host. Only reads.
set -eu

case ${1-} in
    --host) host=${2:?--host needs a name} ;;
    *) echo 'usage: cache-is-empty.sh --host NAME' >&2; exit 2 ;;
esac
# It becomes a part of a path.
case $host in
    '' | [!A-Za-z0-9]* | *[!A-Za-z0-9.-]*) echo 'not a host name' >&2; exit 2 ;;
esac
left=$(find "hosts/$host/cache" -type f | wc -l)
printf '%s files left\n' "$left"
[ "$left" -eq 0 ]
