"""Katib's trials: the Job that its controller makes of the release's own trial template."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import yaml

from components.gpu.karpenter_objects import GPU_RESOURCE
from rendering import Object
from tests.cluster.platform import platform
from tests.elasticity.pools import STACK
from tests.elasticity.stages import TAKES

_FOR_EVER = 24 * 3600


@dataclass(frozen=True)
class Trial:
    """A trial that asks for GPUs.

    Args:
        name: of the trial and its Job.
        takes: seconds of training; None: it never ends by itself.
        amount: of ``resource``.
        tolerations: none by default; as on EKS, the API server adds that of the resource.
        annotations: of the pod.
        selector: labels that the node must have.
        prefers: labels that it had better have.
    """

    name: str
    takes: int | None
    amount: int = 1
    resource: str = GPU_RESOURCE
    millicores: int = 2000
    mebibytes: int = 8192
    tolerations: tuple[Mapping[str, str], ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict[str, str])
    selector: Mapping[str, str] = field(default_factory=dict[str, str])
    prefers: Mapping[str, str] = field(default_factory=dict[str, str])

    def job(self, namespace: str) -> Object:
        """The Job of ``trialSpec``, named and labelled as Katib 0.19 does it."""
        made = deepcopy(_template())
        pod = made["spec"]["template"]
        takes = str(_FOR_EVER if self.takes is None else self.takes)
        pod["metadata"] = {
            "labels": {"katib.kubeflow.org/trial": self.name},
            "annotations": {TAKES: takes, "sidecar.istio.io/inject": "false", **self.annotations},
        }
        (container,) = pod["spec"]["containers"]
        container["resources"] = {
            "requests": {"cpu": f"{self.millicores}m", "memory": f"{self.mebibytes}Mi"},
            "limits": {self.resource: str(self.amount)},
        }
        pod["spec"]["tolerations"] = [dict(each) for each in self.tolerations]
        if self.selector:
            pod["spec"]["nodeSelector"] = dict(self.selector)
        if self.prefers:
            wanted = [
                {"key": key, "operator": "In", "values": [value]}
                for key, value in self.prefers.items()
            ]
            rather = [{"weight": 100, "preference": {"matchExpressions": wanted}}]
            pod["spec"]["affinity"] = {
                "nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": rather}
            }
        return {
            **made,
            "metadata": {
                "name": self.name,
                "namespace": namespace,
                "labels": {"katib.kubeflow.org/trial": self.name},
            },
        }


@cache
def _template() -> dict[str, Any]:
    objects = platform(STACK)
    templates = objects.objects[objects.key("ConfigMap", "trial-templates")]
    return yaml.safe_load(templates["data"]["defaultTrialTemplate.yaml"])
