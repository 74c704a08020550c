"""A database and a bucket in place of the MySQL and MinIO pods, and roles for their users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.aws.documents import Document
from components.aws.keys import account_key
from components.aws.managed_secret import ManagedSecret, managed_secret
from components.aws.roles import OidcProvider, ServiceAccount, role_with_rights
from components.backend.artifact_store import ArtifactStore
from components.backend.catalog_database import CatalogDatabase
from components.backend.database import Database
from components.backend.database_users import DatabaseUsers
from components.backend.policies import (
    LONGEST_INLINE,
    api_server_access,
    artifact_access,
    characters,
    secret_reading,
    with_team_buckets,
)
from components.backend.shared_files import SharedFiles
from components.dynamic.database_authorities import DatabaseAuthorities
from rendering.release import DatabaseUser
from settings import certificates
from settings.context import StackContext
from settings.errors import refusal
from settings.existing_backend import key_alias
from settings.model_catalog import ModelCatalogSettings
from settings.sections import ArtifactsSettings, DatabaseSettings, SharedFilesSettings
from settings.users import TeamBucket

_KUBEFLOW = "kubeflow"
_EDITOR = "default-editor"
"""The service account of Pipelines' runs, notebooks and Katib trials in every profile."""
_API_SERVER = "ml-pipeline"
_MASTER = "database-master"
_CATALOG = "model-catalog"
# RDS and EBS use the key through grants, which the database's creator makes.
_USE_KEY = [
    "kms:CreateGrant",
    "kms:Decrypt",
    "kms:Encrypt",
    "kms:GenerateDataKey*",
    "kms:ReEncrypt*",
]


@dataclass(frozen=True, kw_only=True)
class KubeflowRdsS3BackendArgs:
    """Arguments of the backend.

    Args:
        context: what all components of the stack share.
        database: the section ``database``.
        database_users: component of the release -> its user of the database.
        model_catalog: the section ``modelCatalog``.
        artifacts: the section ``artifacts``.
        shared_files: the section ``sharedFiles``.
        profiles: the profiles' namespaces, the first user's first.
        team_buckets: namespace -> the setting ``buckets`` of its user.
        vpc_id: of the subnets.
        subnet_ids: private subnets for the database.
        client_security_group_ids: of the nodes, Karpenter's too: they may reach the database.
        oidc: the cluster's OIDC provider, for the roles of service accounts.
        mount_target_subnet_ids: one per zone; none: the stack makes no mount targets.
        cluster_name: the cluster of the EFS CSI driver, and ``kubernetes_version`` its version.
        ready: needed by pods of the cluster.
    """

    context: StackContext
    database: DatabaseSettings
    database_users: Mapping[str, DatabaseUser]
    model_catalog: ModelCatalogSettings
    artifacts: ArtifactsSettings
    shared_files: SharedFilesSettings
    profiles: Sequence[str]
    team_buckets: Mapping[str, Sequence[TeamBucket]]
    vpc_id: pulumi.Input[str]
    subnet_ids: pulumi.Input[Sequence[pulumi.Input[str]]]
    client_security_group_ids: Sequence[pulumi.Input[str]]
    oidc: OidcProvider
    mount_target_subnet_ids: Sequence[pulumi.Input[str]]
    cluster_name: pulumi.Input[str]
    kubernetes_version: str
    ready: Sequence[pulumi.Resource]


