#!/bin/sh
# Would restart a service. Its rule is in dry-run, so it never runs; if it did, the demo would see this file.
set -eu
printf '%s\n' "$*" >> restarted.txt
