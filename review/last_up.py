"""The stack as its last ``up`` has left it: the older side of what a preview reviews.

A state has resources alone. Beside the plan files of an ``up`` its stack file is kept, with digests
of the project's files, so that the review of a preview knows what has changed since, as that of
``./kf plan`` does.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from review.causes import leads_to_changes
from review.sides import Side, read_side

FOLDER = "last-up"
_COPIED = ("plan.json", "images.txt", "findings.json")
_DIGESTS = "digests.json"
_NO_SOURCE = frozenset({"build", "bundles", "node_modules", "__pycache__"})


@dataclass(frozen=True)
class LastUp:
    """What the last ``up`` has made, and what was changed since.

    Args:
        side: the older side of a review.
        changed_files: paths of files of the project that differ from those of that run.
    """

    side: Side
    changed_files: tuple[str, ...]


def keep(build: Path, project: Path, stack_file: Path) -> None:
    """Copies what an ``up`` that succeeded has written, in place of what an earlier one did.

    Args:
        build: of the stack, with plan files and state.
        project: with the program's files.
        stack_file: that the run has read.
    """
    folder, copy = build / FOLDER, build / f".{FOLDER}"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for name in _COPIED:
        shutil.copyfile(build / name, copy / name)
    shutil.copyfile(stack_file, copy / stack_file.name)
    digests = {"state": _state(build), "files": _files(project)}
    (copy / _DIGESTS).write_text(json.dumps(digests), "utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    copy.replace(folder)


def last_up(build: Path, project: Path, stack_file: Path) -> LastUp | None:
    """What the last ``up`` has left; None where another run has changed the state since.

    See ``keep`` for the arguments.
    """
    folder = build / FOLDER
    try:
        digests: Mapping[str, Mapping[str, str]] = json.loads((folder / _DIGESTS).read_bytes())
        if digests["state"] != _state(build):
            return None
        side = read_side(folder, folder / stack_file.name, "the last up")
    except (OSError, ValueError, LookupError, TypeError):
        return None
    old, new = digests["files"], _files(project)
    changed = {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}
    return LastUp(side, tuple(sorted(changed)))


def _state(build: Path) -> dict[str, str]:
    files = (build / "state" / ".pulumi" / "stacks").glob("*/*.json")
    return {file.name: _digest(file) for file in files}


def _files(project: Path) -> dict[str, str]:
    """Path in the project -> digest, of all that can change what is deployed."""
    return dict(sorted((name, _digest(project / name)) for name in _sources(project)))


def _sources(project: Path) -> Iterator[str]:
    for folder, folders, names in os.walk(project):
        here = Path(folder).relative_to(project)
        folders[:] = [
            name
            for name in folders
            if name not in _NO_SOURCE
            and leads_to_changes((here / name / "any").as_posix())
            and not (Path(folder) / name / "pyvenv.cfg").exists()
        ]
        paths = [(here / name).as_posix() for name in names]
        yield from (each for each in paths if leads_to_changes(each) and (project / each).is_file())


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
