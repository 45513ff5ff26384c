#!/bin/sh
# Succeeds if a PostgreSQL standby lags less than so many seconds behind. Only reads.
# Usage: replica-lag-below.sh --host NAME --seconds N
set -eu
# shellcheck source=scripts/lib.sh
. "$(dirname -- "$0")/lib.sh"

options 'host seconds' '' "$@"
needs psql

# A standby that has replayed all it received does not lag, however long ago the last transaction was.
lag=$(psql -X -A -t -q -w -v ON_ERROR_STOP=1 "host=$host dbname=postgres connect_timeout=5" <<'SQL'
select case when pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() then 0
            else coalesce(ceil(extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp())), 999999999) end::bigint
where pg_is_in_recovery();
SQL
)
[ -n "$lag" ] || { printf '%s is no standby\n' "$host" >&2; exit 1; }
printf '%s lags %d s, the limit is %s s\n' "$host" "$lag" "$seconds"
[ "$lag" -lt "$seconds" ]
