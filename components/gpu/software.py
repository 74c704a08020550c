"""The platform's own pods on GPU nodes: NVIDIA's device plugin, one per number of slices; metrics.

Pure. Plugin and exporter are rendered (manifests/addons/nvidia-device-plugin,
manifests/addons/dcgm-exporter); this module makes the plugin's copies for sliced pools. NVIDIA's
chart has one DaemonSet for all nodes, with a helper that watches the node's label and restarts the
plugin (k8s-device-plugin v0.20.0, config-manager). Karpenter's nodes have their label from the
start, and it never changes, so that a DaemonSet per number of slices has the same effect without
rights in the cluster and without a second container.
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
    """The plugin's objects for these pools: as rendered, and a copy per number of slices.

    Empty where the AMI of every GPU node has a plugin (Bottlerocket).
    """
    served = [pool for pool in pools if pool.has_gpus and not pool.bottlerocket]
    if not served:
        return []
    objects = [unawaited(_tolerating(obj, served)) for obj in rendered]
    plugins = [obj for obj in objects if obj["kind"] == "DaemonSet"]
    for slices in sorted({pool.slices for pool in served if pool.sliced}):
        for plugin in plugins:
            config = _config(slices, plugin["metadata"]["namespace"])
            objects += [config, _slicing(plugin, slices, config["metadata"]["name"])]
    return objects


def on_gpu_pools(rendered: Sequence[Object], pools: Iterable[Pool]) -> list[Object]:
    """An add-on's objects for every pool with GPUs; empty where none has."""
    served = [pool for pool in pools if pool.has_gpus]
    return [_tolerating(obj, served) for obj in rendered] if served else []


def _tolerating(obj: Object, pools: Iterable[Pool]) -> Object:
    """The same object; a DaemonSet also tolerates the pools' taints."""
    if obj["kind"] != "DaemonSet":
        return obj
    copy = deepcopy(obj)
    pod = copy["spec"]["template"]["spec"]
    tolerations: list[dict[str, str]] = pod.setdefault("tolerations", [])
    tolerated = {(one.get("key"), one.get("effect")) for one in tolerations}
    taints = dict.fromkeys((taint.key, taint.effect) for pool in pools for taint in pool.taints)
    tolerations += [
        {"key": key, "operator": "Exists", "effect": effect}
        for key, effect in taints
        if (key, effect) not in tolerated
    ]
    return copy


def _config(slices: int, namespace: str) -> Object:
    # k8s-device-plugin v0.20.0, README, "Shared access to GPUs with CUDA time-slicing".
    sharing = {
        # Pods that request a whole GPU never get a slice.
        "renameByDefault": True,
        # Two slices may be of one GPU, and then give no more than one: such a request fails.
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
    """A plugin's DaemonSet for the nodes of one number of slices, with that ConfigMap."""
    copy = deepcopy(plugin)
    name = f"{plugin['metadata']['name']}-{slicing_config(slices)}"
    copy["metadata"]["name"] = name
    copy["spec"]["selector"] = {"matchLabels": {"name": name}}
    template = copy["spec"]["template"]
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
    return copy


def unawaited(obj: Object) -> Object:
    """The same object; Pulumi waits for no pod of a DaemonSet.

    Its first pod needs a GPU node, and the first GPU node starts with the first pod that requests
    a GPU.
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
    "dcgm-exporter": ("exporter", on_gpu_pools),
}
"""Add-on -> a part of its resources' names, and the function that fits its objects to the pools."""
