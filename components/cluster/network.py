"""The network of a cluster: a new VPC, or an existing one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pulumi
import pulumi_aws as aws

from components.cluster.address_plan import AddressPlan, carve
from components.cluster.vpc_endpoints import VpcEndpoints
from settings.context import StackContext
from settings.existing_vpc import NO_CONTROL_PLANE
from settings.sections import NetworkSettings, SharedFilesSettings


class Network(pulumi.ComponentResource):
    """A VPC with one private and one public subnet per zone, NAT and service endpoints.

    With ``network.vpc_id`` it creates none of these and changes nothing: tags of its subnets, for
    load balancers too, are up to the VPC's owner, and other clusters may use the same subnets.

    Args:
        name: of the component.
        context: shared by all components of the stack.
        network: the range, number of zones and kind of NAT; or the IDs of a VPC and its subnets.
        shared_files: the section ``sharedFiles``.
        opts: of the component.

    Attributes:
        vpc_id: the VPC.
        private_subnet_ids: one subnet per zone for nodes, pods and the database.
        control_plane_subnet_ids: one subnet per zone for EKS alone, or the private ones.
        control_plane_cidrs: the address ranges of those: the API server calls pods from there; none
            in an existing VPC, where pods have addresses in these subnets too.
        mount_target_subnet_ids: one of them in each zone, where the stack makes mount targets of
            shared files; EFS refuses a second one in a zone.
        ready: routes and endpoints, without which a node cannot reach the AWS APIs.
    """

    vpc_id: pulumi.Output[str]
    private_subnet_ids: pulumi.Output[list[str]]
    control_plane_subnet_ids: pulumi.Output[list[str]]
    control_plane_cidrs: Sequence[str]
    mount_target_subnet_ids: Sequence[pulumi.Output[str]]
    ready: Sequence[pulumi.Resource]

    def __init__(
        self,
        name: str,
        context: StackContext,
        network: NetworkSettings,
        shared_files: SharedFilesSettings,
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__("kubeflow:platform:Network", name, None, opts)
        self._name, self._context, self._settings = name, context, network
        self._shared_files = shared_files
        self._child = pulumi.ResourceOptions(parent=self)
        if network.vpc_id:
            self._adopt(network.vpc_id)
        else:
            self._create(carve(network.cidr, network.zones or context.region.cluster_zones))
        self.register_outputs({"vpcId": self.vpc_id, "privateSubnetIds": self.private_subnet_ids})

    def _tags(self, role: str) -> dict[str, str]:
        return self._context.tagged(f"{self._name}-{role}")

    def _adopt(self, vpc_id: str) -> None:
        self.vpc_id = pulumi.Output.from_input(vpc_id)
        self.private_subnet_ids = pulumi.Output.from_input(list(self._settings.private_subnet_ids))
        self.control_plane_subnet_ids = self.private_subnet_ids
        self.control_plane_cidrs = ()
        self.mount_target_subnet_ids = (
            [pulumi.Output.from_input(each) for each in self._one_per_zone()]
            if self._makes_mount_targets
            else []
        )
        self.ready = []

    @property
    def _makes_mount_targets(self) -> bool:
        return self._shared_files.enabled and self._shared_files.makes_mount_targets(self._settings)

    def _one_per_zone(self) -> list[str]:
        call, first = pulumi.InvokeOptions(parent=self), dict[str, str]()
        for subnet_id in self._settings.private_subnet_ids:
            zone = aws.ec2.get_subnet(id=subnet_id, opts=call).availability_zone
            first.setdefault(zone, subnet_id)
        return list(first.values())

    def _create(self, plan: AddressPlan) -> None:
        vpc = aws.ec2.Vpc(
            f"{self._name}-vpc",
            cidr_block=self._settings.cidr,
            # Both are needed for the endpoints' private names and the cluster's private endpoint.
            enable_dns_support=True,
            enable_dns_hostnames=True,
            tags=self._tags("vpc"),
            opts=self._child,
        )
        # Without rules: resources that name no security group have no network access.
        aws.ec2.DefaultSecurityGroup(
            f"{self._name}-default",
            vpc_id=vpc.id,
            tags=self._tags("default"),
            opts=self._child,
        )
        zones = self._zones(len(plan.private))
        public = self._subnets(vpc, "public", plan.public, zones, {"kubernetes.io/role/elb": "1"})
        private = self._subnets(
            vpc,
            "private",
            plan.private,
            zones,
            {"kubernetes.io/role/internal-elb": "1"},
        )
        internet_route = self._open_to_internet(vpc, public)
        tables, routes = self._way_out(vpc, public, private, internet_route)

        self.vpc_id = vpc.id
        own = plan.control_plane if self._settings.control_plane_subnets else ()
        # With the private subnets' routes: who reaches the API server from a connected network has
        # answers through them.
        control_plane = self._subnets(vpc, "control-plane", own, zones, {}) if own else private
        for number, (subnet, table) in enumerate(zip(control_plane, tables, strict=True), start=1):
            if own:
                aws.ec2.RouteTableAssociation(
                    f"{self._name}-control-plane-{number}",
                    subnet_id=subnet.id,
                    route_table_id=table.id,
                    opts=self._child,
                )
        self.control_plane_subnet_ids = pulumi.Output.all(*[each.id for each in control_plane])
        self.control_plane_cidrs = own or plan.private
        self.private_subnet_ids = pulumi.Output.all(*[subnet.id for subnet in private])
        self.mount_target_subnet_ids = (
            [subnet.id for subnet in private] if self._makes_mount_targets else []
        )
        endpoints = VpcEndpoints(
            f"{self._name}-endpoints",
            self._context,
            vpc_id=vpc.id,
            cidr=self._settings.cidr,
            subnets=private,
            route_table_ids=[table.id for table in tables],
            further=["elasticfilesystem"] if self._shared_files.enabled else [],
            opts=self._child,
        )
        self.ready = [*routes, *endpoints.ready]

    def _zones(self, count: int) -> Sequence[pulumi.Output[str]]:
        zones = aws.get_availability_zones_output(
            state="available",
            # Local and Wavelength Zones cannot hold a control plane or NAT gateway.
            filters=[{"name": "opt-in-status", "values": ["opt-in-not-required"]}],
            # An ID of another region has no effect.
            exclude_zone_ids=list(NO_CONTROL_PLANE),
            opts=pulumi.InvokeOutputOptions(parent=self),
        )
        region = self._context.region.name

        def zone(names: Sequence[str], index: int) -> str:
            if len(names) < count:
                raise ValueError(
                    f"kubeflow:network.zones is {count}, but {region} has {len(names)} zones for a "
                    f"cluster ({', '.join(names)}): use {len(names)} or fewer."
                )
            return sorted(names)[index]

        return [zones.names.apply(lambda names, i=i: zone(names, i)) for i in range(count)]

    def _subnets(
        self,
        vpc: aws.ec2.Vpc,
        kind: str,
        blocks: Sequence[str],
        zones: Sequence[pulumi.Output[str]],
        tags: Mapping[str, str],
    ) -> list[aws.ec2.Subnet]:
        # A zone that AWS adds later changes the sorted list, which would replace subnets.
        fixed = pulumi.ResourceOptions(parent=self, ignore_changes=["availabilityZone"])
        return [
            aws.ec2.Subnet(
                f"{self._name}-{kind}-{number}",
                vpc_id=vpc.id,
                cidr_block=block,
                availability_zone=zone,
                map_public_ip_on_launch=False,
                tags={**self._tags(f"{kind}-{number}"), **tags},
                opts=fixed,
            )
            for number, (block, zone) in enumerate(zip(blocks, zones, strict=True), start=1)
        ]

    def _open_to_internet(
        self, vpc: aws.ec2.Vpc, public: Sequence[aws.ec2.Subnet]
    ) -> aws.ec2.Route:
        gateway = aws.ec2.InternetGateway(
            f"{self._name}-internet",
            vpc_id=vpc.id,
            tags=self._tags("internet"),
            opts=self._child,
        )
        table = aws.ec2.RouteTable(
            f"{self._name}-public", vpc_id=vpc.id, tags=self._tags("public"), opts=self._child
        )
        for number, subnet in enumerate(public, start=1):
            aws.ec2.RouteTableAssociation(
                f"{self._name}-public-{number}",
                subnet_id=subnet.id,
                route_table_id=table.id,
                opts=self._child,
            )
        return aws.ec2.Route(
            f"{self._name}-public-internet",
            route_table_id=table.id,
            destination_cidr_block="0.0.0.0/0",
            gateway_id=gateway.id,
            opts=self._child,
        )

    def _way_out(
        self,
        vpc: aws.ec2.Vpc,
        public: Sequence[aws.ec2.Subnet],
        private: Sequence[aws.ec2.Subnet],
        internet_route: aws.ec2.Route,
    ) -> tuple[list[aws.ec2.RouteTable], list[pulumi.Resource]]:
        # One table per private subnet even with a single NAT gateway: a change to one gateway per
        # zone then only updates routes.
        homes = public[:1] if self._settings.nat == "single" else public
        gateways = [
            self._nat_gateway(number, subnet, internet_route)
            for number, subnet in enumerate(homes, start=1)
        ]
        tables: list[aws.ec2.RouteTable] = []
        ready: list[pulumi.Resource] = []
        for number, subnet in enumerate(private, start=1):
            role = f"private-{number}"
            table = aws.ec2.RouteTable(
                f"{self._name}-{role}", vpc_id=vpc.id, tags=self._tags(role), opts=self._child
            )
            association = aws.ec2.RouteTableAssociation(
                f"{self._name}-{role}",
                subnet_id=subnet.id,
                route_table_id=table.id,
                opts=self._child,
            )
            route = aws.ec2.Route(
                f"{self._name}-{role}-nat",
                route_table_id=table.id,
                destination_cidr_block="0.0.0.0/0",
                nat_gateway_id=gateways[(number - 1) % len(gateways)].id,
                opts=self._child,
            )
            tables.append(table)
            ready += [association, route]
        return tables, ready

    def _nat_gateway(
        self, number: int, subnet: aws.ec2.Subnet, internet_route: aws.ec2.Route
    ) -> aws.ec2.NatGateway:
        role = f"nat-{number}"
        # Both need the VPC's route to the internet (EC2 AllocateAddress, CreateNatGateway), which
        # is none of their inputs.
        after_internet = pulumi.ResourceOptions(parent=self, depends_on=[internet_route])
        address = aws.ec2.Eip(
            f"{self._name}-{role}", domain="vpc", tags=self._tags(role), opts=after_internet
        )
        return aws.ec2.NatGateway(
            f"{self._name}-{role}",
            subnet_id=subnet.id,
            allocation_id=address.allocation_id,
            tags=self._tags(role),
            opts=after_internet,
        )
