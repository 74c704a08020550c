"""Image references: the full grammar, and where each image lives in the account's own registry.

The only place with the mapping from a source image to its copy: the render, the admission handler,
the copier and the command line all use it. Imports the standard library only, as part of the Lambda
archive and of the render.

Grammar: github.com/distribution/reference (regexp.go, normalize.go), which the kubelet uses too.
Repository names of ECR: botocore data/ecr/2015-09-21/service-2.json, shape RepositoryName.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property, lru_cache

DOCKER_HUB = "docker.io"
"""The registry of a name without one."""

HUB_ALIASES = (
    "index.docker.io",
    "registry-1.docker.io",
    "registry.hub.docker.com",
    "registry.ipv6.docker.com",
)
"""Its other names: of distribution/reference normalize.go (legacyDefaultDomain), of the host that
containerd asks instead (core/remotes/docker/registry.go), of Docker's own former pages, and for
IPv6 (www.docker.com/blog/beta-ipv6-support-on-docker-hub-registry)."""

TLS_PORT = "443"
"""The port of a registry without one: such a name and one with the port are the same registry."""

LONGEST_PREFIX = 64
"""Characters of an account's own prefix (``kubeflow`` in ``kubeflow/quay.io/x``), at most."""

# The grammar allows 255 characters, ECR one more. While rendering, the registry is a marker and its
# prefix unknown, so the longest prefix is reserved: the name of a copy does not depend on it.
_LONGEST_REPOSITORY = 255
_LONGEST_COPY = _LONGEST_REPOSITORY - len("/") - LONGEST_PREFIX
_HASHED = "hashed"
LONGEST_IMAGE = 1000
"""Characters; more than any host, repository, tag and digest have together."""

_MARKER = re.compile(r"<<[a-z][a-z0-9.-]*>>")
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_WORD = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
HOST, PATH = rf"{_LABEL}(?:\.{_LABEL})*", rf"{_WORD}(?:/{_WORD})*"
TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
DIGEST = r"sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128}"
"""The parts of a reference as regular expressions, which RE2 takes too."""
_HOST = re.compile(rf"(?P<host>{HOST}|\[[a-fA-F0-9:]+\])(?::(?P<port>[0-9]+))?")
_PATH, _TAG, _DIGEST = re.compile(PATH), re.compile(TAG), re.compile(DIGEST)
_IMAGE_ID = re.compile(r"[a-f0-9]{64}")
# The suffixes of every partition, plain and dual-stack, each with the plain one of its partition:
# botocore data/partitions.json, where the dual-stack ones begin with "api" in place of ECR's "on".
ECR_SUFFIXES = {
    "amazonaws.com": "amazonaws.com",
    "on.aws": "amazonaws.com",
    "amazonaws.com.cn": "amazonaws.com.cn",
    "on.amazonwebservices.com.cn": "amazonaws.com.cn",
    "amazonaws.eu": "amazonaws.eu",
    "on.amazonwebservices.eu": "amazonaws.eu",
    "c2s.ic.gov": "c2s.ic.gov",
    "on.aws.ic.gov": "c2s.ic.gov",
    "sc2s.sgov.gov": "sc2s.sgov.gov",
    "on.aws.scloud": "sc2s.sgov.gov",
    "cloud.adc-e.uk": "cloud.adc-e.uk",
    "on.cloud-aws.adc-e.uk": "cloud.adc-e.uk",
    "csp.hci.ic.gov": "csp.hci.ic.gov",
    "on.aws.hci.ic.gov": "csp.hci.ic.gov",
}
ECR_LABELS = r"dkr(?:\.ecr(?:-fips)?|-ecr(?:-fips)?)"
"""Between account and region in a host of ECR: plain, dual-stack, and FIPS of both."""
_ECR_HOST = re.compile(
    rf"(?P<account>[0-9]{{12}})\.{ECR_LABELS}\.(?P<region>[a-z0-9-]+)\."
    rf"(?P<suffix>{'|'.join(map(re.escape, sorted(ECR_SUFFIXES, key=len, reverse=True)))})"
)
# Containerd speaks HTTP to these without port, and TLS with 443
# (core/remotes/docker/config/hosts.go; core/remotes/docker/registry.go, MatchLocalhost).
_LOOPBACK = re.compile(r"localhost|127\.[0-9.]+|\[::1\]")


class InvalidReference(ValueError):
    """The text is no image reference; the message is one sentence that names the wrong part.

    Attributes:
        fault: what is wrong, in words of this module alone: nothing of the text.
    """

    def __init__(self, message: str, fault: str) -> None:
        super().__init__(message)
        self.fault = fault


@dataclass(frozen=True)
class EcrRegistry:
    """A private registry of ECR: the same under each of its hosts.

    Attributes:
        account: twelve digits.
        region: of the host.
        realm: of the credentials: a login of one realm is none in another. A partition has one.
    """

    account: str
    region: str
    realm: str


