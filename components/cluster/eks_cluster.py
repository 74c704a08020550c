"""The Kubernetes cluster: network, control plane, nodes, add-ons, and its provider."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_eks as eks
import pulumi_kubernetes as k8s

from components.aws.roles import OidcProvider
from components.aws.trust import POD_IDENTITY_AGENT
from components.cluster.block_storage import BlockStorage
from components.cluster.control_plane import ControlPlane
from components.cluster.network import Network
from components.cluster.node_group import NodeGroup
from components.objects.unready_pods import unready_pods
from regions.region import Feature
from settings.context import StackContext
from settings.sections import (
    ClusterSettings,
    NetworkSettings,
    NodeGroupSettings,
    SharedFilesSettings,
)

# Enforces NetworkPolicy objects, of which Kubeflow has some. The add-on's schema has a string here
# (aws/amazon-vpc-cni-k8s charts/aws-vpc-cni, pulumi-eks nodejs/eks/addons/cni-addon.ts).
_VPC_CNI = {"enableNetworkPolicy": "true"}


@dataclass(frozen=True, kw_only=True)
class EksClusterArgs:
    """Arguments of ``EksCluster``.

    Args:
        context: shared by all components of the stack.
        cluster, network, node_group, shared_files: the settings of the same names.
    """

    context: StackContext
    cluster: ClusterSettings
    network: NetworkSettings
    node_group: NodeGroupSettings
    shared_files: SharedFilesSettings


class EksCluster(pulumi.ComponentResource):
    """An EKS cluster for pods with volumes and IAM roles.

    The control plane is pulumi-eks' ``Cluster`` with everything optional off; add-ons, OIDC
    provider and nodes are plain AWS resources, so that their order, versions and configuration are
    decided here (pulumi-eks looks up the newest version at every preview, reads a TLS certificate
    during preview, and orders CoreDNS before nodes). No security group is made either: EKS makes
    one between control plane and nodes, which managed and Karpenter's nodes use; it also admits
    whoever else may reach the API server.

    Attributes:
        cluster_name: known in the first preview; its dependents wait for the control plane.
        cluster_arn: likewise.
        endpoint: URL of the API server.
        certificate_authority: what it has its certificate from, PEM in base64.
        kubeconfig_json: secret; it gets tokens from the AWS CLI and contains none.
        oidc: for trust policies of IAM roles for service accounts.
        vpc_id: see Network.
        private_subnet_ids: see Network.
        control_plane_cidrs: see Network.
        mount_target_subnet_ids: see Network; none without shared files.
        node_security_group_id: the group of every node.
        security_group_id: of EKS, around the private endpoint.
        kubernetes_provider: for every object in the cluster.
        ready: needed by everything that runs pods.
        unready_pods: hooks of every workload in the cluster; they report pods that are not ready.
    """

    cluster_name: pulumi.Output[str]
    cluster_arn: pulumi.Output[str]
    endpoint: pulumi.Output[str]
    certificate_authority: pulumi.Output[str]
    kubeconfig_json: pulumi.Output[str]
    oidc: OidcProvider
    vpc_id: pulumi.Output[str]
    private_subnet_ids: pulumi.Output[list[str]]
    control_plane_cidrs: Sequence[str]
    mount_target_subnet_ids: Sequence[pulumi.Output[str]]
    node_security_group_id: pulumi.Output[str]
    security_group_id: pulumi.Output[str]
    kubernetes_provider: k8s.Provider
    ready: Sequence[pulumi.Resource]
    unready_pods: pulumi.ResourceHookBinding

    def __init__(
        self, name: str, args: EksClusterArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("kubeflow:platform:EksCluster", name, None, opts)
        self._name = name
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        network = Network(
            f"{name}-network", args.context, args.network, args.shared_files, self._child
        )
        control_plane = ControlPlane(
            f"{name}-control-plane",
            args.context,
            args.cluster,
            vpc_id=network.vpc_id,
            subnet_ids=network.control_plane_subnet_ids,
            opts=self._child,
        )
        self._set_outputs(network, control_plane.cluster)
        self.kubernetes_provider = self._kubernetes_provider(control_plane.access)
        self.unready_pods = unready_pods(
            self.kubeconfig_json,
            f"{args.context.aws_cli} eks update-kubeconfig --region {args.context.region.name} "
            f"--name {args.context.cluster} && ./kf verify --stack {pulumi.get_stack()}",
        )
        nodes, ready = self._addons_and_nodes(network)
        storage = BlockStorage(
            f"{name}-storage",
            args.context,
            cluster_name=self.cluster_name,
            addon_version=self._addon_version("aws-ebs-csi-driver"),
            oidc=self.oidc,
            kubernetes_provider=self.kubernetes_provider,
            after=[nodes.group],
            opts=self._child,
        )
        self.ready = [*ready, *storage.ready]
        self.register_outputs(
            {
                "clusterName": self.cluster_name,
                "clusterArn": self.cluster_arn,
                "endpoint": self.endpoint,
                "kubeconfig": self.kubeconfig_json,
                "oidcProviderArn": self.oidc.arn,
                "vpcId": self.vpc_id,
            }
        )

    def _set_outputs(self, network: Network, control_plane: eks.Cluster) -> None:
        region, cluster = self._args.context.region, self._args.context.cluster
        # Through the URN: the name is known before the cluster exists, and its dependents still
        # depend on the whole remote component (the engine expands that to its children when it
        # deletes: pkg/resource/graph, DependenciesOf).
        self.cluster_name = control_plane.urn.apply(lambda _: cluster)
        account = self._args.context.account_id
        self.cluster_arn = self.cluster_name.apply(
            lambda name: region.arn("eks", f"cluster/{name}", account=account)
        )
        self.endpoint = control_plane.kubeconfig_json.apply(server_of)
        self.certificate_authority = control_plane.kubeconfig_json.apply(authority_of)
        self.kubeconfig_json = pulumi.Output.secret(control_plane.kubeconfig_json)
        self.node_security_group_id = control_plane.node_security_group_id
        self.security_group_id = control_plane.cluster_security_group_id
        self.vpc_id = network.vpc_id
        self.private_subnet_ids = network.private_subnet_ids
        self.control_plane_cidrs = network.control_plane_cidrs
        self.mount_target_subnet_ids = network.mount_target_subnet_ids

        # Without thumbprints: IAM has its own list of certificate authorities for the issuer, and
        # reading one needs a TLS connection to the region during preview.
        provider = aws.iam.OpenIdConnectProvider(
            f"{self._name}-oidc",
            url=control_plane.oidc_provider_url,
            client_id_lists=[region.oidc_audience],
            tags=self._args.context.tagged(f"{self._name}-oidc"),
            opts=self._child,
        )
        self.oidc = OidcProvider(provider.arn, control_plane.oidc_issuer)

    def _kubernetes_provider(self, access: Sequence[pulumi.Resource]) -> k8s.Provider:
        return k8s.Provider(
            f"{self._name}-kubernetes",
            kubeconfig=self.kubeconfig_json,
            # Six of Kubeflow's CRDs are too large for client-side apply.
            enable_server_side_apply=True,
            # A changed ConfigMap or Secret is an update, not a replacement.
            enable_config_map_mutable=True,
            enable_secret_mutable=True,
            # Only a new cluster has a new endpoint; a changed kubeconfig must not replace six
            # hundred objects.
            cluster_identifier=self.endpoint,
            # delete_unreachable stays off: a network failure during destroy must not leave load
            # balancers and volumes that are in no state. After the loss of a cluster, set
            # PULUMI_K8S_DELETE_UNREACHABLE for one run.
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(access)),
        )

    def _addons_and_nodes(self, network: Network) -> tuple[NodeGroup, list[pulumi.Resource]]:
        # Nodes become Ready through the CNI; CoreDNS becomes active only on a node.
        vpc_cni = self._addon("vpc-cni", configuration=_VPC_CNI)
        kube_proxy = self._addon("kube-proxy")
        nodes = NodeGroup(
            f"{self._name}-nodes",
            self._args.context,
            self._args.node_group,
            cluster_name=self.cluster_name,
            kubernetes_version=self._args.cluster.version,
            subnet_ids=self.private_subnet_ids,
            after=[vpc_cni, kube_proxy, *network.ready],
            opts=self._child,
        )
        coredns = self._addon("coredns", after=[nodes.group])
        ready: list[pulumi.Resource] = [nodes.group, vpc_cni, kube_proxy, coredns]
        if self._args.context.region.has(Feature.POD_IDENTITY):
            ready.append(self._addon(POD_IDENTITY_AGENT, after=[nodes.group]))
        return nodes, ready

    def _addon_version(self, addon: str) -> pulumi.Output[str]:
        # The default version for this Kubernetes version, looked up in the preview: a version that
        # the region does not offer fails before any change.
        return aws.eks.get_addon_version_output(
            addon_name=addon,
            kubernetes_version=self._args.cluster.version,
            opts=pulumi.InvokeOutputOptions(parent=self),
        ).version

    def _addon(
        self,
        addon: str,
        *,
        configuration: Mapping[str, str] | None = None,
        after: Sequence[pulumi.Resource] = (),
    ) -> aws.eks.Addon:
        return aws.eks.Addon(
            f"{self._name}-{addon}",
            cluster_name=self.cluster_name,
            addon_name=addon,
            addon_version=self._addon_version(addon),
            configuration_values=json.dumps(configuration) if configuration else None,
            resolve_conflicts_on_create="OVERWRITE",
            resolve_conflicts_on_update="OVERWRITE",
            # An add-on that leaves the program leaves its pods: running pods need their network.
            preserve=True,
            tags=dict(self._args.context.tags),
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(after)),
        )


def server_of(kubeconfig: str) -> str:
    """The API server's URL in a kubeconfig (JSON) of one cluster."""
    return str(_cluster_of(kubeconfig)["server"])


def authority_of(kubeconfig: str) -> str:
    """The API server's certificate authority in a kubeconfig (JSON) of one cluster, in base64."""
    return str(_cluster_of(kubeconfig)["certificate-authority-data"])


def _cluster_of(kubeconfig: str) -> dict[str, Any]:
    return json.loads(kubeconfig)["clusters"][0]["cluster"]
