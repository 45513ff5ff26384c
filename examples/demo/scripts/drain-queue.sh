#!/bin/sh
# Fails as a queue does that cannot be drained, to show what a failed run looks like.
set -eu
echo "draining ${2:?usage: drain-queue.sh --queue NAME}"
echo 'no consumer is connected' >&2
exit 3
