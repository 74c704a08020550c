"""The objects of the current kubeconfig's cluster, through the official Kubernetes client."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal, NamedTuple

from kubernetes import client, config
from urllib3.exceptions import HTTPError

from ops.cli_errors import Refused
from ops.current_cluster import (
    CONNECT,
    UNREADABLE,
    Unreachable,
    connect_command,
    current_cluster,
    kubeconfig_files,
    no_kubeconfig,
)
from ops.karpenter_status import Object
from settings import Settings

_SECONDS = (5, 30)
"""To connect, to answer."""
REMEMBERED_SECONDS = 30.0
"""For how long at most."""
_METADATA_ALONE = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_JSON = "application/json"
_MERGE_PATCH = "application/merge-patch+json"
_MAY_PASS = (429, 500, 502, 503, 504)
# The words of the authorizers; those of admission plugins name the object instead of the user
# (kubernetes/kubernetes v1.34.0 staging/src/k8s.io/apiserver/pkg/endpoints/handlers/
# responsewriters/errors.go, forbiddenMessage).
_NO_RIGHT = re.compile(r'User "[^"]*" cannot ')
# kubernetes/kubernetes v1.34.0 staging/src/k8s.io/apiserver/pkg/admission/plugin/webhook/errors.
_WEBHOOK = re.compile("failed calling webhook")


class Unavailable(Refused):
    """The API server answers that it cannot answer now: a later request may succeed."""


class Rejected(Refused):
    """The API server does not store an object; the message has its own words.

    Attributes:
        status: of HTTP: 409 it exists, 403 by a quota or pod security, 422 by validation.
    """

    def __init__(self, sentence: str, status: int) -> None:
        super().__init__(sentence)
        self.status = status


class NotFound(Refused):
    """404: there is no such object, or the server has no such kind."""


class _Answer(NamedTuple):
    """The content, and the time of the server's clock as HTTP has it."""

    data: bytes
    date: str


@dataclass
class _Memory:
    """Lists that were read, with the time of reading; what is asked, and by whom -> the answer."""

    on: bool = False
    lists: dict[tuple[object, ...], tuple[float, bytes]] = field(
        default_factory=dict[tuple[object, ...], tuple[float, bytes]]
    )


