"""The two calls of the Kubernetes API that Events need, with the standard library alone.

A pod's projected token is renewed by the kubelet in its file, so it is read for every connection.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from ssl import SSLContext, create_default_context
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

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
    """The API server.

    Args:
        host: of the server.
        port: of the server.
        token: of the caller; asked for before each call.
        trust: the certificates of the server; likewise.
    """

    def __init__(
        self, host: str, port: int, *, token: Callable[[], str], trust: Callable[[], SSLContext]
    ) -> None:
        self._address, self._token, self._trust = (host, port), token, trust

    @classmethod
    def of_pod(cls, variables: Mapping[str, str], account: Path = ACCOUNT) -> ClusterApi | None:
        """The API server of the cluster in which this runs; None: outside one, or without token.

        The kubelet sets both variables in every pod (kubernetes/kubernetes pkg/kubelet/
        kubelet_pods.go, getServiceEnvVarMap), also without service links.
        """
        host, port = (variables.get(f"KUBERNETES_SERVICE_{name}", "") for name in ("HOST", "PORT"))
        if not (host and port.isdigit() and (account / "token").is_file()):
            return None
        return cls(
            host,
            int(port),
            token=lambda: (account / "token").read_text("utf-8").strip(),
            trust=lambda: create_default_context(cafile=str(account / "ca.crt")),
        )

    @classmethod
    def of_endpoint(cls, endpoint: str, authority: str, token: Callable[[], str]) -> ClusterApi:
        """The API server as EKS describes it.

        Args:
            endpoint: its URL.
            authority: the certificates that it has its own from, PEM in base64.
            token: of the caller.

        Raises:
            ValueError: this is no such URL, or no such certificate.
        """
        url = urlsplit(endpoint)
        if url.scheme != "https" or not url.hostname:
            raise ValueError("the endpoint is no https URL")
        trust = create_default_context(cadata=base64.b64decode(authority).decode("ascii"))
        return cls(url.hostname, url.port or 443, token=token, trust=lambda: trust)

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
        """Creates an Event, unless there is one of its name; raises as ``pods`` does."""
        path = f"/api/v1/namespaces/{quote(namespace, safe='')}/events"
        try:
            self._call("POST", path, event, "application/json")
        except CallRefused as refused:
            if str(refused) != str(HTTPStatus.CONFLICT.value):
                raise

    def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None, accept: str
    ) -> Mapping[str, Any]:
        token = self._token()
        connection = HTTPSConnection(*self._address, timeout=_SECONDS, context=self._trust())
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
