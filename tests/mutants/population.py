"""Every mutant that the product can have, and a sample of them that a seed chooses."""

from __future__ import annotations

import ast
import hashlib
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code

from tests.mutants.operators import Position, can_change, never_executed, operators

NO_PRODUCT = ("tests/", "benchmarks/", "examples/")


@dataclass(frozen=True)
class Mutant:
    """One change of one token.

    Attributes:
        path: of the file, from the root of the tree.
        line: its number.
        ordinal: how many equal lines the file has before it.
        before, after: the line without and with the change, stripped.
        operator, occurrence: the change as cosmic-ray counts it.
    """

    path: str
    line: int
    ordinal: int
    before: str
    after: str
    operator: str
    occurrence: int

    @property
    def identity(self) -> str:
        """Stays the same when other lines of the file change."""
        return _digest(self.path, self.before, self.after, self.ordinal)[:12]

    def source(self, original: str) -> str:
        """The whole file with the change."""
        changed = mutate_code(original, operators()[self.operator], self.occurrence)
        assert changed is not None, self
        return changed


def product_files(root: Path) -> list[str]:
    """The product's Python files, from the root of the tree."""
    command = ["git", "ls-files", "*.py"]
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
    return [
        name
        for name in listed.splitlines()
        if not name.startswith(NO_PRODUCT) and (root / name).exists()
    ]


def sample(root: Path, files: Sequence[str], seed: str, count: int) -> list[Mutant]:
    """``count`` mutants, each token as likely as every other.

    The rank of a token depends on its line alone: a larger count adds to the same mutants, and an
    edit elsewhere changes none of them.
    """
    sources = {path: (root / path).read_text() for path in files}
    ranked = sorted(
        (_digest(seed, path, *_place(lines, position), position[1]), path, position, changes)
        for path, source in sources.items()
        for lines in [source.splitlines()]
        for position, changes in changes_of(source).items()
    )
    chosen: list[Mutant] = []
    for rank, path, position, changes in ranked:
        operator, occurrence = changes[int(rank, 16) % len(changes)]
        mutant = mutant_of(path, sources[path], position, operator, occurrence)
        if mutant is not None:
            chosen.append(mutant)
        if len(chosen) == count:
            break
    return chosen


def changes_of(source: str) -> dict[Position, list[tuple[str, int]]]:
    """Each token that can change -> its changes, as (operator, occurrence)."""
    found: dict[Position, list[tuple[str, int]]] = {}
    counts = Counter[str]()
    for node in ast_nodes(get_ast(source)):
        if not can_change(node):
            continue
        executed = not never_executed(node)
        for name, operator in operators().items():
            for start, _ in operator.mutation_positions(node):
                occurrence = counts[name]
                counts[name] += 1
                if executed:
                    found.setdefault(start, []).append((name, occurrence))
    return found


def mutant_of(
    path: str, source: str, position: Position, operator: str, occurrence: int
) -> Mutant | None:
    """The mutant of a change; None where it is no Python, or the same."""
    changed = mutate_code(source, operators()[operator], occurrence)
    if changed is None or not _differs(source, changed):
        return None
    lines = source.splitlines()
    before, after = _difference(source, changed)
    return Mutant(
        path, position[0], _place(lines, position)[1], before, after, operator, occurrence
    )


def _place(lines: Sequence[str], position: Position) -> tuple[str, int]:
    """A token's line, and how many equal lines stand before it."""
    text = lines[position[0] - 1].strip()
    return text, sum(line.strip() == text for line in lines[: position[0] - 1])


def _difference(source: str, changed: str) -> tuple[str, str]:
    """The lines without and with the change, each as one text; blank lines do not count."""
    before, after = (
        [line.strip() for line in text.splitlines() if line.strip()] for text in (source, changed)
    )
    while before and after and before[0] == after[0]:
        del before[0], after[0]
    while before and after and before[-1] == after[-1]:
        del before[-1], after[-1]
    return " ".join(before), " ".join(after)


def _differs(source: str, changed: str) -> bool:
    try:
        return ast.dump(ast.parse(source)) != ast.dump(ast.parse(changed))
    except (SyntaxError, ValueError):
        return False


def _digest(*parts: str | int) -> str:
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()
