#!/usr/bin/env bash
# Copies images one after the other, by digest, and verifies each.
#
# Environment: IMAGES, words "source target" for each, with a tag or digest, or of a target with both:
# the digest that the whole source must have; TARGET_REGISTRY (nothing
# outside it is written), TARGET_REGION, CREDENTIALS_SECRET (empty: the build's own role pushes),
# PLATFORM (linux/amd64: of an index with a tag only this image; empty: all), KEPT (marks of targets
# whose image is never replaced by another one: webhook.inventory.marks), TABLE (gets a row on
# how each image went; empty: there is none), NEW_REPOSITORY (ECR's request for a new repository,
# JSON; empty: each exists already), LIFECYCLE (its lifecycle policy, JSON), COPY_SECONDS (2400, for
# one image), NAMESPACE (whose pods ask, and whose bytes are counted; empty: the platform itself),
# RETRY_SECONDS (5), PYTHONPATH (has components.mirror with its programs) and what these read.
# Output: for each image "ok <source> <digest>" or "failed <source> <code>", with a code of
# webhook.copy_reasons; progress is on standard error. Nothing that a registry of a source or a
# program wrote is shown, but for digests and numbers.
# Exit status: 0 all copied or already there, 1 some failed, 2 refused, and nothing copied.
set -euo pipefail

# Each reference becomes an argument of crane, and a target a path below the registry: none may be
# an option, or climb by "..". What is none is not shown, for it may be anything. Words, not lines,
# are read: whether a line's end survives the way through an environment variable does not matter.
: "${IMAGES:?}" "${TARGET_REGISTRY:?}" "${TARGET_REGION:?}"
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
[[ ${NAMESPACE:-} =~ ^[a-z0-9-]{0,63}$ ]] || refuse "NAMESPACE is no namespace"
[[ ${PLATFORM:-} =~ ^([a-z0-9]+/[a-z0-9]+(/[a-z0-9]+)?)?$ ]] || refuse "$PLATFORM is no platform"

# What programs say goes to "said" and is not shown; the guard writes "reason"; "code" is the result.
umask 077
work=$(mktemp --directory)
trap 'rm -rf "$work"' EXIT
end=$((SECONDS + 120))

# By its path: with -m, Python would look for modules in the working folder first.
program() { exec python3 "$PYTHONPATH/components/mirror/$1.py" "${@:2}"; }
copy_json() { (program copy_json "$@"); }

bounded() {
  local left=$((end - SECONDS))
  timeout --kill-after=5 "$((left > 0 ? left : 1))" "$@"
}

fail() {
  echo "$1" >"$work/code"
  return 1
}

# Repeats the command until it succeeds; where the guard gives no reason it is the first argument.
attempt() {
  local otherwise=$1 number status code pause own known
  shift
  for number in 1 2 3 4 5; do
    : >"$work/reason"
    "$@" 2>"$work/said" && return 0
    status=$? code='' pause=0 known=''
    read -r code pause <"$work/reason" || true
    if [ -z "$code" ]; then
      code=$otherwise pause=0 known=$(known_words)
      if grep --quiet 'no child with platform' "$work/said"; then code=no-such-platform pause=-; fi
      # Statuses of timeout(1): the time is over, and not because of one answer.
      if [ "$status" = 124 ] || [ "$status" = 137 ]; then code=overtime pause=-; fi
    fi
    echo "attempt $number of 5 failed: $code$known" >&2
    if [ "$pause" = - ] || [ "$number" = 5 ] || ((SECONDS >= end)); then break; fi
    own=$((number * number * ${RETRY_SECONDS:-5}))
    sleep "$((pause > own ? pause : own))"
  done
  fail "$code"
}

# Of what crane said, the status and the code of a registry (distribution-spec, "Error Codes").
known_words() {
  local codes='BLOB_UPLOAD_INVALID|DENIED|DIGEST_INVALID|MANIFEST_BLOB_UNKNOWN|MANIFEST_INVALID'
  codes+='|NAME_INVALID|NAME_UNKNOWN|SIZE_INVALID|TAG_INVALID|TOOMANYREQUESTS|UNAUTHORIZED'
  grep --only-matching --extended-regexp "status code [0-9]{3}|\b($codes)\b" "$work/said" |
    sort --unique | sed 's/^/, /' | tr --delete '\n' || true
}