@lru_cache(maxsize=4096)
def ecr_registry(host: str) -> EcrRegistry | None:
    """The registry of ECR with that host; None for every other host."""
    match = _ECR_HOST.fullmatch(host)
    if not match:
        return None
    # One suffix serves two partitions, of which GovCloud has the word in its regions.
    realm = ECR_SUFFIXES[match["suffix"]] + ("/gov" if "-gov-" in match["region"] else "")
    return EcrRegistry(match["account"], match["region"], realm)


@dataclass(frozen=True)
class Reference:
    """One image: ``registry/repository[:tag][@digest]``, normalised as the kubelet would.

    ``registry`` is a lower-case host with its port if it has one (``quay.io``, ``localhost:5000``,
    ``[2001:db8::1]:443``) or a marker of the render (``_MARKER``). At least one of ``tag`` and
    ``digest`` is set: a bare name means the tag ``latest``.
    """

    registry: str
    repository: str
    tag: str | None
    digest: str | None

    def __str__(self) -> str:
        return self._text

    @cached_property
    def _text(self) -> str:
        return self.name + self._suffix

    @cached_property
    def name(self) -> str:
        """``registry/repository``, without tag and digest."""
        # The grammar takes a host of one lower-case word for an account of Docker Hub, and one in
        # capitals for a host (normalize.go, splitDockerDomain).
        host = self.registry if _is_plainly_host(self.registry) else self.registry.upper()
        return f"{host}/{self.repository}"

    @cached_property
    def mirrored_repository(self) -> str:
        """The repository that holds the copy: a valid ECR name, without the account's own prefix.

        ``docker.io/library/python``; a port, an IPv6 host and a host of one word become a first
        segment that can be no host (``port-5000/reg.example.com/x``), so that two sources never
        share a repository; an over-long name is hashed. At most 190 characters, so that a prefix of
        ``LONGEST_PREFIX`` always fits.
        """
        plain = f"{_spelled_host(self.registry)}/{self.repository}"
        if len(plain) <= _LONGEST_COPY and _PATH.fullmatch(plain):
            return plain
        readable = re.sub(r"[^a-z0-9]+", "-", plain)[-100:].strip("-")
        return f"{_HASHED}/{hashlib.sha256(self.name.encode()).hexdigest()[:40]}/{readable}"

    @property
    def is_hashed(self) -> bool:
        """Whether the name of the copy tells its source no longer."""
        return self.mirrored_repository.startswith(f"{_HASHED}/")

    def below(self, registry: str) -> str | None:
        """The repository without the prefix of ``registry``; None for an image elsewhere.

        Args:
            registry: a host, a host with prefix, or a marker that stands for either. A registry of
                ECR has several hosts.
        """
        host, _, prefix = registry.rstrip("/").partition("/")
        if self.registry != host:
            own = ecr_registry(self.registry) if ".dkr" in self.registry else None
            if own is None or own != ecr_registry(host):
                return None
        if not prefix:
            return self.repository
        start = f"{prefix}/"
        return self.repository[len(start) :] if self.repository.startswith(start) else None

    def belongs_to(self, registry: str) -> bool:
        """Whether this image is under ``registry`` (a host, a host with prefix, or a marker)."""
        return self.below(registry) is not None

    def mirrored(self, registry: str) -> str:
        """This image as pulled from ``registry``, with its tag and digest; unchanged if under it.

        Args:
            registry: ``<ecr host>/<prefix>``, a bare host, or a marker that stands for either.
        """
        if self.belongs_to(registry):
            return str(self)
        return f"{registry.rstrip('/')}/{self.mirrored_repository}{self._suffix}"

    def pulled_through(self, registries: Collection[str]) -> bool:
        """Whether caches of these registries (plain hosts) serve this image's ``mirrored`` name.

        A cache requests whatever follows the registry's name, so a hashed or otherwise changed name
        does not exist at the registry.
        """
        return self.registry in registries and self.mirrored_repository == self.name

    def origin(self, registry: str) -> Reference | None:
        """The source of an image under ``registry``: the inverse of ``mirrored``.

        None for any other image, and for names that ``mirrored`` had to hash or never makes.
        """
        source = self.told_origin(registry)
        same = source and source.mirrored_repository == self.below(registry)
        return source if same else None

    def told_origin(self, registry: str) -> Reference | None:
        """The source that the name of an image under ``registry`` tells, however it came there.

        Wider than ``origin``: ``mirrored`` makes no ``.../index.docker.io/x``, and yet that is no
        image of anybody else than of Docker Hub.
        """
        rest = self.below(registry)
        name = _source_name(rest) if rest else None
        if name is None:
            return None
        try:
            return parse(name + self._suffix)
        except InvalidReference:
            return None

    def hides_origin(self, registry: str) -> bool:
        """Whether this is a copy under ``registry`` whose name had to be hashed."""
        return (self.below(registry) or "").startswith(f"{_HASHED}/")

    @cached_property
    def ecr(self) -> EcrRegistry | None:
        """The private registry of ECR, of any account and at any port; None for every other one."""
        return ecr_registry(self.registry.partition(":")[0])

    @property
    def ecr_region(self) -> str | None:
        """The region of a private ECR registry of any account; None for every other registry."""
        return self.ecr.region if self.ecr else None

    @property
    def _suffix(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{tag}@{self.digest}" if self.digest else tag


def parse(image: str) -> Reference:
    """Parses one image reference, as people and manifests write it.

    Raises:
        InvalidReference: the text is none.
    """
    if not image:
        raise InvalidReference("an image reference cannot be empty", "it is empty")
    if len(image) > LONGEST_IMAGE:
        fault = f"has more than {LONGEST_IMAGE} characters"
        raise InvalidReference(f"{image[:60]!r}... {fault}", f"it {fault}")
    if _IMAGE_ID.fullmatch(image):
        fault = "is an image id, which names no registry to pull from"
        raise InvalidReference(f"{image!r} {fault}", f"it {fault}")
    rest, at, digest = image.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        shape = "a digest is sha256: and 64 hexadecimal digits"
        message = f"{image!r} has the digest {digest!r}; {shape}"
        raise InvalidReference(message, f"its digest is none; {shape}")
    name, tag = _split_tag(rest)
    if tag is not None and not _TAG.fullmatch(tag):
        shape = (
            "a tag is up to 128 letters, digits, '_', '.' and '-', and does not start with '.' or "
            "'-'"
        )
        raise InvalidReference(
            f"{image!r} has the tag {tag!r}; {shape}", f"its tag is none; {shape}"
        )
    registry, repository = _split_registry(image, name)
    if len(repository) > _LONGEST_REPOSITORY:
        fault = "a repository of more than 255 characters"
        raise InvalidReference(f"{image[:60]!r}... has {fault}", f"it has {fault}")
    if not _PATH.fullmatch(repository):
        advice = "must be lower-case" if repository != repository.lower() else "is not well-formed"
        message = f"{image!r} has the repository {repository!r}, which {advice}"
        raise InvalidReference(message, f"its repository {advice}")
    return Reference(
        registry, repository, tag or (None if digest else "latest"), digest if at else None
    )


def _split_tag(name: str) -> tuple[str, str | None]:
    colon = name.rfind(":")
    # A colon before the last slash belongs to a port or an IPv6 host.
    if colon < 0 or "/" in name[colon:]:
        return name, None
    return name[:colon], name[colon + 1 :]


def _split_registry(image: str, name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    if slash and _MARKER.fullmatch(first):
        return first, rest
    if not slash or (first == first.lower() and not _is_plainly_host(first)):
        first, rest = DOCKER_HUB, name
    registry = _normal_host(image, first)
    if registry == DOCKER_HUB and "/" not in rest:
        rest = f"library/{rest}"
    return registry, rest


def _is_plainly_host(word: str) -> bool:
    """Whether the grammar takes ``word`` for a host, not for an account of Docker Hub."""
    return "." in word or ":" in word or word == "localhost" or bool(_MARKER.fullmatch(word))


def _normal_host(image: str, text: str) -> str:
    match = _HOST.fullmatch(text)
    if not match:
        fault = "is no host name"
        message = f"{image!r} has the registry {text!r}, which {fault}"
        raise InvalidReference(message, f"its registry {fault}")
    host, port = match["host"].lower(), (match["port"] or "").lstrip("0")
    if host.startswith("["):
        try:
            host = f"[{ipaddress.IPv6Address(host[1:-1]).compressed}]"
        except ValueError:
            fault = "is no IPv6 address"
            message = f"{image!r} has the registry {text!r}, which {fault}"
            raise InvalidReference(message, f"its registry {fault}") from None
    if match["port"] and not (0 < len(port) <= 5 and int(port) <= 65535):
        shape = "a port is a number from 1 to 65535"
        message = f"{image!r} has the port {match['port']}; {shape}"
        raise InvalidReference(message, f"its port is none; {shape}")
    if port == TLS_PORT and not _LOOPBACK.fullmatch(host):
        port = ""
    if host in HUB_ALIASES and not port:
        host = DOCKER_HUB
    return f"{host}:{port}" if port else host


def _spelled_host(registry: str) -> str:
    """The registry as leading segments of a repository name, different for different hosts."""
    match = _HOST.fullmatch(registry)
    host, port = match.group("host", "port") if match else (registry, None)
    if host.startswith("["):
        host = "ipv6-" + ipaddress.IPv6Address(host[1:-1]).exploded.replace(":", "-")
    elif not _is_plainly_host(host):
        host = f"host/{host}"
    return f"port-{port}/{host}" if port else host


_PORT = re.compile(r"port-([0-9]{1,5})")
_EXPLODED = re.compile(r"ipv6((?:-[0-9a-f]{4}){8})")


def _source_name(repository: str) -> str | None:
    """``registry/repository`` of the source by its copy's repository; None where it tells none."""
    first, _, rest = repository.partition("/")
    port = ""
    if found := _PORT.fullmatch(first):
        port = f":{found[1]}"
        first, _, rest = rest.partition("/")
    if found := _EXPLODED.fullmatch(first):
        first = f"[{found[1][1:].replace('-', ':')}]"
    elif first == "host":
        first, _, rest = rest.partition("/")
        first = first.upper()
    elif not _is_plainly_host(first):
        return None
    return f"{first}{port}/{rest}"
