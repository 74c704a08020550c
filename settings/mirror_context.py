"""The facts that the parts of an image mirror share; they name nothing of Kubeflow's settings."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from regions.region import Region
from regions.upstream_registries import LONGEST_PREFIX
from settings.account import AwsSettings, IamSettings
from settings.mirror_mode import MirrorMode

_SHARED_PREFIX = "kubeflow"
BUILDS_TAG = "copies-images-of"
"""Tag of everything in the account that copies images: ``MirrorContext.name_of_builds``."""


def shortened(name: str, longest: int) -> str:
    """The name with at most so many characters; a digest stands for what is left out."""
    if len(name) <= longest:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:6]
    return f"{name[: longest - 7].rstrip('-')}-{digest}"


@dataclass(frozen=True, kw_only=True)
class MirrorContext:
    """Everything that an image mirror has from outside, on any EKS cluster.

    Attributes:
        region: of the cluster and of its AWS provider.
        account_id: of that provider.
        cluster: the cluster's name; names of the account's resources begin with it.
        tags: of every resource that can have AWS tags.
        endpoints: AWS service -> URL, for services with another URL than AWS's own.
        aws: credentials and limits of the AWS provider.
        iam: what every role and user has.
        mirror: how images reach the cluster, with the mirror's own settings.
    """

    region: Region
    account_id: str
    cluster: str
    tags: Mapping[str, str]
    endpoints: Mapping[str, str]
    aws: AwsSettings
    iam: IamSettings
    mirror: MirrorMode

    @property
    def image_prefix(self) -> str:
        """``<ECR host>/<repository prefix>``, the start of every copy's name."""
        return f"{self.region.ecr_registry(self.account_id)}/{self.repository_prefix}"

    @property
    def repository_prefix(self) -> str:
        """The prefix of the names of all repositories of copies."""
        settings = self.mirror.settings
        if settings.repository_prefix or settings.shared_inventory:
            return settings.repository_prefix or _SHARED_PREFIX
        cached = self.mirror.cached is not None
        return shortened(self.cluster, LONGEST_PREFIX) if cached else self.cluster

    @property
    def image_registry(self) -> str | None:
        """``image_prefix`` where images are mirrored; None: images come from their publishers."""
        return self.image_prefix if self.mirror.enabled else None

    @property
    def name_of_builds(self) -> str:
        """The stack's name in the account that copies images, which stacks may share."""
        account = [self.account_id] if self.mirror.crosses_partitions else []
        return "-".join([self.cluster, *account, self.region.name])

    @property
    def build_project(self) -> str:
        """The name of the CodeBuild project that copies images."""
        return f"{self.name_of_builds}-image-copy"

    @property
    def copies_table(self) -> str:
        """The name of the table of copies."""
        return f"{self.cluster}-image-copies"

    @property
    def identity(self) -> dict[str, Any]:
        """Arguments of every IAM role and user in the cluster's account."""
        return {"path": self.iam.path, "permissions_boundary": self.iam.permissions_boundary}

    @property
    def build_identity(self) -> dict[str, Any]:
        """The same in the account that copies images."""
        if not self.mirror.crosses_partitions:
            return self.identity
        boundary = self.iam.build_permissions_boundary
        return {**self.identity, "permissions_boundary": None if boundary == "none" else boundary}

    def tagged(self, name: str) -> dict[str, str]:
        """The tags of a resource of that ``Name``."""
        return {**self.tags, "Name": name}

    def named(self, role: str) -> dict[str, str]:
        """The tags of a resource with ``<cluster>-<role>`` as its ``Name``."""
        return self.tagged(f"{self.cluster}-{role}")
