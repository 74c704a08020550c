"""Runs a Pulumi program under mocks and gives back every resource as it was registered.

Pulumi's own mocks hide parents, dependencies and protection (``MockResourceArgs`` has none of
them), and let a forgotten ``apply`` pass; here the rehearsal's recorder has each request to the
monitor, and the program is drained before anything is asserted.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, cast

import pulumi
from pulumi.runtime import mocks, resource, rpc
from pulumi.runtime.proto import callback_pb2, source_pb2
from pulumi.runtime.settings import SETTINGS, get_root_resource
from pulumi.runtime.stack import Stack

from advisories.table import of_release
from regions.region import Region
from rehearsal.clouds import ACCOUNT, SimulatedCloud
from rehearsal.inputs import check
from rehearsal.protocol import MASK as MASKED
from rehearsal.protocol import properties
from rehearsal.recording import Planned, Recorder
from rehearsal.sample_outputs.existing_network import Network, network_of
from settings import MANIFESTS
from settings.release_files import default_release
from tests.type_tokens import TYPE_TOKENS

# A stack trace per resource, which no test reads: 13 % of a program's CPU time.
resource._get_stack_trace = source_pb2.StackTrace  # pyright: ignore[reportPrivateUsage]

REGIONS = ("cn-north-1", "cn-northwest-1", "us-west-2", "us-gov-west-1")
"""Both China regions, the commercial partition and GovCloud: every promise is kept in each."""

SHIPPED = (*REGIONS, "cn-north-1-kf151")
"""The stacks whose files this repository ships. A test never asks which stack files lie around:
those of a user stand beside them."""


TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": {"Service": "ec2.amazonaws.com"},
            "Action": "sts:AssumeRole",
        },
    }
)
"""The trust policy of a role of which a test needs nothing but the role."""


ACCEPTED = [each.id for each in of_release(MANIFESTS / default_release()).still_open("critical")]
"""The open critical advisories of the release that a stack has by default."""


def stack_file(region: str, more: str = "") -> str:
    """The text of a short stack file: its region, who has access to the cluster, and more lines."""
    admin = Region.of(region).arn("iam", "role/ops", account=ACCOUNT, region="")
    cluster = f"{{admins: ['{admin}'], publicAccessCidrs: [203.0.113.10/32]}}"
    accepted = f"  kubeflow:acceptedAdvisories: {json.dumps(ACCEPTED)}\n"
    return f"config:\n  kubeflow:region: {region}\n{accepted}  kubeflow:cluster: {cluster}\n{more}"


@dataclass(frozen=True)
class Registered(Planned):
    """One resource as the engine would have received it.

    Attributes:
        outputs: what the simulated cloud answered.
    """

    outputs: dict[str, Any] = field(default_factory=dict[str, Any])

    @cached_property
    def _deserialized(self) -> dict[str, Any]:
        return rpc.deserialize_properties(self.request.object, keep_unknowns=True)

    @property
    def inputs(self) -> dict[str, Any]:
        """Plain values, secrets in clear, assets as the SDK's objects."""
        return self._plain

    @cached_property
    def _plain(self) -> dict[str, Any]:
        return _plain(self._deserialized)

    @cached_property
    def visible(self) -> dict[str, Any]:
        """The inputs as anybody may read them in a preview: ``[secret]`` for what is secret."""
        return properties(self.request.object, mask=True)

    @property
    def secrets(self) -> frozenset[str]:
        return frozenset(key for key, value in self._deserialized.items() if _holds_secret(value))

    @property
    def options(self) -> Any:
        return self.request

    @property
    def package(self) -> str:
        return self.type.partition(":")[0]

    @property
    def provider_name(self) -> str:
        """The name of the explicit provider; empty for a component or a default provider."""
        return "" if "::default" in self.provider else _name_in(self.provider)

    @property
    def provider_names(self) -> frozenset[str]:
        """The names of the providers a remote component hands on to its children."""
        return frozenset(_name_in(each) for each in self.request.providers.values())

    @property
    def protect(self) -> bool:
        return bool(self.request.protect)

    @property
    def retain_on_delete(self) -> bool:
        return bool(self.request.retainOnDelete)

    @property
    def ignore_changes(self) -> tuple[str, ...]:
        return tuple(self.request.ignoreChanges)

    @property
    def parent_type(self) -> str:
        return self.parent.split("::")[2].split("$")[-1] if self.parent else ""


