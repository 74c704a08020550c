"""How images reach a stack, by its settings and its region."""

from __future__ import annotations

from dataclasses import dataclass

from packaging.version import Version

from images.reference import parse
from regions.region import Feature, Region
from regions.upstream_registries import OPEN, PUBLIC
from settings.image_mirror import EVERY_PLATFORM, ImageMirrorSettings

POLICIES_SINCE = "1.30"
"""The Kubernetes from which ValidatingAdmissionPolicy is stable, and match conditions of webhooks
(kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy)."""


def has_policies(kubernetes: str) -> bool:
    """Whether a version of Kubernetes has ``POLICIES_SINCE``."""
    return Version(kubernetes) >= Version(POLICIES_SINCE)


@dataclass(frozen=True)
class MirrorMode:
    """How images reach a stack.

    Attributes:
        settings: the section ``imageMirror``.
        region: of the stack.
        nodes: the platform of every node that the stack can have; None: nodes of several, or of
            others.
    """

    settings: ImageMirrorSettings
    region: Region
    nodes: str | None = None

    @property
    def enabled(self) -> bool:
        """Whether images are pulled from the account's registry instead of their source."""
        if self.settings.enabled is None:
            return not self.region.has(Feature.INTERNET_REGISTRIES)
        return self.settings.enabled

    @property
    def platform(self) -> str | None:
        """The only platform that is copied of an image; None: all."""
        if self.settings.platform is None:
            return self.nodes
        return None if self.settings.platform == EVERY_PLATFORM else self.settings.platform

    @property
    def follow_seconds(self) -> int:
        """The age from which the copy of a tag is compared with its source; 0: never.

        Never where stacks share their copies: a tag may be of the platform of another one.
        """
        return 0 if self.settings.shared_inventory else self.settings.follow_hours * 3600

    @property
    def cached(self) -> tuple[str, ...] | None:
        """The registries from which ECR itself pulls; None: images are copied or not mirrored."""
        if not (self.enabled and self.region.has(Feature.PULL_THROUGH_CACHE)):
            return None
        return (*OPEN, *sorted(self.settings.upstream_credentials))

    @property
    def source_secrets(self) -> dict[str, str]:
        """Registry, as references name it -> the secret with its login, on the side of builds."""
        logins = self.settings.source_credentials
        return {name_of(host): secret for host, secret in sorted(logins.items())}

    @property
    def public_out_of_reach(self) -> tuple[str, ...]:
        """The public registries that nodes do not reach: their images are copied, or never come."""
        return () if self.region.has(Feature.INTERNET_REGISTRIES) else PUBLIC

    @property
    def copies(self) -> bool:
        """Whether images are copied, by builds, to the account's registry."""
        return self.enabled and self.cached is None

    @property
    def keeps_domestic(self) -> bool:
        """Whether images of registries in China stay there."""
        if self.settings.domestic_registries is None:
            return self.copies and not self.region.has(Feature.INTERNET_REGISTRIES)
        return self.settings.domestic_registries == "keep"

    def has_policy(self, kubernetes: str) -> bool:
        """Whether the API server judges images by a policy of its own.

        Args:
            kubernetes: the cluster's version.
        """
        if self.settings.admission_policy is None:
            return self.settings.enforce and has_policies(kubernetes)
        return self.settings.admission_policy

    @property
    def in_cluster(self) -> bool:
        """Whether pods of the cluster serve the admission webhook; else an API Gateway does."""
        if self.settings.transport is None:
            return self.region.has(Feature.UNAUTHENTICATED_API_NEEDS_ICP)
        return self.settings.transport == "in-cluster"

    @property
    def build_region(self) -> Region:
        """The region whose CodeBuild copies images."""
        return Region.of(self.settings.build_region or self.region.mirror_region)

    @property
    def copies_inside_the_partition(self) -> bool:
        """Whether images are copied by the stack's own account, in the build region."""
        return self.copies and not self.crosses_partitions

    @property
    def crosses_partitions(self) -> bool:
        """Whether images are copied from another partition."""
        return self.copies and self.build_region.partition != self.region.partition


def name_of(host: str) -> str:
    """The registry as references name it, of whatever other name a host has."""
    return parse(f"{host}/of/image").registry
