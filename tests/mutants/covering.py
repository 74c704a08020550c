"""Which tests cover a file of the product, read from where they stand and what they import.

The texts alone decide, also which of them are tried first: no test runs for it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

HEAVY = ("cluster", "elasticity", "faults", "live")
"""The tiers that have commands of their own."""
_SHORTEST_CLUE = 3


def likeliest_first(root: Path, path: str, line: int) -> list[list[str]]:
    """The test files that cover ``path``: the likeliest to notice it, then four, then the rest.

    Likely are those that name what few tests name of the line's strings and of the function, class
    or constant it stands in; then the nearest, then the shortest.
    """
    groups = covering(root, path)
    near = {name: at for at, group in enumerate(groups) for name in group}
    texts = {name: _with_data(root, root / name) for name in near}
    # The file's own tests are few, too.
    likely = {name: (at == 0) / len(groups[0]) for name, at in near.items()}
    for clue in _clues((root / path).read_text(), line):
        naming = [
            name for name, text in texts.items() if re.search(rf"\b{re.escape(clue)}\b", text)
        ]
        for name in naming:
            likely[name] += 1 / len(naming)
    ranked = sorted(near, key=lambda name: (-likely[name], near[name], len(texts[name])))
    return [run for run in (ranked[:1], ranked[1:5], ranked[5:]) if run]


def _clues(source: str, line: int) -> set[str]:
    """The strings of a line, and the names of what it stands in."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        first, last = getattr(node, "lineno", 0), getattr(node, "end_lineno", 0)
        if not first <= line <= last:
            continue
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value.strip())
    return {clue for clue in found if len(clue) >= _SHORTEST_CLUE}


@cache
def _with_data(root: Path, test: Path) -> str:
    """The text of a test file, and of what it names or imports from its own folder."""
    text = test.read_text()
    imported = _imported(root, test)
    return text + "".join(
        file.read_text()
        for file in sorted(test.parent.iterdir())
        if file.suffix in (".py", ".yaml")
        and not file.name.startswith("test_")
        and (file.name in text or file.relative_to(root).as_posix() in imported)
    )


def covering(root: Path, path: str) -> list[list[str]]:
    """The test files that cover ``path``, the nearest group first; no file twice.

    Its own test file; the folder that mirrors its folder; tests elsewhere that import it or name
    its file, themselves or by a module beside them; those that import a module of its folder; and,
    for what ``__main__.py`` reaches by
    imports, the tests of the whole program and those that take its plan from them.
    """
    file = Path(path)
    tests = _tests(root)
    mirror = _mirror(root, file.parent)
    beside = [test for test in tests if test.parent == mirror]
    own = [test for test in beside if f"{test.stem}_".startswith(f"test_{file.stem}_")]
    folder = [] if mirror == root / "tests" else beside
    importing = [test for test in tests if path in _reached(root, test)]
    folder_name = path.rpartition("/")[0]
    # Tests elsewhere that run a command import what stands beside the command's module.
    neighbours = [
        test
        for test in tests
        if any(name.rpartition("/")[0] == folder_name for name in _reached(root, test))
    ]
    program = [
        test
        for test in tests
        if test.stem.startswith("test_program") or "tests/test_program.py" in _imported(root, test)
    ]
    whole = program if path in _product_closure(root, "__main__.py") else []
    groups: list[list[str]] = []
    before: set[Path] = set()
    for group in (own, folder, importing, neighbours, whole):
        new = [test for test in group if test not in before]
        before.update(new)
        if new:
            groups.append([test.relative_to(root).as_posix() for test in new])
    return groups


@cache
def _tests(root: Path) -> list[Path]:
    own = Path(__file__).parent.name
    return sorted(
        path
        for path in (root / "tests").rglob("test_*.py")
        if path.relative_to(root / "tests").parts[0] not in (*HEAVY, own)
    )


def _mirror(root: Path, folder: Path) -> Path:
    """The folder of tests for a folder of the product, or the nearest above it."""
    mirror = root / "tests" / folder
    return mirror if mirror.is_dir() else _mirror(root, folder.parent)


@cache
def _reached(root: Path, test: Path) -> frozenset[str]:
    """The product's files that a test, or what it imports from its own folder, imports or names."""
    texts = {test} | {
        file
        for file in map(root.joinpath, _imported(root, test))
        if file.parent == test.parent and file != test
    }
    imported = {name for text in texts for name in _imported(root, text)}
    # A package stands for the modules that it is made of.
    imported |= {
        name
        for package in imported
        if package.endswith("/__init__.py")
        for name in _imported(root, root / package)
    }
    content = "".join(text.read_text() for text in texts)
    named = {name for name in _programs(root) if "/".join(name.split("/")[-2:]) in content}
    return frozenset(name for name in imported | named if not name.startswith("tests/"))


@cache
def _programs(root: Path) -> list[str]:
    """Programs of pods, which nothing imports."""
    return [path.relative_to(root).as_posix() for path in (root / "manifests").rglob("*.py")]


@cache
def _product_closure(root: Path, start: str) -> frozenset[str]:
    reached, ahead = {start}, [start]
    while ahead:
        new = _imported(root, root / ahead.pop()) - reached
        reached |= new
        ahead += new
    return frozenset(reached)


@cache
def _imported(root: Path, file: Path) -> frozenset[str]:
    """The repository's files that a file imports, wherever in it the statement stands."""

    def modules() -> Iterator[str]:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield node.module
                yield from (f"{node.module}.{alias.name}" for alias in node.names)

    candidates = (
        root / form.format(module.replace(".", "/"))
        for module in modules()
        for form in ("{}.py", "{}/__init__.py")
    )
    return frozenset(
        path.relative_to(root).as_posix() for path in candidates if path.exists() and path != file
    )
