"""Who may call an admission webhook: the API server, by its addresses and by a secret path.

EKS gives the API server no client certificate for webhooks (``webhook.secret_path``), so the
path of a webhook is its password. The path is in the webhook configuration, which no role of a
profile may read, and in a Secret that the pods mount.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

import pulumi

from components.dynamic.generated_secret import GeneratedSecret
from rendering import Object

SMALL_LETTERS_AND_DIGITS = string.ascii_lowercase + string.digits


def admitting(obj: Object, ranges: Sequence[str]) -> Object:
    """A NetworkPolicy that lets these ranges in and no other, or any other object as it is.

    A kubelet reaches the pods of its node anyway, for probes (kubernetes.io
    docs/concepts/services-networking/network-policies). The API server of EKS calls pods from its
    network interfaces in the VPC: it has no kube-proxy, and resolves Services itself.

    Args:
        obj: of the webhook's pods.
        ranges: where the API server's network interfaces are; none: callers come from anywhere.
    """
    if obj["kind"] != "NetworkPolicy" or not ranges:
        return obj
    sources = [{"ipBlock": {"cidr": each}} for each in ranges]
    rules = [{**rule, "from": sources} for rule in obj["spec"]["ingress"]]
    return {**obj, "spec": {**obj["spec"], "ingress": rules}}


class CallerPaths:
    """Makes: the present path and, after a rotation, the one before.

    Pods and webhook configuration change one after the other. Each answers, or names, one of two
    paths that follow each other, so no call is lost while they differ; the one before the rotation
    ends with the next rotation.

    Args:
        name: of the resources; the first path has it without a number.
        rotation: the number of the path, 1 or more.
        opts: of the resources.
        alphabet: of a path. That of a Service has small letters and digits alone (Kubernetes v1.36
            staging/src/k8s.io/apiserver/pkg/util/webhook/validation.go, ValidateWebhookService).

    Attributes:
        paths: the present path first, without a slash; secrets of letters and digits, which a URL
            needs not quote.
        numbered: each with its number.
        version: a public text that changes with the paths.
    """

    def __init__(
        self,
        name: str,
        rotation: int,
        opts: pulumi.ResourceOptions,
        *,
        alphabet: str = SMALL_LETTERS_AND_DIGITS,
    ) -> None:
        drawn = [
            GeneratedSecret(
                name if number == 1 else f"{name}-{number}",
                length=40,
                alphabet=alphabet,
                opts=opts,
            )
            for number in (rotation, rotation - 1)
            if number
        ]
        self.paths = [each.value for each in drawn]
        self.numbered = list(zip((rotation, rotation - 1), self.paths, strict=False))
        self.version = pulumi.Output.concat(*[each.version for each in drawn])

    @property
    def present(self) -> pulumi.Output[str]:
        """The path in the webhook configuration, from its slash on."""
        return pulumi.Output.secret(pulumi.Output.concat("/admit/", self.paths[0]))

    def mounted(self, namespace: str) -> dict[str, Any]:
        """The Secret with the file that ``webhook.secret_path`` reads."""
        lines = [pulumi.Output.concat("/admit/", path, "\n") for path in self.paths]
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": f"{namespace}-paths", "namespace": namespace},
            "type": "Opaque",
            "stringData": {"paths": pulumi.Output.secret(pulumi.Output.concat(*lines))},
        }
