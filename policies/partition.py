"""Nothing of one partition of AWS names another."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from policies.model import Stack, Violation, policy
from regions.region import Region, dns_suffixes

_ARN = re.compile(r"\barn:(aws[a-z-]*):")
# Right in every partition: names of labels and resources (eks.<suffix>/role-arn), the audience of
# EKS' tokens, and service principals of IAM (aws-cdk aws-iam/lib/principals.ts).
_AUDIENCE = Region.oidc_audience
_SHARED = re.escape(_AUDIENCE.partition(".")[2])
_NAMES = rf"(?:eks|vpc|ec2)\.{_SHARED}/[a-z0-9][A-Za-z0-9-]*|{re.escape(_AUDIENCE)}"
_OF_OBJECTS = re.compile(_NAMES)
_OF_DOCUMENTS = re.compile(rf"{_NAMES}|[a-z0-9-]+(?:\.eks)?\.{_SHARED}")


@cache
def _host() -> re.Pattern[str]:
    suffixes = "|".join(map(re.escape, dns_suffixes()))
    end = r"(?![A-Za-z0-9-])[^\s\"',]*"
    return re.compile(
        rf"(?:\w+://)?(?:[A-Za-z0-9*_-]+\.)*(?<![A-Za-z0-9_-])(?P<suffix>{suffixes}){end}"
    )


@policy("partition-leak", severity="high")
def partition_leak(stack: Stack) -> Iterator[Violation]:
    """ARNs and hosts are of the partition that the resource is in."""
    # A stack with providers in two partitions passes names between them on purpose.
    regions = [Region.of(name) for name in stack.regions]
    partitions = {region.partition for region in regions}
    suffixes = {region.dns_suffix for region in regions}
    for resource in stack.of("aws:", "kubernetes:"):
        own = stack.region_of(resource)
        if own is None:
            continue
        objects = resource.type.startswith("kubernetes:")
        allowed = {own.partition} if objects else partitions
        hosts = {own.dns_suffix} if objects else suffixes
        names = _OF_OBJECTS if objects else _OF_DOCUMENTS
        for path, text in _texts(resource.inputs, ()):
            for match in _ARN.finditer(text):
                if match[1] not in allowed:
                    yield resource.finding(
                        ".".join(path),
                        f"it belongs to another partition than {own.partition}; "
                        f"begin with arn:{own.partition}.",
                        value=re.split(r"[\s\"',]", text[match.start() :], maxsplit=1)[0],
                    )
            for match in _host().finditer(text):
                if match["suffix"] not in hosts and not names.fullmatch(match[0]):
                    yield resource.finding(
                        ".".join(path),
                        f"hosts of {own.partition} end in {own.dns_suffix}; use that one.",
                        value=match[0],
                    )


def _texts(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, str):
        if "arn:aws" in value or any(suffix in value for suffix in dns_suffixes()):
            yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, (*path, str(key)))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, (*path, str(index)))
