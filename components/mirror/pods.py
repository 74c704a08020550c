"""The image mirror's admission as pods of the cluster: no way out of it, no ICP filing."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import pulumi

from components.aws.roles import OidcProvider, role_with_rights
from components.dynamic.serving_certificate import ServingCertificate
from components.mirror.handler import Copies, handler_sources, handler_variables
from components.objects.kubernetes_objects import bind, register
from rendering import ObjectKey, Rendered
from settings.context import StackContext
from settings.sections import ImageMirrorSettings

NAMESPACE = "image-mirror"
SERVICE = "image-mirror"
"""Also the service account, as manifests/addons/image-mirror has them."""
_PATH = "/admit"
_SECRET = "image-mirror-certificate"  # noqa: S105 - its name


@dataclass(frozen=True, kw_only=True)
class ImageMirrorPodsArgs:
    """Arguments of ``ImageMirrorPods``.

    Attributes:
        context: what all components of the stack share.
        mirror: the setting ``imageMirror``.
        rendered: ``manifests/addons/image-mirror``.
        copies: how a missing copy is asked for; None where nothing is copied.
        oidc: the cluster's OIDC provider, for the roles of service accounts.
        ready: what pods wait for: nodes, and the image of their own.
    """

    context: StackContext
    mirror: ImageMirrorSettings
    rendered: Rendered
    copies: Copies | None
    ready: Sequence[pulumi.Resource]
    oidc: OidcProvider


class ImageMirrorPods(pulumi.ComponentResource):
    """Two replicas of ``webhook.server``, their role, certificate and code.

    Attributes:
        client_config: how the API server reaches them, for a webhook configuration.
        ready: exists once they answer.
    """

    client_config: Mapping[str, Any]
    ready: Sequence[pulumi.Resource]

    def __init__(
        self, name: str, args: ImageMirrorPodsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("kubeflow:platform:ImageMirrorPods", name, None, opts)
        self._name = name
        self._args = args
        hosts = [f"{SERVICE}.{NAMESPACE}.svc", f"{SERVICE}.{NAMESPACE}.svc.cluster.local"]
        self._certificate = ServingCertificate(
            f"{name}-certificate", hosts=hosts, opts=pulumi.ResourceOptions(parent=self)
        )
        # Where ECR pulls by itself nothing is asked of AWS.
        self.ready = self._objects(self._role(args.copies) if args.copies else "")
        bundle = self._certificate.authority.apply(
            lambda pem: base64.b64encode(pem.encode()).decode()
        )
        self.client_config = {
            "service": {"namespace": NAMESPACE, "name": SERVICE, "path": _PATH, "port": 443},
            "caBundle": bundle,
        }
        self.register_outputs({"service": hosts[0]})

    def _role(self, copies: Copies) -> pulumi.Output[str]:
        context = self._args.context
        return role_with_rights(
            f"{self._name}-role",
            name_prefix=f"{context.cluster}-image-mirror",
            description="Admission of the image mirror: looks at copies and hands missing ones on",
            trust=self._args.oidc.trust(context.region, [(NAMESPACE, SERVICE)]),
            policy=copies.admission_policy(
                context.region, context.account_id, prefix=context.mirror.prefix
            ),
            tags=context.named("image-mirror"),
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _objects(self, role_arn: pulumi.Input[str]) -> list[pulumi.Resource]:
        args, code = self._args, handler_code()
        told = handler_variables(args.context, args.mirror, args.copies)
        values: dict[str, pulumi.Input[str]] = {
            "region.name": args.context.region.name,
            "image.prefix": args.context.image_prefix,
            "role.image-mirror": role_arn,
            **{_value_name(variable): value for variable, value in told.items()},
            "mirror.code": code["metadata"]["name"],
        }
        made: dict[ObjectKey, pulumi.Resource] = {}
        own: list[pulumi.Resource] = []
        for obj in args.rendered.objects:
            key = ObjectKey.of(obj)
            before = [made[needed] for needed in args.rendered.prerequisites.get(key, ())]
            if key.kind == "Deployment":
                own = [self._register(each, before) for each in (code, self._secret())]
                before += own
            if key.kind == "Namespace":
                before += args.ready
            made[key] = self._register(_without_empty_values(bind(obj, values)), before)
        return [*made.values(), *own]

    def _register(
        self, obj: dict[str, Any], before: Sequence[pulumi.Resource]
    ) -> pulumi.CustomResource:
        metadata = obj["metadata"]
        return register(
            obj,
            name=f"{self._name}-{obj['kind'].lower()}-{metadata['name']}",
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(before)),
        )

    def _secret(self) -> dict[str, Any]:
        served = self._certificate
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": _SECRET, "namespace": NAMESPACE},
            "type": "kubernetes.io/tls",
            "stringData": {"tls.crt": served.certificate, "tls.key": served.key},
        }


def _value_name(variable: str) -> str:
    """The late value that the Deployment gives a variable: MIRROR_WHEN_ABSENT has its own name."""
    return variable.lower().replace("_", ".", 1).replace("_", "-")


def _without_empty_values(obj: dict[str, Any]) -> dict[str, Any]:
    """An object without a role that is none, and whose pods know no variable that says nothing."""
    if obj["kind"] == "ServiceAccount":
        annotations = obj["metadata"]["annotations"]
        obj["metadata"]["annotations"] = {k: v for k, v in annotations.items() if v != ""}
    template = cast("dict[str, Any]", obj.get("spec") or {}).get("template")
    if template is None:
        return obj
    for container in cast("dict[str, Any]", template)["spec"]["containers"]:
        variables = cast("list[dict[str, Any]]", container.get("env") or [])
        container["env"] = [each for each in variables if each["value"] != ""]
    return obj


def handler_code() -> dict[str, Any]:
    """The ``webhook`` package as a ConfigMap with one archive; another code has another name.

    An archive, because Python imports from one and nobody takes it for configuration: as texts the
    leak check would read ``image: str`` in them as the name of an image.
    """
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as writer:
        for name, source in handler_sources().items():
            # A time of its own would make equal sources differ.
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            writer.writestr(entry, source.read_bytes(), zipfile.ZIP_DEFLATED)
    digest = hashlib.sha256(archive.getvalue()).hexdigest()[:10]
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"image-mirror-code-{digest}", "namespace": NAMESPACE},
        "binaryData": {"webhook.zip": base64.b64encode(archive.getvalue()).decode()},
    }
