"""VPC endpoints: access to the AWS APIs inside the VPC."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from regions.region import Feature
from settings.context import StackContext

# APIs that nodes and the platform's pods call often, without the NAT gateway (EKS user guide,
# private-clusters.html): bootstrap and VPC CNI (ec2, eks), image pulls (ecr), IRSA (sts), logs;
# Karpenter's AMI lookup (ssm) and interruption queue (sqs); database secrets. Without callers here,
# and left out: autoscaling (cluster autoscaler), elasticloadbalancing, kms (S3 and Secrets Manager
# decrypt for pods). IAM has no endpoint, the price API none outside its own few regions.
_INTERFACES = ("ec2", "ecr.api", "ecr.dkr", "eks", "logs", "secretsmanager", "sqs", "ssm", "sts")


class VpcEndpoints(pulumi.ComponentResource):
    """Gateway endpoints, which are free, and interface endpoints that admit HTTPS from the VPC.

    DynamoDB and Lambda have one where pods of the image mirror call them.

    Args:
        name: of the component.
        context: shared by all components of the stack.
        vpc_id: of the endpoints.
        cidr: the VPC's range; everything in it may use them.
        subnets: private ones, one per zone; an endpoint is in the zones that its service has.
        route_table_ids: of those subnets; they get the routes to S3 and DynamoDB.
        further: services with an interface endpoint in this stack.
        opts: of the component.

    Attributes:
        ready: must exist before a node can use them.
    """

    ready: Sequence[pulumi.Resource]

    def __init__(
        self,
        name: str,
        context: StackContext,
        *,
        vpc_id: pulumi.Input[str],
        cidr: str,
        subnets: Sequence[aws.ec2.Subnet],
        route_table_ids: Sequence[pulumi.Input[str]],
        further: Sequence[str],
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__("kubeflow:platform:VpcEndpoints", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)

        def tags(role: str) -> dict[str, str]:
            return context.tagged(f"{name}-{role}")

        mirror = context.mirror
        called_by_mirror = mirror.copies and mirror.in_cluster

        def endpoint(service: str, kind: str, **arguments: Any) -> aws.ec2.VpcEndpoint:
            return aws.ec2.VpcEndpoint(
                f"{name}-{service.replace('.', '-')}",
                vpc_id=vpc_id,
                service_name=context.region.vpc_endpoint_service(service),
                vpc_endpoint_type=kind,
                tags=tags(service),
                opts=child,
                **arguments,
            )

        gateways = [
            endpoint(service, "Gateway", route_table_ids=route_table_ids)
            for service in ("s3", *(["dynamodb"] if called_by_mirror else []))
        ]
        group = aws.ec2.SecurityGroup(
            f"{name}-clients",
            description="AWS APIs, for everything inside the VPC",
            vpc_id=vpc_id,
            tags=tags("clients"),
            opts=child,
        )
        admitted = aws.vpc.SecurityGroupIngressRule(
            f"{name}-https",
            security_group_id=group.id,
            description="HTTPS from the VPC",
            ip_protocol="tcp",
            from_port=443,
            to_port=443,
            cidr_ipv4=cidr,
            tags=tags("https"),
            opts=child,
        )
        of_stack = ["eks-auth"] if context.region.has(Feature.POD_IDENTITY) else []
        of_stack += ["lambda"] if called_by_mirror else []
        interfaces = [
            endpoint(
                service,
                "Interface",
                private_dns_enabled=True,
                subnet_ids=self._in_zones_of(service, context, subnets),
                security_group_ids=[group.id],
            )
            for service in (*_INTERFACES, *of_stack, *further)
        ]
        self.ready = [*gateways, admitted, *interfaces]
        self.register_outputs({"s3": gateways[0].id})

    def _in_zones_of(
        self, service: str, context: StackContext, subnets: Sequence[aws.ec2.Subnet]
    ) -> pulumi.Output[list[str]]:
        # EC2 refuses an endpoint in a zone that its service lacks (terraform-aws-modules/
        # terraform-aws-vpc #462, #634).
        offered = aws.ec2.get_vpc_endpoint_service_output(
            service_name=context.region.vpc_endpoint_service(service),
            service_type="Interface",
            opts=pulumi.InvokeOutputOptions(parent=self),
        ).availability_zones
        places = [pulumi.Output.all(each.id, each.availability_zone) for each in subnets]
        return pulumi.Output.all(offered, *places).apply(
            lambda values: [subnet for subnet, zone in values[1:] if zone in values[0]]
        )
