"""Simulated resource providers: what the engine talks to instead of a cloud.

One gRPC server per package (aws, kubernetes, pulumi-python; eks in ``rehearsal.cluster_component``)
that the engine attaches to by ``PULUMI_DEBUG_PROVIDERS=aws:PORT,...``. Sample outputs come from
``rehearsal.clouds``; inputs are checked by ``rehearsal.inputs``.

The engine opens one connection per provider instance to the same server (provider_plugin.go,
``NewProvider``: a dial per instance, also when attaching), so the peer of a call identifies the
instance, and two AWS providers differ by the region that each was configured with.
"""

# ruff: noqa: ARG002, N802  (methods and arguments of the protocol)

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent import futures
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import grpc
from google.protobuf import empty_pb2
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto import (
    ResourceProviderServicer,
    plugin_pb2,
    provider_pb2,
    provider_pb2_grpc,
)

from regions.region import Region
from rehearsal import (
    api_servers,
    databases,
    diff,
    file_systems,
    functions,
    inputs,
    kubernetes_versions,
    offers,
    protocol,
)
from rehearsal.account import BUCKET, DATABASE, LOG_GROUP, Account, RefusedByAws
from rehearsal.clouds import ACCOUNT, SimulatedCloud
from rehearsal.sample_outputs.eks import CLUSTER
from rehearsal.sample_outputs.existing_network import Network
from rehearsal.sample_outputs.resource import SimulatedResource, name_property

_ROLE = "aws:iam/role:Role"
_DRAWN = "pulumi-python:dynamic:GeneratedSecret"
_CALLER = "aws:index/getCallerIdentity:getCallerIdentity"
_CLUSTERS = "aws:eks/getClusters:getClusters"
_GET_CLUSTER = "aws:eks/getCluster:getCluster"
_GET_OIDC = "aws:iam/getOpenIdConnectProvider:getOpenIdConnectProvider"
OIDC_PROVIDER = "aws:iam/openIdConnectProvider:OpenIdConnectProvider"
_GET_BUCKET = "aws:s3/getBucket:getBucket"
_LOG_GROUPS = "aws:cloudwatch/getLogGroups:getLogGroups"
_SUBNET, _ENDPOINT = "aws:ec2/subnet:Subnet", "aws:ec2/vpcEndpoint:VpcEndpoint"
_ENDPOINT_SERVICE = "aws:ec2/getVpcEndpointService:getVpcEndpointService"
_REMEMBERED = (
    *(_SUBNET, CLUSTER, LOG_GROUP, BUCKET, offers.TEMPLATE, databases.PARAMETER_GROUP),
    offers.NODE_GROUP,
    *(file_systems.FILE_SYSTEM, file_systems.TARGET, file_systems.KEY, file_systems.ALIAS),
    *(api_servers.RULE, api_servers.ENTRY, api_servers.POLICY),
    *(functions.FUNCTION, functions.GROUP, functions.RIGHTS),
)
_LIMIT = 400 * 1024 * 1024  # bytes per message, as the SDK's own channels
_OPTIONS = [("grpc.max_receive_message_length", _LIMIT), ("grpc.max_send_message_length", _LIMIT)]


@dataclass(frozen=True)
class Simulation:
    """How the simulated clouds answer.

    Args:
        region: the region of a provider that was configured without one.
        account: the account of every ARN.
        unknowns: in a preview computed properties are unknown, as in a real cloud, instead of the
            values that create would give.
        journal: the file of what exists in the accounts, see ``rehearsal.account``; empty: each run
            begins with empty accounts.
        place: where the machine stands that runs the program, see ``api_servers.Client``.
        lacking: pairs of a zone and a service, such as ``("cn-north-1c", "sqs")``: the zone has no
            VPC endpoint of it.
        principal: the ARN of the role or user that runs it in the stack's own partition; empty: the
            role platform-admin of the account.
        network: the VPC and subnets that exist beside the stack.
    """

    region: str
    account: str = ACCOUNT
    unknowns: bool = False
    journal: str = ""
    place: str = ""
    lacking: Sequence[Sequence[str]] = ()
    principal: str = ""
    network: Network = field(default_factory=dict[str, Any])


