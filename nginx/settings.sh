#!/bin/sh
# Prints the directives of nginx that depend on settings, from the environment; the same for `make run` and
# Docker. The other processes validate the same settings, so this script does not.
set -eu

_FORM_BYTES=65536 # the multipart form around a file

# One item a line of a list that is separated by commas; "none" is an empty list.
items() {
    printf '%s\n' "$1" | tr ',' '\n' | sed -e 's/[[:space:]]//g' -e '/^none$/d' -e '/^$/d'
}

proxies=$(items "${FACES_TRUSTED_PROXIES:-}" | tr -d '[]')
# A proxy on this machine that connects to "localhost" may come from either.
case $(echo ",$proxies," | tr '\n' ',') in
    *,::1,*) ;;
    *,127.0.0.1,* | *,127.0.0.0/8,*) proxies="$proxies ::1" ;;
esac

echo "client_max_body_size $((${FACES_MAX_UPLOAD_BYTES:-104857600} + _FORM_BYTES));"

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

# The path below which a proxy puts the service, by the same rule as wire/service_address.py: both for the
# locations, which are matched decoded, and for the servers behind, which get it as it was sent.
base_path=${FACES_BASE_PATH:-$(printf '%s' "${SERVICE_URL:-}" | sed -n 's|^[a-z]*://[^/]*/|/|p')}
base_path=$(printf '%s' "$base_path" | sed -e 's|/*$||' -e 's|^/*|/|' -e 's|^/$||')
if [ -n "$base_path" ]; then
    pattern=$(printf '%s' "$base_path" | sed 's/[.]/\\./g')
    echo "map \$http_upgrade \$asks_for_websocket { default 0; ~*websocket 1; }"
    # Volatile: nginx evaluates it again in subrequests and redirects of its own.
    echo "map \"\$asks_for_websocket:\$uri\" \$path_below_base {"
    echo '    volatile;'
    echo '    default "";'
    echo "    \"~^0:$pattern(?<decoded_rest>/.*)\$\" \$decoded_rest;"
    # /faces/ alone is the websocket of a service below /faces, if the proxy in front strips that.
    echo "    \"~^1:$pattern(?<decoded_socket>/.+)\$\" \$decoded_socket;"
    echo "    \"0:$base_path\" /;"
    echo "}"
    # A rewritten request may enter internal locations, so those are refused before: all begin with _ or a dot.
    echo "map \$uri \$is_internal_below_base { volatile; default \"\"; \"~^$pattern/[_.]\" 1; }"
    echo "map \"\$asks_for_websocket:\$request_uri\" \$service_uri {"
    echo '    default $request_uri;'
    echo "    \"~^0:$pattern(?<sent_rest>/.*)\$\" \$sent_rest;"
    echo "    \"~^1:$pattern(?<sent_socket>/[^?].*)\$\" \$sent_socket;"
    echo "    \"~^0:$pattern(?<sent_query>\\?.*)?\$\" /\$sent_query;"
    echo "}"
fi
