"""All CustomResourceDefinitions of a release as one resource whose state is a digest per CRD.

CRDs are 88 % of the bytes of a rendered Kubeflow. As resources they make the state file 15 MB,
written again at every step: after 280 s 133 of 651 objects existed. Applied first, in one
server-side apply (18 s), the other 577 objects were all created in 133 s with a state of 4 MB
(docs/decisions/0001-crds-are-one-resource.md).

They are the first of a release in every stack, old ones too, so that this resource also refuses a
change of the release without a way, or before its conditions hold
(docs/decisions/0124-the-crds-ask-before-an-upgrade.md). What a preview cannot show to an API server
that has the old ones gets a value of this resource that is unknown until then (``applied``;
docs/decisions/0130-a-preview-awaits-the-crds.md).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pulumi
from pulumi.dynamic import CheckFailure, CheckResult, ReadResult, Resource

from components.dynamic.provider import DynamicProvider, Refused, refusals_as_sentences
from rendering import RenderError
from rendering.crd_bundle import CrdBundle, digest_of, read_crd_bundle
from settings.context import StackContext
from settings.existing_backend import instance_name
from settings.section import MANIFESTS
from upgrades.asking import old_release, refusal, unmet
from upgrades.table import Upgrade, of_release

FIELD_MANAGER = "kubeflow-crds"
ESTABLISH_SECONDS = 120
_LEAST_ATTEMPTS = 10
_PARALLEL_REQUESTS = 8
# Responses of an API server that is busy, or that EKS scales or replaces; an apply and a read may
# be repeated.
_TRANSIENT = frozenset({429, 500, 502, 503, 504})


class CrdProvider(DynamicProvider):
    """Applies the CRDs server-side; the state contains no body.

    A destroy leaves them in place: deleting a CRD deletes every object of its kind, a user's
    notebooks, runs and models.
    """

    replacing = ("cluster",)
    updating = ("digests", "keep")
    identity = "{cluster}/crds"

    @refusals_as_sentences()
    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Refuse a release to which there is no way, or for which the platform is not ready.

        Previews do it too, and nothing has changed by then.
        """
        sentences = self._refusals(_olds, news) if "release" in news else []
        return CheckResult(news, [CheckFailure("release", each) for each in sentences])

    def _refusals(self, olds: dict[str, Any], news: dict[str, Any]) -> list[str]:
        new = str(news["release"])
        ways = of_release(MANIFESTS / new)
        old = old_release(olds, news, ways)
        if old is None or old == new:
            return []
        if sentence := refusal(old, new, ways):
            return [sentence]
        return self.unmet(ways.ways[old], news)

    def unmet(self, way: Upgrade, news: dict[str, Any]) -> list[str]:
        """A sentence per condition that cluster and RDS do not meet; a rehearsal asks nobody."""
        # Imported here: every other run asks nothing.
        from components.dynamic.asked_platform import AskedPlatform

        return list(unmet(way, AskedPlatform(news), news["confirmed"], datetime.now(UTC)))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Add the digest of all to a state whose version did not write it; nobody is asked.

        Without it every preview shows the objects that await it as updates, which do nothing.
        """
        if props.get("applied") or "digests" not in props:
            return ReadResult(id_, props)
        return ReadResult(id_, {**props, "applied": digest_of(props["digests"])})

    def outputs(self, news: dict[str, Any], _olds: dict[str, Any]) -> dict[str, Any]:
        """Apply the CRDs that are new or changed."""
        before: dict[str, str] = _olds.get("digests", {})
        after: dict[str, str] = news["digests"]
        _apply(news, [name for name, digest in after.items() if before.get(name) != digest])
        return {**news, "applied": digest_of(after)}


def _apply(props: dict[str, Any], names: Sequence[str]) -> None:
    if not names:
        return
    try:
        bodies = {crd["metadata"]["name"]: crd for crd in read_crd_bundle(props["bundle"])}
    except RenderError as failure:
        raise Refused(str(failure)) from None
    api = _connect(props["kubeconfig"])

    def apply(name: str) -> None:
        try:
            _apply_one(api, bodies[name])
            _await_established(api, name)
        except Exception as failure:
            raise _named(name, failure) from None

    with ThreadPoolExecutor(_PARALLEL_REQUESTS) as pool:
        list(pool.map(apply, names))


class CrdRefused(Refused):
    """The API server did not take a CRD; the message is its own sentence, and the way out."""


def _named(name: str, failure: Exception) -> Exception:
    """A refusal of the API server without its headers; any other failure as it is."""
    body = getattr(failure, "body", None)
    if not body:
        return failure
    try:
        said = str(json.loads(body)["message"])
    except (ValueError, TypeError, KeyError):
        return failure
    return CrdRefused(
        f"CRD {name} is refused by the API server: {said.rstrip('. ')}. Remove what is in the way, "
        "such as a webhook for all objects whose server does not answer, and run it again."
    )


def _connect(kubeconfig: str) -> Any:
    # Imported here: the import takes a second, and a preview needs no client.
    from kubernetes import client, config

    connection: Any = config.new_client_from_config_dict(json.loads(kubeconfig))
    return client.ApiextensionsV1Api(connection)


def _retrying() -> Any:
    """Repeats a request after transient responses: ``ESTABLISH_SECONDS``, ten times at least.

    A server that is too busy answers 504 after a minute: two of them would be all of the time.
    """
    from tenacity import (
        Retrying,
        retry_if_exception,
        stop_after_attempt,
        stop_after_delay,
        stop_all,
        wait_fixed,
    )

    return Retrying(
        retry=retry_if_exception(lambda error: getattr(error, "status", None) in _TRANSIENT),
        stop=stop_all(stop_after_delay(ESTABLISH_SECONDS), stop_after_attempt(_LEAST_ATTEMPTS)),
        wait=wait_fixed(1),
        reraise=True,
    )


def _apply_one(api: Any, crd: Mapping[str, Any]) -> None:
    # The path must have the version that the CRD is written in; release 1.5.1 has v1beta1.
    _retrying()(
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
        # The response stays bytes: parsing 5 MB of schemas into typed models takes minutes.
        _preload_content=False,
    )


def _await_established(api: Any, name: str) -> None:
    from tenacity import RetryError, retry_if_result, stop_after_delay

    def established() -> bool:
        response = api.read_custom_resource_definition_status(name, _preload_content=False)
        status = json.loads(response.data).get("status") or {}
        conditions = status.get("conditions") or []
        return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)

    retrying = _retrying()
    not_yet = retry_if_result(lambda done: not done)
    try:
        retrying.copy(
            retry=retrying.retry | not_yet, stop=stop_after_delay(ESTABLISH_SECONDS), reraise=False
        )(established)
    except RetryError:
        raise Refused(
            f"CRD {name} is not Established after {ESTABLISH_SECONDS} s: "
            f"look at its conditions with `kubectl describe crd {name}`."
        ) from None


@dataclass(frozen=True, kw_only=True)
class ReleaseOfCrds:
    """The release that CRDs belong to, and what is asked before a stack gets it.

    Args:
        name: a folder under ``manifests/``: of a release, or of a version of Karpenter.
        confirmed: names of conditions that are not asked.
        context: of the stack, whose database is asked for.
    """

    name: str
    confirmed: Sequence[str]
    context: StackContext

    def inputs(self) -> dict[str, Any]:
        """The inputs of the resource."""
        return {
            "release": self.name,
            "confirmed": sorted(self.confirmed),
            "database": {
                "instance": instance_name(self.context.cluster),
                "region": self.context.region.name,
                "credentials": dict(self.context.aws.credentials()),
                "endpoints": dict(self.context.endpoints),
            },
        }


class CustomResourceDefinitions(Resource, name="CustomResourceDefinitions"):
    """Makes: every CRD of ``crds`` on the cluster, applied server-side, awaited until Established.

    Args:
        name: of the resource.
        crds: the CRD objects as rendered.
        kubeconfig: kubeconfig as JSON; stored as a secret.
        cluster: identity of the cluster (its ARN); another cluster replaces the resource.
        release: that they belong to; None: they are changed without questions.
        opts: of the resource.

    Attributes:
        applied: a digest of all; unknown in a preview that changes a CRD, and where the state is of
            a version that did not write it, until a refresh. Nothing else of the resource is: the
            engine answers the preview of an update with the inputs, for Pulumi's server of dynamic
            resources previews none.
    """

    digests: pulumi.Output[dict[str, str]]
    applied: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        crds: Sequence[Mapping[str, Any]],
        kubeconfig: pulumi.Input[str],
        cluster: pulumi.Input[str],
        release: ReleaseOfCrds | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        try:
            bundle = CrdBundle.of(crds)
        except RenderError as error:
            raise pulumi.RunError(str(error)) from error
        super().__init__(
            CrdProvider(),
            name,
            {
                "applied": None,
                "bundle": bundle.digest,
                "cluster": cluster,
                "digests": dict(bundle.digests),
                # An earlier version's provider deletes the CRDs on destroy unless this is true.
                "keep": True,
                "kubeconfig": pulumi.Output.secret(kubeconfig),
                **(release.inputs() if release else {}),
            },
            opts,
        )
