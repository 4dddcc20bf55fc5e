#!/bin/sh
# As the official image: what it holds belongs to redis, and so does the server.
set -eu
if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then
    find . \! -user redis -exec chown redis '{}' +
    exec setpriv --reuid=redis --regid=redis --clear-groups "$0" "$@"
fi
exec "$@" --bind 0.0.0.0 --protected-mode no
