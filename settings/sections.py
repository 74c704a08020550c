"""What a stack file may contain: a model for each section, and :class:`Settings`, all of them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from settings import field_types as t
from settings.errors import AWS, full_key, listed
from settings.node_pools import GpuPoolSettings, NodePoolSettings
from settings.section import PROJECT, Section


class IamSettings(Section):
    """What a company demands of every role and user.

    Attributes:
        build_permissions_boundary: of those in the account of ``imageMirror.buildProfile``, where
            ``permissions_boundary`` does not exist; ``none``: nothing is demanded there.
    """

    permissions_boundary: t.PolicyArn | None = None
    path: t.IamPath | None = None
    build_permissions_boundary: t.PolicyArnOrNone | None = None


class AssumedRole(Section):
    """The role that the credentials assume; ``duration`` of one session (it is renewed)."""

    role_arn: t.RoleArn
    session_name: t.SessionName | None = None
    duration: t.SessionDuration | None = None


class DefaultTags(Section):
    """Tags of every resource, like the setting ``tags``."""

    tags: dict[str, str] = {}


class AwsSettings(Section):
    """The keys ``aws:...`` of a stack file that Pulumi's own AWS provider has too.

    The provider that the program makes reads none of them by itself; they reach it, the clients of
    the dynamic providers and of ``./kf``, and the kubeconfig.
    """

    region: t.RegionName | None = None
    profile: t.ProfileName | None = None
    assume_role: AssumedRole | None = None
    assume_roles: list[AssumedRole] = []
    default_tags: DefaultTags = DefaultTags()
    allowed_account_ids: Annotated[list[t.AccountId], t.Distinct] = []
    forbidden_account_ids: Annotated[list[t.AccountId], t.Distinct] = []

    @property
    def role(self) -> AssumedRole | None:
        """The role in either of the two forms (pulumi-aws 6: one, 7: a list)."""
        return self.assume_role or next(iter(self.assume_roles), None)

    def credentials(self) -> dict[str, Any]:
        """The inputs ``profile`` and ``assumeRoles`` of Pulumi's AWS provider that are set."""
        given = {
            "profile": self.profile,
            "assumeRoles": [self.role.model_dump(by_alias=True, exclude_none=True)]
            if self.role
            else None,
        }
        return {key: value for key, value in given.items() if value}


class ApiAccess(Section):
    """Who reaches the private endpoint of the API server, beside the nodes."""

    cidrs: Annotated[list[t.ClientCidr], t.Distinct] = []
    security_groups: Annotated[list[t.SecurityGroupId], t.Distinct] = []


class ClusterSettings(Section):
    """The EKS cluster. With no ``public_access_cidrs`` the API server is private.

    Attributes:
        admins: every principal with administration, also the one that deploys.
    """

    name: t.ClusterName = "kubeflow"
    version: t.MinorVersion = "1.36"
    admins: Annotated[list[t.PrincipalArn], t.Distinct] = []
    api_access: ApiAccess = ApiAccess()
    public_access_cidrs: Annotated[
        list[t.PublicCidr], t.Distinct, t.at_most(40, "EKS takes no more ranges")
    ] = []
    log_types: Annotated[
        list[Literal["api", "audit", "authenticator", "controllerManager", "scheduler"]], t.Distinct
    ] = ["api", "audit", "authenticator", "controllerManager", "scheduler"]


class NetworkSettings(Section):
    """The VPC: a new one of ``cidr``, or an existing one by ``vpc_id`` and its subnets.

    Attributes:
        zones: None: as many as EKS has in the region, up to three.
    """

    cidr: t.Cidr = "10.64.0.0/16"
    nat: Literal["single", "per-zone"] = "per-zone"
    zones: Annotated[int, t.whole(2, 3, "zones")] | None = None
    vpc_id: t.VpcId | None = None
    private_subnet_ids: Annotated[list[t.SubnetId], t.Distinct] = []


class NodeGroupSettings(Section):
    """The managed node group that runs the platform itself (no GPU).

    Attributes:
        high_availability: whether what the platform stops without has two pods; None: with two
            nodes or more.
    """

    name: t.NodeGroupName = "kf"
    instance_type: t.InstanceType = "m5.xlarge"
    desired: Annotated[int, t.whole(1, 450, "nodes")] = 4
    min: Annotated[int, t.whole(1, 450, "nodes")] = 4
    max: Annotated[int, t.whole(1, 450, "nodes")] = 8
    disk_gib: Annotated[int, t.whole(30, 16384, "GiB")] = 100
    high_availability: bool | None = None

    @property
    def highly_available(self) -> bool:
        """``high_availability`` with its default."""
        return self.min >= 2 if self.high_availability is None else self.high_availability