class KubeflowRdsS3Backend(pulumi.ComponentResource):
    """Makes: one KMS key, database and users, the bucket, roles for service accounts.

    With ``shared_files.enabled`` also a shared file system, with ``model_catalog.enabled`` the
    database of the catalog of models.

    With ``artifacts.credentials: static-key``, for releases whose Pipelines cannot assume a role,
    an IAM user limited to the bucket replaces the roles that reach artifacts, with its access key
    in Secrets Manager; otherwise no access key exists.

    Attributes:
        bucket_name: of the artifact bucket.
        database: its ``host`` and ``port`` are for the manifests.
        database_authorities: PEM text of the roots that signed the database's certificate.
        secrets: by name: one per component of ``database_users``, ``database-master``, of the
            catalog ``model-catalog`` and, with a static key, ``artifacts``.
        role_arns: ``database-clients`` (reads all secrets but the master's) and
            ``database-init`` (reads the database's, the master's too); without a static key also
            ``ml-pipeline`` and ``profile-default-editor`` (the first user's).
        profile_role_arns: a role per profile namespace, limited to that namespace's artifacts; none
            with a static key.
        ready: needed by pods with volumes of the shared file system.
    """

    bucket_name: pulumi.Output[str]
    database: Database
    database_authorities: pulumi.Input[str]
    secrets: dict[str, ManagedSecret]
    role_arns: dict[str, pulumi.Output[str]]
    profile_role_arns: dict[str, pulumi.Output[str]]
    ready: Sequence[pulumi.Resource]

    def __init__(
        self,
        name: str,
        args: KubeflowRdsS3BackendArgs,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("kubeflow:platform:KubeflowRdsS3Backend", name, None, opts)
        self._name = name
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        self._cluster = args.context.cluster
        self._check_sizes()
        # The stack never deletes an existing key: other stacks may use it.
        self._key_arn = args.artifacts.kms_key_arn or self._encryption_key().arn
        store = ArtifactStore(
            f"{name}-artifacts", args.context, args.artifacts, self._key_arn, self._child
        )
        self.bucket_name, self._bucket_arn = store.bucket_name, store.bucket_arn
        self.database_authorities = self._authorities()
        self.database = Database(
            f"{name}-database",
            args.context,
            args.database,
            vpc_id=args.vpc_id,
            subnet_ids=args.subnet_ids,
            client_security_group_ids=args.client_security_group_ids,
            key_arn=self._key_arn,
            opts=self._child,
        )
        users = DatabaseUsers(
            f"{name}-database-users",
            args.context,
            users=args.database_users,
            rotation=args.database.rotation,
            database=self.database,
            key_arn=self._key_arn,
            opts=self._child,
        )
        self.secrets = {**users.secrets, _MASTER: self.database.master}
        if args.model_catalog.enabled:
            self.secrets[_CATALOG] = self._catalog_database().secret
        self.role_arns, self.profile_role_arns = {}, {}
        if args.artifacts.credentials == "static-key":
            self.secrets["artifacts"] = self._static_key()
        else:
            self._artifact_roles()
        self._reader_roles()
        self.ready = self._shared_files()
        self.register_outputs({})

    def _catalog_database(self) -> CatalogDatabase:
        args = self._args
        return CatalogDatabase(
            f"{self._name}-model-catalog",
            args.context,
            args.model_catalog,
            args.database,
            vpc_id=args.vpc_id,
            subnet_group=self.database.subnet_group,
            client_security_group_ids=args.client_security_group_ids,
            key_arn=self._key_arn,
            opts=self._child,
        )

    def _shared_files(self) -> Sequence[pulumi.Resource]:
        args = self._args
        if not args.shared_files.enabled:
            return []
        return SharedFiles(
            f"{self._name}-shared-files",
            args.context,
            args.shared_files,
            key_arn=self._key_arn,
            vpc_id=args.vpc_id,
            subnet_ids=args.mount_target_subnet_ids,
            client_security_group_ids=args.client_security_group_ids,
            cluster_name=args.cluster_name,
            kubernetes_version=args.kubernetes_version,
            oidc=args.oidc,
            after=args.ready,
            opts=self._child,
        ).ready

    def _encryption_key(self) -> aws.kms.Key:
        context = self._args.context
        return account_key(
            f"{self._name}-key",
            region=context.region,
            account_id=context.account_id,
            alias=key_alias(self._cluster),
            description=f"Artifacts, database and secrets of Kubeflow on {self._cluster}",
            sid="AccountLetsItsRolesUseTheKey",
            use=_USE_KEY,
            tags=context.named("backend"),
            parent=self,
            protect=context.protected,
            # A bucket, files or a snapshot that outlive the stack cannot be read without the key.
            retain_on_delete=context.keeps_key,
        )

    def _authorities(self) -> pulumi.Input[str]:
        file = self._args.database.ca_bundle
        if file:
            return certificates.read(file)
        url = self._args.context.region.rds_ca_bundle_url
        return DatabaseAuthorities(
            f"{self._name}-database-authorities", url=url, opts=self._child
        ).pem

    def _artifact_roles(self) -> None:
        """A profile reaches its own artifacts, the API server metrics of v1 runs, the UI none.

        What the UI shows is read by the role of the profile that owns it, in its artifact server
        (manifests/addons/profile-hook/s3/sync.py). Definitions of pipelines are in the
        database; below ``pipelines`` the API server looks for those that Pipelines 1 left.
        """
        prefix, region = self._args.artifacts.prefix, self._args.context.region
        for namespace in self._args.profiles:
            buckets = self._args.team_buckets.get(namespace, ())
            self.profile_role_arns[namespace] = self._role(
                f"profile-{namespace}",
                [(namespace, _EDITOR)],
                self._artifacts([f"{prefix}/{namespace}"], write=True).apply(
                    lambda own, buckets=buckets: with_team_buckets(own, region, buckets)
                ),
            )
        reading = pulumi.Output.all(self._bucket_arn, self._key_arn).apply(
            lambda arns: api_server_access(arns[0], arns[1], prefix)
        )
        self.role_arns[_API_SERVER] = self._role(_API_SERVER, [(_KUBEFLOW, _API_SERVER)], reading)
        self.role_arns["profile-default-editor"] = next(iter(self.profile_role_arns.values()))

    def _check_sizes(self) -> None:
        """Refuses buckets before anything is made: no ARN is known then, but the size of each.

        Raises:
            pulumi.RunError: the rights of a profile are longer than IAM takes.
        """
        context, artifacts = self._args.context, self._args.artifacts
        bucket = context.region.arn("s3", context.bucket(artifacts), account="", region="")
        unknown = context.region.arn("kms", f"key/{'0' * 36}", account=context.account_id)
        for number, namespace in enumerate(self._args.profiles):
            buckets = self._args.team_buckets.get(namespace, ())
            prefix = f"{artifacts.prefix}/{namespace}"
            own = artifact_access(bucket, artifacts.kms_key_arn or unknown, [prefix], write=True)
            size = characters(with_team_buckets(own, context.region, buckets))
            if size > LONGEST_INLINE:
                reason = (
                    f"the rights of the profile's role have {size} characters, and IAM takes "
                    f"{LONGEST_INLINE}: list fewer prefixes, or one that is above several"
                )
                value = f"{len(buckets)} buckets"
                raise pulumi.RunError(refusal(("users", number, "buckets"), value, reason))

    def _reader_roles(self) -> None:
        """Roles that bring secrets into the cluster; only the init Job's reads the master's."""
        # The second account is that of release 1.5.1, with the Secrets Store CSI driver.
        clients = [(_KUBEFLOW, "database-clients"), (_KUBEFLOW, "kubeflow-secrets-manager-sa")]
        for role, accounts, secrets in (
            ("database-clients", clients, [name for name in self.secrets if name != _MASTER]),
            (
                "database-init",
                [("kubeflow-database", "database-init")],
                [*self._args.database_users, _MASTER],
            ),
        ):
            secret_arns = [self.secrets[name].arn for name in secrets]
            policy = pulumi.Output.all(self._key_arn, *secret_arns).apply(
                lambda arns: secret_reading(arns[1:], arns[0])
            )
            self.role_arns[role] = self._role(role, accounts, policy, "Secrets")

    def _role(
        self,
        role: str,
        accounts: Sequence[ServiceAccount],
        policy: pulumi.Output[Document],
        purpose: str = "Artifacts",
    ) -> pulumi.Output[str]:
        context = self._args.context
        names = " and ".join("/".join(account) for account in accounts)
        return role_with_rights(
            f"{self._name}-{role}",
            name_prefix=f"{context.cluster}-{role}",
            description=f"{purpose} for {names}"[:1000],
            trust=self._args.oidc.trust(context.region, accounts),
            policy=policy,
            identity=context.identity,
            tags=context.named(role),
            opts=self._child,
        )

    def _artifacts(self, prefixes: Sequence[str], *, write: bool) -> pulumi.Output[Document]:
        return pulumi.Output.all(self._bucket_arn, self._key_arn).apply(
            lambda arns: artifact_access(arns[0], arns[1], prefixes, write=write)
        )

    def _static_key(self) -> ManagedSecret:
        """The access key of a user that can do nothing but use the bucket (KFP before 2.16)."""
        name, tags = f"{self._name}-artifacts", self._args.context.named("artifacts")
        user = aws.iam.User(name, **self._args.context.identity, tags=tags, opts=self._child)
        aws.iam.UserPolicy(
            name,
            user=user.name,
            policy=pulumi.Output.json_dumps(self._artifacts([], write=True)),
            opts=self._child,
        )
        key = aws.iam.AccessKey(name, user=user.name, opts=self._child)
        return managed_secret(
            name,
            prefix=f"{self._cluster}/kubeflow/artifacts-",
            description=f"Access key of the artifact bucket of {self._cluster}",
            values={"accesskey": key.id, "secretkey": key.secret},
            key_arn=self._key_arn,
            tags=tags,
            opts=self._child,
        )
