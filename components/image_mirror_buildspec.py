"""The build that copies one image, registry to registry, without a container daemon.

Pure: text in, text out; the tests run it with stand-ins for ``crane`` and ``aws``. A copy is made
by digest with all its platforms, retried, and read back from the target before it counts.

crane v0.20.3 and the SHA-256 of its archive: github.com/google/go-containerregistry releases,
checksums.txt.
"""

from __future__ import annotations

import json

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

# Keys live in the subshell of log_in only: the copy itself runs without them, and none is printed.
_COPY = r"""
set -euo pipefail
: "${SOURCE_IMAGE:?}" "${TARGET_IMAGE:?}" "${TARGET_REGISTRY:?}" "${TARGET_REGION:?}"
case "$TARGET_IMAGE" in
  "$TARGET_REGISTRY"/*) ;;
  *) echo "refused: $TARGET_IMAGE is not below $TARGET_REGISTRY" >&2; exit 2 ;;
esac

attempt() {
  local number
  for number in 1 2 3 4 5; do
    "$@" && return 0
    echo "attempt $number of 5 failed: $1 ${2:-}" >&2
    [ "$number" = 5 ] || sleep "$((number * number * ${RETRY_SECONDS:-5}))"
  done
  return 1
}

read_keys='import json, sys
keys = json.load(sys.stdin)
print(keys["accessKeyId"], keys["secretAccessKey"])'

log_in() (
  set -euo pipefail
  if [ -n "${CREDENTIALS_SECRET:-}" ]; then
    keys=$(aws secretsmanager get-secret-value --secret-id "$CREDENTIALS_SECRET" \
      --query SecretString --output text) || return 1
    keys=$(python3 -c "$read_keys" <<<"$keys" 2>/dev/null) || {
      echo "$CREDENTIALS_SECRET holds no accessKeyId and secretAccessKey" >&2
      return 1
    }
    read -r AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY <<<"$keys"
    export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
    unset keys AWS_SESSION_TOKEN AWS_CONTAINER_CREDENTIALS_RELATIVE_URI
  fi
  aws ecr get-login-password --region "$TARGET_REGION" |
    crane auth login "${TARGET_REGISTRY%%/*}" --username AWS --password-stdin
)

attempt log_in
digest=$(attempt crane digest "$SOURCE_IMAGE")
case "$SOURCE_IMAGE" in
  *@*) source=$SOURCE_IMAGE ;;
  *) source=${SOURCE_IMAGE%:*}@$digest ;;
esac
if [ "$(crane digest "$TARGET_IMAGE" 2>/dev/null || true)" = "$digest" ]; then
  echo "$TARGET_IMAGE already is $digest"
  exit 0
fi
attempt crane copy "$source" "$TARGET_IMAGE"
copied=$(attempt crane digest "$TARGET_IMAGE")
if [ "$copied" != "$digest" ]; then
  echo "$TARGET_IMAGE is $copied, not $digest" >&2
  exit 1
fi
echo "$TARGET_IMAGE is $digest"
"""


def install_script() -> str:
    """Bash that puts the pinned crane on the build machine; fails on any other archive."""
    return _INSTALL.strip() + "\n"


def copy_script() -> str:
    """Bash that copies ``SOURCE_IMAGE`` to ``TARGET_IMAGE`` and verifies it.

    Environment: ``TARGET_REGISTRY`` (nothing outside it is written), ``TARGET_REGION``,
    ``CREDENTIALS_SECRET`` (empty: the build's own role pushes), ``RETRY_SECONDS`` (5).
    Exit status: 0 copied or already there, 1 failed, 2 refused.
    """
    return _COPY.strip() + "\n"


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
