"""Server-side apply as a deployment does it: each object once, unknown fields are errors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from rendering import Object, ObjectKey

FIELD_MANAGER = "kubeflow-tests"
_TIMEOUT_SECONDS = 60


class Refused(Exception):
    """The API server said no; the text names the object and gives the server's own sentence."""


@dataclass(frozen=True)
class Answer:
    """What the API server made of an object, and what it warned about."""

    body: Object
    warnings: tuple[str, ...]


class Cluster:
    """One API server, talked to over connections that stay open.

    Args:
        kubeconfig: with a token and the server's certificate.
    """

    def __init__(self, kubeconfig: Mapping[str, Any]) -> None:
        self.kubeconfig = kubeconfig
        self._served: dict[str, dict[str, dict[str, Any]]] = {}

    @cached_property
    def _api(self) -> Any:
        # The untyped half of the client: typed models would drop unknown fields on our side.
        from kubernetes import config

        return config.new_client_from_config_dict(dict(self.kubeconfig))

    def apply(self, obj: Object, *, dry_run: bool = False, manager: str = FIELD_MANAGER) -> Answer:
        """Server-side apply with strict field validation.

        Raises:
            Refused: by validation, by an admission plugin or by a webhook.
        """
        query = {"fieldManager": manager, "fieldValidation": "Strict"}
        path = f"{self.collection(obj)}/{obj['metadata']['name']}"
        return self._send(
            "PATCH", path, obj, dry_run=dry_run, kind="application/apply-patch+yaml", query=query
        )

    def create(self, obj: Object, *, dry_run: bool = False) -> Answer:
        """A plain create, as controllers do it.

        Raises:
            Refused: as for ``apply``.
        """
        query = {"fieldValidation": "Strict"}
        return self._send(
            "POST", self.collection(obj), obj, dry_run=dry_run, kind="application/json", query=query
        )

    def replace(self, obj: Object, *, manager: str) -> Answer:
        """A whole object in place of the stored one, as controllers update what they have read.

        Raises:
            Refused: as for ``apply``; also an object that is not the stored one any more.
        """
        query = {"fieldManager": manager, "fieldValidation": "Strict"}
        path = f"{self.collection(obj)}/{obj['metadata']['name']}"
        return self._send("PUT", path, obj, kind="application/json", query=query)

    def replace_status(self, obj: Object, *, manager: str) -> Answer:
        """The status of an object that has one apart, as controllers write it.

        Raises:
            Refused: as for ``replace``.
        """
        path = f"{self.collection(obj)}/{obj['metadata']['name']}/status"
        return self._send(
            "PUT", path, obj, kind="application/json", query={"fieldManager": manager}
        )

    def patch(self, obj: Object, change: Object, *, subresource: str = "") -> Answer:
        """A strategic merge patch of an object or of its subresource, as kubectl sends it.

        Raises:
            Refused: as for ``apply``.
        """
        path = f"{self.collection(obj)}/{obj['metadata']['name']}/{subresource}".rstrip("/")
        query = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}
        kind = "application/strategic-merge-patch+json"
        return self._send("PATCH", path, change, kind=kind, query=query)

    def read(self, obj: Object) -> Object:
        """The object as it is stored."""
        return self.get(f"{self.collection(obj)}/{obj['metadata']['name']}")

    def get(self, path: str) -> dict[str, Any]:
        return self._send("GET", path).body

    def generations(self, path: str) -> dict[str, int]:
        """Name -> generation of each object of a collection, without the objects themselves."""
        partial = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
        listed = self._send("GET", path, accept=partial).body["items"]
        return {each["metadata"]["name"]: each["metadata"]["generation"] for each in listed}

    def post(self, path: str, obj: Object) -> dict[str, Any]:
        """What a subresource makes of an object that is not stored, such as a TokenRequest."""
        return self._send("POST", path, obj, kind="application/json").body

    def delete(self, path: str) -> None:
        """An object, or all of a collection; what they own follows.

        Raises:
            Refused: there is no such object, or it may not be deleted.
        """
        self._send("DELETE", path, query={"propagationPolicy": "Background"})

    def collection(self, obj: Object) -> str:
        """The path that objects of this kind and namespace are under, by the server's discovery.

        Raises:
            Refused: the server does not know the kind.
        """
        key = ObjectKey.of(obj)
        root = f"/apis/{key.group_version}" if key.group else f"/api/{key.group_version}"
        if key.kind not in self._served.get(root, {}):
            try:
                listed = self.get(root)["resources"]
            except Refused as refused:
                raise Refused(f"{key}: the API server serves no {root}") from refused
            self._served[root] = {each["kind"]: each for each in listed if "/" not in each["name"]}
        resource = self._served[root].get(key.kind)
        if resource is None:
            raise Refused(f"{key}: the API server serves no {key.kind} under {root}")
        place = f"/namespaces/{key.namespace}" if resource["namespaced"] else ""
        return f"{root}{place}/{resource['name']}"

    def _send(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        *,
        dry_run: bool = False,
        kind: str | None = None,
        query: Mapping[str, str] | None = None,
        accept: str = "application/json",
    ) -> Answer:
        from kubernetes.client import ApiException

        asked = {**(query or {}), **({"dryRun": "All"} if dry_run else {})}
        headers = {"Accept": accept, **({"Content-Type": kind} if kind else {})}
        try:
            response = self._api.call_api(
                path,
                method,
                query_params=list(asked.items()),
                header_params=headers,
                body=body,
                auth_settings=["BearerToken"],
                _preload_content=False,
                _return_http_data_only=True,
                _request_timeout=_TIMEOUT_SECONDS,
            )
        except ApiException as failure:
            named = str(ObjectKey.of(body)) if body and "kind" in body else path
            raise Refused(f"{named}: {_sentence(failure)}") from None
        warnings = tuple(cast("list[str]", response.headers.getlist("Warning")))
        return Answer(json.loads(response.data), warnings)


def _sentence(failure: Any) -> str:
    try:
        return str(json.loads(failure.body)["message"])
    except (TypeError, ValueError, KeyError):
        return str(failure)
