"""The pod that hands sessions over between the two partitions of the image mirror.

In place of key pairs (``imageMirror.credentials``). It runs in the cluster, because a pod's token
is what IAM of both partitions can check: the cluster's issuer is public in each of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import pulumi

from components.image_mirror_credentials import SESSIONS, Handover, Purpose
from components.image_mirror_pods import handler_code
from components.kubernetes_objects import bind, register
from components.region import Region
from rendering import Rendered

NAMESPACE, NAME = SESSIONS
# Three times in the hour that a session lasts: two runs may fail before anybody notices.
SCHEDULE = "*/20 * * * *"
_TOKEN = "/var/run/secrets/image-mirror/token"  # noqa: S105 - where it is
_LABELS = {"app": NAME, "sidecar.istio.io/inject": "false"}


@dataclass(frozen=True, kw_only=True)
class ImageMirrorSessionsArgs:
    """Arguments of ``ImageMirrorSessions``.

    Attributes:
        region: of the cluster.
        rendered: ``manifests/addons/image-mirror``; its Deployment has image and rights of the pod.
        registry: ``<ecr host>/<prefix>``.
        handovers: what is handed over.
        ready: what the pod needs: namespace and code.
    """

    region: Region
    rendered: Rendered
    registry: str
    handovers: Mapping[Purpose, Handover]
    ready: Sequence[pulumi.Resource]


class ImageMirrorSessions(pulumi.ComponentResource):
    """A CronJob, its service account, and a policy that lets nobody call its pod."""

    def __init__(
        self,
        name: str,
        args: ImageMirrorSessionsArgs,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("kubeflow:platform:ImageMirrorSessions", name, None, opts)
        told = pulumi.Output.json_dumps(
            [
                {
                    "purpose": str(purpose),
                    "session_role": each.session_role,
                    "writer_role": each.writer_role,
                    "secret": each.secret,
                    "giver": each.giver,
                    "holder": each.holder,
                }
                for purpose, each in args.handovers.items()
            ]
        )
        account = self._register(name, _account(), args.ready)
        closed = self._register(name, _network_policy(), args.ready)
        self._register(name, _cron_job(args, told), [*args.ready, account, closed])
        self.register_outputs({})

    def _register(
        self, name: str, obj: dict[str, Any], after: Sequence[pulumi.Resource]
    ) -> pulumi.CustomResource:
        return register(
            obj,
            name=f"{name}-{obj['kind'].lower()}",
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(after)),
        )


def _account() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "automountServiceAccountToken": False,
    }


def _network_policy() -> dict[str, Any]:
    out = [(53, "UDP"), (53, "TCP"), (443, "TCP")]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {
            "podSelector": {"matchLabels": {"app": NAME}},
            "policyTypes": ["Ingress", "Egress"],
            "egress": [{"ports": [{"port": port, "protocol": by} for port, by in out]}],
        },
    }


def _cron_job(args: ImageMirrorSessionsArgs, told: pulumi.Output[str]) -> dict[str, Any]:
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {
            "schedule": SCHEDULE,
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": 600,
            "successfulJobsHistoryLimit": 1,
            "failedJobsHistoryLimit": 3,
            "jobTemplate": {
                "spec": {
                    "activeDeadlineSeconds": 300,
                    "backoffLimit": 2,
                    "template": {"metadata": {"labels": _LABELS}, "spec": _pod(args, told)},
                }
            },
        },
    }


def _pod(args: ImageMirrorSessionsArgs, told: pulumi.Output[str]) -> dict[str, Any]:
    """A pod like those that answer admissions, with another command and a token of its own."""
    (answering,) = (obj for obj in args.rendered.objects if obj["kind"] == "Deployment")
    alike = answering["spec"]["template"]["spec"]
    (container,) = cast("list[dict[str, Any]]", alike["containers"])
    python = [each for each in container["env"] if each["name"].startswith("PYTHON")]
    variables: dict[str, pulumi.Input[str]] = {
        "AWS_REGION": args.region.name,
        # China has no global STS, and elsewhere its tokens are not valid everywhere.
        "AWS_STS_REGIONAL_ENDPOINTS": "regional",
        "SESSIONS_HANDOVERS": told,
        "SESSIONS_TOKEN": _TOKEN,
    }
    folder, _, file = _TOKEN.rpartition("/")
    token = {
        "audience": args.region.oidc_audience,
        "expirationSeconds": 600,  # the shortest there is
        "path": file,
    }
    return {
        "serviceAccountName": NAME,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "restartPolicy": "Never",
        "securityContext": alike["securityContext"],
        "containers": [
            {
                "name": "sessions",
                "image": bind(container["image"], {"registry.host": args.registry}),
                "command": [container["command"][0], "-m", "webhook.sessions"],
                "env": [*python, *({"name": n, "value": v} for n, v in variables.items())],
                "resources": container["resources"],
                "securityContext": container["securityContext"],
                "volumeMounts": [
                    {"name": "code", "mountPath": "/opt/image-mirror", "readOnly": True},
                    {"name": "token", "mountPath": folder, "readOnly": True},
                ],
            }
        ],
        "volumes": [
            {"name": "code", "configMap": {"name": handler_code()["metadata"]["name"]}},
            {"name": "token", "projected": {"sources": [{"serviceAccountToken": token}]}},
        ],
    }
