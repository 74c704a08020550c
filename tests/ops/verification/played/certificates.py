"""Certificates of cert-manager, the mesh and webhooks, which are real."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache

from components.dynamic.serving_certificate import ServingCertificateProvider
from ops.verification.checks.live_objects import namespace_of
from rendering import Object
from rendering.objects import annotations_of, labels_of, pod_spec, pod_template
from rendering.pod_references import named_by
from tests.ops.verification.played.live import TIME, Live, condition, in_base64

_IN_API = {
    "knative-serving/webhook": "webhook-certs",
    "knative-serving/istio-webhook": "istio-webhook-certs",
    "knative-serving/net-istio-webhook": "net-istio-webhook-certs",
    "knative-eventing/eventing-webhook": "eventing-webhook-certs",
    "kubeflow/spark-operator-webhook-svc": "spark-operator-webhook-certs",
}
"""Service of a webhook -> the Secret that its pods read through the API (knative/pkg
webhook/certificates; kubeflow/spark-operator charts/spark-operator-chart)."""


@cache
def certificate(*hosts: str) -> dict[str, str]:
    """PEM texts: ``authority``, ``certificate`` that it signed for the hosts, ``key``."""
    return ServingCertificateProvider().outputs({"hosts": list(hosts)}, {})


def certificates(live: Live) -> None:
    later = datetime.now(UTC) + timedelta(days=80)
    for obj in live.all("Certificate"):
        if not obj["apiVersion"].startswith("cert-manager.io/"):
            continue
        made = certificate(*obj["spec"].get("dnsNames", ["localhost"]))
        data = {"tls.crt": made["certificate"], "tls.key": made["key"], "ca.crt": made["authority"]}
        name = f"{namespace_of(obj)}/{obj['spec']['secretName']}"
        noted = {"cert-manager.io/certificate-name": obj["metadata"]["name"]}
        live.secret(name, data, "kubernetes.io/tls", **noted)
        obj["status"] = {
            "conditions": [condition("Ready", reason="Ready")],
            "notAfter": later.strftime(TIME),
            "renewalTime": (later - timedelta(days=30)).strftime(TIME),
        }
    mesh = certificate("istiod.istio-system.svc")["authority"]
    for obj in live.all("Namespace"):
        live.put(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "istio-ca-root-cert", "namespace": obj["metadata"]["name"]},
                "data": {"root-cert.pem": mesh},
            }
        )
    for kind in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"):
        for obj in live.all(kind):
            for hook in obj.get("webhooks") or []:
                service = hook["clientConfig"].get("service")
                if service:
                    authority = _authority(live, obj, f"{service['namespace']}/{service['name']}")
                    hook["clientConfig"]["caBundle"] = in_base64(authority)


def _authority(live: Live, configuration: Object, service: str) -> str:
    """Makes the certificate of a webhook where its server keeps it; returns who signed it."""
    namespace, _, name = service.partition("/")
    noted = annotations_of(configuration)
    own = noted.get("cert-manager.io/inject-ca-from")
    if own:
        made = certificate(*live.get("Certificate", own)["spec"]["dnsNames"])
        return made["authority"]
    made = certificate(f"{name}.{namespace}.svc", f"{name}.{namespace}.svc.cluster.local")
    if service == "istio-system/istiod":
        return certificate("istiod.istio-system.svc")["authority"]
    in_memory = noted.get("cert-manager.io/inject-ca-from-secret")
    if in_memory:
        live.secret(in_memory, {"ca.crt": made["authority"], "tls.crt": made["authority"]})
        return made["authority"]
    secret = _IN_API.get(service) or _mounted(live, service)
    files = ("server-cert.pem", "server-key.pem", "ca-cert.pem")
    if service not in _IN_API:
        files = ("tls.crt", "tls.key", "ca.crt")
    texts = (made["certificate"], made["key"], made["authority"])
    live.secret(f"{namespace}/{secret}", dict(zip(files, texts, strict=True)))
    return made["authority"]


def _mounted(live: Live, service: str) -> str:
    """The one Secret that the pods behind a Service mount; a made-up one where they mount none."""
    selector = live.get("Service", service)["spec"]["selector"]
    names = {
        reference.name
        for kind in ("Deployment", "StatefulSet")
        for obj in live.all(kind)
        if namespace_of(obj) == service.partition("/")[0]
        and selector.items() <= labels_of(pod_template(obj) or {}).items()
        for reference in named_by(pod_spec(obj) or {})
        if reference.kind == "Secret"
    }
    return sorted(names)[0] if names else f"{service.partition('/')[2]}-tls"
