#!/usr/bin/env bash
# Holds a running daemon against its own OpenAPI document, with inputs that Schemathesis makes of it: every check that it
# has, valid inputs and invalid ones, and calls that follow from others. Usage: fuzz/api.sh [EXAMPLES], 200 of each operation
# unless told otherwise. Needs Python 3.10 or later; what it brings stays in the target folder.
set -euo pipefail

examples=${1:-200}
# Raised on purpose: another version may find more.
version=4.32.5
root=$(cd "$(dirname "$0")/.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
venv=$target/tmp/schemathesis-$version
stanch=${STANCH:-$target/debug/stanch}

if [[ ! -x $venv/bin/schemathesis ]]; then
  echo "fuzz/api.sh: bringing schemathesis $version from PyPI"
  mkdir -p "$target/tmp"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet "schemathesis==$version"
fi
[[ -x $stanch ]] || (cd "$root" && cargo build --locked)

folder=$(mktemp -d)
daemon=
trap '[[ -z $daemon ]] || kill "$daemon"; rm -rf "$folder"' EXIT
port() { "$venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
hooks=$(port) admin=$(port)
token=$(head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n')
mkdir -p "$folder/rules" "$folder/scripts" "$folder/secrets"
(umask 077 && echo "$token" >"$folder/secrets/token")
cat >"$folder/stanch.yaml" <<YAML
listen: 127.0.0.1:$hooks
sources: [ { name: flashduty, path: /flashduty, auth: { secret: { file: secrets/token } } } ]
admin: { listen: 127.0.0.1:$admin, token: { file: secrets/token } }
log: { format: json, level: warn }
YAML
cat >"$folder/rules/rules.yaml" <<'YAML'
rules:
  - id: acts
    match: { events: [i_new], channels: ["*"] }
    target: "{{ labels.resource }}"
    steps: [ { run: [/bin/true] } ]
  - id: asks
    mode: approve
    match: { events: [i_new], channels: ["*"] }
    target: "{{ labels.check }}"
    steps: [ { run: [/bin/true] } ]
YAML
"$stanch" serve -c "$folder/stanch.yaml" 2>"$folder/log" &
daemon=$!
for _ in $(seq 100); do
  curl -sf -H "Authorization: Bearer $token" "http://127.0.0.1:$admin/readyz" >/dev/null && break
  sleep 0.1
done
for nth in 1 2 3; do
  "$stanch" send -c "$folder/stanch.yaml" --set "incident.incident_id=5f000000000000000000000$nth" \
    "$root/examples/quickstart/rules/fixtures/disk-full.json" >/dev/null
done

# The stream never ends, so it is left out here; tests/it/openapi.rs and tests/it/stream.rs ask it.
status=0
# It leaves what it remembers where it is started.
cd "$folder"
"$venv/bin/schemathesis" run "http://127.0.0.1:$admin/api/v1/openapi.json" \
  --header "Authorization: Bearer $token" --exclude-path /api/v1/stream \
  --checks all --mode all --max-examples "$examples" --workers 2 --continue-on-failure \
  --request-timeout 20 --seed "${SEED:-1}" --no-color "${@:2}" || status=$?
if ! kill -0 "$daemon" 2>/dev/null || grep -q panicked "$folder/log"; then
  echo "fuzz/api.sh: the daemon died or panicked:" >&2
  tail -20 "$folder/log" >&2
  status=1
fi
exit "$status"
