#!/bin/sh
# Succeeds if less than so many percent of a PostgreSQL server's connections are taken. Only reads.
# Usage: connections-below.sh --host NAME --percent N
set -eu
# shellcheck source=scripts/lib.sh
. "$(dirname -- "$0")/lib.sh"

options 'host percent' '' "$@"
needs psql

taken=$(psql -X -A -t -q -w -v ON_ERROR_STOP=1 "host=$host dbname=postgres connect_timeout=5" <<'SQL'
select (100 * count(*) / current_setting('max_connections')::int)::int
from pg_stat_activity where backend_type = 'client backend';
SQL
)
printf '%d %% of the connections of %s are taken, the limit is %s %%\n' "$taken" "$host" "$percent"
[ "$taken" -lt "$percent" ]
