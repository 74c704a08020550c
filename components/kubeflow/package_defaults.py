"""The admission that gives pods of profiles their package sources, as pods of the cluster."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

from components.dynamic.serving_certificate import ServingCertificate
from components.objects.kubernetes_objects import bind, register
from components.objects.webhook_code import certificate_secret, code_config_map
from rendering import ObjectKey, Rendered

NAMESPACE = "package-defaults"
"""Also the name of the Service, as in manifests/addons/package-defaults."""


class PackageDefaults(pulumi.ComponentResource):
    """Two replicas of ``webhook.package_defaults_server``, their certificate, code and webhook.

    Args:
        rendered: ``manifests/addons/package-defaults``.
        values: the values of its markers, beside those that are made here.
        ready: what pods depend on.
        unready_pods: hooks of workloads.
    """

    def __init__(
        self,
        name: str,
        *,
        rendered: Rendered,
        values: Mapping[str, pulumi.Input[str]],
        ready: Sequence[pulumi.Resource],
        unready_pods: pulumi.ResourceHookBinding | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("kubeflow:platform:PackageDefaults", name, None, opts)
        self._name, self._unready_pods = name, unready_pods
        own = pulumi.ResourceOptions(parent=self)
        hosts = [f"{NAMESPACE}.{NAMESPACE}.svc"]
        certificate = ServingCertificate(f"{name}-certificate", hosts=hosts, opts=own)
        code = code_config_map(NAMESPACE)
        authority = certificate.authority.apply(lambda pem: base64.b64encode(pem.encode()).decode())
        bound = {
            **values,
            "package-defaults.code": code["metadata"]["name"],
            "package-defaults.authority": authority,
        }
        secret = certificate_secret(NAMESPACE, certificate.certificate, certificate.key)
        made: dict[ObjectKey, pulumi.Resource] = {}
        for obj in rendered.objects:
            key = ObjectKey.of(obj)
            before = [made[need] for need in rendered.prerequisites.get(key, ())]
            if key.kind == "Namespace":
                before += ready
            elif key.kind == "Deployment":
                before += [self._register(each, before) for each in (code, secret)]
            made[key] = self._register(bind(obj, bound), before)
        self.register_outputs({})

    def _register(
        self, obj: dict[str, Any], before: Sequence[pulumi.Resource]
    ) -> pulumi.CustomResource:
        return register(
            obj,
            name=f"{self._name}-{obj['kind'].lower()}-{obj['metadata']['name']}",
            hooks=self._unready_pods,
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(before)),
        )
