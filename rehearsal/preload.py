"""Imports what a program will need while its process has nothing else to do.

The Pulumi SDKs load their modules at first use, four seconds of a preview in which the engine waits
for the program. While the engine and the simulated clouds start, the program's process is idle: the
modules its source names are imported then. A name that does not exist costs nothing.
"""

from __future__ import annotations

import importlib
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pulumi
from pulumi import _types  # pyright: ignore[reportPrivateUsage]

_ALIASES = {"aws": "pulumi_aws", "k8s": "pulumi_kubernetes", "eks": "pulumi_eks"}
_USE = re.compile(r"\b(aws|k8s|eks)\.((?:[a-z_0-9]+\.)*)([A-Z]\w*)")


class Preload:
    """A background import of the SDK modules that the sources of a project name."""

    def __init__(self, project: Path) -> None:
        self._project = project
        self._thread = threading.Thread(target=self._run, name="preload", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Waits for the end: two threads that import the same packages can see them half made."""
        self._thread.join()

    def _run(self) -> None:
        for module, name in sorted(set(classes_of(self._project))):
            try:
                # The SDKs' lazy modules load when something in them is looked at, and some only
                # when the types of a resource's outputs are.
                cls = getattr(importlib.import_module(module), name)
                if issubclass(cls, pulumi.Resource):
                    _types.resource_types(cls)
            except Exception:  # noqa: S112  (the program itself will say what is wrong, if it is)
                continue


def classes_of(project: Path) -> Iterator[tuple[str, str]]:
    """The SDK classes named in the program and below ``components/``: (module, class)."""
    program = (project / "__main__.py", project / "program.py")
    for path in (*program, *sorted((project / "components").rglob("*.py"))):
        if path.exists():
            for package, inner, name in _USE.findall(path.read_text("utf-8")):
                yield ".".join([_ALIASES[package], *filter(None, inner.split("."))]), name
