#!/bin/sh
# Removes a pod that Kubernetes was told to delete and that does not go, because its node no longer answers.
# Usage: delete-zombie-pod.sh --context NAME --namespace NAME --pod NAME
# Running it again does nothing once the pod is gone.
set -eu
# shellcheck source=scripts/lib.sh
. "$(dirname -- "$0")/lib.sh"

options 'context namespace pod' '' "$@"
needs kubectl

kube() { kubectl --context="$context" --namespace="$namespace" --request-timeout=10s "$@"; }
field() { kube get pod "$pod" --ignore-not-found --output="jsonpath={$1}"; }

uid=$(field .metadata.uid)
if [ -z "$uid" ]; then
    printf '%s/%s is gone, nothing to do\n' "$namespace" "$pod"
    exit 0
fi
deleted=$(field .metadata.deletionTimestamp)
[ -n "$deleted" ] || { printf '%s/%s is not being deleted: it is left alone\n' "$namespace" "$pod" >&2; exit 1; }
# A member of a StatefulSet has an identity. Forced away while its node lives on unseen, it would exist twice.
owners=$(field '.metadata.ownerReferences[*].kind')
case " $owners " in
    *' StatefulSet '*) printf '%s/%s belongs to a StatefulSet: a person has to make sure that its node is down\n' "$namespace" "$pod" >&2; exit 1 ;;
esac
# Only a node that does not answer can keep it: on one that does, the process may still be ending, and would be forgotten.
node=$(field .spec.nodeName)
ready=$(kubectl --context="$context" --request-timeout=10s get node "$node" --ignore-not-found \
    --output='jsonpath={.status.conditions[?(@.type=="Ready")].status}')
[ "$ready" != True ] || { printf 'its node %s is ready: the pod may still be ending\n' "$node" >&2; exit 1; }
kube delete pod "$pod" --grace-period=0 --force --ignore-not-found --wait=false
printf 'removed %s/%s, which was being deleted since %s\n' "$namespace" "$pod" "$deleted"
