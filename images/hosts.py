"""What the host of a registry tells: private, domestic, or another registry's mirror.

``registries.json`` has the public registries of China and what mirrors what, with the date on which
each source was read. The standard library only, like ``images.reference``: part of the handler's
archive.
"""

from __future__ import annotations

import ipaddress
import json
import pkgutil
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from images.reference import InvalidReference, Reference, ecr_registry, parse

# Names that no public DNS resolves. RFC 6761: test, localhost, invalid, example; RFC 6762: local,
# and those of its appendix G; RFC 7686: onion; RFC 8375: home.arpa (all of arpa names addresses);
# RFC 9476: alt; ICANN board, 2024-07-29: internal. Services of Kubernetes: svc.
_SPECIAL = frozenset(
    (
        *("test", "localhost", "invalid", "example", "local", "intranet", "internal", "private"),
        *("corp", "home", "lan", "localdomain", "onion", "arpa", "alt", "svc"),
    )
)
# A public name ends in a domain of letters, or in an internationalised one (RFC 3696, section 2).
_PUBLIC_END = re.compile(r"[a-z]{2,63}|xn--[a-z0-9-]+")
_NUMERIC_END = re.compile(r"[0-9]+|0x[0-9a-f]*")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052
_LOCAL_NAT64 = ipaddress.IPv6Network("64:ff9b:1::/48")  # RFC 8215


@lru_cache(maxsize=4096)
def is_private(registry: str) -> bool:
    """Whether a registry is out of every builder's reach, or none of its business.

    True for what has no host on the public internet: addresses that are not global, however they
    are spelled, names of one word, of the cluster, and under a domain that no public DNS has.

    Args:
        registry: as in ``Reference.registry``: a lower-case host, with its port if it has one.
    """
    if registry.startswith("["):
        return not is_global(ipaddress.IPv6Address(registry[1 : registry.index("]")]))
    host = registry.partition(":")[0]
    last = host.rpartition(".")[2]
    if _NUMERIC_END.fullmatch(last):
        # Other spellings (decimal, octal, hexadecimal, fewer parts) are addresses to the resolver
        # of the C library, and nobody's public registry.
        try:
            return not is_global(ipaddress.IPv4Address(host))
        except ValueError:
            return True
    return "." not in host or last in _SPECIAL or not _PUBLIC_END.fullmatch(last)


def is_global(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether an address is one host of the public internet, also inside IPv6."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_global(inner)
        if address.teredo or address in _LOCAL_NAT64 or address.is_site_local:
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved)


@dataclass(frozen=True)
class Table:
    """``registries.json``.

    Attributes:
        domestic: hosts of public registries in China.
        mirrored: host -> the registry that it mirrors; "*": the path begins with it. A host that
            begins with ``*`` has any first label.
        flattened: whole name -> the name at its source.
        cached: start of a name -> the start at its source; such a cache has what its source has,
            and yet is a place of its own.
        within: registry -> parts of a path, behind any host, that begin a name of that registry.
        pulled_through: prefix in a registry of ECR -> the registry whose images ECR caches there.
        realms: of ECR (``reference.EcrRegistry``), in which it offers such caches. In all others
            the same prefix is one that a team chose for repositories of its own.
        abroad: hosts that ``domestic`` would match.
    """

    domestic: re.Pattern[str]
    abroad: re.Pattern[str]
    mirrored: Mapping[str, str]
    flattened: Mapping[str, str]
    cached: Mapping[str, str]
    within: Mapping[str, Sequence[str]]
    pulled_through: Mapping[str, str]
    realms: Collection[str]


@lru_cache(maxsize=1)
def table() -> Table:
    """The table, read once."""
    read: dict[str, Any] = json.loads(pkgutil.get_data("images", "registries.json") or b"")
    flat: dict[str, Any] = read["flattened"]
    return Table(
        domestic=_hosts([host for row in read["domestic"] for host in row["hosts"]]),
        abroad=_hosts(read["abroad"]["hosts"]),
        mirrored={host: row["of"] for row in read["mirrors"] for host in row["hosts"]},
        flattened={
            f"{prefix}/{image}": source
            for prefix in flat["prefixes"]
            for image, source in flat["images"].items()
        },
        cached={name: row["of"] for row in read["caches"] for name in row["names"]},
        within={row["of"]: row["paths"] for row in read["within"]},
        pulled_through=read["pulled_through"]["prefixes"],
        realms=read["pulled_through"]["realms"],
    )


