"""``eks.Cluster`` of pulumi-eks: what the component computes, and add-on versions."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

from rehearsal.sample_outputs.resource import SimulatedResource

CLUSTER = "aws:eks/cluster:Cluster"


def kubeconfig(component: SimulatedResource) -> dict[str, Any]:
    """The kubeconfig of pulumi-eks (nodejs/eks/cluster/cluster.ts, generateKubeconfig)."""
    name, region = component.inputs["name"], component.region
    authority = base64.b64encode(f"simulated authority of {name}".encode()).decode()
    host = f"{_identity(component)}.gr7.{region.name}.eks.{region.dns_suffix}"
    given = component.inputs.get("providerCredentialOpts") or {}
    version = "client.authentication.k8s.io/v1beta1"
    token = {
        "apiVersion": version,
        "command": "aws",
        "args": [
            *("--region", region.name, "eks", "get-token"),
            *("--cluster-name", name, "--output", "json"),
            *(("--role", given["roleArn"]) if given.get("roleArn") else ()),
            *(("--profile", given["profileName"]) if given.get("profileName") else ()),
        ],
        "env": [{"name": "KUBERNETES_EXEC_INFO", "value": json.dumps({"apiVersion": version})}],
    }
    server = {"server": f"https://{host}", "certificate-authority-data": authority}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "kubernetes", "cluster": server}],
        "contexts": [{"name": "aws", "context": {"cluster": "kubernetes", "user": "aws"}}],
        "current-context": "aws",
        "users": [{"name": "aws", "user": {"exec": token}}],
    }


def _control_plane(component: SimulatedResource) -> SimulatedResource:
    return replace(component, type=CLUSTER, name=component.inputs["name"])


def _identity(component: SimulatedResource) -> str:
    return _control_plane(component).hex(32).upper()


def _issuer(component: SimulatedResource) -> str:
    region = component.region
    return f"oidc.eks.{region.name}.{region.dns_suffix}/id/{_identity(component)}"


def security_group(control_plane: SimulatedResource) -> str:
    """The id of the group that EKS makes for a cluster."""
    return f"sg-{control_plane.hex()}"


def _component(component: SimulatedResource) -> dict[str, Any]:
    group = security_group(_control_plane(component))
    issuer = _issuer(component)
    return {
        "clusterSecurityGroupId": group,
        "kubeconfigJson": json.dumps(kubeconfig(component)),
        "nodeSecurityGroupId": group,
        "oidcIssuer": issuer,
        "oidcProviderUrl": f"https://{issuer}",
    }


# Version numbers of the kind AWS publishes; only their form matters.
_ADDON_VERSIONS = {
    "vpc-cni": "v1.21.1-eksbuild.1",
    "kube-proxy": "v{kubernetesVersion}.0-eksbuild.2",
    "coredns": "v1.13.1-eksbuild.1",
    "aws-ebs-csi-driver": "v1.56.0-eksbuild.1",
    "aws-efs-csi-driver": "v3.4.1-eksbuild.1",
    "eks-pod-identity-agent": "v1.3.10-eksbuild.1",
}


def _addon_version(call: SimulatedResource) -> dict[str, Any]:
    return {"version": call.text(_ADDON_VERSIONS[call.inputs["addonName"]])}


def _clusters(_: SimulatedResource) -> dict[str, Any]:
    return {"names": []}


def _described(call: SimulatedResource) -> dict[str, Any]:
    name = call.inputs["name"]
    issuer = f"https://{_issuer(call)}"
    of_it = replace(call, type=CLUSTER, name=name)
    server = kubeconfig(call)["clusters"][0]["cluster"]
    return {
        "accessConfigs": [{"authenticationMode": "API"}],
        "arn": call.arn("eks", f"cluster/{name}"),
        "certificateAuthorities": [{"data": server["certificate-authority-data"]}],
        "endpoint": server["server"],
        "identities": [{"oidcs": [{"issuer": issuer}]}],
        "name": name,
        "version": "1.36",
        "vpcConfig": {
            "clusterSecurityGroupId": security_group(of_it),
            "endpointPrivateAccess": True,
            "subnetIds": [f"subnet-{of_it.hex(16)}{number}" for number in range(2)],
            "vpcId": f"vpc-{of_it.hex()}",
        },
    }


OUTPUTS = {"eks:index:Cluster": _component}
INVOKES = {
    "aws:eks/getAddonVersion:getAddonVersion": _addon_version,
    "aws:eks/getCluster:getCluster": _described,
    "aws:eks/getClusters:getClusters": _clusters,
}
