"""``eks:index:Cluster`` in a rehearsal: the remote component with the children the real one makes.

The real provider runs pulumi-eks' own program; this one registers the component and the children of
``rehearsal.sample_outputs.eks_children`` with the engine, so that the plan has every AWS resource
of the cluster and the engine creates, compares and deletes them like any other.
"""

# ruff: noqa: N802  (methods and properties of the protocol)

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
from pulumi.runtime.proto import provider_pb2, resource_pb2, resource_pb2_grpc

from rehearsal import inputs, protocol
from rehearsal.architecture import regions_of
from rehearsal.clouds import SimulatedCloud
from rehearsal.providers import SimulatedProvider, Simulation
from rehearsal.recording import Recorder
from rehearsal.sample_outputs.eks_children import children
from toolchain.tools import KUBERNETES_PLUGIN_OF_EKS

_KUBERNETES, _ROLE = "pulumi:providers:kubernetes", "aws:iam/role:Role"


class ClusterComponent(SimulatedProvider):
    """Serves the ``eks`` package."""

    def __init__(self, simulation: Simulation, recorder: Callable[[], Recorder]) -> None:
        super().__init__(simulation)
        self._recorder = recorder

    def Construct(self, request: Any, context: Any) -> Any:
        """Registers the component and its children."""
        plain = protocol.properties(request.inputs)
        failures = inputs.check(request.type, plain)
        if failures:
            reasons = "; ".join(f"{failure.path} {failure.reason}" for failure in failures)
            context.abort(
                grpc.StatusCode.INVALID_ARGUMENT, f"{request.type} {request.name!r}: {reasons}"
            )
        recorder = self._recorder()
        with grpc.insecure_channel(request.monitorEndpoint) as channel:
            monitor = recorder.watch(resource_pb2_grpc.ResourceMonitorStub(channel))
            # Children live where the component's AWS provider is.
            provider = request.providers.get("aws", "").rsplit("::", 1)[0]
            region = regions_of(recorder.resources).get(provider)
            cloud = SimulatedCloud(region or self.simulation.region, self.simulation.account)
            try:
                return self._construct(request, plain, monitor, cloud)
            except NotImplementedError as unknown:
                context.abort(grpc.StatusCode.UNIMPLEMENTED, str(unknown))
            except grpc.RpcError as refused:
                # A child that the engine refused: its own sentence has the reason.
                context.abort(grpc.StatusCode.ABORTED, str(getattr(refused, "details", str)()))

    def _construct(
        self, request: Any, plain: dict[str, Any], monitor: Any, cloud: SimulatedCloud
    ) -> Any:
        component = monitor.RegisterResource(
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
        urns = {"": component.urn}
        role_arn = ""
        # In a preview a child that exists has an id: then its outputs are in the state.
        all_exist = True
        # A program would iterate an unknown list as a list of one unknown.
        listed = {
            key: [value] if value == protocol.UNKNOWN and key.endswith("s") else value
            for key, value in plain.items()
        }
        for child in children(cloud.resource(request.type, request.name, listed)):
            registered = monitor.RegisterResource(
                resource_pb2.RegisterResourceRequest(
                    type=child.type,
                    name=child.name,
                    parent=urns[child.parent],
                    custom=child.custom,
                    object=protocol.to_struct(
                        {**child.inputs, "roleArn": role_arn}
                        if role_arn and "roleArn" in child.inputs
                        else child.inputs
                    ),
                    dependencies=[urns[name] for name in child.dependencies],
                    ignoreChanges=child.ignore_changes,
                    provider=request.providers.get(child.type.split(":", 1)[0], ""),
                    version=KUBERNETES_PLUGIN_OF_EKS if child.type == _KUBERNETES else "",
                    acceptSecrets=True,
                    supportsPartialValues=True,
                )
            )
            urns[child.name] = registered.urn
            if child.type == _ROLE:  # a transform of the program may have given it a path
                role_arn = protocol.properties(registered.object).get("arn", role_arn)
            all_exist = all_exist and (bool(registered.id) or not child.custom)
        state = request.inputs
        if all_exist or not (self.simulation.unknowns and request.dryRun):
            _, outputs = cloud.outputs(request.type, request.name, plain)
            state = protocol.answer(request.inputs, plain, outputs)
        monitor.RegisterResourceOutputs(
            resource_pb2.RegisterResourceOutputsRequest(urn=component.urn, outputs=state)
        )
        return provider_pb2.ConstructResponse(urn=component.urn, state=state)
