"""Simulated resource providers: what the engine talks to instead of a cloud.

One gRPC server per package (aws, kubernetes, pulumi-python; eks in ``rehearsal.cluster_component``)
that the engine attaches to by ``PULUMI_DEBUG_PROVIDERS=aws:PORT,...``. Every answer comes from
``rehearsal.clouds``; inputs are checked by ``rehearsal.inputs``.

The engine opens one connection per provider instance to the same server (provider_plugin.go,
``NewProvider``: a dial per instance, also when attaching), so the peer of a call tells which
instance asks, and two AWS providers with two regions are told apart by what each was configured
with.
"""

# ruff: noqa: N802, ARG002  (names and arguments are the protocol's)

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from concurrent import futures
from dataclasses import dataclass, field
from typing import Any, cast

import grpc
from google.protobuf import empty_pb2
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto import (
    ResourceProviderServicer,
    plugin_pb2,
    provider_pb2,
    provider_pb2_grpc,
)

from rehearsal import diff, inputs, protocol
from rehearsal.autonames import with_autoname
from rehearsal.clouds import ACCOUNT, Invention, SimulatedCloud

PACKAGES = ("aws", "kubernetes", "pulumi-python", "eks")
"""Every package a rehearsal serves; any other asks for its plugin and fails, offline as we are."""

_LIMIT = 400 * 1024 * 1024  # bytes per message, as the SDK's own channels
_OPTIONS = [("grpc.max_receive_message_length", _LIMIT), ("grpc.max_send_message_length", _LIMIT)]


@dataclass(frozen=True)
class Simulation:
    """How the simulated clouds answer.

    Args:
        region: the region of a provider that was configured without one.
        account: the account every ARN is made in.
        unknowns: answer a preview like a real cloud, with computed properties unknown, instead of
            with the values that create would give.
        checked: check inputs against the SDKs' types.
    """

    region: str
    account: str = ACCOUNT
    unknowns: bool = False
    checked: bool = True


@dataclass
class _Instance:
    """One configured provider instance, by connection."""

    cloud: SimulatedCloud
    settings: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def mutable(self) -> frozenset[str]:
        """Kinds this instance of the Kubernetes provider changes in place."""
        kinds = {"ConfigMap": "enableConfigMapMutable", "Secret": "enableSecretMutable"}
        return frozenset(kind for kind, key in kinds.items() if _is_true(self.settings.get(key)))


def _is_true(value: object) -> bool:
    return value is True or value == "true"


