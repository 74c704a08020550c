"""The Helm chart of an add-on, copied from its source to a path that is equal on every machine."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from rendering.source_files import files_digest

_VERSIONS = re.compile(r"^(version|appVersion): .*$", re.MULTILINE)


def chart_path(add_on: str) -> str:
    """Where the chart of an add-on is, below the project.

    The path is an input of the Helm release. The Kubernetes provider runs in the program's folder
    (pulumi/pulumi sdk/go/common/resource/plugin/provider_plugin.go, ``newPlugin(ctx, ctx.Pwd)``).
    """
    return f"build/charts/{add_on}"


def copy_chart(origin: Path, target: Path, version: str) -> None:
    """Makes ``target`` a copy of the chart ``origin`` with the given version, if it is not one.

    Two renames, so that no reader sees a part of it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as temporary:
        copy, previous = Path(temporary) / "new", Path(temporary) / "old"
        shutil.copytree(origin, copy)
        description = copy / "Chart.yaml"
        text = _VERSIONS.sub(rf"\1: {version}", description.read_text("utf-8"))
        description.write_text(text, "utf-8")
        if _equal(target, copy):
            return
        if target.exists():
            target.replace(previous)
        try:
            copy.replace(target)
        except OSError:
            # Another process has made it since.
            if not _equal(target, copy):
                raise


def _equal(target: Path, copy: Path) -> bool:
    return target.exists() and files_digest(target) == files_digest(copy)
