"""What a stack file may contain: a model for each section, and :class:`Settings`, all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from settings import field_types as t
from settings.account import AwsSettings, IamSettings
from settings.errors import AWS, full_key, listed
from settings.image_mirror import ImageMirrorSettings
from settings.model_catalog import ModelCatalogSettings
from settings.node_pools import GpuPoolSettings, NodePoolSettings
from settings.release_files import default_kubernetes, default_release
from settings.section import PROJECT, Section
from settings.users import LoginSettings, User


class ApiAccess(Section):
    """Who reaches the private endpoint of the API server, beside the nodes.

    Attributes:
        cidrs: address ranges of the VPC and of connected networks from which people and machines
            reach the private endpoint.
        security_groups: security groups of machines in the VPC that reach it, such as that of a
            jump host.
    """

    cidrs: Annotated[list[t.ClientCidr], t.Distinct] = []
    security_groups: Annotated[list[t.SecurityGroupId], t.Distinct] = []


class ClusterSettings(Section):
    """The EKS cluster. With no ``public_access_cidrs`` the API server is private.

    Attributes:
        name: the name of the EKS cluster; roles, queues, buckets and the database are named after
            it, so that stacks with different names share an account.
        version: the version of Kubernetes. EKS goes one minor version at a time and, by this key,
            never back, and its standard support ends on a date (``settings/support_ends.yaml``),
            after which it costs more.
        admins: every IAM role and user with administration of the cluster, also the one that
            deploys: nobody else has it, not even the creator of the cluster.
        api_access: who reaches the API server from inside the VPC and connected networks, beside
            the nodes.
        public_access_cidrs: public address ranges that reach the API server over the internet, such
            as the address of the machine that deploys; none: the API server is private.
        log_types: logs of the control plane in CloudWatch; the audit log alone is of little use.
    """

    name: t.ClusterName = "kubeflow"
    version: t.MinorVersion = Field(default_factory=default_kubernetes)
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
        cidr: the address range of a new VPC. Every pod has an address in it, in a /18 subnet per
            zone; it must not overlap 172.20.0.0/16, the range of the cluster's Services.
        nat: the NAT gateways. per-zone: the failure of a zone leaves the others their way out;
            single: one NAT gateway, which is cheaper.
        zones: the zones of a new VPC; EKS and a Multi-AZ database need two. None: as many as EKS
            has in the region, up to three.
        vpc_id: an existing VPC instead of a new one, for networks that are peered or reviewed
            already; of the VPC itself nothing is changed.
        private_subnet_ids: the private subnets of the existing VPC: two or more, in different
            zones, with a way out or VPC endpoints.
        control_plane_subnets: whether a new VPC has a /28 subnet per zone for EKS alone, as far as
            its range has room. The API server calls admission webhooks from there; otherwise from
            the private subnets, among the pods, which then reach the webhooks too.
    """

    cidr: t.Cidr = "10.64.0.0/16"
    nat: Literal["single", "per-zone"] = "per-zone"
    zones: Annotated[int, t.whole(2, 3, "zones")] | None = None
    vpc_id: t.VpcId | None = None
    private_subnet_ids: Annotated[list[t.SubnetId], t.Distinct] = []
    control_plane_subnets: bool = True


