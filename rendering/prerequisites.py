"""What one object needs before it can be created; the rules are those of ``rendering.order``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rendering.normalise import CA_INJECTION, WEBHOOK_KINDS, crd_scopes, is_namespaced
from rendering.objects import (
    WORKLOADS,
    Object,
    ObjectKey,
    annotations_of,
    containers_of,
    is_builtin_group,
    labels_of,
    pod_template,
)
from rendering.selectors import NAME_LABEL, Judged, judges_creation, plural_of

CERTIFICATES = "cert-manager.io"
INJECT_CERTIFICATE = f"{CA_INJECTION}ca-from"
INJECT_SECRET = f"{CA_INJECTION}ca-from-secret"


class Index:
    """Answers "which object of the render is that?" for every way objects name each other."""

    def __init__(self, by_key: Mapping[ObjectKey, Object], crds: Sequence[Object]) -> None:
        self.by_key = by_key
        self.scopes = crd_scopes(crds)
        self.plurals = {
            (crd["spec"]["group"], crd["spec"]["names"]["kind"]): crd["spec"]["names"]["plural"]
            for crd in crds
        }
        self.configurations: list[ObjectKey] = []
        self._named: dict[tuple[str, str, str, str], ObjectKey] = {}
        self._issued: dict[tuple[str, str], ObjectKey] = {}
        self._workloads: dict[str, list[tuple[ObjectKey, Mapping[str, str]]]] = defaultdict(list)
        for key, obj in by_key.items():
            self._named[key.group, key.kind, key.namespace, key.name] = key
            if key.kind in WEBHOOK_KINDS:
                self.configurations.append(key)
            elif key.group == CERTIFICATES and key.kind == "Certificate":
                self._issued[key.namespace, str((obj.get("spec") or {}).get("secretName"))] = key
            elif key.kind in WORKLOADS:
                template = pod_template(obj)
                if template is not None:
                    self._workloads[key.namespace].append((key, labels_of(template)))

    def find(self, group: str, kind: str, namespace: str, name: Any) -> set[ObjectKey]:
        """The named object when the render has it, in whatever version; else nothing."""
        key = self._named.get((group, kind, namespace, str(name)))
        return {key} if key else set()

    def issuing(self, namespace: str, secret: Any) -> set[ObjectKey]:
        """The Certificate that cert-manager writes into this Secret."""
        key = self._issued.get((namespace, str(secret)))
        return {key} if key else set()

    def behind(self, service: ObjectKey) -> set[ObjectKey]:
        """Workloads whose pods a Service selects."""
        selector: Mapping[str, str] = self.by_key[service]["spec"].get("selector") or {}
        if not selector:
            return set()
        return {
            key
            for key, labels in self._workloads[service.namespace]
            if selector.items() <= labels.items()
        }

    def namespace_labels(self, namespace: str) -> dict[str, str]:
        labels = {NAME_LABEL: namespace}
        for key in self.find("", "Namespace", "", namespace):
            labels = {**labels_of(self.by_key[key]), **labels}
        return labels


def needs_of(key: ObjectKey, index: Index) -> set[ObjectKey]:
    """Rules 1 to 4: what the object names."""
    obj = index.by_key[key]
    needs = index.find("", "Namespace", "", key.namespace) if key.namespace else set[ObjectKey]()
    template = pod_template(obj)
    if template is not None:
        needs |= _needs_of_pods(key.namespace, template.get("spec") or {}, index)
    if key.group == CERTIFICATES and key.kind == "Certificate":
        issuer = (obj.get("spec") or {}).get("issuerRef") or {}
        kind = issuer.get("kind") or "Issuer"
        namespace = "" if kind == "ClusterIssuer" else key.namespace
        group = issuer.get("group") or CERTIFICATES
        needs |= index.find(group, kind, namespace, issuer.get("name"))
    if key.kind in WEBHOOK_KINDS:
        needs |= _needs_of_configuration(obj, index)
    return needs


def _needs_of_pods(namespace: str, spec: Mapping[str, Any], index: Index) -> set[ObjectKey]:
    account = spec.get("serviceAccountName") or spec.get("serviceAccount") or "default"
    needs = index.find("", "ServiceAccount", namespace, account)
    needs |= index.find("scheduling.k8s.io", "PriorityClass", "", spec.get("priorityClassName"))
    for kind, name, optional in _named_by_pods(spec):
        needs |= index.find("", kind, namespace, name)
        # An optional Secret that a controller issues later must not be waited for.
        if kind == "Secret" and not optional:
            needs |= index.issuing(namespace, name)
    return needs


def _named_by_pods(spec: Mapping[str, Any]) -> Iterator[tuple[str, Any, bool]]:
    """(kind, name, optional) of every object a pod spec names in its own namespace."""
    for pull in spec.get("imagePullSecrets") or []:
        # The kubelet starts a pod without them.
        yield "Secret", pull.get("name"), True
    for container in containers_of(spec):
        for variable in container.get("env") or []:
            source = variable.get("valueFrom") or {}
            yield from _reference("ConfigMap", source.get("configMapKeyRef"))
            yield from _reference("Secret", source.get("secretKeyRef"))
        for source in container.get("envFrom") or []:
            yield from _reference("ConfigMap", source.get("configMapRef"))
            yield from _reference("Secret", source.get("secretRef"))
    for volume in spec.get("volumes") or []:
        yield from _reference("PersistentVolumeClaim", volume.get("persistentVolumeClaim"))
        for source in (volume, *((volume.get("projected") or {}).get("sources") or [])):
            yield from _reference("ConfigMap", source.get("configMap"))
            yield from _reference("Secret", source.get("secret"))
        driver = (volume.get("csi") or {}).get("nodePublishSecretRef")
        yield from _reference("Secret", driver)


def _reference(kind: str, reference: Mapping[str, Any] | None) -> Iterator[tuple[str, Any, bool]]:
    if reference:
        # Volumes spell it secretName and claimName, everything else name.
        name = reference.get("secretName") or reference.get("claimName") or reference.get("name")
        yield kind, name, bool(reference.get("optional"))


def _needs_of_configuration(obj: Object, index: Index) -> set[ObjectKey]:
    needs: set[ObjectKey] = set()
    for hook in obj.get("webhooks") or []:
        service = (hook.get("clientConfig") or {}).get("service")
        if service:
            found = index.find("", "Service", service["namespace"], service["name"])
            for key in found:
                needs |= {key} | index.behind(key)
    annotations = annotations_of(obj)
    namespace, _, name = annotations.get(INJECT_CERTIFICATE, "").partition("/")
    needs |= index.find(CERTIFICATES, "Certificate", namespace, name)
    namespace, _, name = annotations.get(INJECT_SECRET, "").partition("/")
    return needs | index.issuing(namespace, name)


def judging_configurations(key: ObjectKey, index: Index) -> set[ObjectKey]:
    """Rule 5: configurations with a webhook that must answer before the object can be created."""
    if key.kind in WEBHOOK_KINDS or key.group == "admissionregistration.k8s.io":
        # The API server never asks webhooks about its own admission configuration.
        return set()
    obj = index.by_key[key]
    namespaced = is_namespaced(key, index.scopes)
    in_namespace = bool(key.namespace) if namespaced is None else namespaced
    own = labels_of(obj)
    if in_namespace:
        around = index.namespace_labels(key.namespace)
    else:
        around = {**own, NAME_LABEL: key.name}
    seen = [
        Judged(key.group, key.version, plural_of(key, index.plurals), in_namespace, own, around)
    ]
    template = pod_template(obj)
    if template is not None and is_builtin_group(key.group):
        seen.append(Judged("", "v1", "pods", True, labels_of(template), around))
    return {
        configuration
        for configuration in index.configurations
        if any(
            judges_creation(hook, judged)
            for hook in index.by_key[configuration].get("webhooks") or []
            for judged in seen
        )
    }
