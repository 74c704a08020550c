"""Builds the package of the image mirror alone, which people install without Kubeflow.

``python -m components.mirror.wheel [FOLDER]`` writes it, by default to ``build/``; nothing of it is
downloaded. The package has one name at the top, for ``settings`` and ``components`` are folders of
many programs: the modules that the mirror imports, and no other, move below ``eks_image_mirror``,
and their imports with them. The handler's sources are there a second time, unchanged, since the
code in a pod or function keeps its names.

Format: packaging.python.org/en/latest/specifications/binary-distribution-format.
"""

from __future__ import annotations

import ast
import base64
import hashlib
import importlib.metadata
import re
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

from components.mirror.events import PODS
from components.objects.webhook_code import handler_sources

PACKAGE = "eks_image_mirror"
_ROOT = Path(__file__).resolve().parents[2]
_ENTRY = "components.mirror.existing_cluster"
# Read by its version alone, which is that of the provider's plugin.
_OTHER_REQUIREMENTS = ("pulumi-kubernetes",)
_EXPORTS = '''"""An image mirror for any EKS cluster (docs/mirror-alone.md of its repository)."""

from {package}.components.mirror.events import ApiServer
from {package}.components.mirror.existing_cluster import image_mirror

__all__ = ["ApiServer", "image_mirror"]
'''


def modules() -> dict[str, Path]:
    """Every module that the mirror imports, itself too, by name."""
    found: dict[str, Path] = {}
    waiting = [_ENTRY]
    while waiting:
        parts = waiting.pop().split(".")
        for length in range(1, len(parts) + 1):
            name = ".".join(parts[:length])
            file = _file_of(name)
            if file is not None and name not in found:
                found[name] = file
                waiting += _imported(ast.parse(file.read_bytes()))
    return dict(sorted(found.items()))


def data_files(sources: dict[str, Path]) -> list[Path]:
    """The files beside these modules that one of them reads, such as a script or a table."""
    folders: dict[Path, str] = {}
    for file in sources.values():
        folders[file.parent] = folders.get(file.parent, "") + file.read_text("utf-8")
    beside = (file for folder in folders for file in sorted(folder.iterdir()))
    return [
        file
        for file in beside
        if file.is_file()
        and file not in sources.values()
        and (
            re.search(f"[\"']{re.escape(file.name)}[\"']", folders[file.parent])
            or _of_a_module(file, sources)
        )
    ]


def requirements(sources: dict[str, Path]) -> list[str]:
    """What to install beside the package: our version or a newer one before the next major."""
    distributions = importlib.metadata.packages_distributions()
    tops = {
        name.partition(".")[0]
        for file in sources.values()
        for name in _imported(ast.parse(file.read_bytes()))
    }
    names = {
        distributions[top][0] for top in tops - sys.stdlib_module_names if top in distributions
    }
    wanted = {_normal(name) for name in (*names, *_OTHER_REQUIREMENTS)}
    pinned = re.findall(
        r"^([\w.-]+)==(\S+)$", (_ROOT / "requirements.txt").read_text("utf-8"), re.M
    )
    return [
        f"{name}>={version},<{int(version.partition('.')[0]) + 1}"
        for name, version in pinned
        if _normal(name) in wanted
    ]


def build(folder: Path) -> Path:
    """Writes the wheel; equal sources give equal bytes."""
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    version, sources = project["version"], modules()
    content = {f"{PACKAGE}/__init__.py": _EXPORTS.format(package=PACKAGE).encode()}
    for file in sources.values():
        content[f"{PACKAGE}/{_below(file)}"] = _moved(file.read_text("utf-8")).encode()
    for file in (*data_files(sources), *sorted(PODS.glob("*.yaml"))):
        content[f"{PACKAGE}/{_below(file)}"] = file.read_bytes()
    for name, file in handler_sources().items():
        content[f"{PACKAGE}/handler/{name}"] = file.read_bytes()
    information = f"{PACKAGE}-{version}.dist-info"
    content[f"{information}/licenses/LICENSE"] = (_ROOT / "LICENSE").read_bytes()
    content[f"{information}/METADATA"] = "".join(
        f"{line}\n"
        for line in (
            "Metadata-Version: 2.4",
            f"Name: {PACKAGE.replace('_', '-')}",
            f"Version: {version}",
            "Summary: Public images for an EKS cluster from the account's own registry",
            f"License-Expression: {project['license']}",
            "License-File: LICENSE",
            f"Requires-Python: {project['requires-python']}",
            *(f"Requires-Dist: {requirement}" for requirement in requirements(sources)),
        )
    ).encode()
    content[f"{information}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: kubeflow-on-eks\nRoot-Is-Purelib: true\n"
        b"Tag: py3-none-any\n"
    )
    content[f"{information}/RECORD"] = _record(content, f"{information}/RECORD")
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"{PACKAGE}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            # A time of its own would make equal sources differ.
            archive.writestr(
                zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED
            )
    return wheel


def _file_of(module: str) -> Path | None:
    path = _ROOT.joinpath(*module.split("."))
    return next((f for f in (path / "__init__.py", path.with_suffix(".py")) if f.is_file()), None)


def _imported(tree: ast.AST) -> Iterator[str]:
    """The modules that a program imports when it runs, not those that only a type checker reads."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = str(node.module)
            yield package
            late = _late_names(package)
            yield from (late.get(alias.name, f"{package}.{alias.name}") for alias in node.names)
        elif not (_for_types(node) or (isinstance(node, ast.FunctionDef) and _is_late(node))):
            yield from _imported(node)


def _late_names(package: str) -> dict[str, str]:
    """Name -> module, of the names that a package imports at their first use."""
    file = _file_of(package)
    blocks = filter(_for_types, ast.parse(file.read_bytes()).body) if file else ()
    return {
        alias.name: str(node.module)
        for block in blocks
        for node in ast.walk(block)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def _for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def _is_late(function: ast.FunctionDef) -> bool:
    return function.name == "__getattr__"


def _of_a_module(file: Path, sources: dict[str, Path]) -> bool:
    module = file.with_suffix(".py")
    return module in sources.values() and "with_suffix(" in module.read_text("utf-8")


def _below(file: Path) -> str:
    return file.relative_to(_ROOT).as_posix()


def _moved(source: str) -> str:
    """The source with the imports of our own packages from below the package."""
    ours = "|".join(sorted(path.parent.name for path in _ROOT.glob("*/__init__.py")))
    return re.sub(
        rf"^(\s*)(from|import) ({ours})(?=[. ])", rf"\1\2 {PACKAGE}.\3", source, flags=re.MULTILINE
    )


def _record(content: dict[str, bytes], own: str) -> bytes:
    rows = [f"{name},sha256={_digest(data)},{len(data)}" for name, data in content.items()] + [
        f"{own},,"
    ]
    return "".join(f"{row}\n" for row in rows).encode()


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    print(build(Path(*sys.argv[1:2] or ["build"])))  # noqa: T201