class DatabaseSettings(Section):
    """The MySQL instance.

    Attributes:
        max_storage_gib: the limit of storage autoscaling; 0: off.
        rotation: number of the current passwords; one more gives every component a new password.
        ca_bundle: a PEM file; None: the region's root certificates are downloaded.
        apply_immediately: whether RDS makes changes during the run, not in its maintenance window.
        snapshot: what the instance is made from; without effect once it exists.
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
    apply_immediately: bool = False
    snapshot: t.SnapshotName | None = None


class ArtifactsSettings(Section):
    """The bucket of pipeline artifacts.

    Attributes:
        bucket: None: named after cluster, account and region.
        existing: whether the bucket exists; then it is used, and never deleted.
        kms_key_arn: an existing key of bucket, database and secrets, never deleted; None: a new
            one.
        expire_days: 0: artifacts never expire.
    """

    bucket: t.BucketName | None = None
    prefix: t.KeyPrefix = "private-artifacts"
    expire_days: Annotated[int, t.whole(0, 36500, "days")] = 0
    noncurrent_days: Annotated[int, t.whole(1, 36500, "days")] = 30
    credentials: Literal["irsa", "static-key"] = "irsa"
    retain_on_delete: bool = True
    existing: bool = False
    kms_key_arn: t.KeyArn | None = None


class MirrorRule(Section):
    """How images of some registries in some namespaces are treated; see ``webhook.rules``."""

    action: Literal["mirror", "keep", "deny"]
    registries: Annotated[list[t.RegistryPattern], t.Distinct] = []
    namespaces: Annotated[list[t.NamespacePattern], t.Distinct] = []
    when_absent: Literal["rewrite", "keep", "deny"] | None = None


class ImageMirrorSettings(Section):
    """The mirror of public images.

    Where ECR itself pulls images (``MirrorMode.cached``) nothing is copied, and the settings of
    copies have no effect.

    Attributes:
        enabled: None: where the public registries are unreachable.
        repository_prefix: None: of the cluster's name (``StackContext.repository_prefix``).
        shared_inventory: whether the stacks of the account share the copies, which no destroy
            deletes then.
        build_profile: the AWS profile for a ``build_region`` in another partition. Each side stores
            an access key of the other, replaced when ``rotation`` increases.
        inventory_first: whether pods wait until every known image is copied.
        transport: None: pods where an API Gateway would need an ICP filing.
        platform: the only platform that is copied of an image; None: all.
        follow_hours: the age from which the copy of a tag is compared with its source again, when a
            pod uses it; 0: never.
        rules: the first match applies; an empty list of patterns matches everything.
        upstream_credentials: registry -> name of the secret with ECR's login there.
    """

    enabled: bool | None = None
    repository_prefix: t.RepositoryPrefix | None = None
    shared_inventory: bool = False
    build_region: t.RegionName | None = None
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
        """The rules in the form that ``webhook.rules.read`` takes."""
        rules = [rule.model_dump(by_alias=True, exclude_defaults=True) for rule in self.rules]
        return json.dumps(rules, separators=(",", ":"))


class SharedFilesSettings(Section):
    """The shared file system: volumes that many pods write at once, in any zone.

    Attributes:
        file_system_id: an existing one, never changed or deleted; None: a new one.
        mount_targets: whether the stack makes its mount targets; None: unless both VPC and file
            system exist already.
        infrequent_access_days: files unread for so long move to a cheaper class; 0: never.
        backup: whether AWS Backup copies it every day.
    """

    enabled: bool = False
    file_system_id: t.FileSystemId | None = None
    mount_targets: bool | None = None
    throughput: Literal["bursting", "elastic"] = "bursting"
    infrequent_access_days: t.LifecycleDays = 30
    backup: bool = True
    retain_on_delete: bool = True

    def makes_mount_targets(self, network: NetworkSettings) -> bool:
        """``mount_targets`` with its default."""
        if self.mount_targets is None:
            return not (self.file_system_id and network.vpc_id)
        return self.mount_targets

    @property
    def outlives_the_stack(self) -> bool:
        """Whether a destroy leaves the file system that it makes."""
        return self.enabled and self.file_system_id is None and self.retain_on_delete


class TeamBucket(Section):
    """A bucket beside the stack's own whose objects a profile may read.

    Attributes:
        bucket: its name or ARN; in any account.
        prefixes: of its keys; none: the whole bucket.
        write: whether the profile may put and delete objects too.
        kms_key_arn: of the key that encrypts the objects; None: S3's own.
    """

    bucket: t.TeamBucketName
    prefixes: Annotated[list[t.KeyPrefix], t.Distinct] = []
    write: bool = False
    kms_key_arn: t.KeyArn | None = None

    @property
    def name(self) -> str:
        """The bucket's name."""
        return self.bucket.rpartition(":")[2]


