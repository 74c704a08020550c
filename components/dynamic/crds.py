"""All CustomResourceDefinitions of a release as one resource whose state is a digest per CRD.

CRDs are 88 % of the bytes of a rendered Kubeflow. As resources they make the state file 15 MB,
written again at every step: after 280 s 133 of 651 objects existed. Applied first, in one
server-side apply (18 s), the other 577 objects were all created in 133 s with a state of 4 MB
(docs/decisions/0001-crds-are-one-resource.md).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pulumi
from pulumi.dynamic import (
    CreateResult,
    DiffResult,
    ReadResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)

from rendering.build import crd_bundle_path, write_crd_bundle

FIELD_MANAGER = "kubeflow-crds"
ESTABLISH_SECONDS = 120
_PARALLEL_REQUESTS = 8
# What an API server answers while it is busy, or while EKS scales or replaces it: an apply and a
# read may be sent again.
_MAY_PASS = frozenset({429, 500, 502, 503, 504})


def digest_of(crd: Mapping[str, Any]) -> str:
    """Sixteen hexadecimal digits that change when the CRD does."""
    return hashlib.sha256(json.dumps(crd, sort_keys=True).encode()).hexdigest()[:16]


class CrdProvider(ResourceProvider):
    """Applies the CRDs server-side; keeps no body in state."""

    # The pickled provider is a reference to this class and captures no secret.
    serialize_as_secret_always = False

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        changed = [
            key for key in ("cluster", "digests", "keep") if _olds.get(key) != _news.get(key)
        ]
        replaces = ["cluster"] if "cluster" in changed else []
        return DiffResult(changes=bool(changed), replaces=replaces, delete_before_replace=False)

    def create(self, props: dict[str, Any]) -> CreateResult:
        self._apply(props, list(props["digests"]))
        return CreateResult(id_=f"{props['cluster']}/crds", outs=props)

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        before = cast("dict[str, str]", _olds["digests"])
        after = cast("dict[str, str]", _news["digests"])
        self._apply(_news, [name for name, digest in after.items() if before.get(name) != digest])
        return UpdateResult(outs=_news)

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        # Deleting a CRD deletes every object of its kind: a user's notebooks, runs and models.
        if _props["keep"]:
            return
        client, api = _connect(_props["kubeconfig"])
        for name in cast("dict[str, str]", _props["digests"]):
            try:
                api.delete_custom_resource_definition(name)
            except client.ApiException as failure:
                if failure.status != 404:
                    raise

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        return ReadResult(id_=id_, outs=props)

    def _apply(self, props: dict[str, Any], names: Sequence[str]) -> None:
        if not names:
            return
        bodies = _bodies(crd_bundle_path(props["bundle"]))
        _, api = _connect(props["kubeconfig"])

        def apply(name: str) -> None:
            _apply_one(api, bodies[name])
            _await_established(api, name)

        with ThreadPoolExecutor(_PARALLEL_REQUESTS) as pool:
            list(pool.map(apply, names))


def _bodies(path: Path) -> dict[str, dict[str, Any]]:
    return {crd["metadata"]["name"]: crd for crd in json.loads(path.read_text())}


def _connect(kubeconfig: str) -> tuple[Any, Any]:
    # Imported here: the client costs a second and only an apply needs it, never a preview.
    from kubernetes import client, config

    connection: Any = config.new_client_from_config_dict(json.loads(kubeconfig))
    return client, client.ApiextensionsV1Api(connection)


def _may_pass(failure: BaseException) -> bool:
    return getattr(failure, "status", None) in _MAY_PASS


def _patiently() -> Any:
    """Asks again once a second, for as long as a CRD may take, after what may pass."""
    from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_fixed

    return Retrying(
        retry=retry_if_exception(_may_pass),
        stop=stop_after_delay(ESTABLISH_SECONDS),
        wait=wait_fixed(1),
        reraise=True,
    )


def _apply_one(api: Any, crd: Mapping[str, Any]) -> None:
    # The server takes a CRD at the version it is written in only, and release 1.5.1 has v1beta1.
    _patiently()(
        api.api_client.call_api,
        f"/apis/{crd['apiVersion']}/customresourcedefinitions/{crd['metadata']['name']}",
        "PATCH",
        query_params=[("fieldManager", FIELD_MANAGER), ("force", "true")],
        header_params={
            "Accept": "application/json",
            "Content-Type": "application/apply-patch+yaml",
        },
        body=crd,
        auth_settings=["BearerToken"],
        # The answer stays bytes: as typed models, 5 MB of schemas take minutes to read.
        _preload_content=False,
    )


def _await_established(api: Any, name: str) -> None:
    from tenacity import RetryError, retry_if_result

    def established() -> bool:
        answer = api.read_custom_resource_definition_status(name, _preload_content=False)
        status = json.loads(answer.data).get("status") or {}
        conditions = status.get("conditions") or []
        return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)

    asks = _patiently()
    until = asks.copy(retry=asks.retry | retry_if_result(lambda done: not done), reraise=False)
    try:
        until(established)
    except RetryError as failure:
        raise TimeoutError(
            f"CRD {name} is not Established after {ESTABLISH_SECONDS} s: "
            f"look at its conditions with `kubectl describe crd {name}`."
        ) from failure


class CustomResourceDefinitions(Resource, name="CustomResourceDefinitions"):
    """Makes: every CRD of ``crds`` on the cluster, applied server-side, awaited until Established.

    Args:
        crds: the CRD objects as rendered.
        kubeconfig: kubeconfig as JSON; stored as a secret.
        cluster: identity of the cluster (its ARN); another cluster replaces the resource.
        keep: leave the CRDs, and so every custom object of the users, in place on destroy.
    """

    digests: pulumi.Output[dict[str, str]]

    def __init__(
        self,
        name: str,
        *,
        crds: Sequence[Mapping[str, Any]],
        kubeconfig: pulumi.Input[str],
        cluster: pulumi.Input[str],
        keep: bool = True,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        digests = {crd["metadata"]["name"]: digest_of(crd) for crd in crds}
        super().__init__(
            CrdProvider(),
            name,
            {
                "bundle": write_crd_bundle(crds),
                "cluster": cluster,
                "digests": dict(sorted(digests.items())),
                "keep": keep,
                "kubeconfig": pulumi.Output.secret(kubeconfig),
            },
            opts,
        )
