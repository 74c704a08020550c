"""The AWS resources of each shipped stack and of further variants, with the region of each."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

import program
from program import Renders
from regions.region import Region
from rehearsal.clouds import SimulatedCloud
from rehearsal.sample_outputs.eks_children import children
from rehearsal.sample_outputs.resource import name_property
from settings import Settings
from tests.harness import SHIPPED, Recorded, run

ROOT = Path(__file__).parents[2]
VARIANTS: dict[str, dict[str, Any]] = yaml.safe_load(
    Path(__file__).with_name("variants.yaml").read_text()
)
PLANS = {**{name: {"stack": name} for name in SHIPPED}, **VARIANTS}
"""Name of each plan -> its stack, and sections that replace keys of that stack's file."""
_EKS = "eks:index:Cluster"


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
    change = dict(PLANS[name])
    stack, region = change.pop("stack"), change.pop("region", None)
    config: dict[str, Any] = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]
    for section, values in change.items():
        config.setdefault(f"kubeflow:{section}", {}).update(values)
    config["kubeflow:region"] = region = region or config["kubeflow:region"]
    raw = {k: v if isinstance(v, str) else json.dumps(v) for k, v in config.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program, "render_stack", partial(_without_objects, program.render_stack))
        recorded = run(_program, region, raw)
    return list(_resources(recorded))


def _without_objects(
    render_stack: Callable[[Settings, Region], Renders], settings: Settings, region: Region
) -> Renders:
    """Kubeflow's objects are most of a plan's time, and no resource of AWS is made from one."""
    renders = render_stack(settings, region)
    return replace(renders, kubeflow=replace(renders.kubeflow, objects=(), prerequisites={}))


def _program() -> None:
    runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")


def _resources(recorded: Recorded) -> Iterator[Planned]:
    providers = recorded.of("pulumi:providers:aws")
    regions = {provider.name: provider.inputs["region"] for provider in providers}
    for each in recorded.all:
        region = regions.get(each.provider_name, regions["aws"])
        if each.package == "aws":
            yield Planned(
                each.type, each.name, region, _named(each.type, each.outputs, each.inputs)
            )
        elif each.type == "pulumi-python:dynamic:ImageRepositories":
            # A hundred of one kind: the one with the longest name.
            name = max(each.inputs["repositories"], key=len)
            inputs = {"name": name, "imageTagMutability": each.inputs["repositories"][name]}
            inputs["lifecyclePolicy"] = each.inputs["lifecycle"]
            yield Planned("aws:ecr/repository:Repository", name, region, inputs)
        elif each.type == _EKS:
            component = SimulatedCloud(region).resource(_EKS, each.name, each.inputs)
            for child in children(component):
                if child.type.startswith("aws:"):
                    inputs = dict(child.inputs)
                    outputs = SimulatedCloud(region).outputs(child.type, child.name, inputs)[1]
                    yield Planned(
                        child.type, child.name, region, _named(child.type, outputs, inputs)
                    )


def _named(type_: str, outputs: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs with the name that the provider chooses, in place of its prefix."""
    key = name_property(type_)
    given = {name: value for name, value in inputs.items() if value is not None}
    if key is None:
        return given
    given.pop(f"{key}Prefix", None)
    return {**given, key: outputs[key]}
