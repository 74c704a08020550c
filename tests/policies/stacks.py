"""Plans of this project as policies read them, and plans with one thing changed."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from policies.model import SECRET, Resource, Stack
from rehearsal.clouds import SimulatedCloud
from rehearsal.sample_outputs.eks_children import children
from tests.harness import Recorded, Registered, run
from tests.judges.plans import made, whole_program

ROOT = Path(__file__).parents[2]

CLUSTER, CHILD = "eks:index:Cluster", "aws:eks/cluster:Cluster"


@cache
def stack(name: str) -> Stack:
    """One of the judges' plans: a shipped stack, or a variant of one."""
    return of(made(name))


def of(plan: Recorded) -> Stack:
    """A run of the program, with what pulumi-eks registers for it."""
    regions = {each.name: each.inputs["region"] for each in plan.of("pulumi:providers:aws")}
    return Stack([row for each in plan.all for row in _rows(each, regions)])


def _rows(each: Registered, regions: dict[str, str]) -> Iterator[Resource]:
    region = regions.get(each.provider_name, "") if each.package in ("aws", "eks") else ""
    secrets = tuple(_hidden(each.visible, each.inputs))
    yield Resource(each.urn, each.type, each.name, each.visible, region, each.protect, secrets)
    if each.type == CLUSTER:
        component = SimulatedCloud(region or regions["aws"]).resource(
            CLUSTER, each.name, each.inputs
        )
        for child in children(component):
            protect = each.protect or child.type == CHILD
            yield Resource(
                f"{each.urn}${child.name}", child.type, child.name, child.inputs, region, protect
            )


def _hidden(visible: Any, plain: Any) -> Iterator[str]:
    """The texts behind each secret."""
    if visible == SECRET:
        yield from _texts(plain)
    elif isinstance(visible, dict) and isinstance(plain, dict):
        for key, item in visible.items():
            yield from _hidden(item, plain[key])
    elif isinstance(visible, list):
        for item, other in zip(visible, plain, strict=True):
            yield from _hidden(item, other)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def changed(
    name: str,
    place: str,
    change: Callable[[dict[str, Any]], object],
    *,
    protect: bool | None = None,
) -> Stack:
    """A plan in which one resource, by its type and name, has other inputs."""
    rows: list[Resource] = []
    hits = 0
    for each in stack(name).resources:
        if each.place == place:
            hits += 1
            inputs = copy.deepcopy(dict(each.inputs))
            change(inputs)
            held = each.protect if protect is None else protect
            rows.append(replace(each, inputs=inputs, protect=held))
        else:
            rows.append(each)
    assert hits == 1, f"{hits} of {place}"
    return Stack(rows)


def without(name: str, place: str) -> Stack:
    """A plan that lacks one resource."""
    rows = [each for each in stack(name).resources if each.place != place]
    assert len(rows) == len(stack(name).resources) - 1, place
    return Stack(rows)


def beside(name: str, *more: Resource) -> Stack:
    """A plan with further resources."""
    return Stack([*stack(name).resources, *more])


def resource(type_: str, name: str, region: str = "", /, **inputs: Any) -> Resource:
    """A resource that no plan of this project has."""
    return Resource(f"urn:pulumi:x::kubeflow::{type_}::{name}", type_, name, inputs, region)


@cache
def whole(name: str) -> Stack:
    """A shipped stack with all of its objects."""
    config: dict[str, Any] = yaml.safe_load((ROOT / f"Pulumi.{name}.yaml").read_text())["config"]
    raw = {key: each if isinstance(each, str) else json.dumps(each) for key, each in config.items()}
    return of(run(whole_program, config["kubeflow:region"], raw))
