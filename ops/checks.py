"""The checks of ``./kf doctor`` that call no AWS API: settings, sources, images, programs.

Those that do are in ``ops.account_checks``.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass

import botocore.session

from ops import inventories
from ops.findings import Finding, good, note, problem
from regions.region import Feature, Region
from rendering import RenderError, sources
from rendering import lock as locks
from rendering.needs import sources_of_stack
from settings import MANIFESTS, Settings
from settings.errors import listed
from settings.mirror_mode import MirrorMode
from settings.rules_platform import KUBERNETES

MIRROR = "image mirror"


@dataclass(frozen=True)
class Subject:
    """A stack with valid settings, and its region."""

    settings: Settings
    region: Region

    @property
    def mirror(self) -> MirrorMode:
        """How images reach the stack."""
        return MirrorMode(self.settings.image_mirror, self.region)


def examine(subject: Subject) -> list[Finding]:
    """Every finding about a stack whose settings are valid, in the order of the checks."""
    checks = (_kubernetes, _sources, _images, _mirror, _programs)
    return [finding for check in checks for finding in check(subject)]


def _kubernetes(stack: Subject) -> Iterator[Finding]:
    version = stack.settings.cluster.version
    if version in KUBERNETES:
        yield good("Kubernetes", f"EKS offers {version}")
    else:
        yield problem(
            "Kubernetes",
            f"EKS no longer creates clusters of {version}, and {stack.settings.release} supports "
            "nothing newer: rehearse this stack, and deploy another release",
        )


def _sources(stack: Subject) -> Iterator[Finding]:
    settings = stack.settings
    for source in sources_of_stack(MANIFESTS / settings.release, MANIFESTS).values():
        try:
            unpacked = sources.obtain(source, MANIFESTS.parent, settings.bundles_path)
        except RenderError as unavailable:
            yield problem("sources", str(unavailable))
        else:
            yield good("sources", f"{source} is available, {unpacked.digest[:12]}")


def _images(stack: Subject) -> Iterator[Finding]:
    release = stack.settings.release
    images = locks.load(MANIFESTS / release, release).images
    unlocked = sum(image.digest is None for image in images)
    if unlocked:
        yield note(
            "images",
            f"{unlocked} of {len(images)} images of {release} have no digest in the lock, so a "
            f"moved tag is not detected: run `./kf images lock --release {release}` on a machine "
            "that reaches the registries",
        )
    gone = inventories.known_gone(MANIFESTS / release, [image.source for image in images])
    if gone:
        yield problem(
            "images",
            f"{len(gone)} images of {release} are reported gone from their registries: "
            "`./kf images list` names them and their substitutes",
        )


def _mirror(stack: Subject) -> Iterator[Finding]:
    mirror, region, about = stack.mirror, stack.region, MIRROR
    if not mirror.enabled:
        yield good(about, f"not enabled: {region.name} pulls from the registries themselves")
        return
    if mirror.cached is not None:
        caches = listed(mirror.cached, "and")
        yield good(about, f"ECR caches {caches}; other images are pulled from their sources")
    if mirror.in_cluster:
        yield good(about, "pods of the cluster serve admission")
    elif region.has(Feature.UNAUTHENTICATED_API_NEEDS_ICP):
        yield problem(
            about,
            f"kubeflow:imageMirror.transport is api-gateway, which answers 403 in {region.name} "
            "until the account has an ICP filing: set it to in-cluster, or file",
        )
    else:
        yield good(about, "API Gateway serves admission")
    profile = mirror.settings.build_profile
    if not mirror.crosses_partitions:
        return
    if profile in profiles():
        yield good(about, f"the AWS configuration has the profile {profile}")
    else:
        yield problem(
            about,
            f"the AWS configuration has no profile {profile}, which copies the images "
            f"(kubeflow:imageMirror.buildProfile): run `aws configure --profile {profile}` with an "
            "account of the partition aws",
        )


def profiles() -> list[str]:
    """The profiles of the AWS configuration.

    By botocore, because ``boto3.Session()`` fails where AWS_PROFILE names a missing one.
    """
    return botocore.session.Session().available_profiles


def _programs(_: Subject) -> Iterator[Finding]:
    programs = {
        "pulumi": "which deploys: install the official Pulumi CLI",
        "pulumi-language-python": "which runs the program: install the official Pulumi CLI, which "
        "includes it",
        "aws": "which gets tokens for the kubeconfig: install AWS CLI v2",
    }
    for program, purpose in programs.items():
        if shutil.which(program):
            yield good("programs", f"{program} is on PATH")
        else:
            yield problem("programs", f"{program} is not on PATH, {purpose}")