class LiveCluster:
    """Reads and writes objects; answers stay JSON.

    The reason is in docs/decisions/0002-crd-answers-stay-untyped.md.

    Args:
        connect: the command that makes a kubeconfig, for the error.

    Attributes:
        host: URL of the API server.

    Raises:
        Unreachable: the kubeconfig is missing, or names no cluster.
    """

    def __init__(self, connect: str = CONNECT) -> None:
        settings: Any = client.Configuration()
        settings.retries = False
        try:
            config.load_kube_config(config_file=kubeconfig_files(), client_configuration=settings)
        except UNREADABLE as error:
            raise no_kubeconfig(error, connect) from None
        self.host = str(settings.host)
        self._api: Any = client.ApiClient(settings)
        self._kinds: dict[str, dict[str, Object]] = {}
        self._memory = _Memory()

    @classmethod
    def of_stack(cls, stack: str, settings: Settings) -> LiveCluster:
        """The cluster of the current kubeconfig, which is that of the stack.

        Raises:
            Unreachable: as of the class.
            Refused: it is another cluster.
        """
        connect = connect_command(settings)
        current_cluster(connect).refuse_another_than(stack, settings)
        return cls(connect)

    def all(self, path: str, **selected: str) -> list[Object]:
        """Every object below a path in one answer; none where the API is not served.

        Args:
            path: of a list, ``/api/v1/pods``.
            selected: query parameters, ``fieldSelector``.

        Raises:
            Unreachable: no answer.
            Refused: the user has no right to it, or another error as the answer.
        """
        key = (path, *sorted(selected.items()))
        read_at, content = self._memory.lists.get(key, (0.0, b""))
        if not (self._memory.on and read_at > time.monotonic() - REMEMBERED_SECONDS):
            try:
                content = self._asked("GET", path, selected).data
            except NotFound:
                content = b'{"items": []}'
            if self._memory.on:
                self._memory.lists[key] = (time.monotonic(), content)
        try:
            return json.loads(content)["items"]
        except ValueError as error:
            raise self._silent(error) from None

    @contextmanager
    def remembering(self) -> Generator[None]:
        """In the block a list is read once: many checks read all pods, which are megabytes."""
        self._memory.on = True
        try:
            yield
        finally:
            self._memory.on = False

    def forget(self) -> None:
        """Reads every list anew."""
        self._memory.lists.clear()

    def one(self, path: str) -> dict[str, Any] | None:
        """One object; None: it does not exist. Raises as ``all``."""
        try:
            return self.answer("GET", path, {})
        except NotFound:
            return None

    def answer(
        self, method: str, path: str, query: dict[str, str], body: Object | None = None
    ) -> dict[str, Any]:
        """The API server's answer to one request.

        Raises:
            NotFound: 404 to a GET, DELETE or PATCH.
            Unreachable: no answer.
            Unavailable: it cannot answer now.
            Rejected: it does not store the body.
            Refused: the user has no right to it, or another error as the answer.
        """
        try:
            return json.loads(self._asked(method, path, query, body).data)
        except ValueError as error:
            raise self._silent(error) from None

    def create(self, path: str, obj: Object) -> dict[str, Any]:
        """Creates an object below the path of its collection. Raises as ``answer``."""
        return self.answer("POST", path, {}, obj)

    def patch(self, path: str, change: Object) -> dict[str, Any]:
        """Merges a change into an object (RFC 7386: lists as wholes). Raises as ``answer``."""
        return self.answer("PATCH", path, {}, change)

    def delete(
        self, path: str, propagation: Literal["Background", "Foreground"] = "Background"
    ) -> None:
        """Deletes an object, where it exists. Raises as ``answer``.

        Args:
            path: of the object.
            propagation: Foreground: it stays until what it owns is gone.
        """
        try:
            self.answer("DELETE", path, {"propagationPolicy": propagation})
        except NotFound:
            return

    def collection(self, api_version: str, kind: str, namespace: str) -> str:
        """The path of the objects of a kind in a namespace, by the server's discovery.

        Raises:
            Refused: the server has no such kind; else as ``answer``.
        """
        root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        if root not in self._kinds:
            listed = self.one(root) or {"resources": []}
            kinds = (each for each in listed["resources"] if "/" not in each["name"])
            self._kinds[root] = {each["kind"]: each for each in kinds}
        resource = self._kinds[root].get(kind)
        if resource is None:
            raise Refused(
                f"{self.host} serves no {kind} of {api_version}: the platform's CRD is missing, "
                "run `pulumi up`."
            )
        place = f"/namespaces/{namespace}" if resource["namespaced"] else ""
        return f"{root}{place}/{resource['name']}"

    def time(self) -> datetime:
        """The time of the server's clock. Raises as ``answer``."""
        return parsedate_to_datetime(self._asked("GET", "/version", {}).date)

    def text(self, path: str) -> str:
        """What a pod answers through the API server. Raises as ``all``."""
        return self._asked("GET", path, {}).data.decode(errors="replace")

    def logs(self, namespace: str, pod: str, container: str = "") -> str:
        """What a container printed; of the pod's only or default one without a name.

        Raises as ``all``; also Refused while the container has not begun.
        """
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/log"
        query = {"container": container} if container else {}
        return self._asked("GET", path, query).data.decode(errors="replace")

    def metadata(self, path: str) -> Object | None:
        """The metadata of one object, which is sent without its content; None: it does not exist.

        Raises as ``all``. Kubernetes API concepts, "Fetch only metadata":
        https://kubernetes.io/docs/reference/using-api/api-concepts/#metadata-only-fetches
        """
        try:
            return json.loads(self._asked("GET", path, {}, accept=_METADATA_ALONE).data)["metadata"]
        except NotFound:
            return None

    def _asked(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Object | None = None,
        accept: str = _JSON,
    ) -> _Answer:
        headers = {
            **self._api.default_headers,
            "Accept": accept,
            "Content-Type": _MERGE_PATCH if method == "PATCH" else _JSON,
        }
        asked = list(query.items())
        try:
            self._api.update_params_for_auth(headers, asked, ["BearerToken"])
            response = self._api.request(
                method,
                f"{self.host}{path}",
                query_params=asked,
                headers=headers,
                body=body,
                _preload_content=False,
                _request_timeout=_SECONDS,
            )
            # Read here, where an answer that breaks off is an error like others.
            return _Answer(response.data, response.headers.get("Date", ""))
        except client.ApiException as failure:
            raise self._error(method, path, failure) from None
        except (HTTPError, ValueError) as error:
            raise self._silent(error) from None

    def _error(self, method: str, path: str, failure: client.ApiException) -> Refused:
        if not failure.status:
            # How the client reports TLS that fails, with a line of its own for the name.
            return self._silent(ValueError(" ".join(str(failure.reason).split())))
        status, words = int(failure.status), _words(failure)
        answer = f"{failure.status} {failure.reason}"
        if status == 404 and method != "POST":
            return NotFound(
                f"{self.host} serves no {path}: name a Kubernetes API server in KUBECONFIG."
            )
        right = method == "GET" or not words or _NO_RIGHT.search(words)
        if status == 401 or (status == 403 and right):
            return Refused(
                f"{self.host} does not let you use {path} ({answer}): check `aws sts "
                "get-caller-identity`, and name that role in kubeflow:cluster.admins."
            )
        # 500 is also the answer for a webhook that does not answer: its name is in the words.
        if status in _MAY_PASS and not (method != "GET" and _WEBHOOK.search(words)):
            return Unavailable(f"{self.host} answers {answer} to {path}: try again later.")
        if words and method != "GET":
            return Rejected(f"the API server answers {answer} to {path}: {words}", status)
        return Refused(f"{self.host} answers {answer} to {path}: try again later.")

    def _silent(self, error: Exception) -> Unreachable:
        reason = getattr(error, "reason", error)
        return Unreachable(
            f"{self.host} does not answer ({reason}): check the network and the kubeconfig; "
            "docs/reach-the-api-server.md has the ways there (kubeflow:cluster."
            "publicAccessCidrs or apiAccess)."
        )


def _words(failure: client.ApiException) -> str:
    """The sentence of the ``Status`` that an API server answers; empty: it has none."""
    try:
        return str(json.loads(failure.body or "{}").get("message") or "")
    except (ValueError, AttributeError):
        return ""
