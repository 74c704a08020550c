"""The images of a lock that a stack has, by its optional parts and its patches."""

from __future__ import annotations

import pytest

from rendering.installed import installed
from rendering.lock import LockedImage
from rendering.patches import where
from rendering.release import CodeImage, OptionalPart, Patches, Release

SERVER, CACHE, SPARK = "reg.io/kfp/server:2.0.0", "reg.io/kfp/cache:2.0.0", "reg.io/spark:1"
PATCHED = "reg.io/kfp/server:2.0.1"
KEPT = f"sha256:{'a' * 64}"
RELEASE = Release(
    name="1.0",
    optional={
        "v1": OptionalPart(
            setting="pipelines.v1",
            because="-",
            objects=("Deployment kubeflow/cache",),
            images=(CodeImage(image=SPARK, needed="feature", where="the viewer"),),
        )
    },
    patches={
        "pipelines": Patches(
            version="2.0.0", versions=("2.0.1", "2.0.2"), images=("reg.io/kfp/*",), source="x"
        )
    },
)


def row(source: str, *places: str, digest: str | None = None) -> LockedImage:
    target = source.partition(":")[0]
    return LockedImage(source=source, target=target, digest=digest, needed="install", where=places)


LOCK = [
    row(SERVER, "Deployment kubeflow/server#a", "Deployment kubeflow/cache#b"),
    row(CACHE, "Deployment kubeflow/cache#a"),
    row(SPARK, "the viewer"),
    row(PATCHED, where("pipelines", "2.0.1"), digest=KEPT),
    row("reg.io/dex:1", "Deployment auth/dex#a", digest=KEPT),
]
DEX = ("reg.io/dex:1", KEPT, ("Deployment auth/dex#a",))
ON_SERVER, ON_CACHE = "Deployment kubeflow/server#a", "Deployment kubeflow/cache#b"


@pytest.mark.parametrize(
    ("parts", "versions", "expected"),
    [
        ((), {}, [(SERVER, None, (ON_SERVER,)), DEX]),
        (
            ("v1",),
            {},
            [
                (SERVER, None, (ON_SERVER, ON_CACHE)),
                (CACHE, None, ("Deployment kubeflow/cache#a",)),
                (SPARK, None, ("the viewer",)),
                DEX,
            ],
        ),
        ((), {"pipelines": "2.0.1"}, [(PATCHED, KEPT, (ON_SERVER,)), DEX]),
        # A lock that is older than the version.
        ((), {"pipelines": "2.0.2"}, [("reg.io/kfp/server:2.0.2", None, (ON_SERVER,)), DEX]),
    ],
)
def test_a_stack_has_the_images_of_its_parts_in_its_versions(
    parts: tuple[str, ...],
    versions: dict[str, str],
    expected: list[tuple[str, str | None, tuple[str, ...]]],
) -> None:
    found = installed(RELEASE, LOCK, parts, versions)
    assert [(each.source, each.digest, each.where) for each in found] == expected
