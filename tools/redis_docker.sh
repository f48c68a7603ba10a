#!/bin/sh
# Starts Redis in Docker, with the arguments of redis-server. Clients need the password in $folder/password,
# which is made at the first start; only containers that have the volume can read it.
set -eu

folder=${FACES_REDIS_FOLDER:-/data}
temporary=${FACES_REDIS_TEMPORARY:-/tmp}

if [ ! -s "$folder/password" ]; then
    head -c 32 /dev/urandom | sha256sum | cut -c 1-64 > "$folder/password.new"
    # The other services are another user's.
    chmod 444 "$folder/password.new"
    mv "$folder/password.new" "$folder/password"
fi
# Not among the arguments, which every user of the host can see.
(umask 077 && echo "requirepass $(cat "$folder/password")" > "$temporary/redis.conf")
exec redis-server "$temporary/redis.conf" "$@"
