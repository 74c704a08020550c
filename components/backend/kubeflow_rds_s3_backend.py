"""What replaces the MySQL and MinIO pods: a database, a bucket, a role for whoever needs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.aws.documents import Document
from components.aws.managed_secret import ManagedSecret, managed_secret
from components.aws.roles import OidcProvider, ServiceAccount, role_with_rights
from components.backend.artifact_store import ArtifactStore, ArtifactStoreArgs
from components.backend.database import Database, DatabaseArgs
from components.backend.database_users import USERS, DatabaseUsers, DatabaseUsersArgs
from components.backend.policies import artifact_access, backend_key, secret_reading
from components.dynamic.database_authorities import DatabaseAuthorities
from settings import certificates
from settings.context import StackContext
from settings.sections import ArtifactsSettings, DatabaseSettings

KUBEFLOW = "kubeflow"
EDITOR = "default-editor"
"""The service account Pipelines runs, notebooks and Katib trials use in every profile."""
_MASTER = "database-master"
_ARTIFACTS = "artifacts"
_READERS: Mapping[str, Sequence[ServiceAccount]] = {
    # The second is that of release 1.5.1, whose secrets come through the Secrets Store CSI driver.
    "database-clients": [(KUBEFLOW, "database-clients"), (KUBEFLOW, "kubeflow-secrets-manager-sa")],
    "database-init": [("kubeflow-database", "database-init")],
}
"""Role -> the service accounts that bring secrets into the cluster with it."""
_KEY_DELETION_DAYS = 30


@dataclass(frozen=True, kw_only=True)
class KubeflowRdsS3BackendArgs:
    """What the backend needs of the cluster.

    Attributes:
        context: what all components of the stack share.
        database, artifacts: the settings of the same names.
        profiles: the profiles' namespaces, the first user's first.
        vpc_id, subnet_ids: where the database lives; private subnets.
        client_security_group_ids: the nodes, Karpenter's too: who may reach the database.
        oidc: the cluster's OIDC provider, for the roles of service accounts.
    """

    context: StackContext
    database: DatabaseSettings
    artifacts: ArtifactsSettings
    profiles: Sequence[str]
    vpc_id: pulumi.Input[str]
    subnet_ids: pulumi.Input[Sequence[pulumi.Input[str]]]
    client_security_group_ids: Sequence[pulumi.Input[str]]
    oidc: OidcProvider


class KubeflowRdsS3Backend(pulumi.ComponentResource):
    """Makes: one KMS key, database and users, the bucket, roles for service accounts.

    With ``artifacts.credentials: static-key`` one IAM user limited to the bucket takes the place of
    the roles that reach artifacts, its key kept in Secrets Manager, for releases whose Pipelines
    cannot assume a role; otherwise no key exists.

    Attributes:
        bucket_name, database_host, database_port: for the manifests.
        database_authorities: PEM text of the roots the database's certificate goes back to.
        secrets: where they are kept: one per component of ``database_users.USERS``,
            ``database-master`` and, with a static key, ``artifacts``.
        role_arns: ``database-clients`` (reads all secrets but the master's) and
            ``database-init`` (reads the database's, the master's too); without a static key also
            ``ml-pipeline``, ``ml-pipeline-ui`` and ``profile-default-editor`` (the first user's).
        profile_role_arns: a role per profile namespace, limited to that namespace's artifacts; none
            with a static key.
    """

    bucket_name: pulumi.Output[str]
    database_host: pulumi.Output[str]
    database_port: pulumi.Output[int]
    database_authorities: pulumi.Input[str]
    secrets: dict[str, ManagedSecret]
    role_arns: dict[str, pulumi.Output[str]]
    profile_role_arns: dict[str, pulumi.Output[str]]

    def __init__(
        self,
        name: str,
        args: KubeflowRdsS3BackendArgs,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("kubeflow:platform:KubeflowRdsS3Backend", name, None, opts)
        self._name = name
        self._args = args
        self._here = pulumi.ResourceOptions(parent=self)
        self._cluster = args.context.cluster
        self._key = self._encryption_key()
        self._bucket()
        self.database_authorities = self._authorities()
        self.secrets = self._users(self._database())
        self.profile_role_arns, platform_roles = {}, {}
        if args.artifacts.credentials == "static-key":
            self.secrets[_ARTIFACTS] = self._static_key()
        else:
            self.profile_role_arns = {
                namespace: self._profile_role(namespace) for namespace in args.profiles
            }
            platform_roles = self._platform_roles()
        self.role_arns = {**platform_roles, **self._reader_roles()}
        self.register_outputs({})

    def _encryption_key(self) -> aws.kms.Key:
        key = aws.kms.Key(
            f"{self._name}-key",
            description=f"Artifacts, database and secrets of Kubeflow on {self._cluster}",
            enable_key_rotation=True,
            deletion_window_in_days=_KEY_DELETION_DAYS,
            policy=pulumi.Output.json_dumps(
                backend_key(self._args.context.region, self._args.context.account_id)
            ),
            tags=self._args.context.named("backend"),
            # Without it nobody reads the bucket or the last snapshot that outlive the stack.
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=self._data_outlives()),
        )
        aws.kms.Alias(
            f"{self._name}-key",
            name=f"alias/{self._cluster}/kubeflow",
            target_key_id=key.key_id,
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
        return key

    def _data_outlives(self) -> bool:
        args = self._args
        return args.artifacts.retain_on_delete or not args.database.skip_final_snapshot

    def _bucket(self) -> None:
        store = ArtifactStore(
            f"{self._name}-artifacts",
            ArtifactStoreArgs(
                context=self._args.context, settings=self._args.artifacts, key_arn=self._key.arn
            ),
            self._here,
        )
        self.bucket_name, self._bucket_arn = store.bucket_name, store.bucket_arn

    def _database(self) -> Database:
        return Database(
            f"{self._name}-database",
            DatabaseArgs(
                context=self._args.context,
                settings=self._args.database,
                vpc_id=self._args.vpc_id,
                subnet_ids=self._args.subnet_ids,
                client_security_group_ids=self._args.client_security_group_ids,
                key_arn=self._key.arn,
            ),
            self._here,
        )

    def _users(self, database: Database) -> dict[str, ManagedSecret]:
        self.database_host, self.database_port = database.host, database.port
        users = DatabaseUsers(
            f"{self._name}-database-users",
            DatabaseUsersArgs(
                context=self._args.context,
                rotation=self._args.database.rotation,
                host=database.host,
                port=database.port.apply(str),
                key_arn=self._key.arn,
            ),
            self._here,
        )
        return {**users.secrets, _MASTER: database.master}

    def _authorities(self) -> pulumi.Input[str]:
        given = self._args.database.ca_bundle
        if given:
            return certificates.read(given)
        url = self._args.context.region.rds_ca_bundle_url
        return DatabaseAuthorities(
            f"{self._name}-database-authorities", url=url, opts=self._here
        ).pem

    def _platform_roles(self) -> dict[str, pulumi.Output[str]]:
        """Pipelines' own pods see every namespace's artifacts; a profile sees its own."""
        prefix = self._args.artifacts.prefix
        return {
            # The API server also stores pipeline definitions, below its own prefix.
            "ml-pipeline": self._role(
                "ml-pipeline",
                [(KUBEFLOW, "ml-pipeline")],
                self._artifacts([prefix, "pipelines"], write=True),
            ),
            "ml-pipeline-ui": self._role(
                "ml-pipeline-ui",
                [(KUBEFLOW, "ml-pipeline-ui")],
                self._artifacts([prefix], write=False),
            ),
            "profile-default-editor": next(iter(self.profile_role_arns.values())),
        }

    def _reader_roles(self) -> dict[str, pulumi.Output[str]]:
        """Nothing that components get comes from where the master user's secret can be read."""
        read = {
            "database-clients": [name for name in self.secrets if name != _MASTER],
            "database-init": [*USERS, _MASTER],
        }
        roles: dict[str, pulumi.Output[str]] = {}
        for role, names in read.items():
            arns = [self.secrets[name].arn for name in names]
            policy = pulumi.Output.all(self._key.arn, *arns).apply(
                lambda found: secret_reading(found[1:], found[0])
            )
            roles[role] = self._role(role, _READERS[role], policy, "Secrets")
        return roles

    def _profile_role(self, namespace: str) -> pulumi.Output[str]:
        prefix = f"{self._args.artifacts.prefix}/{namespace}"
        return self._role(
            f"profile-{namespace}",
            [(namespace, EDITOR)],
            self._artifacts([prefix], write=True),
        )

    def _role(
        self,
        role: str,
        accounts: Sequence[ServiceAccount],
        policy: pulumi.Output[Document],
        purpose: str = "Artifacts",
    ) -> pulumi.Output[str]:
        context = self._args.context
        served = " and ".join("/".join(pair) for pair in accounts)
        return role_with_rights(
            f"{self._name}-{role}",
            name_prefix=f"{context.cluster}-{role}",
            description=f"{purpose} for {served}"[:1000],
            trust=self._args.oidc.trust(context.region, accounts),
            policy=policy,
            tags=context.named(role),
            opts=self._here,
        )

    def _artifacts(self, prefixes: Sequence[str], *, write: bool) -> pulumi.Output[Document]:
        return pulumi.Output.all(self._bucket_arn, self._key.arn).apply(
            lambda found: artifact_access(found[0], found[1], prefixes, write=write)
        )

    def _static_key(self) -> ManagedSecret:
        """One user that can do nothing but use the bucket (KFP before 2.16)."""
        user = aws.iam.User(
            f"{self._name}-artifacts", tags=self._args.context.named("artifacts"), opts=self._here
        )
        aws.iam.UserPolicy(
            f"{self._name}-artifacts",
            user=user.name,
            policy=pulumi.Output.json_dumps(self._artifacts([], write=True)),
            opts=self._here,
        )
        key = aws.iam.AccessKey(f"{self._name}-artifacts", user=user.name, opts=self._here)
        return managed_secret(
            f"{self._name}-artifacts",
            prefix=f"{self._cluster}/kubeflow/artifacts-",
            description=f"Access key of the artifact bucket of {self._cluster}",
            values={"accesskey": key.id, "secretkey": key.secret},
            key_arn=self._key.arn,
            tags=self._args.context.named("artifacts"),
            opts=self._here,
        )
