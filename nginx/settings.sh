#!/bin/sh
# Prints the directives of nginx that depend on settings, from the environment; the same for `make run` and
# Docker. The other processes validate the same settings, so this script does not.
set -eu

_FORM_BYTES=65536 # the multipart form around a file

# One item a line of a list that is separated by commas; "none" is an empty list.
items() {
    printf '%s\n' "$1" | tr ',' '\n' | sed -e 's/[[:space:]]//g' -e '/^none$/d' -e '/^$/d'
}

proxies=$(items "${FACES_TRUSTED_PROXIES:-}")

echo "client_max_body_size $((FACES_MAX_UPLOAD_BYTES + _FORM_BYTES));"

# The client's address: the nearest one in X-Forwarded-For that is no trusted proxy.
for proxy in $proxies; do echo "set_real_ip_from $proxy;"; done
echo "real_ip_header X-Forwarded-For;"
echo "real_ip_recursive on;"

# Whether the request came through a trusted proxy, whose headers about it are believed.
echo "geo \$realip_remote_addr \$by_trusted_proxy {"
echo "    default 0;"
for proxy in $proxies; do echo "    $proxy 1;"; done
echo "}"

# CORS: the origin to name in the answer, empty for any other.
echo "map \$http_origin \$cors_origin {"
echo '    default "";'
# Without a slash at the end and the scheme's own port, as browsers send it.
items "${FACES_ALLOWED_ORIGINS:-}" | sed -e 's/\/$//' -e 's/^\(http:.*\):80$/\1/' -e 's/^\(https:.*\):443$/\1/' |
    while read -r origin; do
        if [ "$origin" = "*" ]; then echo '    "~." "*";'; else echo "    \"$origin\" \$http_origin;"; fi
    done
echo "}"
[ -z "${FACES_ALLOWED_ORIGINS:-}" ] || echo 'map "" $cors_vary { default Origin; }'