def _answer(message: Any) -> Any:
    """A method of the protocol with the same answer to every call."""
    return lambda *_: message  # pyright: ignore[reportUnknownLambdaType]


class SimulatedProvider(ResourceProviderServicer):
    """Serves one package of the simulated cloud; see the protocol's provider.proto."""

    def __init__(self, simulation: Simulation, account: Account | None = None) -> None:
        self.simulation = simulation
        self.accounts = account or Account()
        self._settings: dict[str, dict[str, Any]] = {}
        """By the peer of a connection."""

    # -- life cycle -------------------------------------------------------------------------------

    Handshake = _answer(provider_pb2.ProviderHandshakeResponse(accept_secrets=True))
    GetPluginInfo = _answer(plugin_pb2.PluginInfo(version="0.0.0-rehearsal"))
    """The engine demands a version, and no schema."""
    GetSchema = _answer(provider_pb2.GetSchemaResponse(schema="{}"))
    Attach = Cancel = _answer(empty_pb2.Empty())

    def CheckConfig(self, request: Any, context: Any) -> Any:
        """Accepts any configuration."""
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        """A replacement when region or cluster is another, else an update."""
        old, new = (protocol.properties(each) for each in (request.old_inputs, request.news))
        # The engine's own notes about the plugin.
        notes = ("version", "__internal", "pluginDownloadURL")
        paths = [path for path in diff.changed_paths(old, new) if path.split(".")[0] not in notes]
        # Another region, another cluster: everything made by it is made again.
        replaces = [path for path in paths if path in ("region", "clusterIdentifier")]
        return _difference(paths, replaces, replaces_first=False)

    def Configure(self, request: Any, context: Any) -> Any:
        """Remembers the configuration of this connection."""
        self._settings[context.peer()] = protocol.properties(request.args)
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def configuration(self, context: Any) -> dict[str, Any]:
        """The configuration of the provider instance behind a call."""
        return self._settings.get(context.peer(), {})

    def cloud(self, context: Any) -> SimulatedCloud:
        """The cloud of the provider instance behind a call."""
        region = self.configuration(context).get("region")
        simulation = self.simulation
        return SimulatedCloud(region or simulation.region, simulation.account, simulation.network)

    def principal(self, cloud: SimulatedCloud) -> str:
        """The ARN of the caller identity in this cloud."""
        own = self.simulation.principal
        caller = str(cloud.invoke(_CALLER, {})["arn"])
        return own if own.split(":")[1:2] == caller.split(":")[1:2] else caller

    # -- resources --------------------------------------------------------------------------------

    def Check(self, request: Any, context: Any) -> Any:
        """Refuses wrong inputs, and adds the name that the provider would choose."""
        plain = protocol.properties(request.news)
        failures = inputs.check(request.type, plain)
        if failures:
            return check_failures((failure.path, failure.reason) for failure in failures)
        named = Struct()
        named.CopyFrom(request.news)
        _name(named, self._unused(request, plain, context), protocol.properties(request.olds))
        return provider_pb2.CheckResponse(inputs=named)

    def _unused(self, request: Any, plain: Mapping[str, Any], context: Any) -> SimulatedResource:
        """The resource, with digits in a name of the provider's choice that nothing has yet."""
        cloud = self.cloud(context)
        new = partial(cloud.resource, request.type, request.name, plain)
        resource = new()
        of_aws = request.type.startswith("aws:") and name_property(request.type)
        if request.olds.fields or resource.named_by_caller or not of_aws:
            return resource
        while self._exists(cloud, resource, following := new(resource.attempt + 1)):
            resource = following
        return resource

    def _exists(
        self, cloud: SimulatedCloud, resource: SimulatedResource, following: SimulatedResource
    ) -> bool:
        """Whether something has a name of the resource that the following one has not."""
        pairs = zip(_names(cloud, resource), _names(cloud, following), strict=True)
        chosen = [name for name, another in pairs if name != another]
        taken, region = self.accounts.taken, resource.region.name
        return any(taken(resource.type, region, name) for name in chosen)

    def before(self, request: Any) -> Struct:
        """What new inputs are compared with."""
        return request.old_inputs if request.old_inputs.fields else request.olds

    def Diff(self, request: Any, context: Any) -> Any:
        """Every changed path, and those that force a replacement."""
        old, new = (protocol.properties(each) for each in (self.before(request), request.news))
        if request.type == DATABASE:
            region = self.cloud(context).region_name
            old |= databases.master_user(self.accounts, region, request.id)
        paths = diff.changed_paths(old, new)
        ignored = tuple(request.ignoreChanges)
        paths = [path for path in paths if not path.startswith(ignored)] if ignored else paths
        settings = self.configuration(context)
        replaces = diff.replacing(request.type, paths, mutable=_mutable(settings))
        # A name of the caller's choice cannot be taken twice: the old resource is deleted first
        # (pulumi-terraform-bridge pkg/tfbridge/provider.go, nameRequiresDeleteBeforeReplace).
        resource = self.cloud(context).resource(request.type, request.name, new)
        replaces_first = request.type.startswith("kubernetes:") or (
            resource.named_by_caller and not resource.renamed(old)
        )
        return _difference(paths, replaces, replaces_first=replaces_first)

    def Create(self, request: Any, context: Any) -> Any:
        """Sample outputs beside the inputs; AWS refuses a name that is taken."""
        try:
            identifier, state = self.id_and_state(request, request.properties, context)
        except RefusedByAws as refused:
            sentence = f"creating {request.type}: {refused}"
            return context.abort(grpc.StatusCode.INVALID_ARGUMENT, sentence)
        return provider_pb2.CreateResponse(id=identifier, properties=state)

    def Update(self, request: Any, context: Any) -> Any:
        """Sample outputs beside the new inputs, where AWS offers them."""
        try:
            _, state = self.id_and_state(request, request.news, context)
        except RefusedByAws as refused:
            sentence = f"updating {request.type}: {refused}"
            return context.abort(grpc.StatusCode.INVALID_ARGUMENT, sentence)
        return provider_pb2.UpdateResponse(properties=state)

    def id_and_state(self, request: Any, sent: Struct, context: Any) -> tuple[str, Struct]:
        """The id and the state of the resource.

        Raises:
            RefusedByAws: see ``rehearsal.account`` and ``rehearsal.offers``.
        """
        if self.simulation.unknowns and request.preview:
            # An empty id leaves everything that is not an input unknown to the program.
            return "", sent
        plain = protocol.properties(sent)
        cloud = self.cloud(context)
        region = cloud.resource(request.type, request.name, plain).region
        database: dict[str, Any] = {}
        outputs = partial(cloud.outputs, request.type, request.name, plain)
        if request.type.startswith("aws:") and not request.preview:
            existing = getattr(request, "id", "")
            offers.check(self.accounts, request.type, plain, region)
            if request.type == functions.FUNCTION:
                functions.check_creation(self.accounts, region.name, plain)
            kubernetes_versions.check(self.accounts, request.type, plain, region.name, existing)
            if request.type == DATABASE:
                database = databases.changed(self.accounts, region.name, plain, existing)
        if request.type == _DRAWN and not (request.preview or hasattr(request, "id")):
            identifier, properties = self.accounts.draw(request.name, outputs)
        elif request.preview or not request.type.startswith("aws:"):
            identifier, properties = outputs()
        elif hasattr(request, "id"):
            identifier, properties = self.accounts.properties_of(request.id, outputs)
        else:
            self._check_creation(request.type, plain, region)
            identifier, properties = self.accounts.create(request.type, region.name, outputs)
        if request.type in _REMEMBERED and not request.preview:
            self._remember(request, identifier, plain, cloud)
        if database:
            self.accounts.remember(DATABASE, region.name, identifier, database)
            properties |= databases.master_user(self.accounts, region.name, identifier)
        if request.type == _ROLE and not request.preview:
            self.accounts.trust(properties["arn"], plain["assumeRolePolicy"])
        return identifier, protocol.answer(sent, plain, properties)

    def _check_creation(self, type_: str, plain: Mapping[str, Any], region: Region) -> None:
        if type_ == offers.NODE_GROUP:
            self.accounts.check_node_role(plain["nodeRoleArn"], region)
        if type_ == _ENDPOINT:
            self._check_endpoint(plain, region.name)
        if type_ == file_systems.TARGET:
            file_systems.check_creation(self.accounts, region.name, plain)
        if type_ == api_servers.ENTRY:
            api_servers.check_entry(self.accounts, region.name, plain)

    def _zones_without(self, service_name: str) -> list[str]:
        return [
            zone
            for zone, service in self.simulation.lacking
            if service_name.endswith(f".{service}")
        ]

    def _check_endpoint(self, plain: Mapping[str, Any], region: str) -> None:
        """Refuses a VPC endpoint in a zone that its service lacks, as EC2 does.

        Raises:
            RefusedByAws: with the sentence of terraform-aws-modules/terraform-aws-vpc #462.
        """
        lacking = self._zones_without(plain["serviceName"])
        subnets = self.accounts.inputs_of(_SUBNET, region)
        for subnet in plain.get("subnetIds") or ():
            if subnets.get(subnet, {}).get("availabilityZone") in lacking:
                raise RefusedByAws(
                    f"InvalidParameter: The VPC endpoint service {plain['serviceName']} does not "
                    f"support the availability zone of the subnet: {subnet}."
                )

    def _remember(
        self, request: Any, identifier: str, plain: Mapping[str, Any], cloud: SimulatedCloud
    ) -> None:
        region = cloud.resource(request.type, request.name, plain).region.name
        kept = dict(plain)
        if request.type == CLUSTER:
            before = self.accounts.inputs_of(request.type, region).get(identifier, {})
            kept[api_servers.CREATOR] = before.get(api_servers.CREATOR) or self.principal(cloud)
        self.accounts.remember(request.type, region, identifier, kept)

    def Read(self, request: Any, context: Any) -> Any:
        """The state as it is, or what AWS has of an id alone; nothing of what AWS does not have."""
        properties = request.properties
        if request.type.startswith("aws:"):
            plain = protocol.properties(request.inputs)
            cloud = self.cloud(context)
            region = cloud.resource(request.type, request.name, plain).region.name
            if not self.accounts.has(request.type, region, request.id):
                return provider_pb2.ReadResponse()
            if not properties.fields:
                # The inputs of a resource that is adopted are those that it was made with.
                made = self.accounts.inputs_of(request.type, region).get(request.id, {}) | plain
                outputs = partial(cloud.outputs, request.type, request.name, made)
                _, found = self.accounts.properties_of(request.id, outputs)
                inputs = protocol.to_struct(made)
                return provider_pb2.ReadResponse(
                    id=request.id, properties=protocol.answer(inputs, made, found), inputs=inputs
                )
        return provider_pb2.ReadResponse(
            id=request.id, properties=properties, inputs=request.inputs
        )

    def Delete(self, request: Any, context: Any) -> Any:
        """Takes the resource out of its account, where AWS does not refuse that."""
        if not request.type.startswith("aws:"):
            return empty_pb2.Empty()
        plain = protocol.properties(request.properties)
        region = self.cloud(context).resource(request.type, request.name, plain).region.name
        try:
            databases.check_deletion(self.accounts, region, request.type, request.id)
            file_systems.check_deletion(self.accounts, region, request.type, request.id)
            functions.check_deletion(self.accounts, region, request.type, request.id)
            self.accounts.delete(request.type, region, request.id, plain)
        except RefusedByAws as refused:
            sentence = f"deleting {request.type}: {refused}"
            return context.abort(grpc.StatusCode.INVALID_ARGUMENT, sentence)
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: Any) -> Any:
        """The sample output of a data source."""
        try:
            cloud = self.cloud(context)
            args = protocol.properties(request.args)
            if request.tok == _GET_BUCKET:
                result = self._bucket(cloud.region_name, args)
            elif request.tok in file_systems.ANSWERED:
                region, number = Region.of(cloud.region_name), self.simulation.account
                result = file_systems.answer(self.accounts, region, number, request.tok, args)
            elif request.tok in databases.ANSWERED:
                result = databases.answer(self.accounts, cloud.region_name, request.tok, args)
            else:
                result = cloud.invoke(request.tok, args)
            self._check_described(cloud.region_name, request.tok, args, result)
            if request.tok == _CLUSTERS:
                clusters = self.accounts.inputs_of(CLUSTER, cloud.region_name)
                result["names"] = list(clusters)
            if request.tok == _LOG_GROUPS:
                groups = self.accounts.ids(LOG_GROUP, cloud.region_name)
                result["logGroupNames"] = groups
            if request.tok == _CALLER:
                result["arn"] = self.principal(cloud)
            if request.tok == _ENDPOINT_SERVICE:
                lacking = self._zones_without(protocol.properties(request.args)["serviceName"])
                zones: list[str] = result["availabilityZones"]
                result["availabilityZones"] = [zone for zone in zones if zone not in lacking]
        except LookupError as missing:
            failure = provider_pb2.CheckFailure(reason=str(missing.args[0]))
            return provider_pb2.InvokeResponse(failures=[failure])
        response: Any = provider_pb2.InvokeResponse
        return response(**{"return": protocol.to_struct(result)})

    def _check_described(
        self, region: str, token: str, args: Mapping[str, Any], result: Mapping[str, Any]
    ) -> None:
        """Finds only what exists, in the words of the AWS provider.

        Raises:
            LookupError: the cluster or the OIDC provider does not exist.
        """
        if token == _GET_CLUSTER and not self.accounts.has(CLUSTER, region, args["name"]):
            raise LookupError(f"reading EKS Cluster ({args['name']}): couldn't find resource")
        if token == _GET_OIDC and not self.accounts.has(OIDC_PROVIDER, region, result["arn"]):
            raise LookupError(f"finding IAM OIDC Provider by url ({args['url']}): not found")

    def _bucket(self, region: str, args: Mapping[str, Any]) -> dict[str, Any]:
        if not self.accounts.has(BUCKET, region, args["bucket"]):
            raise LookupError(f"reading S3 Bucket ({args['bucket']}): couldn't find resource")
        return dict(args)


