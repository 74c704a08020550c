"""RBAC of a render: the roles of an account, and the controllers of a kind.

Roles that the API server itself has (``cluster-admin``) are not part of a render.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Set

from rendering.graphs import reachable
from rendering.objects import WORKLOADS, Object, ObjectKey, labels_of, pod_spec
from rendering.pod_references import account_of
from rendering.selectors import matches_selector

RBAC = "rbac.authorization.k8s.io"
_LONG_RUNNING = WORKLOADS - {"Job", "CronJob", "Pod"}

STATUS_HOLDERS = {
    ("secrets-store.csi.x-k8s.io", "secretproviderclasses"): "secretproviderclasspodstatuses"
}
"""Resources whose status is kept in another resource: the CSI driver writes one object per pod that
mounts a class (secrets-store-csi-driver, apis/v1/secretproviderclasspodstatus_types.go)."""


class Rbac:
    """The roles and bindings of a render, by the accounts they are bound to."""

    def __init__(self, by_key: Mapping[ObjectKey, Object]) -> None:
        self._by_key = by_key
        self._roles = {
            (key.kind, key.namespace, key.name): key
            for key in by_key
            if key.group == RBAC and key.kind in ("Role", "ClusterRole")
        }
        self._bindings: dict[tuple[str, str], set[ObjectKey]] = defaultdict(set)
        workloads: dict[tuple[str, str], set[ObjectKey]] = defaultdict(set)
        for key, obj in by_key.items():
            if key.group == RBAC and key.kind in ("RoleBinding", "ClusterRoleBinding"):
                for account in _subjects(key, obj):
                    self._bindings[account].add(key)
            spec = pod_spec(obj)
            if spec is not None and key.kind in _LONG_RUNNING:
                workloads[key.namespace, account_of(spec)].add(key)
        # (group, subresource, namespace of a RoleBinding or none) -> workloads that may write it
        self._controllers: dict[tuple[str, str, str], set[ObjectKey]] = defaultdict(set)
        for account, running in workloads.items():
            for binding in self.bindings_of(*account):
                for role in self.roles_of(binding):
                    for group, subresource in _written_subresources(by_key[role]):
                        self._controllers[group, subresource, binding.namespace] |= running

    def bindings_of(self, namespace: str, account: str) -> set[ObjectKey]:
        """The bindings whose subjects include a ServiceAccount."""
        return set(self._bindings.get((namespace, account), ()))

    def roles_of(self, binding: ObjectKey) -> set[ObjectKey]:
        """The role that a binding grants; of an aggregated one also the roles in it."""
        reference = self._by_key[binding].get("roleRef") or {}
        kind, name = str(reference.get("kind")), str(reference.get("name"))
        namespace = binding.namespace if kind == "Role" else ""
        role = self._roles.get((kind, namespace, name))
        return reachable([role], self.parts_of) if role else set()

    def controllers_of(
        self, key: ObjectKey, resource: str, webhook_namespaces: Set[str]
    ) -> set[ObjectKey]:
        """Workloads that may write the status or the finalizers of exactly this resource.

        Args:
            key: a custom resource.
            resource: the plural its kind is served as.
            webhook_namespaces: of the webhooks that name the resource's group. A project's webhook
                and controller live together, so a workload elsewhere is a client with more
                permissions than it needs (KServe has all of them on Istio's VirtualServices).
        """
        holder = STATUS_HOLDERS.get((key.group, resource), resource)
        return {
            workload
            for subresource in (f"{holder}/status", f"{holder}/finalizers")
            for bound_in in {"", key.namespace}
            for workload in self._controllers.get((key.group, subresource, bound_in), ())
            if not webhook_namespaces or workload.namespace in webhook_namespaces
        }

    def parts_of(self, role: ObjectKey) -> Iterator[ObjectKey]:
        """The roles that an aggregated role consists of; none for any other object."""
        rule = self._by_key[role].get("aggregationRule") or {}
        for selector in rule.get("clusterRoleSelectors") or []:
            for (kind, _, _), part in self._roles.items():
                if kind == "ClusterRole" and matches_selector(
                    selector, labels_of(self._by_key[part])
                ):
                    yield part


def _subjects(key: ObjectKey, binding: Object) -> Iterator[tuple[str, str]]:
    for subject in binding.get("subjects") or []:
        if subject.get("kind") == "ServiceAccount":
            # Upstream omits some namespaces, and kustomize fills them in only for accounts of the
            # same build.
            yield str(subject.get("namespace") or key.namespace), str(subject.get("name"))


def _written_subresources(role: Object) -> Iterator[tuple[str, str]]:
    for rule in role.get("rules") or []:
        if {"update", "patch", "*"} & set(rule.get("verbs") or []):
            for group in rule.get("apiGroups") or []:
                for resource in rule.get("resources") or []:
                    if resource.endswith(("/status", "/finalizers")):
                        yield str(group), str(resource)
