"""The releases that can be deployed, for tests of what every one of them promises."""

from __future__ import annotations

from rendering.release import load
from settings import MANIFESTS
from settings.release_files import default_release

RELEASES = tuple(sorted(file.parent.name for file in MANIFESTS.glob("*/release.yaml")))
DEFAULT = default_release()
"""That of a stack that names none."""
PIPELINES_2 = tuple(
    name
    for name in RELEASES
    if (pipelines := load(MANIFESTS / name).pipelines) and not pipelines.version.startswith("1.")
)
"""Those with Pipelines 2 and what came with it: oauth2-proxy, Trainer, External Secrets."""


def version_of_pipelines(release: str) -> str:
    """The version of Pipelines in a release."""
    described = load(MANIFESTS / release).pipelines
    assert described is not None
    return described.version