class NodeGroupSettings(Section):
    """The managed node group that runs the platform itself (no GPU).

    Attributes:
        name: the name of the managed node group.
        instance_type: the type of the machines, for amd64, as Kubeflow's images are; four machines
            with 16 GiB each run the platform's pods.
        desired: machines at the start.
        min: the fewest machines; ``./kf cost`` counts these as the floor.
        max: the most machines; nothing adds one by itself, so it only bounds what people set.
        disk_gib: the disk of each machine: Kubeflow's images take about 40 GiB on one that has run
            most components.
        high_availability: whether what the platform stops without (gateways, login, admission
            webhooks, istiod) has two pods in different zones; None: with two nodes or more.
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
        instance_class: the class of the instance: 2 vCPU and 8 GiB are far more than Pipelines,
            Katib and ML Metadata use together.
        engine_version: the line of MySQL, whose patches RDS applies in the weekly window; a version
            in full, such as 8.4.11, turns these off until the line is changed.
        storage_gib: storage at the start; RDS never makes it smaller.
        max_storage_gib: the limit of storage autoscaling; 0: off.
        multi_az: whether a standby runs in another zone: without this database the whole platform
            stops.
        deletion_protection: RDS' own refusal to delete the instance; off too where
            ``kubeflow:deletionProtection`` is false.
        backup_days: how far back automated backups reach.
        skip_final_snapshot: false: a deletion leaves a final snapshot, in which alone definitions
            and runs of pipelines are then.
        rotation: the number of the current passwords; one more gives every component a new
            password. Those before it are valid until the next rotation: after a leak, rotate twice.
        ca_bundle: a PEM file with the region's root certificates of RDS, by its path from the
            project's folder, for a machine that cannot download them; None: they are downloaded.
        apply_immediately: whether RDS makes changes of class, storage and version during ``pulumi
            up``, in which the database stops for minutes, instead of in its weekly window. From 8.0
            to 8.4 it must be true.
        snapshot: what a new instance is made from; without effect once it exists.
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
        bucket: the bucket of pipeline artifacts, logs and models; names are unique in a whole
            partition. None: named after cluster, account and region.
        prefix: the prefix of all keys. Below it is a folder per profile, which the role of that
            profile alone may read and write.
        expire_days: the age at which artifacts are deleted; 0: never, since runs of any age refer
            to them.
        noncurrent_days: how long overwritten and deleted objects can be restored.
        credentials: how pods get access. irsa: each service account has a role of its own, without
            access keys; static-key: one access key for everybody, as in release 1.5.1.
        retain_on_delete: whether ``pulumi destroy`` leaves the bucket, and the key that decrypts
            it.
        existing: whether the bucket exists, left by an earlier stack; then it is used, and never
            deleted.
        kms_key_arn: an existing key of bucket, database and secrets, never deleted; needed for data
            of an earlier stack. None: a new one.
    """

    bucket: t.BucketName | None = None
    prefix: t.KeyPrefix = "private-artifacts"
    expire_days: Annotated[int, t.whole(0, 36500, "days")] = 0
    noncurrent_days: Annotated[int, t.whole(1, 36500, "days")] = 30
    credentials: Literal["irsa", "static-key"] = "irsa"
    retain_on_delete: bool = True
    existing: bool = False
    kms_key_arn: t.KeyArn | None = None


