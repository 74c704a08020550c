"""A Job of a verification, from its creation to what it printed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from components.objects.pod_reasons import said_last
from ops.cli_errors import Refused
from ops.verification.platform import Platform
from ops.verification.profile import refuse_used_up_quota
from ops.verification.waiting import obstacle, pods_of, warnings_of

_SECONDS = 240.0
"""For the pull of the image and the pod's work."""
_ENDS = ("Complete", "Failed")


class JobFailed(Refused):
    """A Job did not start or did not complete; the message has Kubernetes' reason."""


def output_of(
    platform: Platform,
    namespace: str,
    job: Mapping[str, Any],
    what: str,
    *,
    seconds: float = _SECONDS,
) -> str:
    """What a new Job has printed.

    Args:
        platform: where it runs.
        namespace: of the Job.
        job: with ``generateName``, because a verification may run it more than once.
        what: is waited for, for the progress line.
        seconds: for the pull of its images and its work.

    Raises:
        JobFailed: it did not complete.
        Refused: it may not be created.
    """
    workspace = platform.workspace(namespace)
    name = workspace.create(job)["metadata"]["name"]
    path = f"/apis/batch/v1/namespaces/{namespace}/jobs/{name}"

    def ended() -> str | None:
        status = platform.cluster.answer("GET", path, {}).get("status") or {}
        true = [each["type"] for each in status.get("conditions") or [] if each["status"] == "True"]
        end = next((end for end in _ENDS if end in true), None)
        if end is None and not status.get("active"):
            refuse_used_up_quota(warnings_of(platform.cluster, namespace), name)
        return end

    end = workspace.wait(what, ended, seconds)
    if end == "Complete":
        return workspace.logs(name)
    state = "failed" if end else f"did not end within {seconds:.0f} s"
    raise JobFailed(f"Job {namespace}/{name} {state}: {_reason(platform, namespace, name)}.")


def _reason(platform: Platform, namespace: str, job: str) -> str:
    """Why a Job has not completed, by its pod; by its own events where it has none."""
    warnings = warnings_of(platform.cluster, namespace)
    for pod in pods_of(platform.cluster, namespace, f"job-name={job}"):
        if reason := obstacle(pod, warnings):
            return reason
    own = [each for each in warnings if each.get("involvedObject", {}).get("name") == job]
    if own:
        return said_last(own)
    return f"`kubectl --namespace {namespace} describe job {job}` has its events"
