"""What a policy reads, and how it complains: resources of one run, and sentences about them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import CodeType
from typing import Any, Literal, Protocol, get_args

from regions.region import Region

Severity = Literal["low", "medium", "high", "critical"]
Level = Literal["advisory", "mandatory"]
SECRET, UNKNOWN = "[secret]", "[unknown]"
"""In place of a secret, and of a value that exists only after creation."""
_LONGEST = 120


@dataclass(frozen=True)
class Resource:
    """One resource as the program asks for it.

    Attributes:
        urn: its URN.
        type: the type token, such as ``aws:s3/bucket:Bucket``.
        name: the Pulumi name.
        inputs: plain values by the names of Pulumi's schema; of a Kubernetes object, the object.
        region: of the AWS provider that makes it; empty for everything else.
        protect: whether the engine refuses to delete it.
        secrets: the texts behind every ``[secret]``; no sentence may quote them.
    """

    urn: str
    type: str
    name: str
    inputs: Mapping[str, Any] = field(repr=False)
    region: str = ""
    protect: bool = False
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def place(self) -> str:
        """Type and name, as sentences and exemptions have it."""
        return f"{self.type} {self.name}"

    def get(self, path: str) -> Any:
        """The input at a path like ``spec.containers.0.image``; None where there is none.

        Below a value that exists only after creation, everything is ``UNKNOWN``.
        """
        value: Any = self.inputs
        for part in path.split("."):
            if isinstance(value, Mapping):
                value = value.get(part)
            elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
                value = value[int(part)]
            else:
                return UNKNOWN if value == UNKNOWN else None
        return value

    def finding(
        self, path: str, reason: str, *, value: Any = None, severity: Severity | None = None
    ) -> Violation:
        """A violation whose sentence names the resource, the property, its value and the way out.

        Args:
            path: of the property, as in ``get``.
            reason: what is wrong and the way out: ``the internet reaches it; set it to false.``
            value: to quote in place of the one at ``path``.
            severity: of this violation, where it differs from its policy's.
        """
        quoted = self.get(path) if value is None else value
        unknown = quoted == UNKNOWN
        shown = "not set" if quoted is None else json.dumps(quoted, ensure_ascii=False, default=str)
        if len(shown) > _LONGEST:
            shown = f"{shown[: _LONGEST - 3]}..."
        sentence = f"{self.place}: {path} is {shown}: {reason}"
        return Violation(self, sentence, severity, unknown=unknown)


@dataclass(frozen=True)
class Violation:
    """One resource that breaks a policy, and the sentence about it.

    Attributes:
        resource: the resource.
        sentence: about it, see ``Resource.finding``.
        severity: where it differs from the policy's.
        unknown: whether it is about a value that exists only after creation. Such a violation is no
            finding: the run that makes the resource judges it.
    """

    resource: Resource
    sentence: str
    severity: Severity | None = None
    unknown: bool = False


@dataclass(frozen=True)
class Stack:
    """All resources of one run."""

    resources: Sequence[Resource]

    def of(self, *types: str) -> Iterator[Resource]:
        """The resources whose type begins with one of ``types``: ``aws:s3/``, ``kubernetes:``."""
        return (each for each in self.resources if each.type.startswith(types))

    def only(self, *types: str) -> Iterator[Resource]:
        """The resources of exactly one of ``types``."""
        return (each for each in self.resources if each.type in types)

    @cached_property
    def regions(self) -> tuple[str, ...]:
        """Of the AWS providers; the platform's own comes first."""
        providers = sorted(self.only("pulumi:providers:aws"), key=lambda each: each.name)
        named = [each.inputs.get("region") for each in providers]
        return tuple(name for name in named if isinstance(name, str) and name != UNKNOWN)

    def region_of(self, resource: Resource) -> Region | None:
        """The region that a resource is in, or the platform's for what is in no region."""
        name = resource.region or next(iter(self.regions), "")
        return Region.of(name) if name else None


class Check(Protocol):
    """A function from a stack to violations."""

    @property
    def __code__(self) -> CodeType:
        """Where it is written, for the sentence about its failure."""
        ...

    def __call__(self, stack: Stack, /) -> Iterable[Violation]:
        """The violations of a stack."""
        ...


@dataclass(frozen=True)
class Policy:
    """One policy; made by ``@policy``.

    Attributes:
        name: what exemptions and findings call it.
        severity: how bad a violation is.
        level: ``mandatory`` fails the run, ``advisory`` is only reported.
        description: the first line of the function's docstring.
        check: yields the violations of a stack.
    """

    name: str
    severity: Severity
    level: Level
    description: str
    check: Check = field(repr=False)

    def __call__(self, stack: Stack) -> Iterable[Violation]:
        """The violations of a stack."""
        return self.check(stack)


def policy(
    name: str, *, severity: Severity = "medium", level: Level = "mandatory"
) -> Callable[[Check], Policy]:
    """Makes a policy of a function from a ``Stack`` to violations.

    Args:
        name: words with dashes, unique in the pack.
        severity: ``low``, ``medium``, ``high`` or ``critical``.
        level: ``mandatory`` or ``advisory``.

    Raises:
        ValueError: no such severity or level, or the function has no docstring.
    """
    for word, allowed in ((severity, get_args(Severity)), (level, get_args(Level))):
        if word not in allowed:
            raise ValueError(f"the policy {name} has {word!r}: write {', '.join(allowed)}")

    def made(check: Check) -> Policy:
        description = (check.__doc__ or "").strip().partition("\n")[0]
        if not description:
            raise ValueError(f"the policy {name} has no docstring: write what must be kept")
        return Policy(name, severity, level, description, check)

    return made
