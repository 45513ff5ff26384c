#!/bin/sh
# Cancels queries on a PostgreSQL standby that have run for so many seconds and keep it from replaying.
# Usage: end-long-queries.sh --host NAME --seconds N
# Running it again cancels what has become old meanwhile, and nothing else. The password comes from ~/.pgpass.
set -eu
# shellcheck source=scripts/lib.sh
. "$(dirname -- "$0")/lib.sh"

options 'host seconds' '' "$@"
needs psql

sql() { psql -X -A -t -q -w -v ON_ERROR_STOP=1 -v "seconds=$seconds" "host=$host dbname=postgres connect_timeout=5"; }

standby=$(echo 'select pg_is_in_recovery();' | sql)
[ "$standby" = t ] || { printf '%s is no standby: its queries are left alone\n' "$host" >&2; exit 1; }
# Cancelling ends the statement and keeps the connection; backups and replication are other kinds of backend.
sql <<'SQL'
-- In the list of results the function is called for the rows that were chosen; as a condition it could be called before the others.
select pid, usename, date_trunc('second', clock_timestamp() - query_start),
       case when pg_cancel_backend(pid) then 'cancelled' else 'already gone' end
from pg_stat_activity
where backend_type = 'client backend' and state = 'active' and pid <> pg_backend_pid()
  and query_start < clock_timestamp() - make_interval(secs => :seconds);
SQL
