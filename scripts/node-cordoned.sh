#!/bin/sh
# Succeeds if no new pod can come to a node. Only reads.
# Usage: node-cordoned.sh --context NAME --node NAME
set -eu
# shellcheck source=scripts/lib.sh
. "$(dirname -- "$0")/lib.sh"

options 'context node' '' "$@"
needs kubectl

cordoned=$(kubectl --context="$context" --request-timeout=10s get node "$node" --output='jsonpath={.spec.unschedulable}')
[ "$cordoned" = true ] || { printf 'new pods can come to %s\n' "$node" >&2; exit 1; }
printf '%s is cordoned\n' "$node"
