#!/usr/bin/env bash
# Copies images one after the other, by digest, and verifies each.
#
# Environment: IMAGES, words "source target" for each, with a tag or digest; TARGET_REGISTRY (nothing
# outside it is written), TARGET_REGION, CREDENTIALS_SECRET (empty: the build's own role pushes),
# PLATFORM (linux/amd64: of an index with a tag only this image; empty: all), TABLE (gets a row on
# how each image went; empty: there is none), RETRY_SECONDS (5), COPY_JSON (path of copy_json.py, and
# its environment).
# Output: for each image "ok <source> <digest>" or "failed <source> <reason>"; progress is on standard
# error.
# Exit status: 0 all copied or already there, 1 some failed, 2 refused, and nothing copied.
set -euo pipefail

# Each reference becomes an argument of crane, and a target a path below the registry: none may be
# an option, or climb by "..". What is none is not shown, for it may be anything. Words, not lines,
# are read: whether a line's end survives the way through an environment variable does not matter.
: "${IMAGES:?}" "${TARGET_REGISTRY:?}" "${TARGET_REGION:?}" "${COPY_JSON:?}"
refuse() { echo "refused: $1" >&2; exit 2; }
tag=':[A-Za-z0-9_][A-Za-z0-9_.-]*'
sum='@[a-z0-9]+:[0-9a-f]+'
host='([A-Za-z0-9][A-Za-z0-9.-]*|\[[A-Fa-f0-9:]+\])(:[0-9]+)?'
reference="^$host(/[a-z0-9][a-z0-9._-]*)+($tag|$sum|$tag$sum)\$"
read -r -d '' -a words <<<"$IMAGES" || true
((${#words[@]} > 0 && ${#words[@]} % 2 == 0)) || refuse "IMAGES holds no pairs of source and target"
sources=() targets=()
for ((place = 0; place < ${#words[@]}; place += 2)); do
  sources+=("${words[place]}")
  targets+=("${words[place + 1]}")
done
for place in "${!words[@]}"; do
  [[ ${words[place]} =~ $reference ]] || refuse "word $place of IMAGES is no tagged image"
done
for image in "${targets[@]}"; do
  case "$image" in
    "$TARGET_REGISTRY"/*) ;;
    *) refuse "$image is not below $TARGET_REGISTRY" ;;
  esac
done
[[ ${PLATFORM:-} =~ ^([a-z0-9]+/[a-z0-9]+(/[a-z0-9]+)?)?$ ]] || refuse "$PLATFORM is no platform"

# What crane says is shown without the queries of URLs: storage behind a registry is read with
# signatures in them. "Final" are answers that would be the same at every attempt.
said=$(mktemp)
shown() { sed --unbuffered --regexp-extended 's#(https?://[^ "?]+)\?[^ "]*[^ ":]#\1#g'; }
final='MANIFEST_UNKNOWN|NAME_UNKNOWN|NAME_INVALID|no child with platform'

attempt() {
  local number
  for number in 1 2 3 4 5; do
    { "$@" 2>&1 >&3 3>&- | shown | tee "$said" >&2; } 3>&1 && return 0
    ! grep --quiet --extended-regexp "$final" "$said" || return 1
    echo "attempt $number of 5 failed: $*" >&2
    [ "$number" = 5 ] || sleep "$((number * number * ${RETRY_SECONDS:-5}))"
  done
  return 1
}

reason() {
  local last
  last=$(tail --lines 1 "$said")
  echo "${last:-no reason was given}"
}

# Keys live in the subshell of as_target only: crane runs without them, and none is printed.
as_target() (
  set -euo pipefail
  if [ -n "${CREDENTIALS_SECRET:-}" ]; then
    keys=$(aws secretsmanager get-secret-value --secret-id "$CREDENTIALS_SECRET" \
      --query SecretString --output text) || return 1
    keys=$(python3 "$COPY_JSON" keys <<<"$keys" 2>/dev/null) || {
      echo "$CREDENTIALS_SECRET holds no accessKeyId and secretAccessKey" >&2
      return 1
    }
    unset AWS_SESSION_TOKEN AWS_CONTAINER_CREDENTIALS_RELATIVE_URI
    read -r AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY <<<"$keys"
    export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
    unset keys
  fi
  aws "$@" --region "$TARGET_REGION"
)

# shellcheck disable=SC2329 # "attempt" calls it
log_in() {
  as_target ecr get-login-password |
    crane auth login "${TARGET_REGISTRY%%/*}" --username AWS --password-stdin
}

# What admissions read (webhook.claims). Where the row cannot be written the image is copied all the
# same: its claim then ends by itself.
tell() {
  echo "$*"
  [ -n "${TABLE:-}" ] || return 0
  local request
  if ! { request=$(python3 "$COPY_JSON" "$1" "$2" "${*:3}") &&
    as_target dynamodb update-item --cli-input-json "$request" >&2; }; then
    echo "the table $TABLE was not told about $2" >&2
  fi
}

# errexit does not reach into a function whose status is looked at: each step says what it does
# about a failure. An image that was asked for by digest is pulled by this digest, which only the
# whole index has: no platform is picked from it.
copy() {
  local source=$1 target=$2 digest copied
  local -a platform=()
  case "$source" in
    *@*) digest=$(attempt crane digest "$source") || return 1 ;;
    *)
      [ -z "${PLATFORM:-}" ] || platform=(--platform "$PLATFORM")
      digest=$(attempt crane digest "${platform[@]}" "$source") || return 1
      source=${source%:*}@$digest
      ;;
  esac
  if [ "$(crane digest "$target" 2>/dev/null || true)" = "$digest" ]; then
    echo "$target already is $digest" >&2
    echo "$digest"
    return 0
  fi
  attempt crane copy "$source" "$target" >&2 || return 1
  copied=$(attempt crane digest "$target") || return 1
  if [ "$copied" != "$digest" ]; then
    echo "$target is $copied, not $digest" | tee "$said" >&2
    return 1
  fi
  echo "$digest"
}

if ! attempt log_in; then
  for source in "${sources[@]}"; do
    tell failed "$source" "no login to $TARGET_REGISTRY: $(reason)"
  done
  exit 1
fi
failed=0
for place in "${!sources[@]}"; do
  if digest=$(copy "${sources[place]}" "${targets[place]}"); then
    tell ok "${sources[place]}" "$digest"
  else
    tell failed "${sources[place]}" "$(reason)"
    failed=1
  fi
done
exit "$failed"
