"""Ordered rules of a stack: which registries are mirrored, left alone or refused, and for whom.

The first rule that covers an image decides. A last rule that denies everything makes an allow-list
of those before it: what nobody allowed is refused.

Two readings of one pattern, so that a doubt never lets an image pass. A rule that allows (mirror,
keep) covers an image by its one full name, where ``*`` stays within a part of it. A rule that
denies covers every name under which the image might be had: with any port, behind a mirror or a
cache, as a copy somewhere else whose path ends in it, and a copy whose name no longer tells its
source. ``components/mirror/admission_policy.py`` writes the same expressions into a policy of the
API server.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, cast

from images.hosts import at_any_port, handed_on, source_of, table
from images.reference import DOCKER_HUB, HUB_ALIASES, TLS_PORT, Reference

EVERYTHING = "*"
"""The pattern of every image."""


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


def normal(pattern: str) -> str:
    """A pattern with the one name of its registry, as references have it."""
    host, slash, path = pattern.rstrip("/").partition("/")
    host = host.lower().removesuffix(f":{TLS_PORT}")
    return (DOCKER_HUB if host in HUB_ALIASES else host) + slash + path


def allowing(pattern: str) -> str:
    """The regular expression (also of RE2) of the whole names that an allowing rule covers."""
    if pattern == EVERYTHING:
        return ".*"
    return _with_stars(normal(pattern), "[^/]*") + "(?:/.*)?"


def denying(pattern: str) -> str:
    """The regular expression (also of RE2) of the whole names that a denying rule covers."""
    if pattern == EVERYTHING:
        return ".*"
    host, slash, path = normal(pattern).partition("/")
    port = "" if ":" in host else "(?::[0-9]+)?"
    names, below = _with_stars(host, ".*"), _with_stars(path, ".*")
    if host == DOCKER_HUB:
        # Also as a path behind another registry, and an official image, which people write short.
        hub = (host, *HUB_ALIASES, *table().within.get(host, ()))
        names = f"(?:{'|'.join(map(re.escape, hub))})"
        official = path.removeprefix("library/")
        if path and "/" not in official:
            below = f"(?:library/)?{_with_stars(official, '.*')}"
    return f"(?:.*/)?{names}{port}{slash}{below}(?:/.*)?"


def namespaced(pattern: str) -> str:
    """The regular expression (also of RE2) of the namespaces that a pattern names."""
    return _with_stars(pattern, ".*")


def _with_stars(pattern: str, star: str) -> str:
    return star.join(re.escape(part) for part in pattern.split(EVERYTHING))


@dataclass(frozen=True)
class Subject:
    """An image as rules see it.

    Attributes:
        name: ``registry/repository``; of a copy in the account's registry, that of its origin.
        source: the same, but of a mirror of another registry the name there. A copy is of the
            mirror itself, from which it came.
        full: ``name`` with tag and digest.
        known: False for a copy whose name hides its origin.
        also: further names under which the same might be had.
        own: whether the image is in the account's registry.
    """

    name: str
    source: str
    full: str = ""
    known: bool = True
    also: tuple[str, ...] = ()
    own: bool = False

    @classmethod
    def of(cls, image: Reference, registry: str) -> Subject:
        """The subject of an image.

        Args:
            image: as the pod names it.
            registry: of copies, ``<ecr host>/<prefix>``.
        """
        own = image.belongs_to(registry)
        origin = (image.told_origin(registry) if own else None) or image
        there = source_of(origin)
        source = there if origin is image else origin
        plain = at_any_port(origin)
        also = (there.name, plain.name, source_of(plain).name, *handed_on(plain))
        known = not (own and image.hides_origin(registry))
        return cls(origin.name, source.name, str(origin), known, also, own)


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
    registries: tuple[str, ...] = (EVERYTHING,)
    namespaces: tuple[str, ...] = (EVERYTHING,)
    when_absent: WhenAbsent | None = None

    def in_namespace(self, namespace: str) -> bool:
        """Whether this rule applies to pods of that namespace."""
        return self._namespaces.fullmatch(namespace) is not None

    def covers(self, image: Subject) -> bool:
        """Whether this rule applies to an image, whatever the namespace."""
        if self.action is Action.DENY:
            return not image.known or self.denied(image) is not None
        if not image.known:
            return EVERYTHING in self.registries
        # What stays in place is pulled under its own name.
        return self.names_source(image) or self.names(image)

    def denied(self, image: Subject) -> str | None:
        """The name of an image by which a denying rule covers it; None: it has none."""
        fits = self._names.fullmatch
        return next((name for name in (image.name, image.source, *image.also) if fits(name)), None)

    def names(self, image: Subject) -> bool:
        """Whether the rule covers an image as it is written."""
        return self._names.fullmatch(image.name) is not None

    def names_source(self, image: Subject) -> bool:
        """Whether a mirroring rule covers an image as what it is a mirror of."""
        return self.action is Action.MIRROR and self._names.fullmatch(image.source) is not None

    @property
    def everywhere(self) -> bool:
        """Whether the rule names no registry."""
        return EVERYTHING in self.registries

    @cached_property
    def _names(self) -> re.Pattern[str]:
        read = denying if self.action is Action.DENY else allowing
        return re.compile("|".join(f"(?:{read(each)})" for each in self.registries), re.DOTALL)

    @cached_property
    def _namespaces(self) -> re.Pattern[str]:
        return re.compile("|".join(f"(?:{namespaced(each)})" for each in self.namespaces))


def rule_for(rules: Iterable[Rule], image: Subject, namespace: str) -> Rule | None:
    """The first that covers the image of a pod in that namespace; None: no rule does."""
    for rule in rules:
        if rule.in_namespace(namespace) and rule.covers(image):
            return rule
    return None


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
                registries=tuple(rule.get("registries") or (EVERYTHING,)),
                namespaces=tuple(rule.get("namespaces") or (EVERYTHING,)),
                when_absent=WhenAbsent(rule["whenAbsent"]) if rule.get("whenAbsent") else None,
            )
            for rule in rules
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no list of rules: {error}") from None
