"""The AWS resources of each shipped stack and of further variants, with the region of each."""

from __future__ import annotations

import fcntl
import json
import os
import pickle
import runpy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from pulumi.runtime.proto.resource_pb2 import RegisterResourceRequest

import program
from program import Renders
from regions.region import Region
from rehearsal.clouds import SimulatedCloud
from rehearsal.sample_outputs.eks_children import children
from rehearsal.sample_outputs.resource import name_property
from settings import Settings
from tests.harness import SHIPPED, Recorded, Registered, run

ROOT = Path(__file__).parents[2]
VARIANTS: dict[str, dict[str, Any]] = yaml.safe_load(
    Path(__file__).with_name("variants.yaml").read_text()
)
PLANS = {**{name: {"stack": name} for name in SHIPPED}, **VARIANTS}
"""Name of each plan -> its stack, and sections that replace keys of that stack's file."""
MADE = "KUBEFLOW_MADE_PLANS"
"""Environment variable with the folder of one run's plans; tests/conftest.py makes it."""
REPOSITORIES = "pulumi-python:dynamic:ImageRepositories"
_EKS = "eks:index:Cluster"
_RENDERED = {
    *("region", "release", "bundles", "gpu_pool", "image_mirror", "model_catalog"),
    *("node_group", "packages"),
}
_RENDERS: dict[str, Renders] = {}
"""By the settings that change a render."""


@dataclass(frozen=True)
class Planned:
    """One resource of AWS in a plan.

    Attributes:
        type: its type token.
        name: the Pulumi name.
        region: the region it is made in.
        inputs: plain values, with the name that the provider chooses where none is given.
    """

    type: str
    name: str
    region: str
    inputs: dict[str, Any]


def planned(name: str) -> list[Planned]:
    """The resources of AWS in one of ``PLANS``."""
    return list(_planned(made(name)))


def made(name: str) -> Recorded:
    """One of ``PLANS``, made once in a run of pytest, whichever of its workers asks first."""
    if MADE not in os.environ:
        return recorded(PLANS[name])
    file = Path(os.environ[MADE]) / f"{name}.pickle"
    with file.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not file.exists():
            plan = recorded(PLANS[name])
            # The protocol's classes are of a module that pickle cannot import.
            rows = [(each.urn, each.request.SerializeToString(), each.outputs) for each in plan.all]
            file.write_bytes(pickle.dumps((rows, plan.asked, plan.exports, plan.secret_exports)))
    rows, *others = pickle.loads(file.read_bytes())  # noqa: S301 written above
    return Recorded(
        [
            Registered(urn, RegisterResourceRequest.FromString(request), outputs)
            for urn, request, outputs in rows
        ],
        *others,
    )


def recorded(plan: Mapping[str, Any]) -> Recorded:
    """A plan in the form of ``PLANS``, without most of Kubeflow's objects."""
    change = dict(plan)
    stack, region = change.pop("stack"), change.pop("region", None)
    config: dict[str, Any] = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]
    for section, values in change.items():
        config.setdefault(f"kubeflow:{section}", {}).update(values)
    config["kubeflow:region"] = region = region or config["kubeflow:region"]
    raw = {k: v if isinstance(v, str) else json.dumps(v) for k, v in config.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program, "render_stack", without_objects(program.render_stack))
        return run(whole_program, region, raw)


def without_objects(
    render_stack: Callable[[Settings, Region], Renders],
) -> Callable[[Settings, Region], Renders]:
    """Kubeflow's objects are most of a plan's time, and AWS resources are made from few of them.

    Those are service accounts: one that names a role gets it (components.kubeflow.image_readers).
    """

    def render(settings: Settings, region: Region) -> Renders:
        key = settings.model_dump_json(include=_RENDERED)
        if key not in _RENDERS:
            renders = render_stack(settings, region)
            accounts = [obj for obj in renders.kubeflow.objects if obj["kind"] == "ServiceAccount"]
            kubeflow = replace(renders.kubeflow, objects=accounts, prerequisites={})
            _RENDERS[key] = replace(renders, kubeflow=kubeflow)
        return _RENDERS[key]

    return render


def whole_program() -> None:
    """``__main__.py``, as the engine runs it."""
    runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")


def resources(recorded: Recorded) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Type, Pulumi name, region and inputs of each resource of AWS, those of pulumi-eks too."""
    providers = recorded.of("pulumi:providers:aws")
    regions = {provider.name: provider.inputs["region"] for provider in providers}
    for each in recorded.all:
        region = regions.get(each.provider_name, regions["aws"])
        if each.package == "aws":
            yield each.type, each.name, region, each.inputs
        elif each.type == _EKS:
            component = SimulatedCloud(region).resource(_EKS, each.name, each.inputs)
            for child in children(component):
                if child.type.startswith("aws:"):
                    yield child.type, child.name, region, dict(child.inputs)


def _planned(recorded: Recorded) -> Iterator[Planned]:
    for type_, name, region, inputs in resources(recorded):
        outputs = SimulatedCloud(region).outputs(type_, name, inputs)[1]
        yield Planned(type_, name, region, _named(type_, outputs, inputs))
    for each in recorded.of(REPOSITORIES):
        # A hundred of one kind: the one with the longest name.
        name = max(each.inputs["repositories"], key=len)
        inputs = {"name": name, "imageTagMutability": each.inputs["repositories"][name]}
        inputs["lifecyclePolicy"] = each.inputs["lifecycle"]
        yield Planned("aws:ecr/repository:Repository", name, each.inputs["region"], inputs)


def _named(type_: str, outputs: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs with the name that the provider chooses, in place of its prefix."""
    key = name_property(type_)
    given = {name: value for name, value in inputs.items() if value is not None}
    if key is None:
        return given
    given.pop(f"{key}Prefix", None)
    return {**given, key: outputs[key]}