class SimulatedProvider(ResourceProviderServicer):
    """Serves one package of the simulated cloud; see the protocol's provider.proto."""

    def __init__(self, package: str, simulation: Simulation) -> None:
        self.package = package
        self.simulation = simulation
        self._instances: dict[str, _Instance] = {}
        self._lock = threading.Lock()

    # -- life cycle -------------------------------------------------------------------------------

    def Handshake(self, request: Any, context: Any) -> Any:
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True)

    def Attach(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version="0.0.0-rehearsal")

    def GetSchema(self, request: Any, context: Any) -> Any:
        return provider_pb2.GetSchemaResponse(schema=json.dumps({"name": self.package}))

    def Cancel(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def CheckConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        paths = [
            path
            for path in diff.changed_paths(
                protocol.properties(request.old_inputs), protocol.properties(request.news)
            )
            # The engine's own notes about the plugin.
            if path.split(".")[0] not in ("version", "__internal", "pluginDownloadURL")
        ]
        # Another region, another cluster: everything made by it is made again.
        replaces = [path for path in paths if path in ("region", "clusterIdentifier")]
        return _difference(paths, replaces, replaces_first=False)

    def Configure(self, request: Any, context: Any) -> Any:
        settings = protocol.properties(request.args)
        region = settings.get("region")
        cloud = SimulatedCloud(
            region if isinstance(region, str) and region else self.simulation.region,
            self.simulation.account,
        )
        with self._lock:
            self._instances[context.peer()] = _Instance(cloud, settings)
        return provider_pb2.ConfigureResponse(
            acceptSecrets=True, supportsPreview=True, acceptResources=False, acceptOutputs=False
        )

    def instance(self, context: Any) -> _Instance:
        """The provider instance behind a call; of the stack's region if it was never configured."""
        found = self._instances.get(context.peer())
        return found or _Instance(SimulatedCloud(self.simulation.region, self.simulation.account))

    # -- resources --------------------------------------------------------------------------------

    def Check(self, request: Any, context: Any) -> Any:
        type_, name = identity(request)
        plain = protocol.properties(request.news)
        failures = self.failures(type_, plain)
        if failures:
            return provider_pb2.CheckResponse(
                failures=[
                    provider_pb2.CheckFailure(property=f.path, reason=f.reason) for f in failures
                ]
            )
        region, account = self.instance(context).cloud.region, self.simulation.account
        return provider_pb2.CheckResponse(
            inputs=with_autoname(request.news, Invention(type_, name, plain, region, account))
        )

    def failures(self, type_: str, plain: Mapping[str, Any]) -> list[inputs.Failure]:
        """What is wrong with the inputs of a resource."""
        return inputs.check(type_, plain) if self.simulation.checked else []

    def before(self, request: Any) -> Struct:
        """What new inputs are compared with."""
        return request.old_inputs if request.old_inputs.fields else request.olds

    def Diff(self, request: Any, context: Any) -> Any:
        old = self.before(request)
        if old == request.news:
            return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)
        type_, _ = identity(request)
        paths = diff.changed_paths(protocol.properties(old), protocol.properties(request.news))
        ignored = tuple(request.ignoreChanges)
        paths = [path for path in paths if not path.startswith(ignored)] if ignored else paths
        replaces = diff.replacing(type_, paths, mutable=self.instance(context).mutable)
        # A name of our own choosing can't be taken twice: the old one goes first.
        return _difference(paths, replaces, replaces_first=type_.startswith("kubernetes:"))

    def Create(self, request: Any, context: Any) -> Any:
        identifier, state = self.made(request, request.properties, context)
        return provider_pb2.CreateResponse(id=identifier, properties=state)

    def Update(self, request: Any, context: Any) -> Any:
        _, state = self.made(request, request.news, context)
        return provider_pb2.UpdateResponse(properties=state)

    def made(self, request: Any, sent: Struct, context: Any) -> tuple[str, Struct]:
        """The id and state of the resource, as ``rehearsal.clouds`` invents them."""
        if self.simulation.unknowns and request.preview:
            # An empty answer leaves everything that is not an input unknown to the program.
            return "", sent
        type_, name = identity(request)
        plain = protocol.properties(sent)
        identifier, outputs = self.instance(context).cloud.outputs(type_, name, plain)
        return identifier, protocol.answer(sent, plain, outputs)

    def Read(self, request: Any, context: Any) -> Any:
        if request.properties.fields:
            return provider_pb2.ReadResponse(
                id=request.id, properties=request.properties, inputs=request.inputs
            )
        type_, name = identity(request)
        _, outputs = self.instance(context).cloud.outputs(type_, name, {"id": request.id})
        return provider_pb2.ReadResponse(
            id=request.id, properties=protocol.to_struct(outputs), inputs=request.inputs
        )

    def Delete(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: Any) -> Any:
        try:
            result = self.instance(context).cloud.invoke(request.tok, protocol.properties(request.args))
        except LookupError as missing:
            return provider_pb2.InvokeResponse(
                failures=[provider_pb2.CheckFailure(reason=str(missing.args[0]))]
            )
        response: Any = provider_pb2.InvokeResponse
        return response(**{"return": protocol.to_struct(result)})


def identity(request: Any) -> tuple[str, str]:
    """The resource's type and name; from the URN where the request has only that."""
    if request.type:
        return request.type, request.name
    _, _, _, type_, name = cast(str, request.urn).split("::", 4)
    return type_.rsplit("$", 1)[-1], name


def _difference(paths: list[str], replaces: list[str], *, replaces_first: bool) -> Any:
    if not paths:
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)
    kind = provider_pb2.PropertyDiff
    detailed = {
        path: kind(kind=kind.UPDATE_REPLACE if path in replaces else kind.UPDATE, inputDiff=True)
        for path in paths
    }
    return provider_pb2.DiffResponse(
        changes=provider_pb2.DiffResponse.DIFF_SOME,
        replaces=replaces,
        diffs=sorted({path.split(".")[0].split("[")[0] for path in paths}),
        detailedDiff=detailed,
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
