"""The check of the metrics API and of the autoscalers that read it (k8s.io/api autoscaling/v2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ops.findings import Finding, good, note, problem
from ops.verification.check import Check
from ops.verification.checks.live_objects import (
    age_minutes,
    by_name,
    condition,
    is_own_namespace,
    listed,
    name_of,
    namespace_of,
    some,
    why,
)
from ops.verification.platform import Platform
from rendering.objects import Object

_METRICS_MINUTES = 5
"""metrics-server has the first values of a new pod within two of its rounds of 15 s."""


def metrics(platform: Platform) -> Iterator[Finding]:
    """metrics.k8s.io answers for the nodes, and every autoscaler has the values it scales by."""
    about = "metrics.k8s.io"
    namespace, _, name = platform.parts.metrics.deployments[0].partition("/")
    service = by_name(platform, "APIService").get("v1beta1.metrics.k8s.io")
    if service is None:
        yield problem(about, "nothing serves it, so that no autoscaler works: run `pulumi up`")
        return
    state = condition(service, "Available")
    if state.get("status") != "True":
        yield problem(
            about,
            f"does not answer ({why(state)}): look at `kubectl -n {namespace} get pods`",
        )
        return
    measured = platform.cluster.all("/apis/metrics.k8s.io/v1beta1/nodes")
    old = [node for node in listed(platform, "Node") if age_minutes(node) >= _METRICS_MINUTES]
    missing = sorted({name_of(node) for node in old} - {name_of(each) for each in measured})
    if missing:
        yield problem(
            about,
            f"has nothing of {some(missing)}: {name} does not reach the kubelet there; read "
            f"{platform.parts.metrics.log}",
        )
    else:
        yield good(about, f"measures {len(measured)} nodes")
    yield from _autoscalers(platform, listed(platform, "HorizontalPodAutoscaler"))


def _autoscalers(platform: Platform, autoscalers: Iterable[Object]) -> Iterator[Finding]:
    right = 0
    for obj in autoscalers:
        active, able = condition(obj, "ScalingActive"), condition(obj, "AbleToScale")
        bad = next((each for each in (able, active) if each.get("status") == "False"), None)
        if bad is None and active:
            right += 1
        elif bad is not None and bad.get("reason") == "ScalingDisabled":
            right += 1  # its workload has no replicas, on purpose
        elif age_minutes(obj) < _METRICS_MINUTES or bad is None:
            yield note(name_of(obj), "has no values yet: look again")
        else:
            own = is_own_namespace(platform, namespace_of(obj))
            yield (problem if own else note)(
                name_of(obj),
                f"does not scale ({why(bad)}): look at its pods with `kubectl -n "
                f"{namespace_of(obj)} top pods`",
            )
    yield good("autoscalers", f"{right} have the values they scale by")


CHECKS: tuple[Check, ...] = (Check("metrics", "the metrics API and autoscalers", metrics),)
