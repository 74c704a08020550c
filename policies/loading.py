"""Every policy that runs: those of this folder, and a team's own files."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from policies.model import Policy

MODULES = (
    *("exposure", "encryption", "rights", "partition", "pulled_images"),
    *("gpu_pools", "protection", "default_credentials", "advisories"),
)
OWN = Path(__file__).parent / "own"
"""A team's own policies: every ``*.py`` file in it is attached."""
PLACES = "KUBEFLOW_POLICIES"
"""Environment variable with further files and folders, separated as in PATH."""


def shipped() -> list[Policy]:
    """The policies of this folder."""
    modules = [importlib.import_module(f"policies.{name}") for name in MODULES]
    return [each for module in modules for each in _of(module)]


def attached() -> tuple[list[Policy], list[str]]:
    """A team's own policies, and one sentence for each file that gives none."""
    policies: list[Policy] = []
    problems: list[str] = []
    names = {each.name for each in shipped()}
    for file in _files():
        try:
            found = list(_of(_module(file)))
        except (Exception, SystemExit) as fault:
            problems.append(_sentence(file, fault))
            continue
        if not found:
            problems.append(f"{file} has no policy: write a function with @policy, or remove it.")
        for each in found:
            if each.name in names:
                problems.append(f"{file} has a second policy {each.name}: choose another name.")
            else:
                names.add(each.name)
                policies.append(each)
    return policies, problems


def _files() -> Iterator[Path]:
    places = [OWN, *(Path(each) for each in os.environ.get(PLACES, "").split(os.pathsep) if each)]
    for place in places:
        yield from sorted(place.glob("*.py")) if place.is_dir() else [place]


def _module(file: Path) -> ModuleType:
    if not file.is_file():
        raise FileNotFoundError("there is no such file or folder")
    name = f"own_policies_{file.stem}"
    spec = spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError("it is no Python file")
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _of(module: ModuleType) -> Iterator[Policy]:
    """The policies that a module made, in the order of the file."""
    return (each for each in vars(module).values() if isinstance(each, Policy))


def _sentence(file: Path, fault: BaseException) -> str:
    line = f", line {fault.lineno}" if isinstance(fault, SyntaxError) else ""
    text = fault.msg if isinstance(fault, SyntaxError) else " ".join(str(fault).split())
    return (
        f"{file}{line} cannot be loaded ({type(fault).__name__}: {text}): "
        "mend it, or take it out of the pack."
    )
