"""Controllers that write back, played after their sources; each acts while its Deployment is up.

What they decide is small: a certificate is ready, an authority stands in a webhook's
configuration, a finalizer goes once its object is to be deleted. What matters is who wrote which
field, that nothing happens before its controller's own pods are ready, and that nobody takes a
finalizer off after they are gone. Webhook configurations are as ``rehearsal`` reads them back.
"""

from __future__ import annotations

import base64
import copy
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from rehearsal.sample_outputs.controllers import written_back
from rendering import Object
from rendering.objects import annotations_of
from tests.cluster.client import Cluster, Refused

EVERY_SECONDS = 0.5
"""Between two rounds of them all."""
_ADMISSION = "/apis/admissionregistration.k8s.io/v1"
_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@dataclass(frozen=True)
class Operators:
    """All of them, in turn.

    Args:
        cluster: as its administrator.
        authority: PEM certificate that webhook configurations get.
        seen: CRD -> the generation that was looked at.
    """

    cluster: Cluster
    authority: bytes
    seen: dict[str, int] = field(default_factory=dict[str, int])

    def act(self) -> None:
        """One round of every controller whose Deployment is available."""
        for act in (
            self._issuers,
            self._certificates,
            self._authorities,
            self._secret_stores,
            self._external_secrets,
            self._finalizers,
        ):
            # Somebody changed an object between being read and written: the next round sees it.
            with suppress(Refused):
                act()

    # -- cert-manager -----------------------------------------------------------------------------

    def _issuers(self) -> None:
        if self._available("cert-manager", "cert-manager"):
            for kind in ("issuers", "clusterissuers"):
                for obj in self._listed(f"/apis/cert-manager.io/v1/{kind}"):
                    self._is_ready(obj)

    def _certificates(self) -> None:
        """pkg/controller/certificates: a Secret of type kubernetes.io/tls, then Ready."""
        if not self._available("cert-manager", "cert-manager"):
            return
        for obj in self._listed("/apis/cert-manager.io/v1/certificates"):
            if not _ready(obj):
                data = {"tls.crt": self.authority, "ca.crt": self.authority, "tls.key": b"a key"}
                self._secret(obj, obj["spec"]["secretName"], data, "kubernetes.io/tls")
                self._is_ready(obj)

    def _authorities(self) -> None:
        for path in (
            f"{_ADMISSION}/mutatingwebhookconfigurations",
            f"{_ADMISSION}/validatingwebhookconfigurations",
        ):
            for obj in self._listed(path):
                self._authority(obj)
        self._conversions()

    def _conversions(self) -> None:
        """Authorities of conversion webhooks; all CRDs are 10 MB, so only those that changed."""
        if not self._available("cert-manager", "cert-manager-cainjector"):
            return
        for name, generation in self.cluster.generations(f"{_CRDS}?resourceVersion=0").items():
            if generation == self.seen.get(name):
                continue
            crd = self.cluster.get(f"{_CRDS}/{name}")
            conversion = crd["spec"].get("conversion") or {}
            client = (conversion.get("webhook") or {}).get("clientConfig")
            if client and "service" in client and client.get("caBundle") != self._bundle:
                client["caBundle"] = self._bundle
                self.cluster.replace(crd, manager="cainjector")
            self.seen[name] = generation

    def _authority(self, obj: Object) -> None:
        written = written_back(obj)
        if written is None:
            return
        manager, changed = written
        for hook in changed["webhooks"]:
            if hook["clientConfig"].get("service"):
                hook["clientConfig"]["caBundle"] = self._bundle
        if changed == obj or not self._writer_is_up(obj):
            return
        self.cluster.replace(changed, manager=manager)

    def _writer_is_up(self, obj: Object) -> bool:
        if any("cert-manager.io/inject-ca-from" in key for key in annotations_of(obj)):
            return self._available("cert-manager", "cert-manager-cainjector")
        service = obj["webhooks"][0]["clientConfig"]["service"]
        return self.answers(service["namespace"], service["name"])

    @property
    def _bundle(self) -> str:
        return base64.b64encode(self.authority).decode()

    # -- External Secrets -------------------------------------------------------------------------

    def _secret_stores(self) -> None:
        for obj in self._listed("/apis/external-secrets.io/v1/secretstores"):
            if self._secrets_operator(obj):
                self._is_ready(obj)

    def _external_secrets(self) -> None:
        """pkg/controllers/externalsecret: the Secret, which goes with its owner, then Ready."""
        for obj in self._listed("/apis/external-secrets.io/v1/externalsecrets"):
            if not _ready(obj) and self._secrets_operator(obj):
                target = obj["spec"]["target"]
                keys = target.get("template", {}).get("data", {"password": ""})
                owned = target.get("creationPolicy", "Owner") == "Owner"
                data = dict.fromkeys(keys, b"from AWS")
                self._secret(obj, target["name"], data, "Opaque", owned=owned)
                self._is_ready(obj)

    def _secrets_operator(self, obj: Object) -> bool:
        namespace = obj["metadata"]["namespace"]
        return self._available("external-secrets", f"external-secrets-{namespace}")

    # -- finalizers -------------------------------------------------------------------------------

    def _finalizers(self) -> None:
        for path, finalizer, namespace, deployment in _FINALIZERS:
            if not self._available(namespace, deployment):
                continue
            for obj in self._listed(path):
                self._finalizer(obj, finalizer)

    def _finalizer(self, obj: Object, finalizer: str) -> None:
        metadata = obj["metadata"]
        held: list[str] = metadata.get("finalizers", [])
        leaving = "deletionTimestamp" in metadata
        if leaving == (finalizer in held):
            wanted = [each for each in held if each != finalizer]
            metadata["finalizers"] = wanted if leaving else [*held, finalizer]
            self.cluster.replace(obj, manager="manager")
        elif not leaving:
            self._is_ready(obj)

    # -- the API server ---------------------------------------------------------------------------

    def answers(self, namespace: str, service: str) -> bool:
        """Whether a pod behind the Service is ready."""
        path = (
            f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
            f"?labelSelector=kubernetes.io/service-name%3D{service}"
        )
        return any(
            endpoint.get("conditions", {}).get("ready")
            for each in self._listed(path)
            for endpoint in each.get("endpoints") or []
        )

    def _available(self, namespace: str, deployment: str) -> bool:
        with suppress(Refused):
            found = self.cluster.get(
                f"/apis/apps/v1/namespaces/{namespace}/deployments/{deployment}"
            )
            return bool(found.get("status", {}).get("availableReplicas"))
        return False

    def _listed(self, path: str) -> list[Object]:
        try:
            answer = self.cluster.get(path)
        except Refused:
            return []  # the kind is not served yet
        kind = str(answer["kind"]).removesuffix("List")
        return [
            {"apiVersion": answer["apiVersion"], "kind": kind, **item} for item in answer["items"]
        ]

    def _secret(
        self,
        owner: Object,
        name: str,
        data: Mapping[str, bytes],
        kind: str,
        *,
        owned: bool = False,
    ) -> None:
        metadata: dict[str, Any] = {"name": name, "namespace": owner["metadata"]["namespace"]}
        if owned:
            reference = {key: owner[key] for key in ("apiVersion", "kind")}
            reference |= {key: owner["metadata"][key] for key in ("name", "uid")}
            metadata["ownerReferences"] = [{**reference, "controller": True}]
        self.cluster.apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": metadata,
                "type": kind,
                "data": {key: base64.b64encode(value).decode() for key, value in data.items()},
            },
            manager="manager",
        )

    def _is_ready(self, obj: Object) -> None:
        if _ready(obj):
            return
        changed = copy.deepcopy(obj)
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        condition = {
            "type": "Ready",
            "status": "True",
            "reason": "Played",
            "message": "",
            "lastTransitionTime": now,
        }
        changed.setdefault("status", {})["conditions"] = [condition]
        self.cluster.replace_status(changed, manager="manager")


_FINALIZERS: Sequence[tuple[str, str, str, str]] = (
    # components/profile-controller/controllers/profile_controller.go
    ("/apis/kubeflow.org/v1/profiles", "profile-finalizer", "kubeflow", "profiles-deployment"),
    # aws/karpenter-provider-aws pkg/controllers/nodeclass/controller.go
    (
        "/apis/karpenter.k8s.aws/v1/ec2nodeclasses",
        "karpenter.k8s.aws/termination",
        "kube-system",
        "karpenter",
    ),
    # kubeflow/trainer pkg/controller/clustertrainingruntime_controller.go
    (
        "/apis/trainer.kubeflow.org/v1alpha1/clustertrainingruntimes",
        "trainer.kubeflow.org/resource-in-use",
        "kubeflow-system",
        "kubeflow-trainer-controller-manager",
    ),
)
"""Path of a kind, finalizer, and the Deployment of its controller."""


def _ready(obj: Object) -> bool:
    conditions: list[dict[str, Any]] = (obj.get("status") or {}).get("conditions") or []
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
