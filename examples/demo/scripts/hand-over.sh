#!/bin/sh
# Says who has to go on. Usage: hand-over.sh --why TEXT
set -eu
printf 'for the on-call of %s: %s\n' "${STANCH_TARGET:-?}" "${2:?usage: hand-over.sh --why TEXT}" | tee -a handed-over.txt
