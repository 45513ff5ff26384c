#!/bin/sh
# Succeeds if a pod does not exist. Only reads.
# Usage: pod-gone.sh --context NAME --namespace NAME --pod NAME
set -eu
# shellcheck source=scripts/lib.sh
. "$(dirname -- "$0")/lib.sh"

options 'context namespace pod' '' "$@"
needs kubectl

# A cluster that does not answer ends the script here, and does not count as a pod that is gone.
found=$(kubectl --context="$context" --namespace="$namespace" --request-timeout=10s get pod "$pod" \
    --ignore-not-found --output=name)
[ -z "$found" ] || { printf '%s is still there\n' "$found" >&2; exit 1; }
printf '%s/%s is gone\n' "$namespace" "$pod"
