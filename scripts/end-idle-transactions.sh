#!/bin/sh
# Ends sessions of one PostgreSQL account that have left a transaction open and idle for so many seconds.
# Usage: end-idle-transactions.sh --host NAME --user NAME --seconds N
# Running it again ends what has become old meanwhile, and nothing else. The password comes from ~/.pgpass.
set -eu
# shellcheck source=scripts/lib.sh
. "$(dirname -- "$0")/lib.sh"

options 'host user seconds' '' "$@"
needs psql

psql -X -A -t -q -w -v ON_ERROR_STOP=1 -v "seconds=$seconds" -v "account=$user" \
    "host=$host dbname=postgres connect_timeout=5" <<'SQL'
-- In the list of results the function is called for the rows that were chosen; as a condition it could be called before the others.
select pid, usename, state_change, case when pg_terminate_backend(pid) then 'ended' else 'already gone' end
from pg_stat_activity
where backend_type = 'client backend' and usename = :'account' and state like 'idle in transaction%'
  and state_change < clock_timestamp() - make_interval(secs => :seconds);
SQL
