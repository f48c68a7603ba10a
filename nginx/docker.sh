#!/bin/sh
# Starts nginx in Docker: writes what depends on settings, and checks what this user may read and write.
set -eu

folder=${FACES_NGINX_FOLDER:-/etc/nginx/faces}
media=${FACES_MEDIA_FOLDER:-/data/media}
temporary=${FACES_NGINX_TEMPORARY:-/tmp}

fail() {
    echo "Faces cannot go on: $1" >&2
    exit 1
}

[ -w "$temporary" ] || fail "nginx, as user $(id -u), cannot write to $temporary: mount a volume or tmpfs there."
{ [ -r "$media" ] && [ -x "$media" ]; } || fail "nginx, as user $(id -u):$(id -g), cannot read the images in $media, \
which belong to $(stat -c %u:%g "$media" 2>/dev/null || echo nobody). Give nginx and the other services the same user."

# The host's own programs reach a published port by the gateway of Docker's network. As long as the port is
# published on the loopback alone, that address is this machine's and nobody else's.
gateway() {
    set -- $(sed -n 's/^[^\t]*\t00000000\t\(..\)\(..\)\(..\)\(..\)\t.*/\4 \3 \2 \1/p' /proc/net/route | head -n 1)
    [ $# -lt 4 ] || printf ',%d.%d.%d.%d' "0x$1" "0x$2" "0x$3" "0x$4"
}
case ",$(echo "${FACES_TRUSTED_PROXIES:-}" | tr -d '[:space:]')," in
    *,127.*|*,::1,*|*,::1/128,*)
        case ${FACES_BIND:-127.0.0.1} in
            127.*|::1|'[::1]'|localhost) FACES_TRUSTED_PROXIES=$FACES_TRUSTED_PROXIES$(gateway) ;;
        esac ;;
esac
export FACES_TRUSTED_PROXIES=${FACES_TRUSTED_PROXIES:-}

sh "$folder/settings.sh" > "$temporary/settings.conf"
configuration=$folder/docker.conf
# In Kubernetes: nginx takes no search domains from /etc/resolv.conf, and Docker's DNS is not there.
if [ -n "${FACES_NGINX_DOMAIN:-}" ]; then
    resolver=$(sed -n 's/^nameserver  *//p' "${FACES_RESOLV_CONF:-/etc/resolv.conf}" | head -n 1)
    case $resolver in *:*) resolver="[$resolver]" ;; esac
    sed -e "s/^\( *resolver\) 127\.0\.0\.11 /\1 $resolver /" \
        -e "s/ \(backend\|wsserver\):/ \1.$FACES_NGINX_DOMAIN:/" \
        "$folder/docker.conf" > "$temporary/nginx.conf"
    configuration=$temporary/nginx.conf
fi
# The image's authorities; where it has none, untrusted-ca.pem, which has signed nothing.
cp /etc/ssl/certs/ca-certificates.crt "$temporary/authorities.pem" 2>/dev/null ||
    cp "$folder/untrusted-ca.pem" "$temporary/authorities.pem"
exec nginx -e stderr -c "$configuration" -g 'daemon off;'
