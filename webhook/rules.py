"""Ordered rules of a stack: which registries are mirrored, left alone or refused, and for whom.

The first rule that covers an image decides, and an image that no rule covers is mirrored. A last
rule that denies everything makes an allow-list of those before it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any, cast

from images.reference import Reference


class WhenAbsent(StrEnum):
    """The treatment of an image whose copy is not there yet."""

    REWRITE = "rewrite"
    """Point at the copy at once; the kubelet retries until it has arrived."""
    KEEP = "keep"
    """Leave the source in place for this pod; a later pod finds the copy."""
    DENY = "deny"
    """Refuse the pod, with the reason; its controller tries again."""


class Action(StrEnum):
    """The treatment of an image that a rule covers."""

    MIRROR = "mirror"
    KEEP = "keep"
    """The source stays in place, and nothing is copied."""
    DENY = "deny"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule; every pattern may hold ``*``.

    Attributes:
        action: on the images it covers.
        registries: hosts, or hosts with the beginning of a path (``docker.io/bitnami``).
        namespaces: of the pod.
        when_absent: in place of the stack's own; only for what is mirrored.
    """

    action: Action
    registries: tuple[str, ...] = ("*",)
    namespaces: tuple[str, ...] = ("*",)
    when_absent: WhenAbsent | None = None

    def covers(self, image: Reference, namespace: str) -> bool:
        """Whether this rule applies to an image of a pod in that namespace."""
        return any(fnmatchcase(namespace, pattern) for pattern in self.namespaces) and any(
            fnmatchcase(f"{image.name}/", f"{pattern.rstrip('/')}/*") for pattern in self.registries
        )


_MIRROR = Rule(action=Action.MIRROR)


def rule_for(rules: Iterable[Rule], image: Reference, namespace: str) -> Rule:
    """The first that covers the image of a pod in that namespace; by default it is mirrored."""
    return next((rule for rule in rules if rule.covers(image, namespace)), _MIRROR)


def read(text: str) -> tuple[Rule, ...]:
    """Rules from a JSON list, as the stack writes them into the environment.

    Raises:
        ValueError: the text is no such list.
    """
    try:
        rules = cast("list[Mapping[str, Any]]", json.loads(text))
        return tuple(
            Rule(
                action=Action(rule["action"]),
                registries=tuple(rule.get("registries") or ("*",)),
                namespaces=tuple(rule.get("namespaces") or ("*",)),
                when_absent=WhenAbsent(rule["whenAbsent"]) if rule.get("whenAbsent") else None,
            )
            for rule in rules
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no list of rules: {error}") from None
