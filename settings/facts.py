"""The frame of the cross-field rules: what a rule may look at, and how rules are run.

Every rule names the settings it reads and is left out while one of them is wrong by itself, so a
mistake is told once. A rule yields one sentence per problem.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import yaml

from regions.region import Region
from settings.mirror_mode import MirrorMode
from settings.node_pools import KARPENTER, numbers
from settings.sections import Settings


@dataclass(frozen=True)
class Release:
    """What a release says of itself in its release.yaml; empty where it says nothing."""

    kubernetes_min: str = ""
    kubernetes_max: str = ""
    unserved: Mapping[str, Mapping[str, Sequence[str]]] = field(
        default_factory=dict[str, Mapping[str, Sequence[str]]]
    )
    """Kubernetes version -> API it took away -> the objects of the release that ask for it."""
    pipelines: str = ""
    credentials: tuple[str, ...] = ()


@dataclass(frozen=True)
class Facts:
    """What rules may look at; the region is a stand-in while `region` itself is wrong."""

    settings: Settings
    region: Region
    releases: Mapping[str, Release] = field(default_factory=dict[str, Release])
    karpenter: Mapping[str, Release] = field(default_factory=dict[str, Release])
    """Version -> what its folder under ``manifests/addons`` states."""

    @property
    def mirror(self) -> MirrorMode:
        """How images reach the stack."""
        return MirrorMode(self.settings.image_mirror, self.region)


Rule = Callable[[Facts], Iterator[str]]


class Rules:
    """A collection of rules, in the order in which their problems are told."""

    def __init__(self) -> None:
        self._rules: list[tuple[tuple[str, ...], Rule]] = []

    def reads(self, *keys: str) -> Callable[[Rule], Rule]:
        """Adds a rule, with the settings it reads (dotted, as in the stack file)."""

        def add(rule: Rule) -> Rule:
            self._rules.append((keys, rule))
            return rule

        return add

    def problems(self, facts: Facts, broken: frozenset[str]) -> list[str]:
        """What the rules find that read nothing in ``broken``, the keys wrong by themselves."""

        def usable(key: str) -> bool:
            return not any(f"{key}.".startswith(f"{b}.") or b.startswith(f"{key}.") for b in broken)

        return [
            problem
            for keys, rule in self._rules
            if all(usable(key) for key in keys)
            for problem in rule(facts)
        ]


@lru_cache(maxsize=8)
def releases(manifests: Path) -> Mapping[str, Release]:
    """The releases below a folder, by name: every folder in it that has a release.yaml."""
    files = sorted(manifests.glob("*/release.yaml"))
    return {file.parent.name: _release(file) for file in files}


@lru_cache(maxsize=8)
def karpenter_releases(manifests: Path) -> Mapping[str, Release]:
    """The versions of Karpenter in ``addons/karpenter-<version>`` below a folder, oldest first."""
    files = manifests.glob(f"addons/{KARPENTER}*/release.yaml")
    found = {file.parent.name.removeprefix(KARPENTER): _release(file) for file in files}
    return {version: found[version] for version in sorted(found, key=numbers)}


def _release(file: Path) -> Release:
    data: dict[str, Any] = yaml.safe_load(file.read_text("utf-8")) or {}
    kubernetes = cast(dict[str, Any], data.get("kubernetes") or {})
    pipelines = cast(dict[str, Any], data.get("pipelines") or {})
    return Release(
        str(kubernetes.get("min", "")),
        str(kubernetes.get("max", "")),
        data.get("unserved") or {},
        str(pipelines.get("version", "")),
        tuple(str(name) for name in pipelines.get("credentials") or ()),
    )
