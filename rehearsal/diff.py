"""The effect of a change of inputs on a simulated resource: none, an update, or a replacement.

Real providers have this for every property; here tables have those of this platform's types that
force a replacement, and anything else updates. Sources: the ``replaceOnChanges``/ForceNew
marks in the schemas of pulumi-aws 7, pulumi-kubernetes provider/pkg/provider/diff.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

FORCE_NEW: dict[str, frozenset[str]] = {
    "aws:codebuild/project:Project": frozenset({"name"}),
    "aws:dynamodb/table:Table": frozenset({"name", "hashKey", "rangeKey"}),
    "aws:ec2/eip:Eip": frozenset({"domain"}),
    "aws:ec2/natGateway:NatGateway": frozenset({"subnetId", "connectivityType"}),
    "aws:ec2/routeTable:RouteTable": frozenset({"vpcId"}),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": frozenset({"subnetId"}),
    "aws:ec2/securityGroup:SecurityGroup": frozenset({"name", "vpcId", "description"}),
    "aws:ec2/subnet:Subnet": frozenset({"cidrBlock", "availabilityZone", "vpcId"}),
    "aws:ec2/vpc:Vpc": frozenset({"cidrBlock"}),
    "aws:ec2/vpcEndpoint:VpcEndpoint": frozenset({"serviceName", "vpcId", "vpcEndpointType"}),
    "aws:eks/accessEntry:AccessEntry": frozenset({"clusterName", "principalArn", "type"}),
    "aws:eks/addon:Addon": frozenset({"addonName", "clusterName"}),
    "aws:eks/cluster:Cluster": frozenset({"name", "roleArn", "encryptionConfig"}),
    "aws:eks/nodeGroup:NodeGroup": frozenset(
        {"clusterName", "nodeGroupName", "instanceTypes", "subnetIds", "amiType", "diskSize"}
    ),
    "aws:iam/instanceProfile:InstanceProfile": frozenset({"name", "path"}),
    "aws:iam/policy:Policy": frozenset({"name", "path", "description"}),
    "aws:iam/role:Role": frozenset({"name", "path"}),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": frozenset({"role", "policyArn"}),
    "aws:iam/user:User": frozenset({"path"}),
    "aws:lambda/function:Function": frozenset({"name", "packageType"}),
    "aws:rds/instance:Instance": frozenset(
        {"engine", "username", "storageEncrypted", "kmsKeyId", "dbName", "availabilityZone"}
    ),
    "aws:rds/parameterGroup:ParameterGroup": frozenset({"name", "family", "description"}),
    "aws:rds/subnetGroup:SubnetGroup": frozenset({"name"}),
    "aws:s3/bucket:Bucket": frozenset({"bucket"}),
    "aws:secretsmanager/secret:Secret": frozenset({"name"}),
    "aws:secretsmanager/secretVersion:SecretVersion": frozenset({"secretId", "secretString"}),
    "aws:sqs/queue:Queue": frozenset({"name", "fifoQueue"}),
}
"""Resource type -> top-level properties whose change makes a new resource."""

_KUBERNETES_IDENTITY = ("metadata.name", "metadata.namespace")
_KUBERNETES_FORCE_NEW: dict[str, tuple[str, ...]] = {
    "ConfigMap": ("data", "binaryData"),
    "Secret": ("data", "stringData", "type"),
    "Deployment": ("spec.selector",),
    "DaemonSet": ("spec.selector",),
    "StatefulSet": ("spec.selector", "spec.serviceName", "spec.volumeClaimTemplates"),
    "Job": ("spec.selector", "spec.template", "spec.completions"),
    "PersistentVolumeClaim": ("spec.storageClassName", "spec.accessModes"),
    "RoleBinding": ("roleRef",),
    "ClusterRoleBinding": ("roleRef",),
    "StorageClass": ("provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"),
}


def changed_paths(old: Any, new: Any, path: str = "") -> list[str]:
    """The property paths (``a.b[0].c``) at which two plain values differ, in order."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        before, after = cast(Mapping[str, Any], old), cast(Mapping[str, Any], new)
        paths: list[str] = []
        for key in sorted({*before, *after}):
            inner = f"{path}.{key}" if path else key
            if key not in before or key not in after:
                paths.append(inner)
            elif before[key] != after[key]:
                paths += changed_paths(before[key], after[key], inner)
        return paths
    if isinstance(old, list) and isinstance(new, list):
        one, two = cast(list[Any], old), cast(list[Any], new)
        if len(one) == len(two):
            return [
                inner
                for index, (left, right) in enumerate(zip(one, two, strict=True))
                if left != right
                for inner in changed_paths(left, right, f"{path}[{index}]")
            ]
    return [] if old == new else [path]


def replacing(type_: str, paths: list[str], *, mutable: frozenset[str] = frozenset()) -> list[str]:
    """Those of the changed paths that force a new resource of this type.

    Args:
        type_: the resource's type token.
        paths: see ``changed_paths``.
        mutable: Kubernetes kinds whose data the provider is configured to change in place
            (``enableConfigMapMutable``, ``enableSecretMutable``).
    """
    if type_.startswith("kubernetes:"):
        kind = type_.rsplit(":", 1)[-1]
        fixed = () if kind in mutable else _KUBERNETES_FORCE_NEW.get(kind, ())
        return [path for path in paths if _below(path, (*_KUBERNETES_IDENTITY, *fixed))]
    return [path for path in paths if _below(path, tuple(FORCE_NEW.get(type_, ())))]


def _below(path: str, roots: tuple[str, ...]) -> bool:
    return any(path == root or path.startswith((f"{root}.", f"{root}[")) for root in roots)
