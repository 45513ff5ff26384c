#!/bin/sh
# Succeeds if the certificate that a server really presents is valid for so many more days. Asks from this machine. Only reads.
# Usage: certificate-valid.sh --domain NAME --days N [--port N]
set -eu
# shellcheck source=scripts/lib.sh
. "$(dirname -- "$0")/lib.sh"

port=443
options 'domain days' port "$@"
needs openssl

# Without a certificate there is nothing to look at: x509 fails on the empty text.
presented=$(openssl s_client -connect "$domain:$port" -servername "$domain" </dev/null 2>/dev/null || true)
printf '%s\n' "$presented" | openssl x509 -noout -enddate -checkend "$((days * 86400))"
