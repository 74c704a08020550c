"""The provider of the live tier, pulumi-resource-kubernetes, built from its own Go module.

``python -m tests.live.programs`` builds it beforehand, with what the elasticity tier builds too.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from rich.console import Console

from tests.cluster.api_server import built
from tests.elasticity.programs import programs
from toolchain.go_programs import GoProgram, Say, go_environment
from toolchain.tools import ToolMissing

_MODULE = Path(__file__).parent / "modules" / "pulumi-kubernetes"
_REQUIREMENT = "github.com/pulumi/pulumi-kubernetes/provider/v4"
_EMBEDDED = ("schema.json", "terraform-mapping.json")


def _revision() -> str:
    found = re.findall(rf"{_REQUIREMENT} v\S+-(\w+)", (_MODULE / "go.mod").read_text())
    return found[0]


def _with_schema(source: Path, say: Say) -> list[str] | None:
    """Copies what ``main.go`` embeds from where Go keeps the provider's module."""
    # Not `go list -m`, which has no folder of a module that nothing downloaded before.
    downloaded = subprocess.run(
        ["go", "mod", "download", "-json", _REQUIREMENT],
        cwd=source,
        env=go_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if downloaded.returncode:
        say(f"Go has no module {_REQUIREMENT}: {downloaded.stdout}{downloaded.stderr}")
        return None
    module = Path(json.loads(downloaded.stdout)["Dir"])
    folder = module / "cmd" / "pulumi-resource-kubernetes"
    for name in _EMBEDDED:
        shutil.copyfile(folder / name, source / name)
    return []


KUBERNETES_PROVIDER = GoProgram(
    name="pulumi-resource-kubernetes",
    version=_revision(),
    module=_MODULE,
    package=".",
    variables={},
    takes="about 7 minutes on two cores",
    prepare=_with_schema,
)


def kubernetes_provider(say: Say) -> Path:
    """The provider's program, from the cache or built.

    Raises:
        ToolMissing: it can't be built here.
    """
    return built(KUBERNETES_PROVIDER, say)


if __name__ == "__main__":
    console = Console(stderr=True, highlight=False)
    try:
        programs(console.print)
        kubernetes_provider(console.print)
    except ToolMissing as missing:
        console.print(str(missing))
        sys.exit(1)
