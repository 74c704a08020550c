"""The writers of the Secrets that pods name, and the secrets outside the cluster behind them.

Three controllers write Secrets that no manifest holds: cert-manager for a Certificate, the External
Secrets Operator for an ExternalSecret, and the Secrets Store CSI driver for a SecretProviderClass
as long as a pod mounts that class.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, cast

import yaml

from rendering.objects import Object, ObjectKey, pod_spec, strings, value_at
from rendering.pod_references import classes_of, named_by

CERTIFICATES = "cert-manager.io"
EXTERNAL_SECRETS = "external-secrets.io"
SECRETS_STORE = "secrets-store.csi.x-k8s.io"
_ACCOUNT = "serviceAccountRef"


class Credentials:
    """The Secrets of a render by their writers, and its Jobs by the remote secrets they read."""

    def __init__(self, by_key: Mapping[ObjectKey, Object]) -> None:
        self._by_key = by_key
        self._writers: dict[tuple[str, str], set[ObjectKey]] = defaultdict(set)
        self._mounting: dict[ObjectKey, set[ObjectKey]] = defaultdict(set)
        self._classes: dict[tuple[str, str], ObjectKey] = {}
        self._jobs: dict[str, set[ObjectKey]] = defaultdict(set)
        for key, obj in by_key.items():
            for secret in secrets_written_by(obj):
                self._writers[key.namespace, secret].add(key)
            if is_provider_class(key):
                self._classes[key.namespace, key.name] = key
        for key, obj in by_key.items():
            spec = pod_spec(obj) or {}
            if key.kind == "Job":
                for remote in self._read_by(key.namespace, spec):
                    self._jobs[remote].add(key)
            elif key.kind != "CronJob":
                for mounted in self._mounted_by(key.namespace, spec):
                    self._mounting[mounted].add(key)

    def writers(self, namespace: str, secret: str) -> set[ObjectKey]:
        """Certificates, ExternalSecrets and SecretProviderClasses that produce this Secret."""
        return set(self._writers.get((namespace, secret), ()))

    def behind_pod(self, namespace: str, spec: Mapping[str, Any]) -> set[ObjectKey]:
        """Objects that must exist before the Secrets without which a pod cannot start.

        For a Secret of the CSI driver also the workloads that mount its class, unless the pod is
        one of them: the driver writes the Secret when the first pod mounts.
        """
        mounted = self._mounted_by(namespace, spec)
        writers = self._writers_for(namespace, spec)
        mounting = (self._mounting.get(writer, ()) for writer in writers - mounted)
        return mounted.union(writers, *mounting)

    def jobs_before(self, key: ObjectKey) -> set[ObjectKey]:
        """Jobs that read one of the remote secrets whose copy a workload's pods read.

        Such a Job puts the secret in force, for instance by creating the database user in it. This
        rule orders no Jobs among themselves: their references contain no order.
        """
        spec = pod_spec(self._by_key[key])
        if spec is None or key.kind == "Job":
            return set()
        return {
            job
            for remote in self._read_by(key.namespace, spec)
            for job in self._jobs.get(remote, ())
        }

    def _mounted_by(self, namespace: str, spec: Mapping[str, Any]) -> set[ObjectKey]:
        names = ((namespace, name) for name in classes_of(spec))
        return {self._classes[name] for name in names if name in self._classes}

    def _read_by(self, namespace: str, spec: Mapping[str, Any]) -> set[str]:
        sources = self._mounted_by(namespace, spec) | self._writers_for(namespace, spec)
        return {remote for key in sources for remote in remote_keys(self._by_key[key])}

    def _writers_for(self, namespace: str, spec: Mapping[str, Any]) -> set[ObjectKey]:
        # A pod starts without its optional Secrets, which a controller can write later.
        return {
            writer
            for named in named_by(spec)
            if named.kind == "Secret" and not named.optional
            for writer in self.writers(namespace, named.name)
        }


def is_external_secret(key: ObjectKey) -> bool:
    """Whether an object is an ExternalSecret."""
    return key.group == EXTERNAL_SECRETS and key.kind == "ExternalSecret"


def is_store(key: ObjectKey) -> bool:
    """Whether an object is a store of the External Secrets Operator."""
    return key.group == EXTERNAL_SECRETS and key.kind in ("SecretStore", "ClusterSecretStore")


def is_provider_class(key: ObjectKey) -> bool:
    """Whether an object is a SecretProviderClass."""
    return key.group == SECRETS_STORE and key.kind == "SecretProviderClass"


def secrets_written_by(obj: Mapping[str, Any]) -> set[str]:
    """Names of the Secrets, in its own namespace, that a controller writes for this object."""
    key, spec = ObjectKey.of(obj), obj.get("spec") or {}
    if key.group == CERTIFICATES and key.kind == "Certificate":
        return {str(spec.get("secretName"))}
    if is_external_secret(key):
        return {str((spec.get("target") or {}).get("name") or key.name)}
    if is_provider_class(key):
        return {str(copied.get("secretName")) for copied in spec.get("secretObjects") or []}
    return set()


def stores_of(external_secret: Mapping[str, Any]) -> set[tuple[str, str]]:
    """(kind, name) of the stores an ExternalSecret reads: its own and those of single entries."""
    spec = external_secret.get("spec") or {}
    references = [spec.get("secretStoreRef")]
    for entry in (*(spec.get("data") or []), *(spec.get("dataFrom") or [])):
        references.append((entry.get("sourceRef") or {}).get("storeRef"))
    return {
        (str(reference.get("kind") or "SecretStore"), str(reference.get("name")))
        for reference in references
        if reference
    }


def accounts_of_store(store: Mapping[str, Any]) -> set[tuple[str, str]]:
    """(namespace, name) of the ServiceAccounts a store logs in as, for any provider.

    Every provider spells it ``serviceAccountRef`` (external-secrets, apis/meta/v1/types.go);
    only a ClusterSecretStore may name another namespace.
    """
    key = ObjectKey.of(store)
    provider = (store.get("spec") or {}).get("provider")
    paths = [path for path, _ in strings(provider) if _ACCOUNT in path]
    references = [value_at(provider, path[: path.index(_ACCOUNT) + 1]) for path in paths]
    return {
        (key.namespace or str(reference.get("namespace") or ""), str(reference.get("name")))
        for reference in references
    }


def remote_keys(obj: Mapping[str, Any]) -> set[str]:
    """The secrets outside the cluster that an ExternalSecret or SecretProviderClass reads."""
    key, spec = ObjectKey.of(obj), obj.get("spec") or {}
    if is_external_secret(key):
        references = [entry.get("remoteRef") for entry in spec.get("data") or []]
        references += [entry.get("extract") for entry in spec.get("dataFrom") or []]
        return {str(reference["key"]) for reference in references if reference}
    if is_provider_class(key):
        return _object_names(str((spec.get("parameters") or {}).get("objects") or ""))
    return set()


def _object_names(text: str) -> set[str]:
    try:
        entries = yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError:
        # A provider with another format: its keys are unknown here.
        return set()
    entries = cast("list[Any]", entries) if isinstance(entries, list) else []
    return {str(entry["objectName"]) for entry in entries if "objectName" in (entry or {})}