# Keys live in the subshell of as_target only: crane runs without them, and none is printed.
as_target() (
  set -euo pipefail
  if [ -n "${CREDENTIALS_SECRET:-}" ]; then
    keys=$(timeout 60 aws secretsmanager get-secret-value --secret-id "$CREDENTIALS_SECRET" \
      --query SecretString --output text) || return 1
    keys=$(copy_json keys <<<"$keys" 2>/dev/null) || {
      echo "$CREDENTIALS_SECRET holds no accessKeyId and secretAccessKey" >&2
      return 1
    }
    unset AWS_SESSION_TOKEN AWS_CONTAINER_CREDENTIALS_RELATIVE_URI
    read -r AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY <<<"$keys"
    export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
    unset keys
  fi
  timeout 60 aws "$@" --region "$TARGET_REGION"
)

# shellcheck disable=SC2329 # "attempt" calls it
log_in() {
  as_target ecr get-login-password |
    crane auth login "${TARGET_REGISTRY%%/*}" --username AWS --password-stdin
}

# shellcheck disable=SC2329 # "attempt" calls it
make_repository() {
  local name=${1#*/} request made
  name=${name%:*}
  request=$(copy_json repository "$name") || return 1
  if made=$(as_target ecr create-repository --cli-input-json "$request" 2>&1 >/dev/null); then
    [ -z "${LIFECYCLE:-}" ] || as_target ecr put-lifecycle-policy --repository-name "$name" \
      --lifecycle-policy-text "$LIFECYCLE" >/dev/null
  else
    [[ $made == *RepositoryAlreadyExistsException* ]]
  fi
}

# What admissions read (webhook.claims). Where the row cannot be written the image is copied all the
# same: its claim then ends by itself.
tell() {
  echo "${*:1:3}"
  [ -n "${TABLE:-}" ] || return 0
  local request at
  at=$(date +%s)
  # A budget is free again after the day on which its bytes were refused.
  [[ ${3:-} != budget* ]] || at=$(<"$work/counted")
  if ! { request=$(copy_json "${@:1:2}" "$at" "${@:3}") &&
    as_target dynamodb update-item --cli-input-json "$request" >&2; }; then
    echo "the table $TABLE was not told about $2" >&2
  fi
}

# shellcheck disable=SC2329 # "attempt" calls it
count_bytes() {
  local request said
  request=$(copy_json bytes "$@") || return 1
  said=$(as_target dynamodb update-item --cli-input-json "$request" 2>&1 >/dev/null) && return 0
  [[ $said != *ConditionalCheckFailedException* ]] || echo "budget${2:+-share} -" >"$work/reason"
  return 1
}

# Counts what the guard has read in place of the declared bytes ($1, counted at $2) of each namespace:
# layers that are there already are not read, and a registry declares what it likes.
count_read() {
  local bytes each
  bytes=$(bounded curl --fail --silent --noproxy '*' "http://${3%%/*}/read") || return 0
  for each in "${@:4}"; do count_bytes "$((bytes - $1))" "$each" "$2" || true; done
}

transfer() {
  local copied
  [ -z "${NEW_REPOSITORY:-}" ] || attempt target-refused make_repository "$3" || return 1
  attempt target-refused bounded crane copy "$1@$2" "$3" >&2 || return 1
  copied=$(attempt target-refused bounded crane digest "$3") || return 1
  if [ "$copied" != "$2" ]; then
    echo "$3 is another image than $2" >&2
    fail target-refused
  fi
}

# The platform's own copies stay, whoever asks, unless their digest is known.
kept() {
  local mark
  mark=$(printf %s "${1#"$TARGET_REGISTRY/"}" | sha256sum) || return 1
  [[ " ${KEPT:-} " == *" ${mark:0:10} "* ]]
}

# The digest of a copy, or nothing where there is none. A registry that does not say that there is
# none is not taken to: what it has might be the platform's. Each step of "attempt" has "said".
present() {
  bounded crane digest "$1" || grep --quiet --extended-regexp \
    'status code 404|(MANIFEST|NAME)_UNKNOWN' "$work/said"
}

# The digest of the whole source, which is the known one where there is one, wherever the tag is by
# now. The tag comes first: what a registry lacks is the last that the guard asks it for.
whole() {
  local name=$1 tag=$2 known=$3 tagged
  tagged=$(attempt no-image bounded crane digest "$name:$tag") || return 1
  if [ -z "$known" ] || [ "$tagged" = "$known" ]; then
    echo "$tagged"
    return 0
  fi
  attempt no-image bounded crane digest "$name@$known" && return 0
  case $(<"$work/code") in
    not-found | no-image) fail wrong-digest ;;
  esac
  return 1
}

