"""The image mirror's admission as pods of the cluster: no way out of it, no ICP filing."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws

from components import image_mirror_policies as policies
from components.image_mirror_functions import ImageMirrorFunctions
from components.irsa import irsa_trust
from components.kubernetes_objects import bind, register
from components.region import Region
from components.serving_certificate import ServingCertificate
from components.settings import Settings
from rendering import ObjectKey, Rendered

NAMESPACE = "image-mirror"
SERVICE = "image-mirror"
"""Also the service account, as manifests/addons/image-mirror has them."""
_PATH = "/admit"
_SECRET = "image-mirror-certificate"  # noqa: S105 - its name
_HANDLER_FOLDER = Path(__file__).resolve().parent.parent / "webhook"


@dataclass(frozen=True, kw_only=True)
class ImageMirrorPodsArgs:
    """Arguments of ``ImageMirrorPods``.

    Attributes:
        settings: the stack's settings.
        region: of the cluster.
        account_id: of the cluster.
        rendered: ``manifests/addons/image-mirror``.
        functions: the table of copies and the function that starts them.
        registry: ``<ecr host>/<prefix>``.
        oidc_provider_arn, oidc_issuer: for the role of the pods' service account.
        tags: AWS tags.
        ready: what pods wait for: nodes, and the image of their own.
    """

    settings: Settings
    region: Region
    account_id: str
    rendered: Rendered
    functions: ImageMirrorFunctions
    registry: str
    oidc_provider_arn: pulumi.Input[str]
    oidc_issuer: pulumi.Input[str]
    tags: Mapping[str, str]
    ready: Sequence[pulumi.Resource]


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
        self.ready = self._objects(self._role())
        bundle = self._certificate.authority.apply(
            lambda pem: base64.b64encode(pem.encode()).decode()
        )
        self.client_config = {
            "service": {"namespace": NAMESPACE, "name": SERVICE, "path": _PATH, "port": 443},
            "caBundle": bundle,
        }
        self.register_outputs({"service": hosts[0]})

    def _role(self) -> pulumi.Output[str]:
        args, here = self._args, pulumi.ResourceOptions(parent=self)
        cluster, region = args.settings.cluster.name, args.region
        trust = pulumi.Output.all(args.oidc_provider_arn, args.oidc_issuer).apply(
            lambda found: irsa_trust(region, found[0], found[1], [(NAMESPACE, SERVICE)])
        )
        role = aws.iam.Role(
            f"{self._name}-role",
            name_prefix=f"{cluster}-image-mirror"[:37] + "-",
            description="Admission of the image mirror: looks at copies and hands missing ones on",
            assume_role_policy=pulumi.Output.json_dumps(trust),
            tags={**args.tags, "Name": f"{cluster}-image-mirror"},
            opts=here,
        )
        rights = aws.iam.RolePolicy(
            f"{self._name}-role",
            role=role.id,
            policy=json.dumps(
                policies.admission_policy(
                    region,
                    args.account_id,
                    prefix=args.settings.image_mirror.repository_prefix,
                    table_arn=args.functions.table_arn,
                    copier_arn=args.functions.copier_arn,
                )
            ),
            opts=here,
        )
        # Whoever is given the role starts after it got its rights.
        return pulumi.Output.all(role.arn, rights.role).apply(lambda found: found[0])

    def _objects(self, role_arn: pulumi.Output[str]) -> list[pulumi.Resource]:
        args, code = self._args, handler_code()
        values: dict[str, pulumi.Input[str]] = {
            "region.name": args.region.name,
            "registry.host": args.registry,
            "role.image-mirror": role_arn,
            "mirror.table": args.functions.table.name,
            "mirror.copier": args.functions.copier.name,
            "mirror.in-flight-seconds": str(args.settings.image_mirror.in_flight_minutes * 60),
            "mirror.when-absent": args.settings.image_mirror.when_absent,
            "mirror.rules": args.settings.image_mirror.rules_json(),
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
            made[key] = self._register(bind(obj, values), before)
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


def handler_code() -> dict[str, Any]:
    """The ``webhook`` package as a ConfigMap with one archive; another code has another name.

    An archive, because Python imports from one and nobody takes it for configuration: as texts the
    leak check would read ``image: str`` in them as the name of an image.
    """
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as writer:
        for source in sorted(_HANDLER_FOLDER.glob("*.py")):
            # A time of its own would make equal sources differ.
            entry = zipfile.ZipInfo(f"webhook/{source.name}", date_time=(1980, 1, 1, 0, 0, 0))
            writer.writestr(entry, source.read_bytes(), zipfile.ZIP_DEFLATED)
    digest = hashlib.sha256(archive.getvalue()).hexdigest()[:10]
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"image-mirror-code-{digest}", "namespace": NAMESPACE},
        "binaryData": {"webhook.zip": base64.b64encode(archive.getvalue()).decode()},
    }
