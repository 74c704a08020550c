"""The cluster of the current kubeconfig, read through the official Kubernetes client."""

from __future__ import annotations

import json
import os
from typing import Any

from kubernetes import client, config
from urllib3.exceptions import HTTPError

from ops.cli_errors import Refused
from ops.karpenter_status import Object

_SECONDS = (5, 30)
"""To connect, to answer."""


class Unreachable(Refused):
    """No answer from an API server; the message is one sentence with the way out."""


class LiveCluster:
    """Reads lists of objects; answers stay JSON.

    The reason is in docs/decisions/0002-crd-answers-stay-untyped.md.

    Attributes:
        host: URL of the API server.

    Raises:
        Unreachable: the kubeconfig is missing, or names no cluster.
    """

    def __init__(self) -> None:
        settings: Any = client.Configuration()
        settings.retries = False
        # The client itself reads the variable only once, when it is imported.
        files = os.environ.get("KUBECONFIG") or config.KUBE_CONFIG_DEFAULT_LOCATION
        try:
            config.load_kube_config(config_file=files, client_configuration=settings)
        except (config.ConfigException, OSError) as error:
            raise Unreachable(
                f"there is no usable kubeconfig ({error}): run `aws eks update-kubeconfig --name "
                "<cluster>`, or set KUBECONFIG."
            ) from None
        self.host = str(settings.host)
        self._api: Any = client.ApiClient(settings)

    def all(self, path: str, **selected: str) -> list[Object]:
        """Every object below a path in one answer; none where the API is not served.

        Args:
            path: of a list, ``/api/v1/pods``.
            selected: query parameters, ``fieldSelector``.

        Raises:
            Unreachable: no answer.
            Refused: the user has no right to it, or another error as the answer.
        """
        try:
            return self.answer("GET", path, selected)["items"]
        except _NotServed:
            return []

    def answer(
        self, method: str, path: str, query: dict[str, str], body: Object | None = None
    ) -> dict[str, Any]:
        """The API server's answer to one request. Raises as ``all``."""
        try:
            return json.loads(self._asked(method, path, query, body))
        except ValueError as error:
            raise self._silent(error) from None

    def text(self, path: str) -> str:
        """What a pod answers through the API server. Raises as ``all``."""
        return self._asked("GET", path, {}).decode(errors="replace")

    def _asked(
        self, method: str, path: str, query: dict[str, str], body: Object | None = None
    ) -> bytes:
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
            return response.data
        except client.ApiException as failure:
            answer = f"{failure.status} {failure.reason}"
            if failure.status == 404:
                raise _NotServed(
                    f"{self.host} serves no {path}: name a Kubernetes API server in KUBECONFIG."
                ) from None
            if failure.status in (401, 403):
                raise Refused(
                    f"{self.host} does not let you use {path} ({answer}): check `aws sts "
                    "get-caller-identity`, and name that role in kubeflow:cluster.admins."
                ) from None
            raise Refused(f"{self.host} answers {answer} to {path}: try again later.") from None
        except (HTTPError, ValueError) as error:
            raise self._silent(error) from None

    def _silent(self, error: Exception) -> Unreachable:
        reason = getattr(error, "reason", error)
        return Unreachable(
            f"{self.host} does not answer ({reason}): check the network and the kubeconfig; "
            "docs/reach-the-api-server.md has the ways there (kubeflow:cluster."
            "publicAccessCidrs or apiAccess)."
        )


class _NotServed(Refused):
    """404: for lists, there are no such objects."""
