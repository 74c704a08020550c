"""Events about pods' images where API Gateway serves admissions: a function that posts them."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws

from components.mirror import policies
from components.mirror.lambda_function import (
    FunctionNames,
    FunctionRole,
    function_role,
    lambda_function,
)
from components.objects import kubernetes_objects
from rendering import Object
from rendering.plain_folder import objects_of
from settings.mirror_context import MirrorContext

PODS = Path(__file__).resolve().parents[2] / "manifests" / "addons" / "image-mirror"
"""The folder of the objects of pods that answer admissions."""
EVENTS_AT_ONCE = 4
"""A review takes a second or two, most of it waiting for its pod; what does not find room waits in
Lambda's queue for ``_LONGEST_WAIT_SECONDS``."""
GROUP = "image-mirror:event-writer"
"""Of the function's role in Kubernetes. EKS refuses names that begin with system: and its own."""
_RIGHTS = "image-mirror-event-writer"
"""Not the name that pods' rights have: where ``imageMirror.transport`` changes, those are deleted
after these are made."""
_TIMEOUT_SECONDS = 60
_RETRIES = 1
_LONGEST_WAIT_SECONDS = 300
# Lambda takes some 20 minutes to delete the interfaces of a function that is gone, seldom 45
# (hashicorp/terraform-provider-aws #10329).
_DELETION = pulumi.CustomTimeouts(delete="45m")


@dataclass(frozen=True, kw_only=True)
class ApiServer:
    """The API server of an EKS cluster, and where it is reached; all as EKS describes it.

    Attributes:
        cluster: the cluster's name, once it exists.
        endpoint: URL, which leads to the private endpoint inside the VPC.
        authority: certificates that it has its own from, PEM in base64.
        vpc_id: of the cluster.
        subnet_ids: of that VPC.
        security_group_id: EKS's own, which is around the private endpoint.
    """

    cluster: pulumi.Input[str]
    endpoint: pulumi.Input[str]
    authority: pulumi.Input[str]
    vpc_id: pulumi.Input[str]
    subnet_ids: pulumi.Input[Sequence[str]]
    security_group_id: pulumi.Input[str]


class ImageMirrorEvents(pulumi.ComponentResource):
    """A function in the network of the cluster, which posts Events with the rights of the pods.

    The function that answers admissions queues a notice for it and does not wait for Events. It
    reaches the private endpoint and nothing else: a role of AWS signs its own token, which is no
    call. Its access entry has no policy of EKS, only a group to which the rights of the pods are
    bound.

    Args:
        context: of the cluster and its account.
        server: the API server.

    Attributes:
        function: takes notices of reviews.
        arn: its ARN, known before it exists.
    """

    def __init__(
        self,
        name: str,
        context: MirrorContext,
        server: ApiServer,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("kubeflow:platform:ImageMirrorEvents", name, None, opts)
        self._name, self._context, self._server = name, context, server
        self._own = pulumi.ResourceOptions(parent=self)
        names = FunctionNames.of(name, context, "image-events")
        policy = policies.events_policy(function_arn=names.arn, log_arn=names.log_arn)
        role = function_role(names, context, json.dumps(policy), self._own)
        group, rules = self._network(role)
        self.arn = names.arn
        self.function = lambda_function(
            names,
            context,
            role,
            handler="webhook.lambda_handler.post_events",
            timeout=_TIMEOUT_SECONDS,
            memory=256,
            environment={
                "MIRROR_CLUSTER": context.cluster,
                "MIRROR_API_SERVER": server.endpoint,
                "MIRROR_API_AUTHORITY": server.authority,
                "MIRROR_STS_HOST": context.region.service_host("sts"),
            },
            reserved_concurrency=EVENTS_AT_ONCE,
            network=aws.lambda_.FunctionVpcConfigArgs(
                subnet_ids=server.subnet_ids, security_group_ids=[group.id]
            ),
            own=pulumi.ResourceOptions(parent=self, depends_on=rules),
        )
        aws.lambda_.FunctionEventInvokeConfig(
            name,
            function_name=self.function.name,
            maximum_retry_attempts=_RETRIES,
            maximum_event_age_in_seconds=_LONGEST_WAIT_SECONDS,
            opts=self._own,
        )
        aws.eks.AccessEntry(
            f"{name}-access",
            cluster_name=server.cluster,
            principal_arn=role.role.arn,
            type="STANDARD",
            kubernetes_groups=[GROUP],
            tags=context.tagged(f"{name}-access"),
            opts=self._own,
        )
        for obj in rights():
            kubernetes_objects.register(obj, name=f"{name}-{obj['kind'].lower()}", opts=self._own)
        self.register_outputs({"function": self.arn})

    def _network(self, role: FunctionRole) -> tuple[aws.ec2.SecurityGroup, list[pulumi.Resource]]:
        """The function's security group, and the only way from it.

        The group is deleted when Lambda has deleted the function's interfaces, for which it needs
        the rights of the role (terraform-aws-modules/terraform-aws-lambda #310); then the subnets
        can go.
        """
        server, context = self._server, self._context
        after_subnets = pulumi.Output.all(server.vpc_id, server.subnet_ids)
        group = aws.ec2.SecurityGroup(
            f"{self._name}-group",
            description="Function that posts Events of the image mirror",
            vpc_id=after_subnets.apply(lambda both: both[0]),
            tags=context.tagged(f"{self._name}-group"),
            opts=pulumi.ResourceOptions.merge(
                self._own,
                pulumi.ResourceOptions(depends_on=[role.rights], custom_timeouts=_DELETION),
            ),
        )
        https: dict[str, Any] = {
            "description": "The API server, for Events of the image mirror",
            "ip_protocol": "tcp",
            "from_port": 443,
            "to_port": 443,
        }
        to_server = aws.vpc.SecurityGroupEgressRule(
            f"{self._name}-to-server",
            security_group_id=group.id,
            referenced_security_group_id=server.security_group_id,
            **https,
            tags=context.tagged(f"{self._name}-to-server"),
            opts=self._own,
        )
        admitted = aws.vpc.SecurityGroupIngressRule(
            f"{self._name}-admitted",
            security_group_id=server.security_group_id,
            referenced_security_group_id=group.id,
            **https,
            tags=context.tagged(f"{self._name}-admitted"),
            opts=self._own,
        )
        return group, [to_server, admitted]


def rights() -> Iterator[Object]:
    """The ClusterRole of pods that answer admissions, bound to the function's group instead."""
    for obj in objects_of(PODS):
        if obj["kind"] not in ("ClusterRole", "ClusterRoleBinding"):
            continue
        own: dict[str, Any] = {**copy.deepcopy(obj), "metadata": {"name": _RIGHTS}}
        if obj["kind"] == "ClusterRoleBinding":
            group = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": GROUP}
            own |= {"roleRef": {**obj["roleRef"], "name": _RIGHTS}, "subjects": [group]}
        yield own
