"""The direct prerequisites of one object; the rules are those of ``rendering.order``."""

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
    Object,
    ObjectKey,
    annotations_of,
    is_builtin_group,
    labels_of,
    pod_spec,
    pod_template,
)
from rendering.pod_references import account_of, drivers_of, named_by
from rendering.rbac import Rbac
from rendering.selectors import NAME_LABEL, Creation, intercepts, plural_of

INJECT_CERTIFICATE = f"{CA_INJECTION}ca-from"
INJECT_SECRET = f"{CA_INJECTION}ca-from-secret"


class Index:
    """The objects of a render by every way in which objects refer to each other."""

    def __init__(self, by_key: Mapping[ObjectKey, Object], crds: Sequence[Object]) -> None:
        self.by_key = by_key
        self.scopes = crd_scopes(crds)
        self.plurals = {
            (crd["spec"]["group"], crd["spec"]["names"]["kind"]): crd["spec"]["names"]["plural"]
            for crd in crds
        }
        self.configurations = [key for key in by_key if key.kind in WEBHOOK_KINDS]
        self.credentials = Credentials(by_key)
        self.rbac = Rbac(by_key)
        self._named = {(key.group, key.kind, key.namespace, key.name): key for key in by_key}
        self._workloads: dict[str, list[tuple[ObjectKey, Mapping[str, str]]]] = defaultdict(list)
        for key, obj in by_key.items():
            if (template := pod_template(obj)) is not None:
                self._workloads[key.namespace].append((key, labels_of(template)))

    def find(self, group: str, kind: str, namespace: str, name: Any) -> set[ObjectKey]:
        """The named object, in whatever version; empty when it is not in the render."""
        key = self._named.get((group, kind, namespace, str(name)))
        return {key} if key else set()

    def hooks(self, configuration: ObjectKey) -> list[Mapping[str, Any]]:
        """The webhooks of a configuration."""
        return self.by_key[configuration].get("webhooks") or []

    def behind(self, service: ObjectKey) -> set[ObjectKey]:
        """Workloads whose pods a Service selects."""
        selector: Mapping[str, str] = self.by_key[service]["spec"].get("selector") or {}
        return {
            key
            for key, labels in self._workloads[service.namespace]
            if selector and selector.items() <= labels.items()
        }

    def servers(self, reference: Mapping[str, Any] | None) -> set[ObjectKey]:
        """The Service that the API server is to call, and the workloads behind it."""
        if reference is None:
            return set()
        services = self.find("", "Service", reference["namespace"], reference["name"])
        return services.union(*map(self.behind, services))

    def webhook_namespaces(self, group: str) -> set[str]:
        """Namespaces of the Services that webhooks with this very group in their rules call."""
        return {
            str(hook["clientConfig"]["service"]["namespace"])
            for configuration in self.configurations
            for hook in self.hooks(configuration)
            if (hook.get("clientConfig") or {}).get("service")
            if any(group in (rule.get("apiGroups") or []) for rule in hook.get("rules") or [])
        }

    def namespace_labels(self, namespace: str) -> dict[str, str]:
        """The labels of a namespace, with those that the API server adds."""
        labels = {NAME_LABEL: namespace}
        for key in self.find("", "Namespace", "", namespace):
            labels = {**labels_of(self.by_key[key]), **labels}
        return labels


def needs_of(key: ObjectKey, index: Index) -> set[ObjectKey]:
    """Rules 1 to 5: the objects that an object names."""
    obj = index.by_key[key]
    needs = index.find("", "Namespace", "", key.namespace) if key.namespace else set[ObjectKey]()
    if (spec := pod_spec(obj)) is not None:
        needs |= _needs_of_pods(key.namespace, spec, index)
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
        needs |= _needs_of_configuration(key, index)
    elif key.kind == "APIService":
        needs |= index.servers(obj["spec"].get("service"))
    return needs | index.rbac.roles_of(key) | set(index.rbac.parts_of(key))


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


def _needs_of_configuration(key: ObjectKey, index: Index) -> set[ObjectKey]:
    needs: set[ObjectKey] = set()
    for hook in index.hooks(key):
        needs |= index.servers((hook.get("clientConfig") or {}).get("service"))
    annotations = annotations_of(index.by_key[key])
    namespace, _, name = annotations.get(INJECT_CERTIFICATE, "").partition("/")
    needs |= index.find(CERTIFICATES, "Certificate", namespace, name)
    namespace, _, name = annotations.get(INJECT_SECRET, "").partition("/")
    return needs | index.credentials.writers(namespace, name)


def controllers_of(key: ObjectKey, index: Index) -> set[ObjectKey]:
    """Rule 6: the workloads that write a custom resource's status and remove its finalizers."""
    if is_builtin_group(key.group):
        return set()
    namespaces = index.webhook_namespaces(key.group)
    return index.rbac.controllers_of(key, plural_of(key, index.plurals), namespaces)


def jobs_before(key: ObjectKey, index: Index) -> set[ObjectKey]:
    """Rule 7: the Jobs that put in force the credentials that a workload reads."""
    return index.credentials.jobs_before(key)


def intercepting_configurations(key: ObjectKey, index: Index) -> set[ObjectKey]:
    """Rule 8: configurations with a webhook that must answer before the object can be created."""
    if key.kind in WEBHOOK_KINDS or key.group == "admissionregistration.k8s.io":
        # The API server calls no webhook for its own admission configuration.
        return set()
    obj = index.by_key[key]
    namespaced = is_namespaced(key, index.scopes)
    if namespaced is None:
        namespaced = bool(key.namespace)
    own, resource = labels_of(obj), plural_of(key, index.plurals)
    namespace_labels = {**own, NAME_LABEL: key.name}
    if namespaced:
        namespace_labels = index.namespace_labels(key.namespace)
    creations = [Creation(key.group, key.version, resource, namespaced, own, namespace_labels)]
    if (template := pod_template(obj)) is not None:
        creations.append(Creation("", "v1", "pods", True, labels_of(template), namespace_labels))
    return {
        configuration
        for configuration in index.configurations
        if any(
            intercepts(hook, creation)
            for hook in index.hooks(configuration)
            for creation in creations
        )
    }
