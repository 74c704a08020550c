"""The two calls of the Kubernetes API that Events need, with the standard library alone.

A pod's projected token is renewed by the kubelet in its file, so it is read for every connection.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping, Sequence
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from webhook.image_places import mapping

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where the token and the certificate of the API server are, as in any pod with a token."""
_SECONDS = 5.0
_LARGEST_ANSWER = 8 << 20
# Of pods only names, labels and annotations are of interest (k8s.io/apiserver
# pkg/endpoints/handlers/responsewriters, PartialObjectMetadataList).
_METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


class CallRefused(Exception):
    """The API server refused a call; the text is the status alone, never what it answered."""


class ClusterApi:
    """The API server, as seen from a pod.

    Args:
        host: of the server.
        port: of the server.
        account: folder with ``token`` and ``ca.crt``.
    """

    def __init__(self, host: str, port: int, account: Path = ACCOUNT) -> None:
        self._address, self._account = (host, port), account

    @classmethod
    def of_pod(cls, variables: Mapping[str, str], account: Path = ACCOUNT) -> ClusterApi | None:
        """The API server of the cluster in which this runs; None: outside one, or without token.

        The kubelet sets both variables in every pod (kubernetes/kubernetes pkg/kubelet/
        kubelet_pods.go, getServiceEnvVarMap), also without service links.
        """
        host, port = (variables.get(f"KUBERNETES_SERVICE_{name}", "") for name in ("HOST", "PORT"))
        if not (host and port.isdigit() and (account / "token").is_file()):
            return None
        return cls(host, int(port), account)

    def pods(self, namespace: str, selectors: Mapping[str, str]) -> Sequence[Mapping[str, Any]]:
        """The metadata of the pods of a namespace that selectors find, at most 500.

        Raises:
            CallRefused, OSError, HTTPException, ValueError: there is no answer.
        """
        query = urlencode({**selectors, "limit": "500"})
        path = f"/api/v1/namespaces/{quote(namespace, safe='')}/pods?{query}"
        answer = self._call("GET", path, None, _METADATA_ONLY)
        return [mapping(mapping(item).get("metadata")) for item in answer.get("items") or ()]

    def create_event(self, namespace: str, event: Mapping[str, Any]) -> None:
        """Creates an Event; raises as ``pods`` does."""
        path = f"/api/v1/namespaces/{quote(namespace, safe='')}/events"
        self._call("POST", path, event, "application/json")

    def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None, accept: str
    ) -> Mapping[str, Any]:
        trust = ssl.create_default_context(cafile=str(self._account / "ca.crt"))
        token = (self._account / "token").read_text("utf-8").strip()
        connection = HTTPSConnection(*self._address, timeout=_SECONDS, context=trust)
        try:
            headers = {
                "Authorization": f"Bearer {token}",
                "Accept": accept,
                "Content-Type": "application/json",
                "User-Agent": "image-mirror",
            }
            text = None if body is None else json.dumps(body).encode()
            connection.request(method, path, text, headers)
            response = connection.getresponse()
            answer = response.read(_LARGEST_ANSWER + 1)
        finally:
            connection.close()
        if response.status >= 300:
            raise CallRefused(str(response.status))
        if len(answer) > _LARGEST_ANSWER:
            raise CallRefused("too much")
        return mapping(json.loads(answer))


FAILURES = (CallRefused, OSError, HTTPException, ValueError)
"""What a call may raise."""
