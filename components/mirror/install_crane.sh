#!/usr/bin/env bash
# Puts the pinned crane on the build machine; fails on any other archive.
# Environment: CRANE_URL and CRANE_SHA256 of the archive, CRANE_DIR (/usr/local/bin).
set -euo pipefail

: "${CRANE_URL:?}" "${CRANE_SHA256:?}"
archive=$(mktemp)
curl --fail --silent --show-error --location --retry 5 --output "$archive" "$CRANE_URL"
echo "$CRANE_SHA256  $archive" | sha256sum --check --quiet -
tar --extract --gzip --file "$archive" --directory "${CRANE_DIR:-/usr/local/bin}" crane