class QuotaSettings(Section):
    """The most that all pods and volumes of a profile may request at once; None: no limit.

    Attributes:
        gpu_slices: pods that get a slice of a GPU (``gpuPool.slices``); None: as many as ``gpus``.
    """

    cpus: Annotated[int, t.whole(1, 100000, "vCPUs")] | None = None
    memory_gib: Annotated[int, t.whole(1, 1000000, "GiB")] | None = None
    gpus: Annotated[int, t.whole(0, 10000, "GPUs")] | None = None
    gpu_slices: Annotated[int, t.whole(0, 100000, "slices")] | None = None
    storage_gib: Annotated[int, t.whole(1, 10000000, "GiB")] | None = None
    pods: Annotated[int, t.whole(1, 100000, "pods")] | None = None


class ServingSettings(Section):
    """Models that KServe and Knative serve.

    Attributes:
        domain: of the hosts of models; reserved for private networks (ICANN 2024-07-29), so that no
            public server ever has one of them.
        url_scheme: of the URLs that models show: https where something before the gateway ends TLS.
        node_registries: whose images nodes alone may pull, such as ECR of another account: their
            tags are left to the kubelet. The account's own is always one.
    """

    domain: t.ServingDomain = "kubeflow.internal"
    url_scheme: Literal["http", "https"] = "http"
    node_registries: Annotated[list[t.RegistryHost], t.Distinct] = []

    @property
    def knative_registries(self) -> list[str]:
        """As Knative compares them (go-containerregistry pkg/name/registry.go)."""
        return ["index.docker.io" if host == "docker.io" else host for host in self.node_registries]


class User(Section):
    """One user: login and profile namespace. The e-mail address, in lower case, is the identity.

    Attributes:
        rotation: number of the current password; another number draws another one.
        contributors: users who may work in the namespace too.
        buckets: of the team, for the pods of the namespace.
        quota: of the namespace; None: none.
    """

    email: t.Email
    namespace: t.ProfileNamespace
    rotation: Annotated[int, t.whole(1, 1000000, "rotations")] = 1
    contributors: Annotated[list[t.Email], t.Distinct] = []
    buckets: list[TeamBucket] = []
    quota: QuotaSettings | None = None


def binding_name(email: str) -> str:
    """The name of a contributor's objects (``kfam/bindings.go``, ``getBindingName``)."""
    return re.sub("[^a-z0-9]+", "-", f"user-{email}-clusterrole-edit")


class LoginSettings(Section):
    """The secrets of the login that no user has; another number draws the value anew.

    Attributes:
        client_rotation: of the secret between Dex and its OIDC client.
        cookie_rotation: of the key of the session cookies; another one ends every session.
    """

    client_rotation: Annotated[int, t.whole(1, 1000000, "rotations")] = 1
    cookie_rotation: Annotated[int, t.whole(1, 1000000, "rotations")] = 1


class NotebooksSettings(Section):
    """Notebooks of users.

    Attributes:
        idle_minutes: without activity of a Jupyter kernel, after which a notebook is stopped; None:
            never. The controller sees no terminal, no code-server, no RStudio and no use of a GPU.
    """

    idle_minutes: Annotated[int, t.whole(30, 43200, "minutes")] | None = None


class PackageProxy(Section):
    """The HTTP proxy of pods in profiles.

    Attributes:
        http: for URLs that begin with ``http:``.
        https: for URLs that begin with ``https:``.
        no_proxy: hosts, ``.domains`` and address ranges beside those of the VPC, cluster and AWS.
    """

    http: t.ProxyUrl | None = None
    https: t.ProxyUrl | None = None
    no_proxy: Annotated[list[t.ProxyBypass], t.Distinct] = []


