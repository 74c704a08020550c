"""A build machine of the image mirror in a folder, with stand-ins for crane and aws."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.mirror.buildspec import buildspec

SHA = "sha256:" + "0123456789abcdef" * 4
HOST = "111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn"
TARGET = f"{HOST}/kubeflow/quay.io/a/b:1"

# Registries are files: "digests/<reference>" holds a digest; a copy writes one. A source has the
# name by which it is read through the guard, which itself has no part in this. Each call is logged
# with the key it would use, and fails as long as "failures/<subcommand>" counts down.
CRANE = r"""#!/bin/bash
set -- "${@#127.0.0.1:*[0-9]/}"
echo "crane $* [${AWS_SECRET_ACCESS_KEY:-}]" >> "$WORLD/calls"
left=$(cat "$WORLD/failures/$1" 2>/dev/null || echo 0)
if [ "$left" -gt 0 ]; then echo $((left - 1)) > "$WORLD/failures/$1"; exit 1; fi
file() { echo "$WORLD/digests/$(tr '/:@' '___' <<<"$1")"; }
case "$1 $2" in
  auth*) cat > "$WORLD/password" ;;
  "digest --platform") cat "$(file "$4+$3")" ;;
  digest*)
    cat "$(file "$2")" 2>/dev/null && exit
    said=${ABSENT:-broken}
    if [[ $2 == "$TARGET_REGISTRY"/* ]]; then said=${UNREADABLE:-MANIFEST_UNKNOWN}; fi
    echo "Error: GET https://host/manifests?signature=of-a-url: $said" >&2
    exit 1 ;;
  copy*) cat "$WORLD/arrives" 2>/dev/null > "$(file "$3")" || cp "$(file "$2")" "$(file "$3")" ;;
esac
"""
AWS = r"""#!/bin/bash
echo "aws $1 $2 $4 [${AWS_SECRET_ACCESS_KEY:-}]" >> "$WORLD/calls"
case "$1 $2" in
  secretsmanager*) cat "$WORLD/secret" ;;
  dynamodb*)
    if grep --quiet --fixed-strings "\"${USED_UP:-no row}\"" <<<"$4"; then
      echo "An error occurred (ConditionalCheckFailedException) when calling UpdateItem" >&2
      [ -z "${LATER:-}" ] || echo "$LATER" > "$WORLD/now"
      exit 254
    fi
    echo "$4" >> "$WORLD/rows"; exit "${TABLE_FAILS:-0}" ;;
  ecr*create-repository)
    if [ -z "${REPOSITORY_FAILS:-}" ]; then echo "$4" >> "$WORLD/repositories"; exit; fi
    echo "An error occurred ($REPOSITORY_FAILS)" >&2
    exit 254 ;;
  ecr*put-lifecycle-policy) echo "$6" >> "$WORLD/lifecycles" ;;
  ecr*)
    session=${AWS_SESSION_TOKEN:+ in $AWS_SESSION_TOKEN}
    echo "password-of-${AWS_SECRET_ACCESS_KEY:-the-role}$session" ;;
esac
"""
# The guard's answers: the declared bytes of the image, and those that were read.
CURL = r"""#!/bin/bash
[[ ${*: -1} == */read ]] || { echo 1000; exit; }
[ -z "${NO_ANSWER:-}" ] || exit 22
echo "${READ:-1000}"
"""
# The time that "copy.sh" asks for: NOW where a test gives it, and LATER after a refused update.
DATE = r"""#!/bin/bash
cat "$WORLD/now" 2>/dev/null && exit
[ -z "${NOW:-}" ] || { echo "$NOW"; exit; }
PATH=/usr/bin:/bin exec date "$@"
"""


@dataclass
class Build:
    """A build machine in a folder."""

    world: Path

    def digest(self, image: str, digest: str = SHA) -> None:
        name = image.translate(str.maketrans("/:@", "___"))
        (self.world / "digests" / name).write_text(digest + "\n")

    def source(self, name: str) -> None:
        """An image of that name with the tag 1, whose digest is ``SHA``."""
        self.digest(f"{name}:1")
        self.digest(f"{name}@{SHA}")

    def fail(self, command: str, times: int) -> None:
        (self.world / "failures" / command).write_text(str(times))

    def run(self, source: str = "quay.io/a/b:1", target: str = TARGET, **more: str) -> Any:
        return self.run_all([(source, target)], **more)

    def run_all(self, pairs: list[tuple[str, str]], **more: str) -> Any:
        spec = json.loads(buildspec())
        environment = {
            **spec["env"]["variables"],
            "PATH": f"{self.world}/bin:{Path(sys.executable).parent}:/usr/bin:/bin",
            "WORLD": str(self.world),
            "IMAGES": "\n".join(f"{source} {target}" for source, target in pairs),
            "TARGET_REGISTRY": f"{HOST}/kubeflow",
            "TARGET_REGION": "cn-north-1",
            "RETRY_SECONDS": "0",
            **more,
        }
        (command,) = spec["phases"]["build"]["commands"]
        return subprocess.run(
            ["bash", "-c", command],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    @property
    def calls(self) -> list[str]:
        file = self.world / "calls"
        return file.read_text().splitlines() if file.exists() else []

    def of(self, start: str) -> list[str]:
        return [call for call in self.calls if call.startswith(start)]


def build_machine(folder: Path) -> Build:
    """A machine that knows one source, ``quay.io/a/b:1``, whose digest is ``SHA``."""
    for name in ("bin", "digests", "failures"):
        (folder / name).mkdir()
    for name, text in {"crane": CRANE, "aws": AWS, "curl": CURL, "date": DATE}.items():
        (folder / "bin" / name).write_text(text)
        (folder / "bin" / name).chmod(0o755)
    (folder / "secret").write_text('{"accessKeyId": "AKIAPUSH", "secretAccessKey": "push-key"}')
    build = Build(folder)
    build.source("quay.io/a/b")
    return build