@dataclass
class Recorded:
    """Everything a program registered, asked for and exported."""

    all: list[Registered] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Each data source, and the name of the explicit provider that was asked."""
    exports: dict[str, Any] = field(default_factory=dict)
    """What the program returned as a mapping, and every ``pulumi.export``."""
    secret_exports: set[str] = field(default_factory=set)
    """The names of those a ``pulumi.export`` made secret."""

    def of(self, type_: str) -> list[Registered]:
        """Every resource of a type, by name."""
        return sorted((r for r in self.all if r.type == type_), key=lambda r: r.name)

    def only(self, type_: str, name: str | None = None) -> Registered:
        """The one resource of a type (and name); fails unless there is exactly one."""
        found = [r for r in self.of(type_) if name is None or r.name == name]
        present = sorted(f"{r.type} {r.name}" for r in self.all)
        listing = "\n".join(present)
        assert len(found) == 1, f"{len(found)} of {type_} {name or ''} among:\n{listing}"
        return found[0]

    def none(self, type_: str) -> bool:
        return not self.of(type_)

    def beneath(self, ancestor: str) -> list[Registered]:
        """Every resource whose parents lead up to the component named so."""
        by_urn = {r.urn: r for r in self.all}

        def lineage(resource: Registered) -> set[str]:
            above = by_urn.get(resource.parent)
            return {above.name} | lineage(above) if above else set()

        return [r for r in self.all if ancestor in lineage(r)]

    def dependencies_of(self, resource: Registered) -> set[tuple[str, str]]:
        """Direct dependencies as (type, name)."""
        by_urn = {r.urn: (r.type, r.name) for r in self.all}
        return {by_urn[urn] for urn in resource.dependencies if urn in by_urn}


def _name_in(provider: str) -> str:
    # A reference is the provider's URN, which ends in its type and name, and its id.
    found = re.search(r"pulumi:providers:\w+::([^:]+)", provider)
    return found.group(1) if found else ""


class _Mocks(mocks.Mocks):
    def __init__(self, region: str, recorded: Recorded, network: Network) -> None:
        self.recorded = recorded
        self.default = SimulatedCloud(region, network=network)
        self.providers: dict[str, SimulatedCloud] = {}

    def cloud(self, provider: str | None) -> SimulatedCloud:
        # An explicit provider has its own region.
        return self.providers.get(_name_in(provider or ""), self.default)

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        if args.typ == "pulumi:providers:aws" and isinstance(args.inputs.get("region"), str):
            self.providers[args.name] = replace(self.default, region_name=args.inputs["region"])
        return self.cloud(args.provider).outputs(args.typ, args.name, _plain(args.inputs))

    def call(self, args: mocks.MockCallArgs) -> Any:
        self.recorded.asked.append((args.token, _name_in(args.provider or "")))
        try:
            return self.cloud(args.provider).invoke(args.token, args.args)
        except LookupError as missing:
            return {}, [("", str(missing.args[0]))]


def _holds_secret(value: Any) -> bool:
    if rpc.is_rpc_secret(value):
        return True
    if isinstance(value, Mapping):
        return any(_holds_secret(item) for item in value.values())  # pyright: ignore[reportUnknownVariableType]
    return isinstance(value, list) and any(_holds_secret(item) for item in value)  # pyright: ignore[reportUnknownVariableType]


def _plain(value: Any) -> Any:
    value = rpc.unwrap_rpc_secret(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list):
        return [_plain(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
    return value


def _exported(recorded: Recorded, outputs: Mapping[str, Any]) -> list[pulumi.Output[None]]:
    def keep(name: str, value: Any, secret: bool) -> None:
        recorded.exports[name] = value
        recorded.secret_exports |= {name} if secret else set()

    kept: list[pulumi.Output[None]] = []
    for name, value in outputs.items():
        output = pulumi.Output.from_input(value)
        both = pulumi.Output.all(output, output.is_secret())
        kept.append(both.apply(lambda pair, name=name: keep(name, *pair)))
    return kept


class _NoCallbacks:
    """In place of the SDK's server for hooks and transforms; the mocks' engine calls none."""

    def register_error_hook(self, _hook: pulumi.ErrorHook) -> None:
        """Registers nothing."""

    def register_transform(self, _transform: pulumi.ResourceTransform) -> callback_pb2.Callback:
        """Registers nothing."""
        return callback_pb2.Callback()


def run(
    program: Callable[[], Any],
    region: str = "cn-north-1",
    config: Mapping[str, str] | None = None,
    network: Network | None = None,
) -> Recorded:
    """Runs ``program`` in the simulated ``region`` until every output is resolved.

    Args:
        program: registers resources; a returned mapping of outputs is resolved into ``exports``.
        region: the default AWS region of the simulated cloud.
        config: stack configuration, full keys (``kubeflow:region``) to raw strings.
        network: what exists in the account beside the stack; None: the VPC of the configuration.

    Raises whatever the program raises, including a failed assertion inside an ``apply``.
    """
    recorded = Recorded()
    if network is None:
        own = json.loads((config or {}).get("kubeflow:network", "{}"))
        network = network_of(region, own.get("vpcId"), own.get("privateSubnetIds", []))
    answers = _Mocks(region, recorded, network)
    recorder, monitor = Recorder(), mocks.MockMonitor(answers)
    _close_loops()
    asyncio.set_event_loop(asyncio.new_event_loop())
    mocks.set_mocks(
        answers,
        project="kubeflow",
        stack=region,
        preview=False,
        monitor=recorder.watch(monitor),
    )
    # Mocks never call a hook back; the SDK would start a server per run.
    cast("Any", SETTINGS).callbacks = _NoCallbacks()
    pulumi.runtime.set_all_config(dict(config or {}))

    @mocks.test
    def drained() -> Any:
        def keep(value: Any) -> None:
            if isinstance(value, Mapping):
                recorded.exports.update(value)  # pyright: ignore[reportUnknownArgumentType]

        stack = cast("Stack", get_root_resource())
        stack.outputs.clear()  # the runtime keeps one stack for all runs of a process
        returned = pulumi.Output.from_input(program()).apply(keep)
        return pulumi.Output.all(returned, *_exported(recorded, stack.outputs))

    drained()
    recorded.all = [
        Registered(planned.urn, planned.request, monitor.resources[planned.urn].state)
        for planned in recorder.resources
    ]
    for planned in recorder.resources:
        if planned.type.startswith(("kubeflow:", "pulumi-python:")):
            assert planned.type in TYPE_TOKENS, f"{planned.type} is in the state of no stack"
        # Tests render objects of a few lines, which lack what every real one has.
        failures = [
            failure
            for failure in check(planned.type, properties(planned.request.object))
            if not failure.reason.startswith("is required")
        ]
        assert not failures, f"{planned.type} {planned.name}: {failures}"
    return recorded


_MOST_OPEN_FILES = 256


def _close_loops() -> None:
    """Closes the loops of earlier runs; ``select`` takes no file with a number of 1024 or more.

    Pulumi's mocks make one with three open files in each thread, and only the collector ends them.
    """
    if len(os.listdir("/dev/fd")) > _MOST_OPEN_FILES:  # noqa: PTH208 paths are not needed
        gc.collect()


__all__ = ["MASKED", "REGIONS", "Recorded", "Registered", "run"]
