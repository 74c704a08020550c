"""The checks of ``./kf doctor`` that call no AWS API: settings, sources, images, programs.

Those that do are in ``ops.account_checks``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import botocore.session

from advisories.sentences import UNKNOWN, closes
from advisories.table import NONE
from ops import inventories
from ops.findings import Finding, good, note, problem
from program import advisories_of, patches_that_close
from regions.region import Feature, Region
from rendering import RenderError, sources
from rendering import lock as locks
from rendering.needs import sources_of_stack
from settings import MANIFESTS, Settings
from settings.errors import listed
from settings.mirror_mode import MirrorMode

MIRROR = "image mirror"


@dataclass(frozen=True)
class Subject:
    """A stack with valid settings.

    Attributes:
        region: of the stack.
        file: its stack file; None where there is none.
    """

    settings: Settings
    region: Region
    file: Path | None = None

    @property
    def option(self) -> str:
        """What names the stack to a command; empty without a file."""
        name = self.file.name.removeprefix("Pulumi.").removesuffix(".yaml") if self.file else ""
        return f"--stack {name}" if name else ""

    @property
    def mirror(self) -> MirrorMode:
        """How images reach the stack."""
        return MirrorMode(self.settings.image_mirror, self.region)


def examine(subject: Subject) -> list[Finding]:
    """Every finding about a stack whose settings are valid, in the order of the checks."""
    checks = (_sources, _images, _advisories, _mirror)
    return [finding for check in checks for finding in check(subject)]


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
            f"moved tag is not detected before its first copy: run `./kf images lock --release "
            f"{release}` on a machine that reaches the registries, or after the first `pulumi up` "
            "`./kf images lock --from-account`",
        )
    gone = inventories.known_gone(MANIFESTS / release, [image.source for image in images])
    if gone:
        yield problem(
            "images",
            f"{len(gone)} images of {release} are reported gone from their registries: "
            "`./kf images list` names them and their substitutes",
        )


def _advisories(stack: Subject) -> Iterator[Finding]:
    release = stack.settings.release
    table = advisories_of(stack.settings)
    if table is NONE:
        yield note("advisories", f"release {release} {UNKNOWN}")
        return
    accepted = table.ids(stack.settings.accepted_advisories)
    patches = patches_that_close(MANIFESTS / release)
    for each in table.still_open("critical"):
        yield (note if each.id in accepted else problem)(
            "advisories", f"{each.label} is open, {each.what}: {each.why} {closes(each, patches)}"
        )
    others = [each for each in table.still_open() if each.severity != "critical"]
    if others:
        yield note(
            "advisories",
            f"{len(others)} that are not critical are open in {release}: `./kf advisories "
            f"{stack.option or f'--release {release}'}` lists them",
        )
    if not table.still_open():
        yield good("advisories", f"none of {len(table.advisories)} known ones is open in {release}")


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