class SharedFilesSettings(Section):
    """The shared file system: volumes that many pods write at once, in any zone.

    Attributes:
        enabled: whether there is a file system; it costs by what is stored.
        file_system_id: an existing file system, of which nothing is changed or deleted. None: a new
            one.
        mount_targets: whether the stack makes its mount targets; EFS has those of a file system in
            one VPC only. None: unless both VPC and file system exist already.
        throughput: how fast it is. bursting: by what is stored, at no extra price; elastic: paid by
            what is read and written, for many small files.
        infrequent_access_days: the days after which files that nobody reads move to a cheaper
            class; they move back when somebody reads them; 0: never.
        backup: whether AWS Backup copies it every day, and keeps each copy for 35 days.
        retain_on_delete: whether ``pulumi destroy`` leaves it, and its key as long as it exists.
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


class ServingSettings(Section):
    """Models that KServe and Knative serve.

    Attributes:
        domain: the domain of the hosts of models, ``<name>-<namespace>.<domain>``. The default is
            reserved for private networks (ICANN 2024-07-29): no public server ever has one of its
            hosts, and it needs no ICP filing.
        url_scheme: the scheme of the URLs that models show: https where something before the
            gateway ends TLS.
        node_registries: registries whose images nodes alone may pull, such as ECR of another
            account: their tags are left to the kubelet. The account's own is always one.
    """

    domain: t.ServingDomain = "kubeflow.internal"
    url_scheme: Literal["http", "https"] = "http"
    node_registries: Annotated[list[t.RegistryHost], t.Distinct] = []

    @property
    def knative_registries(self) -> list[str]:
        """As Knative compares them (go-containerregistry pkg/name/registry.go)."""
        return ["index.docker.io" if host == "docker.io" else host for host in self.node_registries]


class NotebooksSettings(Section):
    """Notebooks of users.

    Attributes:
        idle_minutes: the time after which a notebook without activity of a Jupyter kernel is
            stopped, and its GPU is free; volumes stay. None: never, because the controller sees no
            terminal, no code-server, no RStudio and no use of a GPU.
    """

    idle_minutes: Annotated[int, t.whole(30, 43200, "minutes")] | None = None


class PipelinesSettings(Section):
    """Kubeflow Pipelines.

    Attributes:
        v1: the servers that only runs of Pipelines v1 use: the cache server, the visualization
            server and the controller of TensorBoards in Pipelines. Without them such runs start
            all the same, uncached. Releases before 26.03.1 always have them.
    """

    v1: bool = False


class PackageProxy(Section):
    """The HTTP proxy of pods in profiles.

    Attributes:
        http: the proxy for URLs that begin with ``http:``.
        https: the proxy for URLs that begin with ``https:``.
        no_proxy: hosts, ``.domains`` and address ranges that are reached directly, beside those of
            the VPC, cluster and AWS.
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
        ca_bundle: a PEM file of authorities that pods trust beside the public ones, by its path
            from the project's folder.
        proxy: the way out to the internet, where there is no direct one.
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
        region: the region of all resources; it determines the partition, its DNS suffixes and what
            AWS offers there.
        account_id: the only account that this stack may change: a wrong profile is refused before
            the first change. None: any.
        endpoints: service of AWS -> the URL in place of AWS's own, for a simulation or a private
            proxy.
        tags: tags of every AWS resource, for cost allocation and clean-up, at most 40. Tags are
            readable: no secrets.
        iam: what a company demands of every IAM role and user.
        deletion_protection: whether a destroy, and a change that replaces one of them, is refused
            for cluster, database, bucket and KMS keys, until false is applied by a ``pulumi up`` of
            its own. None: as ``database.deletionProtection``.
        release: the Kubeflow release, a folder under ``manifests/``; in quotes, because YAML reads
            a number.
        patches: component of the release -> a later version of its images, of those that the
            release's folder declares; the objects stay those of the release.
        accepted_advisories: open critical advisories of the release with which the stack runs all
            the same; a new stack, and one that gets another release, is refused without this word.
        upgrade_confirmed: conditions of an upgrade to the release that somebody has seen to, where
            the cluster and RDS cannot tell; each is asked before anything changes.
        bundles: the first place searched for the release's sources: a folder of archives, or a
            bundle of ``./kf bundle create``, by its path from the project's folder, for machines
            without git. None: ``./bundles`` and the other default places.
        image_mirror: the mirror of public images, where they are unreachable.
        users: who may log in, each with a namespace; passwords are generated, and the order has no
            effect.
        deletable_namespaces: namespaces of users that may be deleted with notebooks, volumes and
            all other content: the engine refuses to remove any other while ``deletionProtection``
            is true.
    """

    region: t.RegionName
    account_id: t.AccountId | None = None
    endpoints: dict[str, t.Url] = {}
    tags: dict[str, str] = {}
    iam: IamSettings = IamSettings()
    deletion_protection: bool | None = None
    release: t.ReleaseName = Field(default_factory=default_release)
    patches: dict[str, t.PatchVersion] = {}
    accepted_advisories: Annotated[list[t.AdvisoryId], t.Distinct] = []
    upgrade_confirmed: Annotated[list[t.ConditionName], t.Distinct] = []
    bundles: t.BundlesPath | None = None
    cluster: ClusterSettings = Field(default_factory=ClusterSettings)
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
    pipelines: PipelinesSettings = PipelinesSettings()
    model_catalog: ModelCatalogSettings = ModelCatalogSettings()
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
