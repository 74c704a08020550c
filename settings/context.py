"""The facts that all components of a stack share: region, account, names, mirror."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from regions.region import Region
from settings.mirror_context import MirrorContext
from settings.mirror_mode import MirrorMode
from settings.nodes import platform_of_nodes
from settings.sections import ArtifactsSettings, Settings


def mirror_of(settings: Settings) -> MirrorMode:
    """How images reach a stack, with what its nodes need of them."""
    region = Region.of(settings.region)
    return MirrorMode(settings.image_mirror, region, platform_of_nodes(settings))


@dataclass(frozen=True, kw_only=True)
class StackContext(MirrorContext):
    """Shared by all components of a stack: what the mirror has, and what data need besides.

    Attributes:
        protected: whether the engine refuses to delete or replace cluster, database, bucket, keys
            and users' namespaces.
        keeps_key: whether the key of artifacts, database and files outlives the stack.
    """

    protected: bool
    keeps_key: bool

    @classmethod
    def of(cls, settings: Settings, account_id: str, tags: Mapping[str, str]) -> StackContext:
        """The context of a stack with these settings in this account."""
        region = Region.of(settings.region)
        return cls(
            region=region,
            account_id=account_id,
            cluster=settings.cluster.name,
            tags=tags,
            protected=settings.protected,
            keeps_key=settings.keeps_key,
            endpoints=settings.endpoints,
            aws=settings.aws,
            iam=settings.iam,
            mirror=mirror_of(settings),
        )

    def bucket(self, artifacts: ArtifactsSettings) -> str:
        """The name of the bucket of artifacts."""
        return artifacts.bucket or f"{self.cluster}-{self.account_id}-{self.region.name}"

    @property
    def aws_cli(self) -> str:
        """The start of a command of the AWS CLI with the profile of the stack file."""
        return f"aws --profile {self.aws.profile}" if self.aws.profile else "aws"
