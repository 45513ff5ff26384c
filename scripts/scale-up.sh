#!/bin/sh
# Scales a deployment up to so many replicas. Never down.
# Usage: scale-up.sh --context NAME --namespace NAME --deployment NAME --replicas N
# Running it again does nothing: the number is a goal, not an increment.
set -eu
# shellcheck source=scripts/lib.sh
. "$(dirname -- "$0")/lib.sh"

options 'context namespace deployment replicas' '' "$@"
needs kubectl

kube() { kubectl --context="$context" --namespace="$namespace" --request-timeout=10s "$@"; }

# An autoscaler would take it back, and the two would pull at the deployment in turns.
scaled_by=$(kube get horizontalpodautoscalers \
    --output="jsonpath={.items[?(@.spec.scaleTargetRef.name==\"$deployment\")].metadata.name}")
[ -z "$scaled_by" ] || { printf '%s is scaled by %s: raise its maximum instead\n' "$deployment" "$scaled_by" >&2; exit 1; }
now=$(kube get deployment "$deployment" --output='jsonpath={.spec.replicas}')
if [ "$now" -ge "$replicas" ]; then
    printf '%s has %s replicas, nothing to do\n' "$deployment" "$now"
    exit 0
fi
# Nobody meant this deployment to run.
[ "$now" -gt 0 ] || { printf '%s is scaled to nothing, which somebody did on purpose\n' "$deployment" >&2; exit 1; }
# Refused by the API where somebody else has scaled it since it was read.
kube scale deployment "$deployment" --current-replicas="$now" --replicas="$replicas"