def _hosts(patterns: Sequence[str]) -> re.Pattern[str]:
    """Any of the hosts; ``*`` is any part of one label."""
    return re.compile("|".join(re.escape(each).replace(r"\*", "[a-z0-9-]+") for each in patterns))


@lru_cache(maxsize=1)
def _mirrored() -> Mapping[str, str]:
    """Host -> as ``Table.mirrored``; empty for one that is a mirror in some of its names."""
    flat = dict.fromkeys((name.partition("/")[0] for name in table().flattened), "")
    return {**flat, **table().mirrored}


@lru_cache(maxsize=4096)
def _mirror_of(registry: str) -> str | None:
    of = _mirrored().get(registry)
    # Accounts of a cloud have a mirror each, at a name of their own.
    return _mirrored().get("*" + registry[registry.find(".") :]) if of is None else of


@lru_cache(maxsize=4096)
def is_domestic(registry: str) -> bool:
    """Whether a registry is a public one in China, by the table."""
    host = registry.partition(":")[0]
    return bool(table().domestic.fullmatch(host)) and not table().abroad.fullmatch(host)


def source_of(image: Reference) -> Reference:
    """What the image of a mirror is an image of, by the table; every other image itself."""
    return _source_of(image, behind=False)


def _source_of(image: Reference, *, behind: bool) -> Reference:
    of = _mirror_of(image.registry)
    if of is None:
        return image
    if not of:
        name = table().flattened.get(image.name)
    elif of == "*":
        # The path has the host of the source, and nothing else is known of it.
        name = (
            image.repository if "." in image.repository.partition("/")[0] and not behind else None
        )
    else:
        name = f"{of}/{image.repository}"
    if name is None:
        return image
    try:
        source = parse(name + str(image).removeprefix(image.name))
    except InvalidReference:
        return image
    return _source_of(source, behind=True) if of == "*" else source


def at_any_port(image: Reference) -> Reference:
    """The image without the port of its registry; itself where there is none."""
    host = image.registry.rpartition(":")[0]
    if "." not in host or image.registry.endswith("]"):
        return image
    try:
        return parse(host + str(image).removeprefix(image.registry))
    except InvalidReference:
        return image


def handed_on(image: Reference) -> tuple[str, ...]:
    """The names at its source, of an image with the host of a mirror or a cache in its name.

    Whatever stands before such a host hands on what it has; so each of a name counts.

    Args:
        image: without a port (``at_any_port``).
    """
    parts = image.name.split("/")
    tails = ("/".join(parts[at:]) for at in range(len(parts) - 1) if "." in parts[at])
    return tuple(_canonical(found) for tail in tails for found in _at_source(tail))


def _at_source(name: str) -> Iterator[str]:
    """The names at its source of an image in a mirror or cache; none in another registry.

    What a mirror or a cache has may be a cache of yet another registry.
    """
    host, _, rest = name.partition("/")
    of = _mirror_of(host)
    prefix, _, below = rest.partition("/")
    if of == "*":
        return  # its path has the source, and is looked at itself
    there = f"{of}/{rest}" if of else table().flattened.get(name)
    if prefix in table().pulled_through and below and _has_caches(host):
        there = f"{table().pulled_through[prefix]}/{below}"
    if there:
        yield there
    if cached := _cached(there or name):
        yield cached


def _has_caches(host: str) -> bool:
    """Whether a registry may have images by a pull-through cache of ECR."""
    registry = ecr_registry(host)
    return registry is not None and registry.realm in table().realms


def _cached(name: str) -> str | None:
    for start, source in _caches().get(name.partition("/")[0], ()):
        if name.startswith(start):
            return source + name.removeprefix(start)
    return None


@lru_cache(maxsize=1)
def _caches() -> Mapping[str, Sequence[tuple[str, str]]]:
    """Host -> the starts of ``Table.cached`` there and those at their source, with a slash each."""
    found: dict[str, list[tuple[str, str]]] = {}
    for start, source in table().cached.items():
        found.setdefault(start.partition("/")[0], []).append((f"{start}/", f"{source}/"))
    return found


def _canonical(name: str) -> str:
    try:
        return parse(name).name
    except InvalidReference:
        return name
