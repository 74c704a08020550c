"""``eks:index:Cluster`` in a rehearsal: the remote component with the children the real one makes.

The real provider runs pulumi-eks' own program; this one registers the component and the children of
``rehearsal.sample_outputs.eks_children`` with the engine that asked, so that the plan shows every AWS
resource the cluster brings and the engine creates, diffs and deletes them like any other.
"""

# ruff: noqa: N802  (names and arguments are the protocol's)

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import grpc
from pulumi.runtime.proto import provider_pb2, resource_pb2, resource_pb2_grpc

from rehearsal import protocol
from rehearsal.clouds import Invention, SimulatedCloud
from rehearsal.sample_outputs import eks_children
from rehearsal.providers import SimulatedProvider, Simulation
from rehearsal.recording import Recorder

Children = Callable[[Invention], Sequence[Mapping[str, Any]]]


class ClusterComponent(SimulatedProvider):
    """Serves the ``eks`` package."""

    def __init__(self, simulation: Simulation, recorder: Callable[[], Recorder]) -> None:
        super().__init__("eks", simulation)
        self._recorder = recorder

    def Construct(self, request: Any, context: Any) -> Any:
        plain = protocol.properties(request.inputs)
        failures = self.failures(request.type, plain)
        if failures:
            told = "; ".join(f"{failure.path} {failure.reason}" for failure in failures)
            context.abort(
                grpc.StatusCode.INVALID_ARGUMENT, f"{request.type} {request.name!r}: {told}"
            )
        recorder = self._recorder()
        with grpc.insecure_channel(request.monitorEndpoint) as channel:
            monitor = recorder.watch(resource_pb2_grpc.ResourceMonitorStub(channel))
            try:
                return _Construction(self.simulation, monitor, request, plain, recorder).done()
            except NotImplementedError as unknown:
                context.abort(grpc.StatusCode.UNIMPLEMENTED, str(unknown))
            except grpc.RpcError as refused:
                # A child that the engine refused: its own sentence says why.
                context.abort(grpc.StatusCode.ABORTED, str(getattr(refused, "details", str)()))


class _Construction:
    """One component being made."""

    def __init__(
        self,
        simulation: Simulation,
        monitor: Any,
        request: Any,
        plain: Mapping[str, Any],
        recorder: Recorder,
    ) -> None:
        self.monitor = monitor
        self.request = request
        self.plain = plain
        self.unknown = simulation.unknowns and request.dryRun
        # In a preview a child that exists answers with its id: then its outputs are in the state.
        self.exists = True
        # Children live where the component's AWS provider is.
        provider = recorder.find(request.providers.get("aws", "").rsplit("::", 1)[0])
        region = provider.inputs.get("region") if provider else None
        self.cloud = SimulatedCloud(str(region or simulation.region), simulation.account)
        self.urns: dict[str, str] = {}
        self.references: dict[str, Any] = {}

    def done(self) -> Any:
        request = self.request
        component = self.monitor.RegisterResource(
            resource_pb2.RegisterResourceRequest(
                type=request.type,
                name=request.name,
                parent=request.parent,
                custom=False,
                object=request.inputs,
                dependencies=request.dependencies,
                protect=request.protect,
                providers=request.providers,
                acceptSecrets=True,
            )
        )
        self.urns[""] = component.urn
        made = Invention(
            request.type,
            request.name,
            _listed(self.plain),
            self.cloud.region,
            self.cloud.account,
        )
        for child in _children(request.type)(made):
            self._register(child)
        state = request.inputs
        if not self.unknown or self.exists:
            _, outputs = self.cloud.outputs(request.type, request.name, self.plain)
            state = protocol.answer(request.inputs, self.plain, {**outputs, **self.references})
        self.monitor.RegisterResourceOutputs(
            resource_pb2.RegisterResourceOutputsRequest(urn=component.urn, outputs=state)
        )
        return provider_pb2.ConstructResponse(urn=component.urn, state=state)

    def _register(self, child: Mapping[str, Any]) -> None:
        package = str(child["type"]).split(":", 1)[0]
        answer = self.monitor.RegisterResource(
            resource_pb2.RegisterResourceRequest(
                type=child["type"],
                name=child["name"],
                parent=self.urns[child["parent"]],
                custom=child["custom"],
                object=protocol.to_struct(child["inputs"]),
                dependencies=[self.urns[name] for name in child["dependencies"]],
                ignoreChanges=child["ignore_changes"],
                provider=self.request.providers.get(package, ""),
                acceptSecrets=True,
                supportsPartialValues=True,
            )
        )
        self.urns[child["name"]] = answer.urn
        self.exists = self.exists and (bool(answer.id) or not child["custom"])
        if child["output"]:
            self.references[child["output"]] = {
                protocol.SIGNATURE: protocol.RESOURCE,
                "urn": answer.urn,
                "id": answer.id,
                "packageVersion": "",
            }


def _listed(plain: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs with an unknown list as a list of one unknown, as a program would iterate it."""
    return {
        key: [value] if value == protocol.UNKNOWN and key.endswith("s") else value
        for key, value in plain.items()
    }


def _children(type_: str) -> Children:
    return eks_children.CHILDREN.get(type_, lambda _: ())
