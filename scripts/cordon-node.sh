#!/bin/sh
# Keeps new pods off a node that is not ready. Moves nothing, and is undone by `kubectl uncordon`.
# Usage: cordon-node.sh --context NAME --node NAME --percent N
# Running it again does nothing. It refuses where N percent of the nodes, or more, are kept off already.
set -eu
# shellcheck source=scripts/lib.sh
. "$(dirname -- "$0")/lib.sh"

options 'context node percent' '' "$@"
needs kubectl

kube() { kubectl --context="$context" --request-timeout=10s "$@"; }

cordoned=$(kube get node "$node" --output='jsonpath={.spec.unschedulable}')
if [ "$cordoned" = true ]; then
    printf '%s is cordoned, nothing to do\n' "$node"
    exit 0
fi
ready=$(kube get node "$node" --output='jsonpath={.status.conditions[?(@.type=="Ready")].status}')
if [ "$ready" = True ]; then
    printf '%s is ready again, nothing to do\n' "$node"
    exit 0
fi
# Nodes that go one after another are a fault of the cluster, and cordoning them all takes its last room.
every=$(kube get nodes --output='jsonpath={range .items[*]}{.metadata.name}={.spec.unschedulable}{"\n"}{end}')
all=$(printf '%s\n' "$every" | grep -c '=')
off=$(printf '%s\n' "$every" | grep -c '=true$' || true)
[ "$((off * 100))" -lt "$((all * percent))" ] || { printf '%s of %s nodes are cordoned already\n' "$off" "$all" >&2; exit 1; }
kube cordon "$node"
