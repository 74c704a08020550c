"""Who may do what, as RBAC says it: the rights of an account, and the controllers of a kind.

Only what the render itself brings is seen; roles of the API server (``cluster-admin``) are not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Set

from rendering.objects import WORKLOADS, Object, ObjectKey, labels_of, pod_template
from rendering.pod_references import account_of
from rendering.selectors import matches_selector

RBAC = "rbac.authorization.k8s.io"
_ROLES = ("Role", "ClusterRole")
_BINDINGS = ("RoleBinding", "ClusterRoleBinding")
_WRITING = frozenset({"update", "patch", "*"})
_RUNNING = WORKLOADS - {"Job", "CronJob", "Pod"}

STATUS_HOLDERS = {
    ("secrets-store.csi.x-k8s.io", "secretproviderclasses"): "secretproviderclasspodstatuses"
}
"""Resources whose status is kept in another resource: the CSI driver writes one object per pod that
mounts a class (secrets-store-csi-driver, apis/v1/secretproviderclasspodstatus_types.go)."""


class Rbac:
    """The roles and bindings of a render, by the accounts they serve."""

    def __init__(self, by_key: Mapping[ObjectKey, Object]) -> None:
        self._by_key = by_key
        self._roles = {
            (key.kind, key.namespace, key.name): key
            for key in by_key
            if key.group == RBAC and key.kind in _ROLES
        }
        self._bindings: dict[tuple[str, str], set[ObjectKey]] = defaultdict(set)
        self._running: dict[tuple[str, str], set[ObjectKey]] = defaultdict(set)
        for key, obj in by_key.items():
            if key.group == RBAC and key.kind in _BINDINGS:
                for account in _subjects(key, obj):
                    self._bindings[account].add(key)
            template = pod_template(obj) if key.kind in _RUNNING else None
            if template is not None:
                account = account_of(template.get("spec") or {})
                self._running[key.namespace, account].add(key)
        self._controllers = self._index_controllers()

    def bindings_of(self, namespace: str, account: str) -> set[ObjectKey]:
        return set(self._bindings.get((namespace, account), ()))

    def roles_of(self, binding: ObjectKey) -> set[ObjectKey]:
        """The role that a binding grants, and for an aggregated one those it is made of."""
        reference = self._by_key[binding].get("roleRef") or {}
        kind, name = str(reference.get("kind")), str(reference.get("name"))
        namespace = binding.namespace if kind == "Role" else ""
        role = self._roles.get((kind, namespace, name))
        return self._with_parts(role) if role else set()

    def controllers_of(
        self, key: ObjectKey, resource: str, judged_in: Set[str] = frozenset()
    ) -> set[ObjectKey]:
        """Workloads that may write the status or the finalizers of this very resource.

        Args:
            key: a custom resource.
            resource: the plural its kind is served as.
            judged_in: namespaces of the webhooks that name the resource's group. A project's
                webhook and controller live together, so a workload elsewhere is a client with more
                rights than it needs (KServe has all of them on Istio's VirtualServices).
        """
        holder = STATUS_HOLDERS.get((key.group, resource), resource)
        return {
            workload
            for subresource in (f"{holder}/status", f"{holder}/finalizers")
            for bound_in in {"", key.namespace}
            for workload in self._controllers.get((key.group, subresource, bound_in), ())
            if not judged_in or workload.namespace in judged_in
        }

    def _index_controllers(self) -> Mapping[tuple[str, str, str], set[ObjectKey]]:
        """(group, subresource, namespace of a RoleBinding or none) -> workloads."""
        found: dict[tuple[str, str, str], set[ObjectKey]] = defaultdict(set)
        for account, bindings in self._bindings.items():
            running = self._running.get(account, set())
            for binding in bindings if running else ():
                for role in self.roles_of(binding):
                    for group, subresource in _written_subresources(self._by_key[role]):
                        found[group, subresource, binding.namespace] |= running
        return found

    def _with_parts(self, role: ObjectKey) -> set[ObjectKey]:
        found, waiting = {role}, [role]
        while waiting:
            rule = self._by_key[waiting.pop()].get("aggregationRule") or {}
            for selector in rule.get("clusterRoleSelectors") or []:
                for (kind, _, _), part in self._roles.items():
                    chosen = matches_selector(selector, labels_of(self._by_key[part]))
                    if kind == "ClusterRole" and part not in found and chosen:
                        found.add(part)
                        waiting.append(part)
        return found


def _subjects(key: ObjectKey, binding: Object) -> Iterator[tuple[str, str]]:
    for subject in binding.get("subjects") or []:
        if subject.get("kind") == "ServiceAccount":
            # The API server refuses a subject without one, but upstream writes some and kustomize
            # fills them in only where it knows the account.
            yield str(subject.get("namespace") or key.namespace), str(subject.get("name"))


def _written_subresources(role: Object) -> Iterator[tuple[str, str]]:
    for rule in role.get("rules") or []:
        if _WRITING & set(rule.get("verbs") or []):
            for group in rule.get("apiGroups") or []:
                for resource in rule.get("resources") or []:
                    if resource.endswith(("/status", "/finalizers")):
                        yield str(group), str(resource)
