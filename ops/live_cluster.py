"""The cluster that the current kubeconfig names, read through the official Kubernetes client."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any, cast

from ops.cli_errors import Refused
from ops.node_pool_fit import Object

_PAGE = 500
_SECONDS = (5, 30)
"""To connect, to answer."""
_NOT_ASKED = (401, 403)


class Unreachable(Refused):
    """No answer from an API server; the message is one sentence with the way out."""


class LiveCluster:
    """Reads lists of objects; answers stay JSON.

    The reason is in docs/decisions/0002-crd-answers-stay-untyped.md.

    Attributes:
        host: URL of the API server.

    Raises:
        Unreachable: there is no kubeconfig, or it names no cluster.
    """

    def __init__(self) -> None:
        # Imported here: the client costs a second, and most commands need none.
        from kubernetes import client, config

        settings: Any = client.Configuration()
        # One failed attempt tells as much as four, and a person is waiting.
        settings.retries = False
        # The client itself reads the variable once, when it is imported.
        files = os.environ.get("KUBECONFIG") or config.KUBE_CONFIG_DEFAULT_LOCATION
        try:
            config.load_kube_config(config_file=files, client_configuration=settings)
        except (config.ConfigException, OSError) as missing:
            raise Unreachable(
                f"there is no usable kubeconfig ({missing}): run `aws eks update-kubeconfig --name "
                "<cluster>`, or let KUBECONFIG name one."
            ) from None
        self.host = str(settings.host)
        self._api: Any = client.ApiClient(settings)

    def version(self) -> str:
        """The API server's, ``v1.35.2-eks-...``.

        Raises:
            Unreachable: it does not answer.
            Refused: it answers with an error.
        """
        return str(self._send("GET", "/version", {})["gitVersion"])

    def all(self, path: str, **selected: str) -> list[Object]:
        """Every object below a path; none where the API is not served.

        Args:
            path: of a list, ``/api/v1/pods``.
            selected: query parameters, ``fieldSelector``.

        Raises:
            Unreachable: no answer.
            Refused: whoever asks may not, or the server says no.
        """
        return list(self._pages(path, selected))

    def as_admitted(self, path: str, obj: Object) -> Object:
        """What the API server would make of a new object; nothing is stored (a dry run).

        Raises:
            Unreachable: no answer.
            Refused: whoever asks may not, or the server says no.
        """
        return self._send("POST", path, {"dryRun": "All"}, obj)

    def _pages(self, path: str, selected: dict[str, str]) -> Iterator[Object]:
        following: dict[str, str] = {}
        while True:
            try:
                page = self._send("GET", path, {**selected, "limit": str(_PAGE), **following})
            except _NotServed:
                return
            yield from cast("list[Object]", page["items"])
            token = page["metadata"].get("continue")
            if not token:
                return
            following = {"continue": token}

    def _send(
        self, method: str, path: str, query: dict[str, str], body: Object | None = None
    ) -> dict[str, Any]:
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        try:
            response = self._api.call_api(
                path,
                method,
                query_params=list(query.items()),
                header_params={"Accept": "application/json", "Content-Type": "application/json"},
                body=body,
                auth_settings=["BearerToken"],
                _preload_content=False,
                _return_http_data_only=True,
                _request_timeout=_SECONDS,
            )
            return json.loads(response.data)
        except ApiException as failure:
            if failure.status == 404:
                raise _NotServed(
                    f"{self.host} serves no {path}: name a Kubernetes API server in KUBECONFIG."
                ) from None
            raise Refused(_no(self.host, path, failure)) from None
        except (HTTPError, ValueError) as silent:
            reason = getattr(silent, "reason", silent)
            raise Unreachable(
                f"{self.host} does not answer ({reason}): check the network and the kubeconfig; "
                "the API server of a stack is private by default (kubeflow:cluster."
                "publicAccessCidrs)."
            ) from None


class _NotServed(Refused):
    """Of lists it means that there are none."""


def _no(host: str, path: str, failure: Any) -> str:
    if failure.status in _NOT_ASKED:
        return (
            f"{host} does not let you use {path} ({failure.status} {failure.reason}): check "
            "`aws sts get-caller-identity`, and name that role in kubeflow:cluster.admins."
        )
    return f"{host} answers {failure.status} {failure.reason} to {path}: try again later."
