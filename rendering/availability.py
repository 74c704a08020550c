"""A second pod, on another node and in another zone, of what the platform stops without.

For stacks with the setting ``nodeGroup.highAvailability``. It concerns the Deployments that

1. have an autoscaler: its minimum becomes two, and ``replicas`` stays absent;
2. are selected by an Istio Gateway;
3. serve a webhook with failurePolicy Fail, without which requests are refused, and elect a leader;
4. are listed as ``replicated`` in release.yaml, each with the reason: further servers of such
   webhooks, and what no object reveals, such as the login.

All others keep their number of pods: two controllers without leader election act twice.

A PodDisruptionBudget permits one eviction at a time, so that every node can be drained. A budget of
upstream's gets this limit instead of its own: ``minAvailable: 0`` permits all, 80 % of two none.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

from rendering.normalise import autoscalers
from rendering.objects import (
    WORKLOADS,
    Object,
    ObjectKey,
    RenderError,
    containers_of,
    labels_of,
    pod_spec,
)
from rendering.pod_references import named_by
from rendering.prerequisites import Index
from rendering.selectors import matches_selector

PODS = 2
ZONE, NODE = "topology.kubernetes.io/zone", "kubernetes.io/hostname"

_ELECTION_FLAG = re.compile(r"--?(enable-)?leader-elect(ion)?(=true)?")
_ELECTION_FIELD = re.compile(r"^\s*leaderElect: true\s*$", re.MULTILINE)
"""ControllerManagerConfiguration, k8s.io/component-base config/v1alpha1/types.go."""


def replicate(
    objects: Sequence[Object], crds: Sequence[Object], listed: Collection[str]
) -> list[Object]:
    """Replicates Deployments in place.

    Args:
        objects: all of a release, normalised.
        crds: its CustomResourceDefinitions.
        listed: ``namespace/name`` of the Deployments that are ``replicated`` in release.yaml.

    Returns:
        The PodDisruptionBudgets to add.

    Raises:
        RenderError: a listed Deployment is not among the objects.
    """
    index = Index({ObjectKey.of(obj): obj for obj in objects}, crds)
    scaled = autoscalers(objects)
    budgets = [obj for obj in objects if obj["kind"] == "PodDisruptionBudget"]
    added: list[Object] = []
    for key in sorted(replicated(index, listed)):
        spec = index.by_key[key]["spec"]
        counted, field = (
            (scaled[key]["spec"], "minReplicas") if key in scaled else (spec, "replicas")
        )
        counted[field] = max(PODS, counted.get(field, 1))
        spec["template"]["spec"].setdefault("topologySpreadConstraints", _spread(spec["selector"]))
        existing = [budget for budget in budgets if _protects(budget, key, spec)]
        if not existing:
            added.append(_budget(key, spec["selector"]))
        for budget in existing:
            budget["spec"].pop("minAvailable", None)
            budget["spec"]["maxUnavailable"] = 1
    return added


def replicated(index: Index, listed: Collection[str]) -> set[ObjectKey]:
    """The Deployments that get a second pod.

    Raises:
        RenderError: a listed Deployment is not in the index.
    """
    deployments = {key.full_name: key for key in index.by_key if key.kind == "Deployment"}
    if absent := sorted(set(listed) - deployments.keys()):
        raise RenderError(
            f"release.yaml, replicated: no Deployment is called {absent[0]}: correct or remove it"
        )
    scaled = autoscalers(index.by_key.values()).keys()
    refusing = {key for key in refusing_servers(index) if elects_leader(key, index)}
    chosen = {*scaled, *_gateways(index), *refusing, *(deployments[name] for name in listed)}
    return chosen & set(deployments.values())


def refusing_servers(index: Index) -> set[ObjectKey]:
    """Workloads behind webhooks with failurePolicy Fail, the default in v1."""
    return {
        workload
        for configuration in index.configurations
        for hook in index.hooks(configuration)
        if hook.get("failurePolicy", "Fail") == "Fail"
        for workload in index.servers((hook.get("clientConfig") or {}).get("service"))
        if workload.kind in WORKLOADS
    }


def elects_leader(key: ObjectKey, index: Index) -> bool:
    """Whether its arguments, or a ConfigMap that its pods name, turn leader election on."""
    spec = pod_spec(index.by_key[key]) or {}
    arguments = (arg for container in containers_of(spec) for arg in container.get("args") or [])
    return any(map(_ELECTION_FLAG.fullmatch, arguments)) or any(
        map(_ELECTION_FIELD.search, _configuration(key.namespace, spec, index))
    )


def _configuration(namespace: str, spec: Mapping[str, Any], index: Index) -> Iterator[str]:
    for named in named_by(spec):
        if named.kind == "ConfigMap":
            for key in index.find("", "ConfigMap", namespace, named.name):
                yield from (index.by_key[key].get("data") or {}).values()


def _gateways(index: Index) -> set[ObjectKey]:
    selectors = [
        obj["spec"]["selector"]
        for key, obj in index.by_key.items()
        if (key.group, key.kind) == ("networking.istio.io", "Gateway")
    ]
    return {
        key
        for key, obj in index.by_key.items()
        if key.kind == "Deployment"
        and any(s.items() <= labels_of(obj["spec"]["template"]).items() for s in selectors)
    }


def _spread(selector: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Over zones, and over nodes where there is one zone; all on one node rather than none."""
    return [
        {
            "maxSkew": 1,
            "topologyKey": topology,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": deepcopy(selector),
        }
        for topology in (ZONE, NODE)
    ]


def _protects(budget: Object, key: ObjectKey, spec: Mapping[str, Any]) -> bool:
    return ObjectKey.of(budget).namespace == key.namespace and matches_selector(
        budget["spec"].get("selector"), labels_of(spec["template"])
    )


def _budget(key: ObjectKey, selector: Mapping[str, Any]) -> Object:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": key.name, "namespace": key.namespace},
        "spec": {"maxUnavailable": 1, "selector": deepcopy(selector)},
    }
