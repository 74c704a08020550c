"""What ``./kf doctor`` looks at: each check says what it found and, where it is wrong, the way out.

Nothing here is asked of AWS; that is ``ops.account_checks``.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ops import inventories
from regions.region import Feature, Region
from rendering import RenderError, sources
from rendering import lock as locks
from rendering.needs import sources_of_stack
from settings import MANIFESTS, Settings
from settings.errors import listed
from settings.mirror_mode import MirrorMode
from settings.rules_platform import KUBERNETES


class Level(StrEnum):
    """How bad it is."""

    GOOD = "good"
    NOTE = "note"
    """It works; somebody should know."""
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """One sentence about one thing."""

    level: Level
    about: str
    sentence: str


@dataclass(frozen=True)
class Subject:
    """A stack with valid settings, and its region."""

    settings: Settings
    region: Region

    @property
    def mirror(self) -> MirrorMode:
        """How images reach the stack."""
        return MirrorMode(self.settings.image_mirror, self.region)


Check = Callable[[Subject], Iterator[Finding]]


def examine(subject: Subject) -> list[Finding]:
    """Every finding about a stack whose settings are valid, in the order of the checks."""
    return [found for check in _CHECKS for found in check(subject)]


def _kubernetes(stack: Subject) -> Iterator[Finding]:
    version = stack.settings.cluster.version
    if version in KUBERNETES:
        yield Finding(Level.GOOD, "Kubernetes", f"{version} is one that EKS offers")
        return
    yield Finding(
        Level.PROBLEM,
        "Kubernetes",
        f"EKS makes no cluster of {version} any more, and {stack.settings.release} runs on "
        "nothing newer: rehearse this stack, and deploy another release",
    )


def _sources(stack: Subject) -> Iterator[Finding]:
    settings = stack.settings
    folder = MANIFESTS / settings.release
    wanted = sources_of_stack(folder, MANIFESTS)
    for source in wanted.values():
        try:
            unpacked = sources.obtain(source, MANIFESTS.parent, settings.bundles_path)
        except RenderError as unavailable:
            yield Finding(Level.PROBLEM, "sources", str(unavailable))
        else:
            yield Finding(Level.GOOD, "sources", f"{source} is here, {unpacked.digest[:12]}")


def _images(stack: Subject) -> Iterator[Finding]:
    settings = stack.settings
    folder = MANIFESTS / settings.release
    lock = locks.load(folder, settings.release)
    unknown = sum(image.digest is None for image in lock.images)
    if unknown:
        yield Finding(
            Level.NOTE,
            "images",
            f"{unknown} of {len(lock.images)} images of {settings.release} have no digest in the "
            f"lock, so a moved tag goes unnoticed: run `./kf images lock --release "
            f"{settings.release}` where the registries can be reached",
        )
    uses = [image.source for image in lock.images]
    gone = inventories.known_gone(folder, uses)
    if gone:
        yield Finding(
            Level.PROBLEM,
            "images",
            f"{len(gone)} images of {settings.release} are reported gone from their registries: "
            "`./kf images list` names them and what takes their place",
        )


def _mirror(stack: Subject) -> Iterator[Finding]:
    mirror, region = stack.mirror, stack.region
    if not mirror.enabled:
        yield Finding(Level.GOOD, "image mirror", f"{region.name} reaches the registries itself")
        return
    cached = mirror.cached
    if cached is not None:
        told = f"ECR pulls from {listed(cached, 'and')} by itself; all else stays at its source"
        yield Finding(Level.GOOD, "image mirror", told)
    if mirror.in_cluster:
        yield Finding(Level.GOOD, "image mirror", "pods of the cluster answer admissions")
    elif region.has(Feature.UNAUTHENTICATED_API_NEEDS_ICP):
        yield Finding(
            Level.PROBLEM,
            "image mirror",
            f"kubeflow:imageMirror.transport is api-gateway, which answers 403 in {region.name} "
            "until the account has an ICP filing: set it to in-cluster, or file",
        )
    else:
        yield Finding(Level.GOOD, "image mirror", "API Gateway answers admissions")
    if mirror.crosses_partitions:
        yield _profile(mirror.settings.build_profile)


def _profile(name: str) -> Finding:
    import botocore.session

    session: Any = botocore.session.Session()
    if name in session.available_profiles:
        return Finding(Level.GOOD, "image mirror", f"there is a profile {name}")
    return Finding(
        Level.PROBLEM,
        "image mirror",
        f"the AWS configuration has no profile {name}, which copies the images "
        "(kubeflow:imageMirror.buildProfile): run `aws configure --profile "
        f"{name}` with an account of the partition aws",
    )


def _programs(stack: Subject) -> Iterator[Finding]:
    needed = {
        "pulumi": "it deploys: install the official Pulumi CLI",
        "pulumi-language-python": "it runs the program: install the official Pulumi CLI, which "
        "brings it",
        "aws": "the kubeconfig asks it for tokens: install AWS CLI v2",
        **(
            {"helm": "it logs in to the registry that holds Karpenter's chart: install Helm 3"}
            if stack.settings.gpu_pool.enabled and stack.mirror.enabled
            else {}
        ),
    }
    for program, why in needed.items():
        if shutil.which(program):
            yield Finding(Level.GOOD, "programs", f"{program} is on PATH")
        else:
            yield Finding(Level.PROBLEM, "programs", f"{program} is not on PATH, and {why}")


_CHECKS: tuple[Check, ...] = (_kubernetes, _sources, _images, _mirror, _programs)
