"""How rules over more than one setting are collected and run.

Every rule names the settings it reads and is skipped while one of them is wrong by itself, so that
a mistake is reported once. A rule yields one sentence per problem.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar

from regions.region import Region
from settings.image_mirror import ImageMirrorSettings
from settings.mirror_mode import MirrorMode

Facts = TypeVar("Facts")


class Rules(Generic[Facts]):
    """A collection of rules, in the order in which their problems are reported."""

    def __init__(self) -> None:
        self._rules: list[tuple[tuple[str, ...], Callable[[Facts], Iterator[str]]]] = []

    def reads(
        self, *keys: str
    ) -> Callable[[Callable[[Facts], Iterator[str]]], Callable[[Facts], Iterator[str]]]:
        """Adds a rule, with the settings it reads (dotted, as in the stack file)."""

        def add(rule: Callable[[Facts], Iterator[str]]) -> Callable[[Facts], Iterator[str]]:
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


class WithVersion(Protocol):
    """The settings of a cluster."""

    @property
    def version(self) -> str:
        """Of Kubernetes."""
        ...


class WithMirror(Protocol):
    """Settings with the sections that the image mirror needs."""

    @property
    def cluster(self) -> WithVersion:
        """The section."""
        ...

    @property
    def image_mirror(self) -> ImageMirrorSettings:
        """The section."""
        ...


class MirrorFacts(Protocol):
    """What rules of the image mirror may read, with or without a whole stack around it."""

    @property
    def settings(self) -> WithMirror:
        """The settings; one that its own type check refused has its default here."""
        ...

    @property
    def region(self) -> Region:
        """Of the cluster."""
        ...

    @property
    def mirror(self) -> MirrorMode:
        """How images reach the cluster."""
        ...
