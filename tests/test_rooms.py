"""Which folder may import which: the directions between rooms, read from the code's own imports.

A room is a package at the top, a package inside ``components/``, or a file that runs as a command
or a program: ``__main__.py``, ``program.py`` and ``rehearsal/__main__.py``.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from components.mirror.wheel import modules
from review.causes import leads_to_changes

ROOT = Path(__file__).resolve().parent.parent

MAY_IMPORT: dict[str, str] = {
    "adoption": "rendering settings",
    "advisories": "images",
    "upgrades": "",
    "images": "",
    "regions": "",
    "settings": "advisories images regions upgrades",
    "costs": "regions settings",
    "webhook": "images",
    "rendering": "images terminal",
    "components.aws": "regions",
    "components.objects": "components.dynamic rendering",
    "components.registry": "components.aws images regions settings webhook",
    "components.dynamic": "components.registry images rendering settings upgrades webhook",
    "components.cluster": "components.aws components.objects components.registry regions settings",
    "components.backend": (
        "components.aws components.dynamic components.objects regions rendering settings"
    ),
    "components.kubeflow": (
        "components.aws components.dynamic components.objects components.registry "
        "rendering settings upgrades"
    ),
    "components.gpu": (
        "components.aws components.dynamic components.objects components.registry "
        "images regions rendering settings"
    ),
    "components.mirror": (
        "components.aws components.dynamic components.objects components.registry images "
        "regions rendering settings webhook"
    ),
    "program": (
        "advisories components.backend components.cluster components.dynamic components.gpu "
        "components.kubeflow components.mirror images regions rendering settings"
    ),
    "__main__": (
        "components.backend components.cluster components.gpu components.kubeflow "
        "components.mirror program"
    ),
    "policies": "advisories images regions",
    "review": "costs policies settings upgrades",
    "terminal": "",
    "toolchain": "rendering",
    "rehearsal": "regions rendering settings terminal toolchain",
    "benchmarks": "regions rehearsal rendering settings terminal toolchain webhook",
    "rehearsal.__main__": (
        "advisories costs program regions rehearsal rendering review settings terminal toolchain"
    ),
    "ops": (
        "adoption "
        "advisories components.gpu components.kubeflow components.mirror components.objects "
        "components.registry costs images program regions rendering review settings terminal "
        "toolchain upgrades webhook"
    ),
}

WITHOUT_PULUMI = (
    "adoption",
    *("costs", "images", "regions", "review", "settings", "terminal", "webhook", "rendering"),
    "upgrades",
)


def room_of(module: str) -> str | None:
    """The room a module stands in; None for what the project does not have."""
    parts = module.split(".")
    if parts[0] == "components" and len(parts) > 1 and (ROOT / "components" / parts[1]).is_dir():
        return f"components.{parts[1]}"
    if parts[0] in ("__main__", "program"):
        return parts[0]
    if parts[:2] == ["rehearsal", "__main__"]:
        return "rehearsal.__main__"
    return parts[0] if (ROOT / parts[0] / "__init__.py").exists() else None


def files() -> Iterator[tuple[str, Path]]:
    """Every module of the product with its file; tests are left out."""
    packages = [file.parent for file in ROOT.glob("*/__init__.py") if file.parent.name != "tests"]
    for path in (*ROOT.glob("*.py"), *(file for each in packages for file in each.rglob("*.py"))):
        yield ".".join(path.relative_to(ROOT).with_suffix("").parts), path


def imported(path: Path) -> Iterator[str]:
    """The modules that a file names in its imports, wherever in it they stand."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: the full name of what it imports shows the direction"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def arrows() -> dict[str, frozenset[str]]:
    """Room -> the rooms it imports."""
    found: dict[str, set[str]] = {}
    for module, path in files():
        here = room_of(module)
        if here is not None and module != "components.__init__":
            rooms = {room_of(each) for each in imported(path)}
            found.setdefault(here, set()).update(room for room in rooms if room not in (here, None))
    return {room: frozenset(others) for room, others in found.items()}


def test_the_table_has_every_room_and_no_other() -> None:
    assert set(arrows()) == set(MAY_IMPORT)


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_what_its_row_allows(room: str) -> None:
    assert sorted(arrows()[room]) == MAY_IMPORT[room].split()


def test_a_file_that_no_program_imports_is_no_cause_of_a_change() -> None:
    reached, coming = set[str](), {"__main__", "program"}
    while coming:
        reached |= coming
        coming = {other for room in coming for other in arrows()[room]} - reached
    apart = {room.partition(".")[0] for room in set(arrows()) - reached}
    assert {"adoption", "ops", "review"} <= apart
    assert [room for room in sorted(apart) if leads_to_changes(f"{room}/any.py")] == []


def test_no_room_imports_itself_by_way_of_others() -> None:
    try:
        TopologicalSorter(arrows()).prepare()
    except CycleError as circle:
        pytest.fail(" <- ".join(circle.args[1]))


def test_components_have_few_rooms_with_few_ways_between_them() -> None:
    inside = {room: others for room, others in arrows().items() if room.startswith("components.")}
    ways = [other for others in inside.values() for other in others if other in inside]
    assert len(inside) <= 10
    assert len(ways) <= 25
    loose = {path.name for path in (ROOT / "components").glob("*.py")} - {"__init__.py"}
    assert loose == set()


def test_the_image_mirror_imports_nothing_of_kubeflow() -> None:
    """Itself and by way of others, for it is a package of its own (``components.mirror.wheel``)."""
    alone = modules()
    rooms = {room_of(name) for name in alone}
    assert rooms == {
        *(f"components.{room}" for room in ("aws", "dynamic", "mirror", "objects", "registry")),
        *("components", "images", "regions", "rendering", "settings", "webhook"),
    }
    of_a_stack = ("context", "facts", "node_pools", "sections", "stack_file", "stack_settings")
    of_sources = ("assembly", "build", "kustomize", "sources")
    assert {f"settings.{name}" for name in of_a_stack}.isdisjoint(alone)
    assert {f"rendering.{name}" for name in of_sources}.isdisjoint(alone)


def in_a_new_process(code: str, *options: str) -> str:
    done = subprocess.run(
        [sys.executable, *options, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("room", WITHOUT_PULUMI)
def test_pure_rooms_load_no_pulumi(room: str) -> None:
    names = [module.removesuffix(".__init__") for module, _ in files() if room_of(module) == room]
    loaded = in_a_new_process(
        f"import importlib, sys\nfor name in {names!r}: importlib.import_module(name)\n"
        "print([name for name in sys.modules if name.startswith('pulumi')])"
    )
    assert len(names) > 2
    assert loaded == "[]\n"


def test_the_grammar_of_images_needs_python_alone() -> None:
    """It is packed into the handler's archive, beside nothing but the handler."""
    assert in_a_new_process("import images.reference", "-S", "-E") == ""
