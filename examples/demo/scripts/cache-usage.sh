#!/bin/sh
# Shows what lies in the cache of a host. Only reads.
set -eu

case ${1-} in
    --host) host=${2:?--host needs a name} ;;
    *) echo 'usage: cache-usage.sh --host NAME' >&2; exit 2 ;;
esac
# It becomes a part of a path.
case $host in
    '' | [!A-Za-z0-9]* | *[!A-Za-z0-9.-]*) echo 'not a host name' >&2; exit 2 ;;
esac
cache=hosts/$host/cache
printf '%s holds %s files, %s KiB\n' "$cache" "$(find "$cache" -type f | wc -l)" "$(du -sk -- "$cache" | cut -f 1)"
