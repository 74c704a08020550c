"""The build that copies images, registry to registry, without a container daemon.

``install_crane.sh`` installs crane, ``copy.sh`` copies by digest and reads each copy back from the
target, ``guard.py`` stands between crane and the registry of a source, ``copy_json.py`` makes the
requests to AWS. A build has no source, so the specification contains these files, as an archive:
CodeBuild takes no longer one than ``LONGEST``.

The SHA-256 of crane's archive: github.com/google/go-containerregistry releases, checksums.txt; also
in github.com/cashapp/hermit-packages, crane.hcl.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import tarfile
from pathlib import Path

from webhook import budgets, claims

CRANE_VERSION = "0.20.6"
"""Of go-containerregistry; ``ops.crane`` builds the same one from ``ops/crane/go.mod``."""
CRANE_SHA256 = "c1d593d01551f2c9a3df5ca0a0be4385a839bd9b86d4a76e18d7b17d16559127"

PROGRAMS = ("copy_json.py", "guard.py", "source_logins.py", "source_rules.py")
"""Modules that ``copy.sh`` runs, without the packages that they are in here."""
LONGEST = 25_600
"""Characters: "Max buildspec length is 25600", github.com/aws/aws-cdk/issues/30326."""
_FOLDER = "components/mirror"

VARIABLES = {
    "CRANE_URL": (
        "https://github.com/google/go-containerregistry/releases/download/"
        f"v{CRANE_VERSION}/go-containerregistry_Linux_x86_64.tar.gz"
    ),
    "CRANE_SHA256": CRANE_SHA256,
    "BEGUN": claims.BEGUN,
    "COPIED": claims.COPIED,
    "FAILED": claims.FAILED,
    "POSTPONED": claims.POSTPONED,
    "COUNT": budgets.COUNT,
    "BELOW": budgets.BELOW,
    "SHARE": str(budgets.SHARE),
    "FIRST_PAUSE": str(claims.RETRY_SECONDS),
    "REMEMBERED_SECONDS": "86400",
}
"""Variables of every build. One of the project or of a single build overrides one of the same name
(docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html, ``env/variables``); a build
that an admission starts has none but ``policies.BUILD_VARIABLES``."""


def buildspec() -> str:
    """The build specification (JSON, which is YAML) with one command per phase.

    Each script runs in a subshell, so that its ``exit`` ends the command and not CodeBuild's shell.
    """
    return json.dumps(
        {
            "version": 0.2,
            "env": {"shell": "bash", "variables": VARIABLES},
            "phases": {
                "install": {"commands": [f"(\n{_text('install_crane.sh')})"]},
                "build": {"commands": [f"(\n{_copying()})"]},
            },
        },
        indent=2,
    )


def _copying() -> str:
    """Bash that unpacks ``copy.sh`` and its programs where ``PYTHONPATH`` has them, and runs it."""
    return f"""set -euo pipefail
export PYTHONPATH
PYTHONPATH=$(mktemp -d)
python3 -c '{_DECODED}' <<'END' | tar --extract --gzip --directory "$PYTHONPATH"
{_archive()}
END
bash "$PYTHONPATH/{_FOLDER}/copy.sh"
"""


# Base 85 is a sixteenth shorter than base 64.
_DECODED = "import base64, sys; sys.stdout.buffer.write(base64.b85decode(sys.stdin.read().strip()))"


def _archive() -> str:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in ("copy.sh", *PROGRAMS):
            content = _text(name).encode()
            member = tarfile.TarInfo(f"{_FOLDER}/{name}")  # of no time and no owner
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return base64.b85encode(gzip.compress(packed.getvalue(), mtime=0)).decode()


def _text(name: str) -> str:
    return Path(__file__).with_name(name).read_text("utf-8")
