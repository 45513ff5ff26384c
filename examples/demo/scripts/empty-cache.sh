#!/bin/sh
# Removes the files in the cache of a host. Running it again removes nothing more.
set -eu

case ${1-} in
    --host) host=${2:?--host needs a name} ;;
    *) echo 'usage: empty-cache.sh --host NAME' >&2; exit 2 ;;
esac
# It becomes a part of a path.
case $host in
    '' | [!A-Za-z0-9]* | *[!A-Za-z0-9.-]*) echo 'not a host name' >&2; exit 2 ;;
esac
find "hosts/$host/cache" -xdev -type f -name '*.tmp' -print -delete
