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

DOCKER_HUB = "docker.io"
"""The registry of a name without one; its other spelling is ``index.docker.io``."""

LONGEST_PREFIX = 64
"""Characters of an account's own prefix (``kubeflow`` in ``kubeflow/quay.io/x``), at most."""

# The grammar allows 255 characters, ECR one more. While rendering, the registry is a marker and its
# prefix unknown, so the longest prefix is reserved: the name of a copy does not depend on it.
_LONGEST_REPOSITORY = 255
_LONGEST_COPY = _LONGEST_REPOSITORY - len("/") - LONGEST_PREFIX

_MARKER = re.compile(r"<<[a-z][a-z0-9.-]*>>")
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_HOST = re.compile(rf"(?P<host>{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::(?P<port>[0-9]+))?")
_WORD = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_WORD}(?:/{_WORD})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128}")
_IMAGE_ID = re.compile(r"[a-f0-9]{64}")
# The suffixes of every partition, plain and dual-stack: botocore data/partitions.json, where the
# dual-stack ones begin with "api" in place of ECR's "on".
_ECR_HOST = re.compile(
    r"[0-9]{12}\.dkr(?:\.ecr(?:-fips)?|-ecr(?:-fips)?)\.(?P<region>[a-z0-9-]+)\."
    r"(?:amazonaws\.(?:com|com\.cn|eu)|on\.(?:aws|amazonwebservices\.(?:com\.cn|eu))"
    r"|(?:c2s|on\.aws)\.ic\.gov|sc2s\.sgov\.gov|on\.aws\.scloud"
    r"|(?:on\.cloud-aws|cloud)\.adc-e\.uk|(?:csp|on\.aws)\.hci\.ic\.gov)"
)


class InvalidReference(ValueError):
    """The text is no image reference; the message is one sentence that names the wrong part."""


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
        return self.name + self._suffix

    @property
    def name(self) -> str:
        """``registry/repository``, without tag and digest."""
        # The grammar takes a host of one lower-case word for an account of Docker Hub, and one in
        # capitals for a host (normalize.go, splitDockerDomain).
        host = self.registry if _is_plainly_host(self.registry) else self.registry.upper()
        return f"{host}/{self.repository}"

    @property
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
        return f"hashed/{hashlib.sha256(self.name.encode()).hexdigest()[:40]}/{readable}"

    def belongs_to(self, registry: str) -> bool:
        """Whether this image is under ``registry`` (a host, a host with prefix, or a marker)."""
        return self.name.startswith(registry.rstrip("/") + "/")

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

        None for any other image, and for names that ``mirrored`` had to hash or change.
        """
        if not self.belongs_to(registry):
            return None
        rest = str(self).removeprefix(registry.rstrip("/") + "/")
        if not _is_plainly_host(rest.split("/", 1)[0]):
            return None
        try:
            source = parse(rest)
        except InvalidReference:
            return None
        return source if source.mirrored(registry) == str(self) else None

    @property
    def ecr_region(self) -> str | None:
        """The region of a private ECR registry of any account; None for every other registry."""
        match = _ECR_HOST.fullmatch(self.registry)
        return match["region"] if match else None

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
        raise InvalidReference("an image reference cannot be empty")
    if _IMAGE_ID.fullmatch(image):
        raise InvalidReference(f"{image!r} is an image id, which names no registry to pull from")
    rest, at, digest = image.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise InvalidReference(
            f"{image!r} has the digest {digest!r}; a digest is sha256: and 64 hexadecimal digits"
        )
    name, tag = _split_tag(rest)
    if tag is not None and not _TAG.fullmatch(tag):
        raise InvalidReference(
            f"{image!r} has the tag {tag!r}; a tag is up to 128 letters, digits, '_', '.' and '-', "
            "and does not start with '.' or '-'"
        )
    registry, repository = _split_registry(image, name)
    if len(repository) > _LONGEST_REPOSITORY:
        raise InvalidReference(f"{image[:60]!r}... has a repository of more than 255 characters")
    if not _PATH.fullmatch(repository):
        advice = "must be lower-case" if repository != repository.lower() else "is not well-formed"
        raise InvalidReference(f"{image!r} has the repository {repository!r}, which {advice}")
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
        raise InvalidReference(f"{image!r} has the registry {text!r}, which is no host name")
    host, port = match["host"].lower(), (match["port"] or "").lstrip("0")
    if host.startswith("["):
        try:
            host = f"[{ipaddress.IPv6Address(host[1:-1]).compressed}]"
        except ValueError:
            raise InvalidReference(
                f"{image!r} has the registry {text!r}, which is no IPv6 address"
            ) from None
    if match["port"] and not (0 < len(port) <= 5 and int(port) <= 65535):
        raise InvalidReference(
            f"{image!r} has the port {match['port']}; a port is a number from 1 to 65535"
        )
    if host == f"index.{DOCKER_HUB}" and not port:
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