class PackagesSettings(Section):
    """Where pods of profiles get packages and models from.

    Of a URL, None is the partition's own default (``regions/package_mirrors.yaml``), ``none`` is
    the publisher.

    Attributes:
        pypi: the package index of pip and uv.
        conda: the URL that names of conda channels are below.
        hugging_face: the endpoint of the Hugging Face hub.
        model_scope: the ModelScope hub.
        npm: the registry of npm.
        ca_bundle: a PEM file of authorities that pods trust beside the public ones.
        proxy: the way out to the internet.
    """

    pypi: t.PackageUrl | None = None
    conda: t.PackageUrl | None = None
    hugging_face: t.PackageUrl | None = None
    model_scope: t.HubUrl | None = None
    npm: t.PackageUrl | None = None
    ca_bundle: t.AuthorityFile | None = None
    proxy: PackageProxy = PackageProxy()


TAGS_OF_EVERYTHING = ("project", "stack", "cluster")
"""Names of the tags that the program itself gives every resource."""


class Settings(Section):
    """All settings of a stack, checked; equal input gives equal settings.

    Attributes:
        deletable_namespaces: namespaces of users that may be deleted with their content.
    """

    region: t.RegionName
    account_id: t.AccountId | None = None
    endpoints: dict[str, t.Url] = {}
    tags: dict[str, str] = {}
    iam: IamSettings = IamSettings()
    deletion_protection: bool | None = None
    release: t.ReleaseName = "26.03"
    bundles: t.BundlesPath | None = None
    cluster: ClusterSettings = ClusterSettings()
    network: NetworkSettings = NetworkSettings()
    node_group: NodeGroupSettings = NodeGroupSettings()
    database: DatabaseSettings = DatabaseSettings()
    artifacts: ArtifactsSettings = ArtifactsSettings()
    shared_files: SharedFilesSettings = SharedFilesSettings()
    gpu_pool: GpuPoolSettings = GpuPoolSettings()
    node_pools: dict[str, NodePoolSettings] = {}
    image_mirror: ImageMirrorSettings = ImageMirrorSettings()
    serving: ServingSettings = ServingSettings()
    users: list[User] = Field(
        default=[User(email="user@example.com", namespace="kubeflow-user-example-com")]
    )
    login: LoginSettings = LoginSettings()
    notebooks: NotebooksSettings = NotebooksSettings()
    packages: PackagesSettings = PackagesSettings()
    deletable_namespaces: Annotated[list[t.ProfileNamespace], t.Distinct] = []
    aws: AwsSettings = Field(default=AwsSettings(), alias=AWS)

    @property
    def protected(self) -> bool:
        """Whether a destroy is refused: ``deletion_protection``, by default the database's own."""
        own = self.database.deletion_protection
        return own if self.deletion_protection is None else self.deletion_protection

    @property
    def keeps_key(self) -> bool:
        """Whether something that the stack's key encrypts remains after a destroy."""
        return (
            self.artifacts.retain_on_delete
            or self.shared_files.outlives_the_stack
            or not self.database.skip_final_snapshot
        )

    @property
    def own_tags(self) -> dict[str, str]:
        """The tags that the stack file gives to every resource."""
        return {**self.aws.default_tags.tags, **self.tags}

    @property
    def allowed_accounts(self) -> list[str]:
        """The only accounts that the stack may change; empty: any."""
        return [self.account_id] if self.account_id else self.aws.allowed_account_ids

    def refusal_of(self, account: str) -> str:
        """The setting that refuses an account, with its value; empty where none does."""
        forbidden = self.aws.forbidden_account_ids
        if account in forbidden:
            return f"{full_key('aws:.forbiddenAccountIds')} is {listed(forbidden, 'and')}"
        if not self.allowed_accounts or account in self.allowed_accounts:
            return ""
        if self.account_id:
            return f"{full_key('accountId')} is {self.account_id}"
        return f"{full_key('aws:.allowedAccountIds')} is {listed(self.allowed_accounts, 'and')}"

    @property
    def bundles_path(self) -> Path | None:
        """The first place searched for sources; None: the default places (rendering.sources)."""
        return None if self.bundles is None else PROJECT / self.bundles
