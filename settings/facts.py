"""The frame of the cross-field rules: the facts that a rule may read, and how rules are run.

Every rule names the settings it reads and is skipped while one of them is wrong by itself, so that
a mistake is reported once. A rule yields one sentence per problem.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import yaml
from packaging.version import Version
from pydantic import AliasPath, BaseModel, ConfigDict, Field

from advisories.table import of_release
from regions.region import Region
from settings.mirror_mode import MirrorMode
from settings.node_pools import KARPENTER
from settings.sections import Settings


class Release(BaseModel):
    """The part of a release.yaml that rules read; a missing key is empty.

    Attributes:
        kubernetes_min: the oldest version of Kubernetes that it runs on.
        kubernetes_max: the newest.
        unserved: Kubernetes version -> API that it removed -> the objects that use the API.
        pipelines: the version of Kubeflow Pipelines.
        credentials: the kinds of credentials that Pipelines can use for S3.
        advisories: all identifiers in its advisories.yaml.
    """

    # The whole model is in ``rendering.release``, which ``settings/`` may not import.
    model_config = ConfigDict(frozen=True, coerce_numbers_to_str=True)

    kubernetes_min: str = Field(default="", validation_alias=AliasPath("kubernetes", "min"))
    kubernetes_max: str = Field(default="", validation_alias=AliasPath("kubernetes", "max"))
    unserved: Mapping[str, Mapping[str, Sequence[str]]] = {}
    pipelines: str = Field(default="", validation_alias=AliasPath("pipelines", "version"))
    credentials: tuple[str, ...] = Field(
        default=(), validation_alias=AliasPath("pipelines", "credentials")
    )
    advisories: tuple[str, ...] = ()


@dataclass(frozen=True)
class Facts:
    """The facts that rules read.

    Attributes:
        settings: all of the stack's; one that its own type check refused has its default here.
        region: the stack's; any known one while `region` itself is wrong.
        releases: by name.
        karpenter: version -> the release.yaml of its folder under ``manifests/addons``.
    """

    settings: Settings
    region: Region
    releases: Mapping[str, Release] = field(default_factory=dict[str, Release])
    karpenter: Mapping[str, Release] = field(default_factory=dict[str, Release])

    @property
    def mirror(self) -> MirrorMode:
        """How images reach the stack."""
        return MirrorMode(self.settings.image_mirror, self.region)


Rule = Callable[[Facts], Iterator[str]]


class Rules:
    """A collection of rules, in the order in which their problems are reported."""

    def __init__(self) -> None:
        self._rules: list[tuple[tuple[str, ...], Rule]] = []

    def reads(self, *keys: str) -> Callable[[Rule], Rule]:
        """Adds a rule, with the settings it reads (dotted, as in the stack file)."""

        def add(rule: Rule) -> Rule:
            self._rules.append((keys, rule))
            return rule

        return add

    def problems(self, facts: Facts, broken: frozenset[str]) -> list[str]:
        """The problems that the rules find, without rules that read a key in ``broken``."""

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
    return {file.parent.name: _read(file) for file in files}


@lru_cache(maxsize=8)
def karpenter_releases(manifests: Path) -> Mapping[str, Release]:
    """The versions of Karpenter in ``addons/karpenter-<version>`` below a folder, oldest first."""
    files = manifests.glob(f"addons/{KARPENTER}*/release.yaml")
    by_version = {file.parent.name.removeprefix(KARPENTER): _read(file) for file in files}
    return {version: by_version[version] for version in sorted(by_version, key=Version)}


def _read(file: Path) -> Release:
    advisories = of_release(file.parent).advisories
    names = tuple(name for each in advisories for name in each.names)
    fields = yaml.safe_load(file.read_text("utf-8")) or {}
    return Release.model_validate({**fields, "advisories": names})
