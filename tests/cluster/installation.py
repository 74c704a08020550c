"""Applies a platform to an API server, each object exactly once; keeps what came of it."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from components.dynamic.crds import FIELD_MANAGER as CRD_MANAGER
from components.dynamic.crds import CrdProvider
from rendering import Object, ObjectKey
from rendering.crd_bundle import CrdBundle
from tests.cluster.admission_server import AdmissionServer, admission_server
from tests.cluster.api_server import api_server
from tests.cluster.client import Answer, Cluster, Refused
from tests.cluster.kubelet import Kubelet
from tests.cluster.stand_ins import Backends, default_account, pod_of, redirected

SYSTEM_NAMESPACES = ("default", "kube-system")
"""Made by the API server itself; ``default`` and ``kube-system`` are used by the platform."""


@dataclass
class Installation:
    """An API server with stand-ins for the rest of a cluster.

    Attributes:
        applied: the objects accepted so far, in order; without CRDs.
        pods: each workload's pod, as the server answered to its creation.
    """

    cluster: Cluster
    admission: AdmissionServer
    backends: Backends = field(default_factory=Backends)
    kubelet: Kubelet = field(default_factory=Kubelet)
    applied: list[ObjectKey] = field(default_factory=list[ObjectKey])
    pods: dict[ObjectKey, Answer] = field(default_factory=dict[ObjectKey, Answer])

    def crds(self, crds: Sequence[Object]) -> None:
        """All CRDs at once, by the program's own resource; returns when they are Established."""
        bundle = CrdBundle.of([redirected(crd, self.admission) for crd in crds])
        CrdProvider().create(
            {
                "bundle": bundle.digest,
                "cluster": "test",
                "digests": dict(bundle.digests),
                "keep": True,
                "kubeconfig": json.dumps(self.cluster.kubeconfig),
            }
        )

    def apply(self, obj: Object) -> None:
        """One object, and what controllers would do about it at once.

        Raises:
            Refused: the object or the pod of its template, also one that could not start at once.
        """
        self.cluster.apply(redirected(obj, self.admission))
        key = ObjectKey.of(obj)
        if key.group_version == "v1" and key.kind == "Namespace":
            self.cluster.apply(default_account(key.name))
        pod = pod_of(obj)
        if pod is not None:
            try:
                self.pods[key] = self.cluster.create(pod)
            except Refused as refused:
                raise Refused(f"the pod of {key}: {refused}") from None
            missing = self.kubelet.missing(pod)
            if missing:
                raise Refused(f"the pod of {key} would wait for {', '.join(missing)}")
        # Last: a webhook's own pod can't answer for itself.
        self.backends.applied(obj)
        self.kubelet.applied(obj)
        self.applied.append(key)

    def apply_all(self, objects: Iterable[Object]) -> None:
        """Each once, in this order.

        Raises:
            Refused: the first one that is.
        """
        for obj in objects:
            self.apply(obj)

    def again(self, obj: Object) -> tuple[Object, Object]:
        """What is stored, and what a second apply would make of it."""
        crd = obj["kind"] == "CustomResourceDefinition"
        manager = {"manager": CRD_MANAGER} if crd else {}
        stored = self.cluster.read(obj)
        second = self.cluster.apply(redirected(obj, self.admission), dry_run=True, **manager)
        return stored, second.body


@contextmanager
def installation(
    program: Path, folder: Path, *, more: Sequence[str] = ()
) -> Generator[Installation]:
    """A new API server with its stand-ins; ``folder`` gets data, keys and logs.

    Args:
        program: the kube-apiserver.
        folder: see ``api_server``.
        more: see ``api_server``.
    """
    with (
        admission_server(folder) as admission,
        api_server(program, folder, more=more) as kubeconfig,
    ):
        made = Installation(Cluster(kubeconfig), admission)
        admission.backed = made.backends.answer
        for namespace in SYSTEM_NAMESPACES:
            made.cluster.apply(default_account(namespace))
        yield made


def differences(stored: Any, second: Any, path: str = "") -> list[str]:
    """Paths at which two JSON values differ.

    ``managedFields`` do not count: an object applied without a single field of its own gets an
    entry for its type only at the second time.
    """
    if isinstance(stored, dict) and isinstance(second, dict):
        before, after = cast("Object", stored), cast("Object", second)
        return [
            found
            for key in sorted({*before, *after} - {"managedFields"})
            for found in differences(before.get(key), after.get(key), f"{path}.{key}")
        ]
    return [] if stored == second else [path]
