#!/bin/sh
# docker/rootfs.sh TARGET [DIR]: builds what the image of TARGET holds in a folder, without a container engine, and prints its size.
# TARGET is kv, storage, sql, queue, secrets, email or supercar. docker/Dockerfile does the same, by the same script.
set -eu
cd "$(dirname "$0")/.."
target=${1:?"usage: docker/rootfs.sh TARGET [DIR]"}
directory=${2:-dist/rootfs/$target}
PATH="$PWD/node_modules/.bin:$PATH"

TURBO_TELEMETRY_DISABLED=1 turbo run build --filter="@mikcar/$target..." --output-logs=errors-only >&2
node docker/image/assemble.mjs "$target" "$directory"

size() { # in MB, of what comes in
  wc -c | awk '{ printf "%.1f MB", $1 / 1e6 }'
}
pack() {
  tar --create --directory "$directory" --sort=name --owner=0 --group=0 .
}
echo "| $target | $(pack | size) | $(pack | gzip | size) |"