def _names(cloud: SimulatedCloud, resource: SimulatedResource) -> tuple[str, str]:
    """The resource's name, and the id that comes of it."""
    about = (resource.type, resource.name, resource.inputs, resource.attempt)
    return resource.physical_name, cloud.outputs(*about)[0]


def _name(news: Struct, resource: SimulatedResource, olds: Mapping[str, Any]) -> None:
    """Adds the name that the provider chose before, or would choose, where none was given."""
    key = name_property(resource.type)
    if key and not (resource.inputs.get(key) or resource.inputs.get(f"{key}Prefix")):
        news.update({key: olds.get(key) or resource.physical_name})
    metadata = resource.inputs.get("metadata") or {}
    if "apiVersion" in resource.inputs and not {"name", "generateName"} & set(metadata):
        name = f"{resource.name.rsplit('/', 1)[-1]}-{resource.hex(8)}".lower()
        news.fields["metadata"].struct_value.update({"name": name})


def _mutable(settings: dict[str, Any]) -> frozenset[str]:
    """The kinds that this instance of the Kubernetes provider changes in place."""
    kinds = {"ConfigMap": "enableConfigMapMutable", "Secret": "enableSecretMutable"}
    return frozenset(kind for kind, key in kinds.items() if settings.get(key) in (True, "true"))


def check_failures(failures: Iterable[tuple[str, str]]) -> Any:
    """The refusal of inputs, by pairs of property and reason."""
    return provider_pb2.CheckResponse(
        failures=[provider_pb2.CheckFailure(property=path, reason=why) for path, why in failures]
    )


def _difference(paths: list[str], replaces: list[str], *, replaces_first: bool) -> Any:
    response, detail = provider_pb2.DiffResponse, provider_pb2.PropertyDiff
    kinds = {path: detail.UPDATE_REPLACE if path in replaces else detail.UPDATE for path in paths}
    return response(
        changes=response.DIFF_SOME if paths else response.DIFF_NONE,
        replaces=replaces,
        detailedDiff={path: detail(kind=kind, inputDiff=True) for path, kind in kinds.items()},
        hasDetailedDiff=True,
        deleteBeforeReplace=bool(replaces) and replaces_first,
    )


def serve(servicer: ResourceProviderServicer) -> tuple[Any, int]:
    """Starts a provider on a free port of the loopback interface; returns (server, port)."""
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16), options=_OPTIONS)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port
