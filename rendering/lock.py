"""``images.lock``: the inventory that a release must have, with the digests known so far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field, StringConstraints

from images.reference import parse
from rendering.cache import write_atomically
from rendering.field_types import Needed, Strict
from rendering.images import ImageUse
from rendering.release import read

NAME = "images.lock"

_HEAD = """\
# Every image that {release} can pull. Written by `./kf images lock --release {release}`, reviewed
# like code: CI fails when a render shows an image that is not here, or the other way round.
#   source  as upstream names it
#   target  repository of its copy, below the registry and prefix of the account
#   digest  of the whole source: what the registry answered when the lock was filled, or what the
#           source itself is pinned to; null where nobody has asked yet
#   digest_from  who says so, where it was not the registry: a file of a public repository at a
#           commit, or the copies of an account
#   bytes   that a copy for linux/amd64 moves, as its registry stores it; absent where unknown
#   needed  install: a pod of the install runs it; feature: something names it that runs later;
#           example: a template or tutorial names it (rendering/inventory.py, or release.yaml)
#   where   the places that name it
"""


class LockedImage(Strict):
    """An entry of the lock; the head of the file describes its fields."""

    source: str
    target: str
    digest: Annotated[str, StringConstraints(pattern=r"^sha(256|384|512):[0-9a-f]+$")] | None
    needed: Needed
    where: tuple[str, ...]
    digest_from: str | None = None
    bytes: Annotated[int, Field(gt=0)] | None = None

    @classmethod
    def of(cls, use: ImageUse) -> LockedImage:
        """The entry of an image, with the digest that its reference is pinned to."""
        reference = parse(use.source)
        return cls(
            source=use.source,
            target=reference.mirrored_repository,
            digest=reference.digest,
            needed=use.needed,
            where=use.where,
        )


class Lock(Strict):
    """The images of one release folder, sorted by source.

    Attributes:
        release: the folder below ``manifests/``.
        images: its entries.
    """

    release: str
    images: tuple[LockedImage, ...]

    def updated(self, uses: Iterable[ImageUse]) -> Lock:
        """The lock of these uses, with the digests of this one."""
        before = {image.source: image for image in self.images}
        fresh = sorted(map(LockedImage.of, uses), key=lambda image: image.source)
        return Lock(
            release=self.release,
            images=tuple(
                image.model_copy(update=_known(before[image.source]))
                if image.source in before and image.digest in {None, before[image.source].digest}
                else image
                for image in fresh
            ),
        )

    def filled(self, digests: Mapping[str, str], digest_from: str | None = None) -> Lock:
        """The lock with these digests by source; all others stay.

        Args:
            digests: source -> digest.
            digest_from: the origin of the digests; None: the registries.
        """
        images = tuple(
            image.model_copy(
                update={
                    "digest": digests[image.source],
                    "digest_from": digest_from,
                    "bytes": None if image.digest else image.bytes,
                }
            )
            if image.source in digests and image.digest != digests[image.source]
            else image
            for image in self.images
        )
        return Lock(release=self.release, images=images)

    def measured(self, sizes: Mapping[str, int]) -> Lock:
        """The lock with these bytes by source; all others stay."""
        images = tuple(
            image.model_copy(update={"bytes": sizes.get(image.source, image.bytes)})
            for image in self.images
        )
        return Lock(release=self.release, images=images)


_MEASURED = ("digest_from", "bytes")


def _known(image: LockedImage) -> dict[str, object]:
    return {name: getattr(image, name) for name in ("digest", *_MEASURED)}


def differences(lock: Lock, uses: Sequence[ImageUse]) -> list[str]:
    """A sentence for each difference between the lock and a render, apart from missing digests."""
    locked = {image.source: image for image in lock.images}
    shown = {use.source: LockedImage.of(use) for use in uses}
    sentences = [
        f"{source} is in the render ({'; '.join(shown[source].where)}) and not in the lock"
        for source in sorted(shown.keys() - locked.keys())
    ]
    sentences += [
        f"{source} is in the lock and nothing in the render names it"
        for source in sorted(locked.keys() - shown.keys())
    ]
    for source in sorted(shown.keys() & locked.keys()):
        was, now = locked[source], shown[source]
        sentences += [
            f"{source}: {field} is {getattr(was, field)!r} in the lock, {getattr(now, field)!r} in "
            "the render"
            for field in ("target", "needed", "where")
            if getattr(was, field) != getattr(now, field)
        ]
        if now.digest and was.digest != now.digest:
            sentences.append(f"{source}: the lock has the digest {was.digest}")
    return sentences


def load(folder: Path, release: str) -> Lock:
    """The lock of a release folder; an empty one where there is no file yet.

    Raises:
        ReleaseInvalid: one line per problem.
    """
    try:
        return read(folder / NAME, Lock)
    except FileNotFoundError:
        return Lock(release=release, images=())


def write(folder: Path, lock: Lock) -> None:
    """Replaces the lock of a release folder in one step."""
    path = folder / NAME
    dumped = lock.model_dump(mode="json")
    for image in dumped["images"]:
        for name in _MEASURED:
            if image[name] is None:
                del image[name]
    body = yaml.safe_dump(dumped, sort_keys=False, width=1000)
    write_atomically(path, (_HEAD.format(release=lock.release) + body).encode())
    path.chmod(0o644)
