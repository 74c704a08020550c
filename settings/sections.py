"""What a stack file may hold: a model for each section, and :class:`Settings`, all of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from regions.region import Region, UnknownRegion
from settings import field_types as t
from settings.node_pools import GpuPoolSettings, NodePoolSettings
from settings.section import MANIFESTS, Section


class ClusterSettings(Section):
    """The EKS cluster. An empty ``public_access_cidrs`` keeps the API server private."""

    name: t.ClusterName = "kubeflow"
    version: t.MinorVersion = "1.35"
    admins: Annotated[list[t.PrincipalArn], t.Distinct] = []
    public_access_cidrs: Annotated[list[t.ClientCidr], t.Distinct] = []
    log_types: Annotated[
        list[Literal["api", "audit", "authenticator", "controllerManager", "scheduler"]], t.Distinct
    ] = ["api", "audit", "authenticator", "controllerManager", "scheduler"]


class NetworkSettings(Section):
    """The VPC: a new one of ``cidr``, or an existing one by ``vpc_id`` and its subnets."""

    cidr: t.Cidr = "10.64.0.0/16"
    nat: Literal["single", "per-zone"] = "per-zone"
    zones: Annotated[int, t.whole(2, 3, "zones")] = 3
    vpc_id: t.VpcId | None = None
    private_subnet_ids: Annotated[list[t.SubnetId], t.Distinct] = []
    public_subnet_ids: Annotated[list[t.SubnetId], t.Distinct] = []


class NodeGroupSettings(Section):
    """The managed node group that runs the platform itself (no GPU)."""

    name: t.NodeGroupName = "kf"
    instance_type: t.InstanceType = "m5.xlarge"
    desired: Annotated[int, t.whole(1, 450, "nodes")] = 4
    min: Annotated[int, t.whole(1, 450, "nodes")] = 4
    max: Annotated[int, t.whole(1, 450, "nodes")] = 8
    disk_gib: Annotated[int, t.whole(30, 16384, "GiB")] = 100


class DatabaseSettings(Section):
    """The MySQL instance. ``max_storage_gib`` 0 keeps storage from growing by itself.

    ``rotation`` counts how often the components' passwords were drawn. ``ca_bundle`` None: the
    region's root certificates are downloaded.
    """

    instance_class: t.DatabaseClass = "db.m6g.large"
    engine_version: t.MysqlVersion = "8.4"
    storage_gib: Annotated[int, t.whole(20, 65536, "GiB")] = 100
    max_storage_gib: Annotated[int, t.whole(0, 65536, "GiB")] = 500
    multi_az: bool = True
    deletion_protection: bool = True
    backup_days: Annotated[int, t.whole(1, 35, "days")] = 7
    skip_final_snapshot: bool = False
    rotation: Annotated[int, t.whole(1, 1000000, "rotations")] = 1
    ca_bundle: t.CertificateFile | None = None


class ArtifactsSettings(Section):
    """The bucket of pipeline artifacts. ``bucket`` None: named after cluster, account and region.

    ``expire_days`` 0 keeps artifacts for ever.
    """

    bucket: t.BucketName | None = None
    prefix: t.KeyPrefix = "private-artifacts"
    expire_days: Annotated[int, t.whole(0, 36500, "days")] = 0
    noncurrent_days: Annotated[int, t.whole(1, 36500, "days")] = 30
    credentials: Literal["irsa", "static-key"] = "irsa"
    retain_on_delete: bool = True


class MirrorRule(Section):
    """What becomes of images of some registries in some namespaces; see ``webhook.rules``."""

    action: Literal["mirror", "keep", "deny"]
    registries: Annotated[list[t.RegistryPattern], t.Distinct] = []
    namespaces: Annotated[list[t.NamespacePattern], t.Distinct] = []
    when_absent: Literal["rewrite", "keep", "deny"] | None = None


class ImageMirrorSettings(Section):
    """The mirror of public images. ``enabled`` None: where the registries are out of reach.

    ``build_profile`` names the AWS profile of ``build_region`` where that is another partition;
    the two then hold an access key of each other, made again when ``rotation`` counts on.
    ``inventory_first``: every known image is copied before anything that runs pods. ``transport``
    None: pods where an API Gateway would need a filing with the authorities. ``platform`` None: all
    platforms of an image are copied. ``follow_hours``: how old the copy of a tag may be until its
    source is looked at again, when a pod asks for it; 0: as old as it gets. ``rules`` are tried in
    their order; an empty list of patterns covers everything. ``upstream_credentials``: registry
    -> name of the secret with which ECR logs in there. Where ECR pulls by itself (``cached``),
    nothing is copied, and ``inventory_first``, ``when_absent`` and what tells how to copy mean
    nothing.
    """

    enabled: bool | None = None
    repository_prefix: t.RepositoryPrefix = "kubeflow"
    build_region: str | None = None
    build_profile: t.ProfileName = "kubeflow-build"
    in_flight_minutes: Annotated[int, t.whole(5, 480, "minutes")] = 60
    credentials_secret: t.SecretName = "kubeflow-image-mirror"  # noqa: S105 - its name
    rotation: Annotated[int, t.whole(1, 1000000, "rotations")] = 1
    inventory_first: bool = True
    transport: Literal["api-gateway", "in-cluster"] | None = None
    when_absent: Literal["rewrite", "keep", "deny"] = "rewrite"
    platform: t.Platform | None = None
    follow_hours: Annotated[int, t.whole(0, 8760, "hours")] = 24
    rules: list[MirrorRule] = []
    upstream_credentials: dict[str, t.UpstreamSecretName] = {}

    def rules_json(self) -> str:
        """The rules as the handler reads them (``webhook.rules.read``)."""
        listed = [rule.model_dump(by_alias=True, exclude_defaults=True) for rule in self.rules]
        return json.dumps(listed, separators=(",", ":"))


class User(Section):
    """One person: login and profile namespace. The e-mail address, in lower case, is who it is."""

    email: t.Email
    namespace: t.ProfileNamespace


def _known_region(name: str) -> str:
    try:
        return Region.of(name).name
    except UnknownRegion as error:
        raise ValueError(str(error).partition(" is ")[2]) from None


class Settings(Section):
    """Everything a stack may say, checked; equal input gives equal settings.

    ``bundles`` None: sources are looked for in the usual places (rendering.sources).
    """

    region: Annotated[str, AfterValidator(_known_region)]
    account_id: t.AccountId | None = None
    endpoints: dict[str, t.Url] = {}
    tags: dict[str, str] = {}
    release: t.ReleaseName = "26.03"
    bundles: t.BundlesPath | None = None
    cluster: ClusterSettings = ClusterSettings()
    network: NetworkSettings = NetworkSettings()
    node_group: NodeGroupSettings = NodeGroupSettings()
    database: DatabaseSettings = DatabaseSettings()
    artifacts: ArtifactsSettings = ArtifactsSettings()
    gpu_pool: GpuPoolSettings = GpuPoolSettings()
    node_pools: dict[str, NodePoolSettings] = {}
    image_mirror: ImageMirrorSettings = ImageMirrorSettings()
    users: list[User] = Field(
        default=[User(email="user@example.com", namespace="kubeflow-user-example-com")]
    )

    @property
    def bundles_path(self) -> Path | None:
        """Where sources are looked for first."""
        return None if self.bundles is None else MANIFESTS.parent / self.bundles
