"""What a failed ``pulumi up`` adds about the pods of a workload that did not become ready.

The Kubernetes provider reports image and crash of pods of Deployments, StatefulSets and Jobs. It
reports no pod that no node takes, no init container, and for a DaemonSet only that time is up
(pulumi-kubernetes, provider/pkg/await; pulumi/cloud-ready-checks, pkg/kubernetes/pod).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi.resource import DependencyResource

from components.objects.pod_reasons import reason_of
from rendering import Object

_SECONDS = (5, 30)
"""To connect, to answer."""
_NAMED = 3
"""Pods of one workload that are named; the others are counted."""


def unready_pods(kubeconfig: pulumi.Input[str], verify: str) -> pulumi.ResourceHookBinding:
    """An error hook for workloads: it logs each pod that is not ready, with its reason.

    A run in which nothing fails reads nothing, and a preview neither.

    Args:
        kubeconfig: as JSON, of the cluster of the workloads.
        verify: the shell command that lists every pod of the cluster that is not ready.

    Returns:
        the option ``hooks`` of a workload, or of a Helm release; one per program.
    """
    report = _Report(kubeconfig, verify)
    return pulumi.ResourceHookBinding(on_error=[pulumi.ErrorHook("unready-pods", report.log)])


class _Report:
    def __init__(self, kubeconfig: pulumi.Input[str], verify: str) -> None:
        self._kubeconfig: str | None = None
        self._verify: str | None = verify
        pulumi.Output.from_input(kubeconfig).apply(self._connect)

    def _connect(self, kubeconfig: str) -> None:
        self._kubeconfig = kubeconfig

    async def log(self, args: pulumi.ErrorHookArgs) -> bool:
        """Never asks for another try: its success would keep the first error in the state."""
        inputs, kubeconfig = args.new_inputs, self._kubeconfig
        if pulumi.runtime.is_dry_run() or inputs is None or kubeconfig is None:
            return False
        pods = await asyncio.to_thread(pods_with_reasons, inputs, kubeconfig)
        if not pods:
            return False
        more = f"; {len(pods) - _NAMED} more" if len(pods) > _NAMED else ""
        sentence = f"{args.name} is not ready: {'; '.join(pods[:_NAMED])}{more}"
        pulumi.log.error(sentence, DependencyResource(args.urn))
        verify, self._verify = self._verify, None
        if verify:
            pulumi.log.error(
                "Pods are not ready: the error of each workload names their reasons, and "
                f"`{verify}` lists all of them. Remove the cause and run `pulumi up` again: it "
                "goes on where this one ended."
            )
        return False


def pods_with_reasons(workload: Mapping[str, Any], kubeconfig: str) -> list[str]:
    """``pod <name>: <reason>`` of each pod of a workload that is not ready.

    Where the API server gives no answer, that is the only sentence.
    """
    # Imported here: the import takes a second, and a run without failures needs no client.
    from kubernetes import client, config
    from urllib3.exceptions import HTTPError

    metadata = workload.get("metadata") or workload
    try:
        connection: Any = config.new_client_from_config_dict(json.loads(kubeconfig))
        api = client.CoreV1Api(connection)
        common = {"namespace": metadata["namespace"], "_preload_content": False}
        pods = _items(
            api.list_namespaced_pod(
                label_selector=selector_of(workload), _request_timeout=_SECONDS, **common
            )
        )
        warnings = _items(
            api.list_namespaced_event(
                field_selector="type=Warning", _request_timeout=_SECONDS, **common
            )
        )
    except client.ApiException as failure:
        return [f"its pods cannot be read ({failure.status} {failure.reason})"]
    except (config.ConfigException, HTTPError, OSError, ValueError) as failure:
        return [f"its pods cannot be read ({type(failure).__name__})"]
    reasons = ((pod["metadata"]["name"], reason_of(pod, warnings)) for pod in pods)
    return sorted(f"pod {name}: {reason.sentence}" for name, reason in reasons if reason)


def _items(answer: Any) -> list[Object]:
    return json.loads(answer.data)["items"]


def selector_of(workload: Mapping[str, Any]) -> str:
    """The label selector of the pods of a workload, or of a Helm release.

    A Job's controller adds the label ``job-name``
    (https://kubernetes.io/docs/reference/labels-annotations-taints/#job-name), and Helm's charts
    ``app.kubernetes.io/instance`` (https://helm.sh/docs/chart_best_practices/labels/).
    """
    if "chart" in workload:
        return f"app.kubernetes.io/instance={workload['name']}"
    if workload["kind"] == "Job":
        return f"job-name={workload['metadata']['name']}"
    labels: Mapping[str, str] = workload["spec"]["template"]["metadata"]["labels"]
    return ",".join(f"{key}={value}" for key, value in labels.items())