# Prints the digest of the copy, and that of the whole source.
# errexit does not reach into a function whose status is looked at: each step says what it does
# about a failure. An image that was asked for by digest is pulled by this digest, which only the
# whole index has: no platform is picked from it. What the source is comes before anything is made.
copy() {
  local source=$1 target=${2%@*} known='' name from digest bytes before source_digest at whose ended
  [ "$target" = "$2" ] || known=${2#*@}
  end=$((SECONDS + ${COPY_SECONDS:-2400}))
  # crane knows no other digest.
  [[ $source != *@* || $source =~ @sha256:[0-9a-f]{64}$ ]] || fail no-image || return 1
  if [ -n "$known" ] && [ "$(present "$target" 2>/dev/null)" = "$known" ]; then
    echo "$target already is $known" >&2
    echo "$known $known"
    return 0
  fi
  coproc guarding {
    program guard "$source" "$work/logins" "$work/reason" "$((end - SECONDS))" 2>/dev/null
  }
  if ! read -r name <&"${guarding[0]}"; then
    read -r from _ <"$work/reason" || true
    fail "${from:-unknown}" || return 1
  fi
  case "$source" in
    *@*)
      digest=$(attempt no-image bounded crane digest "$name@${source#*@}") || return 1
      source_digest=$digest before=$(attempt target-refused present "$target") || return 1
      ;;
    *)
      source_digest=$(whole "$name" "${source##*:}" "$known") || return 1
      [[ $source_digest =~ ^sha256:[0-9a-f]{64}$ ]] || fail no-image || return 1
      digest=$source_digest from=$name@$source_digest
      before=$(attempt target-refused present "$target") || return 1
      if [ -n "${PLATFORM:-}" ] && [ "$before" != "$source_digest" ]; then
        digest=$(attempt no-image bounded crane digest --platform "$PLATFORM" "$from") || return 1
      fi
      ;;
  esac
  [[ $digest =~ ^sha256:[0-9a-f]{64}$ ]] || fail no-image || return 1
  if [ "$before" = "$digest" ]; then
    echo "$target already is $digest" >&2
    echo "$digest $source_digest"
    return 0
  fi
  if [ -n "$before" ] && [ -z "$known" ] && kept "$target"; then fail kept-tag || return 1; fi
  bytes=$(attempt unknown bounded curl --fail --silent --noproxy '*' \
    "http://${name%%/*}/size/$digest") || return 1
  echo "$source is $digest, of $bytes bytes" >&2
  if [ -z "${NAMESPACE:-}" ] || [ -z "${TABLE:-}" ]; then
    transfer "$name" "$digest" "$target" || return 1
  else
    at=$(date +%s | tee "$work/counted") whose=("$NAMESPACE") ended=''
    attempt unknown count_bytes "$bytes" "$NAMESPACE" "$at" || return 1
    if attempt unknown count_bytes "$bytes" '' "$at"; then
      whose+=('')
      transfer "$name" "$digest" "$target" || ended=1
    else
      ended=1
    fi
    count_read "$bytes" "$at" "$name" "${whose[@]}"
    [ -z "$ended" ] || return 1
  fi
  echo "$digest $source_digest"
}

# Logins of the sources' registries, for the guard alone: {"docker.io": {"username": ...}}.
(program source_logins "${sources[@]}") >"$work/logins" || echo '{}' >"$work/logins"
failed=0
if ! attempt target-login log_in; then
  for source in "${sources[@]}"; do
    tell failed "$source" "$(<"$work/code")"
  done
  exit 1
fi
for place in "${!sources[@]}"; do
  echo unknown >"$work/code"
  [ -z "${NAMESPACE:-}" ] || tell begun "${sources[place]}" >&2
  if digests=$(copy "${sources[place]}" "${targets[place]}"); then
    target=${targets[place]%@*} keeping=''
    if kept "$target"; then keeping=kept; fi
    tell ok "${sources[place]}" "${digests% *}" "${digests#* }" "$keeping"
  else
    tell failed "${sources[place]}" "$(<"$work/code")"
    failed=1
  fi
done
exit "$failed"
