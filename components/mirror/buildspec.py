"""The build that copies images, registry to registry, without a container daemon.

Pure: text in, text out; the tests run it with stand-ins for ``crane`` and ``aws``, and with the
real crane between two registries. A copy is made by digest, retried, and read back from the target
before it counts.

crane v0.20.3 and the SHA-256 of its archive: github.com/google/go-containerregistry releases,
checksums.txt.
"""

from __future__ import annotations

import json

from webhook import claims

CRANE_VERSION = "v0.20.3"
CRANE_SHA256 = "36c67a932f489b3f2724b64af90b599a8ef2aa7b004872597373c0ad694dc059"
_CRANE_URL = (
    "https://github.com/google/go-containerregistry/releases/download/"
    f"{CRANE_VERSION}/go-containerregistry_Linux_x86_64.tar.gz"
)

_INSTALL = f"""
set -euo pipefail
archive=$(mktemp)
curl --fail --silent --show-error --location --retry 5 --output "$archive" {_CRANE_URL}
echo "{CRANE_SHA256}  $archive" | sha256sum --check --quiet -
tar --extract --gzip --file "$archive" --directory "${{CRANE_DIR:-/usr/local/bin}}" crane
"""

# Each reference becomes an argument of crane, and a target a path below the registry: none may be
# an option, or climb by "..". What is none is not shown, for it may be anything. Words, not lines,
# are read: whether a line's end survives the way through an environment variable does not matter.
_PAIRS = r"""
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
[[ ${PLATFORM:-} =~ ^([a-z0-9]+/[a-z0-9]+(/[a-z0-9]+)?)?$ ]] || refuse "$PLATFORM is no platform"
"""

# What crane says is shown without the queries of URLs: storage behind a registry is read with
# signatures in them. "Final" are answers that would be the same at every attempt.
_ATTEMPT = r"""
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
"""

# Keys live in the subshell of as_target only: crane runs without them, and none is printed.
_AS_TARGET = r"""
read_keys='import json, sys
keys = json.load(sys.stdin)
print(keys["accessKeyId"], keys["secretAccessKey"])'

as_target() (
  set -euo pipefail
  if [ -n "${CREDENTIALS_SECRET:-}" ]; then
    keys=$(aws secretsmanager get-secret-value --secret-id "$CREDENTIALS_SECRET" \
      --query SecretString --output text) || return 1
    keys=$(python3 -c "$read_keys" <<<"$keys" 2>/dev/null) || {
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

log_in() {
  as_target ecr get-login-password |
    crane auth login "${TARGET_REGISTRY%%/*}" --username AWS --password-stdin
}
"""

# How long a row of a copy stays whose source nobody looks at again.
_REMEMBERED_SECONDS = 86400

# What admissions read (webhook.claims). A build that cannot tell them has still copied: its claim
# then ends by itself.
_TELL = f"""
row='import json, os, sys, time
outcome, image, detail = sys.argv[1:]
now, follow = int(time.time()), int(os.environ.get("FOLLOW_SECONDS") or 0)
expression, values = dict(
    ok=("{claims.COPIED}", {{
        ":digest": dict(S=detail),
        ":end": dict(N=str(now + (follow or {_REMEMBERED_SECONDS}))),
    }}),
    failed=("{claims.FAILED}", {{
        ":reason": dict(S=detail[:{claims.LONGEST_REASON}]),
        ":now": dict(N=str(now)),
        ":first": dict(N="{claims.RETRY_SECONDS}"),
    }}),
)[outcome]
print(json.dumps(dict(
    TableName=os.environ["TABLE"],
    Key=dict(image=dict(S=image)),
    UpdateExpression=expression,
    ExpressionAttributeValues=values,
)))'

tell() {{
  echo "$*"
  [ -n "${{TABLE:-}}" ] || return 0
  local request
  request=$(python3 -c "$row" "$1" "$2" "${{*:3}}") &&
    as_target dynamodb update-item --cli-input-json "$request" >&2 ||
    echo "the table $TABLE was not told about $2" >&2
}}
"""

# errexit does not reach into a function whose status is looked at: each step says what it does
# about a failure. An image that was asked for by digest is pulled by this digest, which only the
# whole index has: no platform is picked from it.
_COPY = r"""
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
"""


def install_script() -> str:
    """Bash that puts the pinned crane on the build machine; fails on any other archive."""
    return _INSTALL.strip() + "\n"


def copy_script() -> str:
    """Bash that copies images one after the other and verifies each.

    Environment: ``IMAGES``, a line ``source target`` for each, with a tag or digest;
    ``TARGET_REGISTRY`` (nothing outside it is written), ``TARGET_REGION``, ``CREDENTIALS_SECRET``
    (empty: the build's own role pushes), ``PLATFORM`` (``linux/amd64``: of an index with a tag only
    this image; empty: all), ``TABLE`` (is told how each image went; empty: none is),
    ``FOLLOW_SECONDS`` (after which a tag's source is looked at again), ``RETRY_SECONDS`` (5).
    Output: for each image ``ok <source> <digest>`` or ``failed <source> <reason>``; how it goes
    along is on standard error.
    Exit status: 0 all copied or already there, 1 some failed, 2 refused, and nothing copied.
    """
    parts = ("set -euo pipefail", _PAIRS, _ATTEMPT, _AS_TARGET, _TELL, _COPY)
    return "\n\n".join(part.strip() for part in parts) + "\n"


def buildspec() -> str:
    """The build specification (JSON, which is YAML) with one command per phase.

    Each script runs in a subshell, so that its ``exit`` ends the command and not CodeBuild's shell.
    """
    return json.dumps(
        {
            "version": 0.2,
            "env": {"shell": "bash"},
            "phases": {
                "install": {"commands": [f"(\n{install_script()})"]},
                "build": {"commands": [f"(\n{copy_script()})"]},
            },
        },
        indent=2,
    )
