"""The image mirror's admission as pods of the cluster: no way out of it, no ICP filing."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any, cast

import pulumi

from components.aws.roles import OidcProvider, role_with_rights
from components.dynamic.serving_certificate import ServingCertificate
from components.mirror import policies
from components.mirror.handler import Copies, handler_variables
from components.objects.callers import CallerPaths, admitting
from components.objects.kubernetes_objects import bind
from components.objects.webhook_code import certificate_secret, code_config_map, register_pods
from rendering import Rendered
from settings.mirror_context import MirrorContext

NAMESPACE = "image-mirror"
SERVICE = "image-mirror"
"""Also the service account, as in manifests/addons/image-mirror."""


class ImageMirrorPods(pulumi.ComponentResource):
    """Two replicas of ``webhook.server``, their role, certificate, secret path and code.

    Args:
        context: of the cluster and its account.
        rendered: ``manifests/addons/image-mirror``.
        copies: what a handler uses to request a missing copy; None where nothing is copied.
        data: files beside the handler's code: name within the archive -> text.
        oidc: the cluster's OIDC provider, for the roles of service accounts.
        prerequisites: nodes, and the pods' own image.
        callers: ranges of the API server's network interfaces; none: not known.
        unready_pods: hooks of workloads (``EksCluster.unready_pods``).

    Attributes:
        client_config: the address of the pods, for a webhook configuration.
        ready: the objects; they exist once the pods answer.
    """

    def __init__(
        self,
        name: str,
        context: MirrorContext,
        *,
        rendered: Rendered,
        copies: Copies | None,
        data: Mapping[str, str],
        oidc: OidcProvider,
        prerequisites: Sequence[pulumi.Resource],
        callers: Sequence[str] = (),
        unready_pods: pulumi.ResourceHookBinding | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("kubeflow:platform:ImageMirrorPods", name, None, opts)
        self._name = name
        hosts = [f"{SERVICE}.{NAMESPACE}.svc", f"{SERVICE}.{NAMESPACE}.svc.cluster.local"]
        certificate = ServingCertificate(
            f"{name}-certificate", hosts=hosts, opts=pulumi.ResourceOptions(parent=self)
        )
        paths = CallerPaths(
            f"{name}-path",
            context.mirror.settings.path_rotation,
            pulumi.ResourceOptions(parent=self),
        )
        code, variables = code_config_map(NAMESPACE, data), handler_variables(context, copies)
        values: dict[str, pulumi.Input[str]] = {
            "region.name": context.region.name,
            "image.prefix": context.image_prefix,
            # With pull-through caches the handler calls nothing of AWS.
            "role.image-mirror": self._role(context, copies, oidc) if copies else "",
            **{_value_name(variable): value for variable, value in variables.items()},
            "mirror.code": code["metadata"]["name"],
            "mirror.paths-version": paths.version,
        }
        secret = certificate_secret(NAMESPACE, certificate.certificate, certificate.key)
        self.ready = register_pods(
            name,
            rendered,
            lambda obj: admitting(_without_empty_values(bind(obj, values)), callers),
            mounted=(code, secret, paths.mounted(NAMESPACE)),
            ready=prerequisites,
            hooks=unready_pods,
            parent=self,
        )
        bundle = certificate.authority.apply(lambda pem: base64.b64encode(pem.encode()).decode())
        service = {"namespace": NAMESPACE, "name": SERVICE, "path": paths.present, "port": 443}
        self.client_config: Mapping[str, Any] = {"service": service, "caBundle": bundle}
        self.register_outputs({"service": hosts[0]})

    def _role(
        self, context: MirrorContext, copies: Copies, oidc: OidcProvider
    ) -> pulumi.Output[str]:
        return role_with_rights(
            f"{self._name}-role",
            name_prefix=f"{context.cluster}-image-mirror",
            description="Admission of the image mirror: looks at copies and hands missing ones on",
            trust=oidc.trust(context.region, [(NAMESPACE, SERVICE)]),
            policy=policies.admission_policy(
                context, table_arn=copies.table_arn, invoked=[copies.copier_arn]
            ),
            identity=context.identity,
            tags=context.named("image-mirror"),
            opts=pulumi.ResourceOptions(parent=self),
        )


def _value_name(variable: str) -> str:
    """The marker of a variable in the Deployment: ``mirror.when-absent`` of MIRROR_WHEN_ABSENT."""
    return variable.lower().replace("_", ".", 1).replace("_", "-")


def _without_empty_values(obj: dict[str, Any]) -> dict[str, Any]:
    """The object without annotations of its service account, or variables, that are empty."""
    if obj["kind"] == "ServiceAccount":
        annotations = obj["metadata"]["annotations"]
        obj["metadata"]["annotations"] = {k: v for k, v in annotations.items() if v != ""}
    template = cast("dict[str, Any]", obj.get("spec") or {}).get("template")
    if template is None:
        return obj
    for container in cast("dict[str, Any]", template)["spec"]["containers"]:
        variables = cast("list[dict[str, Any]]", container.get("env") or [])
        container["env"] = [pair for pair in variables if pair["value"] != ""]
    return obj
