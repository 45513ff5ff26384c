#!/bin/sh
# Stands for what restarts a service: it writes down what it was asked to do.
set -eu
printf '%s\n' "$*" >> restarted.txt
printf 'asked to restart: %s\n' "$*"
