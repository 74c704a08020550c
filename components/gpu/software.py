"""What GPU nodes run besides pods of users: NVIDIA's device plugin, how it slices GPUs, metrics.

Pure. Plugin and exporter come from manifests of their own (manifests/addons/nvidia-device-plugin,
manifests/addons/dcgm-exporter); here are the plugin's copies for sliced pools. NVIDIA's chart has
one DaemonSet for all nodes, with a helper that watches the node's label and restarts the plugin
(k8s-device-plugin v0.20.0, config-manager). Our nodes have their label from birth and keep it, so a
DaemonSet per number of slices does the same without rights in the cluster and without a second
container.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any, cast

import yaml

from components.gpu.karpenter_objects import GPU_LABEL, SLICING_LABEL, Object, slicing_config
from components.gpu.node_pools import GPU_RESOURCE, Pool

_CONFIG_FILE = "config.yaml"
_CONFIG_FOLDER = "/etc/nvidia-device-plugin"


def device_plugin(rendered: Sequence[Object], pools: Iterable[Pool]) -> list[Object]:
    """The plugin's objects for these pools: as rendered, and once more per number of slices.

    Empty where every GPU node brings a plugin of its own (Bottlerocket).
    """
    served = [pool for pool in pools if pool.has_gpus and not pool.bottlerocket]
    if not served:
        return []
    found = [unawaited(_tolerating(obj, served)) for obj in rendered]
    plugins = [obj for obj in found if obj["kind"] == "DaemonSet"]
    for slices in sorted({pool.slices for pool in served if pool.sliced}):
        for plugin in plugins:
            config = _config(slices, plugin["metadata"]["namespace"])
            found += [config, _slicing(plugin, slices, config["metadata"]["name"])]
    return found


def metrics_exporter(rendered: Sequence[Object], pools: Iterable[Pool]) -> list[Object]:
    """DCGM exporter's objects for these pools; empty where none has GPUs."""
    served = [pool for pool in pools if pool.has_gpus]
    return [_tolerating(obj, served) for obj in rendered] if served else []


def _tolerating(obj: Object, pools: Iterable[Pool]) -> Object:
    """A DaemonSet that runs on the pools' nodes too; what it tolerates by itself stays."""
    if obj["kind"] != "DaemonSet":
        return obj
    made = deepcopy(obj)
    pod = made["spec"]["template"]["spec"]
    tolerated: list[dict[str, str]] = pod.get("tolerations", [])
    known = {(one.get("key"), one.get("effect")) for one in tolerated}
    taints = {taint: None for pool in pools for taint in pool.taints}
    more = [
        {"key": taint.key, "operator": "Exists", "effect": taint.effect}
        for taint in taints
        if (taint.key, taint.effect) not in known
    ]
    pod["tolerations"] = [*tolerated, *more]
    return made


def _config(slices: int, namespace: str) -> Object:
    # k8s-device-plugin v0.20.0, README, "Shared access to GPUs with CUDA time-slicing".
    sharing = {
        # Whoever asks for a whole GPU never gets a slice of one by that name.
        "renameByDefault": True,
        # Two slices may be of one GPU and are no more than one: who asks for two is told so.
        "failRequestsGreaterThanOne": True,
        "resources": [{"name": GPU_RESOURCE, "replicas": slices}],
    }
    config = {"version": "v1", "sharing": {"timeSlicing": sharing}}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": f"nvidia-device-plugin-{slicing_config(slices)}",
            "namespace": namespace,
        },
        "data": {_CONFIG_FILE: yaml.safe_dump(config, sort_keys=False)},
    }


def _slicing(plugin: Object, slices: int, config: str) -> Object:
    """A plugin's DaemonSet for the nodes of one number of slices, reading that ConfigMap."""
    made = deepcopy(plugin)
    name = f"{plugin['metadata']['name']}-{slicing_config(slices)}"
    made["metadata"]["name"] = name
    made["spec"]["selector"] = {"matchLabels": {"name": name}}
    template = made["spec"]["template"]
    template["metadata"]["labels"] = {"name": name}
    pod: dict[str, Any] = template["spec"]
    pod["nodeSelector"] = {GPU_LABEL: "true", SLICING_LABEL: slicing_config(slices)}
    pod.pop("affinity", None)
    pod["volumes"] = [*pod["volumes"], {"name": "config", "configMap": {"name": config}}]
    for container in cast(list[dict[str, Any]], pod["containers"]):
        path = f"{_CONFIG_FOLDER}/{_CONFIG_FILE}"
        container["env"] = [*container.get("env", []), {"name": "CONFIG_FILE", "value": path}]
        mount = {"name": "config", "mountPath": _CONFIG_FOLDER, "readOnly": True}
        container["volumeMounts"] = [*container["volumeMounts"], mount]
    return made


def unawaited(obj: Object) -> Object:
    """A device plugin object; its DaemonSet is one that nobody waits for.

    Its first pod can run only on the first GPU node, and that comes with the first pod that wants
    one. Which nodes it runs on is the overlay's business (manifests/addons/nvidia-device-plugin).
    """
    if obj.get("kind") != "DaemonSet":
        return obj
    metadata = cast(dict[str, Any], obj["metadata"])
    annotations = {**metadata.get("annotations", {}), "pulumi.com/skipAwait": "true"}
    return {**obj, "metadata": {**metadata, "annotations": annotations}}


GPU_SOFTWARE: Mapping[
    str, tuple[str, Callable[[Sequence[Object], Iterable[Pool]], list[Object]]]
] = {
    "nvidia-device-plugin": ("plugin", device_plugin),
    "dcgm-exporter": ("exporter", metrics_exporter),
}
"""Add-on -> the part of its resources' names, and its objects for the pools of a stack."""
