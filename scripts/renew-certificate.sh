#!/bin/sh
# Renews a certificate with certbot on the host that serves it, and has the web server take it up.
# Usage: renew-certificate.sh --host NAME --domain NAME --service UNIT --days N
# Running it again asks the certificate authority for nothing once the file is valid for N more days.
set -eu
# shellcheck source=scripts/lib.sh
. "$(dirname -- "$0")/lib.sh"

options 'host domain service days' '' "$@"

on_host "$host" "$domain" "$service" "$days" <<'FAR'
needs openssl certbot systemctl
file=/etc/letsencrypt/live/$1/cert.pem
[ -r "$file" ] || { printf '%s cannot be read: certbot does not keep this certificate here\n' "$file" >&2; exit 1; }
if openssl x509 -noout -checkend "$(($3 * 86400))" -in "$file" >/dev/null; then
    printf 'the file is valid for %s more days, it is not renewed\n' "$3"
else
    certbot renew --non-interactive --no-random-sleep-on-renew --cert-name "$1"
fi
# A file that was renewed and a server that was never told is the usual cause, so the server is told in any case. A reload
# drops no connection.
systemctl reload -- "$2"
printf 'reloaded %s\n' "$2"
FAR
