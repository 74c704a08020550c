"""The shared file system: EFS, its CSI driver, and the StorageClass ``efs``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pulumi
import pulumi_aws as aws
import yaml

from components.aws.documents import deny_without_tls, document
from components.aws.roles import OidcProvider, role_with_rights
from components.backend.policies import shared_file_driver
from components.objects.kubernetes_objects import register
from settings.context import StackContext
from settings.sections import SharedFilesSettings

_ADDON = "aws-efs-csi-driver"
# Of the add-on (EKS user guide, efs-csi.html): its controller makes access points, its pods on the
# nodes mount them.
_DRIVER = [("kube-system", "efs-csi-controller-sa"), ("kube-system", "efs-csi-node-sa")]
_CLASS = Path(__file__).with_name("efs.yaml")
_NFS = 2049


class SharedFiles(pulumi.ComponentResource):
    """Makes: file system, its policy, backups, mount targets, driver with role, StorageClass.

    Every volume claim of the class gets an access point, which confines all its clients to a
    directory below that of the profile. Only the driver's role may mount, only an access point and
    only over TLS: pods on the nodes are in the security group of the nodes, and a pod's own NFS
    client, also that of a volume of the kind ``nfs``, is anonymous.

    With ``file_system_id`` it changes nothing of the file system; its policy is up to its owner.

    Args:
        name: of the component and the file system.
        context: what all components of the stack share.
        settings: the section ``sharedFiles``.
        key_arn: KMS key of the files.
        vpc_id: of the subnets.
        subnet_ids: one per zone, for mount targets; none: the file system has its own.
        client_security_group_ids: the only ones whose members may connect, those of the nodes.
        cluster_name: the cluster of the add-on.
        kubernetes_version: of the cluster.
        oidc: the cluster's OIDC provider.
        after: needed by the controller's pods.
        opts: of the component.

    Attributes:
        ready: needed by pods with such a volume, and by the end of its claims.
    """

    ready: Sequence[pulumi.Resource]

    def __init__(
        self,
        name: str,
        context: StackContext,
        settings: SharedFilesSettings,
        *,
        key_arn: pulumi.Input[str],
        vpc_id: pulumi.Input[str],
        subnet_ids: Sequence[pulumi.Input[str]],
        client_security_group_ids: Sequence[pulumi.Input[str]],
        cluster_name: pulumi.Input[str],
        kubernetes_version: str,
        oidc: OidcProvider,
        after: Sequence[pulumi.Resource],
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__("kubeflow:platform:SharedFiles", name, None, opts)
        self._name, self._context, self._settings = name, context, settings
        self._child = pulumi.ResourceOptions(parent=self)
        self._tags = context.named("shared-files")
        file_system_id, secured = self._file_system(key_arn)
        targets = self._mount_targets(
            file_system_id, vpc_id, subnet_ids, client_security_group_ids, secured
        )
        driver = self._driver(file_system_id, cluster_name, kubernetes_version, oidc, after)
        storage_class = yaml.safe_load(_CLASS.read_text("utf-8"))
        storage_class["parameters"]["fileSystemId"] = file_system_id
        registered = register(
            storage_class,
            name=f"{name}-efs",
            opts=pulumi.ResourceOptions(parent=self, depends_on=[driver, *targets]),
        )
        self.ready = [registered]
        self.register_outputs({"fileSystemId": file_system_id})

    def _file_system(
        self, key_arn: pulumi.Input[str]
    ) -> tuple[pulumi.Output[str], list[pulumi.Resource]]:
        """The ID, and what must exist before a mount target opens the file system."""
        settings, name = self._settings, self._name
        if settings.file_system_id:
            return pulumi.Output.from_input(settings.file_system_id), []
        days = settings.infrequent_access_days
        unread = f"AFTER_{days}_DAY{'' if days == 1 else 'S'}"
        kept = pulumi.ResourceOptions(parent=self, retain_on_delete=settings.retain_on_delete)
        files = aws.efs.FileSystem(
            name,
            encrypted=True,
            kms_key_id=key_arn,
            throughput_mode=settings.throughput,
            lifecycle_policies=[
                {"transition_to_ia": unread},
                {"transition_to_primary_storage_class": "AFTER_1_ACCESS"},
            ]
            if days
            else [],
            tags=self._tags,
            opts=pulumi.ResourceOptions.merge(
                kept, pulumi.ResourceOptions(protect=self._context.protected)
            ),
        )
        # While a file system has no policy, EFS lets every client in without asking who it is (EFS
        # user guide, iam-access-control-nfs-efs.html, "Default EFS file system policy").
        policy = files.arn.apply(lambda arn: document(deny_without_tls("TlsOnly", "*", arn)))
        secured = aws.efs.FileSystemPolicy(
            f"{name}-tls-only",
            file_system_id=files.id,
            policy=pulumi.Output.json_dumps(policy),
            opts=kept,
        )
        aws.efs.BackupPolicy(
            f"{name}-backup",
            file_system_id=files.id,
            backup_policy={"status": "ENABLED" if settings.backup else "DISABLED"},
            opts=kept,
        )
        return files.id, [secured]

    def _mount_targets(
        self,
        file_system_id: pulumi.Input[str],
        vpc_id: pulumi.Input[str],
        subnet_ids: Sequence[pulumi.Input[str]],
        clients: Sequence[pulumi.Input[str]],
        secured: Sequence[pulumi.Resource],
    ) -> list[pulumi.Resource]:
        if not subnet_ids:
            return []
        group = aws.ec2.SecurityGroup(
            f"{self._name}-clients",
            description=f"Shared files for the nodes of {self._context.cluster}",
            vpc_id=vpc_id,
            tags=self._tags,
            opts=self._child,
        )
        rules = [
            aws.vpc.SecurityGroupIngressRule(
                f"{self._name}-from-nodes-{index}",
                security_group_id=group.id,
                referenced_security_group_id=client,
                ip_protocol="tcp",
                from_port=_NFS,
                to_port=_NFS,
                description="NFS from cluster nodes",
                tags=self._tags,
                opts=self._child,
            )
            for index, client in enumerate(clients)
        ]
        targets = [
            aws.efs.MountTarget(
                f"{self._name}-{number}",
                file_system_id=file_system_id,
                subnet_id=subnet_id,
                security_groups=[group.id],
                # EFS takes one per zone, so that another subnet is no addition.
                opts=pulumi.ResourceOptions(
                    parent=self, delete_before_replace=True, depends_on=list(secured)
                ),
            )
            for number, subnet_id in enumerate(subnet_ids, start=1)
        ]
        return [*rules, *targets]

    def _driver(
        self,
        file_system_id: pulumi.Output[str],
        cluster_name: pulumi.Input[str],
        kubernetes_version: str,
        oidc: OidcProvider,
        after: Sequence[pulumi.Resource],
    ) -> aws.eks.Addon:
        context, name = self._context, f"{self._name}-driver"
        region, account = context.region, context.account_id

        def rights(file_system: str) -> dict[str, object]:
            arn = region.arn("elasticfilesystem", f"file-system/{file_system}", account=account)
            points = region.arn("elasticfilesystem", "access-point/*", account=account)
            return shared_file_driver(arn, points)

        role_arn = role_with_rights(
            name,
            name_prefix=f"{context.cluster}-shared-files",
            description=f"EFS CSI driver of {context.cluster}",
            trust=oidc.trust(region, _DRIVER),
            policy=file_system_id.apply(rights),
            identity=context.identity,
            tags=self._tags,
            opts=self._child,
        )
        version = aws.eks.get_addon_version_output(
            addon_name=_ADDON,
            kubernetes_version=kubernetes_version,
            opts=pulumi.InvokeOutputOptions(parent=self),
        ).version
        return aws.eks.Addon(
            name,
            cluster_name=cluster_name,
            addon_name=_ADDON,
            addon_version=version,
            service_account_role_arn=role_arn,
            resolve_conflicts_on_create="OVERWRITE",
            resolve_conflicts_on_update="OVERWRITE",
            tags=self._tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(after)),
        )
