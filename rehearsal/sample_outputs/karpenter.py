"""What the interruption queue, its rules and the Karpenter release answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from rehearsal.clouds import Invention


def _queue(made: Invention) -> dict[str, Any]:
    name = made.physical_name()
    url = f"https://{made.region.service_host('sqs')}/{made.account}/{name}"
    return {"id": url, "url": url, "name": name, "arn": made.arn("sqs", name)}


def _queue_policy(made: Invention) -> dict[str, Any]:
    return {"id": made.inputs.get("queueUrl", "")}


def _rule(made: Invention) -> dict[str, Any]:
    name = made.physical_name()
    return {"id": name, "name": name, "arn": made.arn("events", f"rule/{name}")}


def _target(made: Invention) -> dict[str, Any]:
    target = made.physical_name("targetId")
    return {"id": f"{made.inputs.get('rule', '')}-{target}", "targetId": target}


def _release(made: Invention) -> dict[str, Any]:
    namespace = str(made.inputs.get("namespace") or "default")
    name = made.physical_name()
    chart = str(made.inputs.get("chart", "")).rsplit("/", 1)[-1]
    version = cast("str | None", made.inputs.get("version"))
    return {
        "id": f"{namespace}/{name}",
        "name": name,
        "namespace": namespace,
        "resourceNames": {"Deployment.apps/apps/v1": [f"{namespace}/{name}"]},
        "status": {
            "appVersion": version,
            "chart": chart,
            "name": name,
            "namespace": namespace,
            "revision": 1,
            "status": "deployed",
            "version": version,
        },
    }


OUTPUTS: dict[str, Callable[[Invention], dict[str, Any]]] = {
    "aws:sqs/queue:Queue": _queue,
    "aws:sqs/queuePolicy:QueuePolicy": _queue_policy,
    "aws:cloudwatch/eventRule:EventRule": _rule,
    "aws:cloudwatch/eventTarget:EventTarget": _target,
    "kubernetes:helm.sh/v3:Release": _release,
}
