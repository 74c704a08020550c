"""The EKS control plane, its nodes and add-ons, and the key and logs that come with them."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

from rehearsal.clouds import Invention

_CLUSTER = "aws:eks/cluster:Cluster"


def _cluster_name(made: Invention) -> str:
    given = made.inputs.get("name")
    return given if isinstance(given, str) and given else f"{made.name}-{made.hex(7)}"


def control_plane(made: Invention) -> dict[str, Any]:
    """The computed properties of a cluster, the same from its name whoever asks.

    ``eks:index:Cluster`` and the ``aws.eks.Cluster`` it brings describe one cluster.
    """
    name = _cluster_name(made)
    own = replace(made, type=_CLUSTER, name=name)
    identity = own.hex(32).upper()
    authority = base64.b64encode(f"simulated authority of {name}".encode()).decode()
    issuers = f"oidc.eks.{made.region.name}.{made.region.dns_suffix}"
    return {
        "id": name,
        "arn": made.arn("eks", f"cluster/{name}"),
        "name": name,
        "endpoint": f"https://{identity}.gr7.{made.region.name}.eks.{made.region.dns_suffix}",
        "certificateAuthority": {"data": authority},
        "identities": [{"oidcs": [{"issuer": f"https://{issuers}/id/{identity}"}]}],
        "clusterSecurityGroupId": f"sg-{own.hex()}",
        "status": "ACTIVE",
        "platformVersion": "eks.1",
        "createdAt": "2026-01-01T00:00:00Z",
    }


def _cluster(made: Invention) -> dict[str, Any]:
    outputs = control_plane(made)
    group = outputs.pop("clusterSecurityGroupId")
    network = {**made.inputs.get("vpcConfig", {}), "clusterSecurityGroupId": group}
    return {**outputs, "vpcConfig": network}


def kubeconfig(made: Invention) -> dict[str, Any]:
    """The kubeconfig of pulumi-eks (nodejs/eks/cluster/cluster.ts, generateKubeconfig)."""
    plane = control_plane(made)
    arguments = ["--region", made.region.name, "eks", "get-token"]
    arguments += ["--cluster-name", plane["name"], "--output", "json"]
    token = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": "aws",
        "args": arguments,
        "env": [
            {
                "name": "KUBERNETES_EXEC_INFO",
                "value": '{"apiVersion": "client.authentication.k8s.io/v1beta1"}',
            }
        ],
    }
    server = {
        "server": plane["endpoint"],
        "certificate-authority-data": plane["certificateAuthority"]["data"],
    }
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "kubernetes", "cluster": server}],
        "contexts": [{"name": "aws", "context": {"cluster": "kubernetes", "user": "aws"}}],
        "current-context": "aws",
        "users": [{"name": "aws", "user": {"exec": token}}],
    }


def _component(made: Invention) -> dict[str, Any]:
    """What ``eks.Cluster`` answers for clusters without default security groups and node group.

    The resources among its outputs (``eksCluster``, ``core.cluster`` ...) are references to
    children and added by whoever registers those; the SDK takes no plain object in their place.
    ``core`` is an output type whose other members may be missing.
    """
    plane = control_plane(made)
    config = kubeconfig(made)
    group = plane["clusterSecurityGroupId"]
    issuer = plane["identities"][0]["oidcs"][0]["issuer"]
    return {
        "id": "",
        "kubeconfig": config,
        "kubeconfigJson": json.dumps(config),
        "clusterSecurityGroupId": group,
        "nodeSecurityGroupId": group,
        "clusterIngressRuleId": "",
        "defaultNodeGroupAsgName": "",
        "fargateProfileId": "",
        "fargateProfileStatus": "",
        "instanceRoles": [],
        "oidcProviderArn": "",
        "oidcProviderUrl": issuer,
        "oidcIssuer": issuer.removeprefix("https://"),
        "autoModeNodeRoleName": "",
        "core": {
            "endpoint": plane["endpoint"],
            "vpcId": made.inputs.get("vpcId"),
            "subnetIds": made.inputs.get("privateSubnetIds"),
            "privateSubnetIds": made.inputs.get("privateSubnetIds"),
            "instanceRoles": [],
            "kubeconfig": config,
            "tags": made.inputs.get("tags"),
        },
    }


def _part(kind: str, key: str) -> Callable[[Invention], dict[str, Any]]:
    """Something of a cluster, identified as ``<cluster>:<name>``."""

    def outputs(made: Invention) -> dict[str, Any]:
        cluster = made.inputs.get("clusterName", "")
        name = made.physical_name(key)
        arn = made.arn("eks", f"{kind}/{cluster}/{name}/{made.hex(8)}")
        return {"id": f"{cluster}:{name}", "arn": arn, key: name, "status": "ACTIVE"}

    return outputs


def _access_entry(made: Invention) -> dict[str, Any]:
    principal = str(made.inputs.get("principalArn", ""))
    cluster = made.inputs.get("clusterName", "")
    return {
        "id": f"{cluster}:{principal}",
        "accessEntryArn": made.arn("eks", f"access-entry/{cluster}/{made.hex(8)}"),
        "userName": made.inputs.get("userName") or principal,
    }


def _access_policy(made: Invention) -> dict[str, Any]:
    keys = ("clusterName", "principalArn", "policyArn")
    return {"id": "#".join(str(made.inputs.get(key, "")) for key in keys)}


def _association(made: Invention) -> dict[str, Any]:
    identifier = f"a-{made.hex()}"
    cluster = made.inputs.get("clusterName", "")
    arn = made.arn("eks", f"podidentityassociation/{cluster}/{identifier}")
    return {"id": identifier, "associationId": identifier, "associationArn": arn}


def _key(made: Invention) -> dict[str, Any]:
    digits = made.hex(32)
    cuts = (0, 8, 12, 16, 20, 32)
    key = "-".join(digits[a:b] for a, b in pairwise(cuts))
    return {"id": key, "keyId": key, "arn": made.arn("kms", f"key/{key}")}


def _alias(made: Invention) -> dict[str, Any]:
    name = made.physical_name()
    return {"id": name, "name": name, "arn": made.arn("kms", name)}


def _launch_template(made: Invention) -> dict[str, Any]:
    identifier = f"lt-{made.hex()}"
    # Another content is another version: whoever uses the newest one changes with it.
    content = json.dumps(made.inputs, sort_keys=True, default=str)
    version = int(hashlib.sha256(content.encode()).hexdigest()[:4], 16) + 1
    return {
        "id": identifier,
        "arn": made.arn("ec2", f"launch-template/{identifier}"),
        "name": made.physical_name(),
        "latestVersion": version,
    }


def _log_group(made: Invention) -> dict[str, Any]:
    name = made.physical_name()
    return {"id": name, "name": name, "arn": made.arn("logs", f"log-group:{name}")}


OUTPUTS: dict[str, Callable[[Invention], dict[str, Any]]] = {
    "eks:index:Cluster": _component,
    _CLUSTER: _cluster,
    "aws:eks/addon:Addon": _part("addon", "addonName"),
    "aws:eks/nodeGroup:NodeGroup": _part("nodegroup", "nodeGroupName"),
    "aws:eks/accessEntry:AccessEntry": _access_entry,
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": _access_policy,
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": _association,
    "aws:kms/key:Key": _key,
    "aws:kms/alias:Alias": _alias,
    "aws:ec2/launchTemplate:LaunchTemplate": _launch_template,
    "aws:cloudwatch/logGroup:LogGroup": _log_group,
}

# Version numbers of the kind AWS publishes; only their form matters.
_ADDON_VERSIONS = {
    "vpc-cni": "v1.21.1-eksbuild.1",
    "kube-proxy": "v{kubernetes}.0-eksbuild.2",
    "coredns": "v1.13.1-eksbuild.1",
    "aws-ebs-csi-driver": "v1.56.0-eksbuild.1",
    "eks-pod-identity-agent": "v1.3.10-eksbuild.1",
}


def _addon_version(made: Invention) -> dict[str, Any]:
    name = str(made.inputs["addonName"])
    kubernetes = str(made.inputs["kubernetesVersion"])
    version = _ADDON_VERSIONS[name].format(kubernetes=kubernetes)
    return {**made.inputs, "id": name, "version": version, "mostRecent": False}


INVOKES: dict[str, Callable[[Invention], dict[str, Any]]] = {
    "aws:eks/getAddonVersion:getAddonVersion": _addon_version,
}
