"""The admission that gives pods of profiles their package sources, as pods of the cluster."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence

import pulumi

from components.dynamic.serving_certificate import ServingCertificate
from components.objects.callers import CallerPaths, admitting
from components.objects.kubernetes_objects import bind
from components.objects.webhook_code import certificate_secret, code_config_map, register_pods
from rendering import Rendered

NAMESPACE = "package-defaults"
"""Also the name of the Service, as in manifests/addons/package-defaults."""
_PATH_ROTATION = 1


class PackageDefaults(pulumi.ComponentResource):
    """Two replicas of ``webhook.package_defaults_server``, their certificate, code and webhook.

    Args:
        rendered: ``manifests/addons/package-defaults``.
        values: the values of its markers, beside those that are made here.
        callers: ranges of the API server's network interfaces; none: not known.
        ready: what pods depend on.
        unready_pods: hooks of workloads.
    """

    def __init__(
        self,
        name: str,
        *,
        rendered: Rendered,
        values: Mapping[str, pulumi.Input[str]],
        callers: Sequence[str] = (),
        ready: Sequence[pulumi.Resource],
        unready_pods: pulumi.ResourceHookBinding | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("kubeflow:platform:PackageDefaults", name, None, opts)
        own = pulumi.ResourceOptions(parent=self)
        hosts = [f"{NAMESPACE}.{NAMESPACE}.svc"]
        certificate = ServingCertificate(f"{name}-certificate", hosts=hosts, opts=own)
        code = code_config_map(NAMESPACE)
        authority = certificate.authority.apply(lambda pem: base64.b64encode(pem.encode()).decode())
        paths = CallerPaths(f"{name}-path", _PATH_ROTATION, own)
        bound = {
            **values,
            "package-defaults.path": paths.present,
            "package-defaults.paths-version": paths.version,
            "package-defaults.code": code["metadata"]["name"],
            "package-defaults.authority": authority,
        }
        secret = certificate_secret(NAMESPACE, certificate.certificate, certificate.key)
        register_pods(
            name,
            rendered,
            lambda obj: admitting(bind(obj, bound), callers),
            mounted=(code, secret, paths.mounted(NAMESPACE)),
            ready=ready,
            hooks=unready_pods,
            parent=self,
        )
        self.register_outputs({})
