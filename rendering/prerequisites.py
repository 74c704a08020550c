"""What one object needs before it can be created; the rules are those of ``rendering.order``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from rendering import credentials
from rendering.await_annotations import CA_INJECTION
from rendering.credentials import CERTIFICATES, Credentials
from rendering.normalise import crd_scopes, is_namespaced
from rendering.objects import (
    WEBHOOK_KINDS,
    WORKLOADS,
    Object,
    ObjectKey,
    annotations_of,
    is_builtin_group,
    labels_of,
    pod_template,
)
from rendering.pod_references import account_of, drivers_of, named_by
from rendering.rbac import Rbac
from rendering.selectors import NAME_LABEL, Judged, judges_creation, plural_of

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
        self.credentials = Credentials(by_key)
        self.rbac = Rbac(by_key)
        self._workloads: dict[str, list[tuple[ObjectKey, Mapping[str, str]]]] = defaultdict(list)
        for key, obj in by_key.items():
            self._named[key.group, key.kind, key.namespace, key.name] = key
            if key.kind in WEBHOOK_KINDS:
                self.configurations.append(key)
            elif key.kind in WORKLOADS:
                template = pod_template(obj)
                if template is not None:
                    self._workloads[key.namespace].append((key, labels_of(template)))

    def find(self, group: str, kind: str, namespace: str, name: Any) -> set[ObjectKey]:
        """The named object when the render has it, in whatever version; else nothing."""
        key = self._named.get((group, kind, namespace, str(name)))
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

    def judging_namespaces(self, group: str) -> set[str]:
        """Where the Services stand that webhooks of this very group call."""
        return {
            str(hook["clientConfig"]["service"]["namespace"])
            for configuration in self.configurations
            for hook in self.by_key[configuration].get("webhooks") or []
            if (hook.get("clientConfig") or {}).get("service")
            if any(group in (rule.get("apiGroups") or []) for rule in hook.get("rules") or [])
        }

    def namespace_labels(self, namespace: str) -> dict[str, str]:
        labels = {NAME_LABEL: namespace}
        for key in self.find("", "Namespace", "", namespace):
            labels = {**labels_of(self.by_key[key]), **labels}
        return labels


def needs_of(key: ObjectKey, index: Index) -> set[ObjectKey]:
    """Rules 1 to 5: what the object names."""
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
    elif credentials.is_external_secret(key):
        for kind, name in credentials.stores_of(obj):
            namespace = "" if kind == "ClusterSecretStore" else key.namespace
            needs |= index.find(key.group, kind, namespace, name)
    elif credentials.is_store(key):
        for namespace, name in credentials.accounts_of_store(obj):
            needs |= index.find("", "ServiceAccount", namespace, name)
    elif key.kind in WEBHOOK_KINDS:
        needs |= _needs_of_configuration(obj, index)
    return needs | index.rbac.roles_of(key)


def _needs_of_pods(namespace: str, spec: Mapping[str, Any], index: Index) -> set[ObjectKey]:
    account = account_of(spec)
    needs = index.find("", "ServiceAccount", namespace, account)
    needs |= index.rbac.bindings_of(namespace, account)
    needs |= index.find("scheduling.k8s.io", "PriorityClass", "", spec.get("priorityClassName"))
    for named in named_by(spec):
        needs |= index.find("", named.kind, namespace, named.name)
    for driver in drivers_of(spec):
        needs |= index.find("storage.k8s.io", "CSIDriver", "", driver)
    return needs | index.credentials.behind_pod(namespace, spec)


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
    return needs | index.credentials.writers(namespace, name)


def controllers_of(key: ObjectKey, index: Index) -> set[ObjectKey]:
    """Rule 6: what gives a custom resource its status and takes its finalizers away again."""
    if is_builtin_group(key.group):
        return set()
    judged_in = index.judging_namespaces(key.group)
    return index.rbac.controllers_of(key, plural_of(key, index.plurals), judged_in)


def jobs_before(key: ObjectKey, index: Index) -> set[ObjectKey]:
    """Rule 7: Jobs that make the credentials true which a workload reads."""
    return index.credentials.jobs_before(key)


def judging_configurations(key: ObjectKey, index: Index) -> set[ObjectKey]:
    """Rule 8: configurations with a webhook that must answer before the object can be created."""
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
