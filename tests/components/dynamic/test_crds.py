"""All CRDs of a release are one resource: digests in state, only what changed is applied."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pulumi
import pytest

from components.dynamic import crds
from components.dynamic.crds import CrdProvider, CustomResourceDefinitions
from components.dynamic.provider import Refused
from rendering.crd_bundle import CrdBundle, crd_bundle_path, digest_of
from settings.section import MANIFESTS
from tests.harness import MASKED, Registered, run
from upgrades.asking import KARPENTER
from upgrades.table import Upgrade, of_release

ROOT = Path(__file__).parents[3]
TYPE = "pulumi-python:dynamic:CustomResourceDefinitions"
KUBECONFIG = json.dumps({"clusters": ["the cluster's address"]})
ESTABLISHED = [{"type": "Established", "status": "True"}]


def crd(name: str, **spec: Any) -> dict[str, Any]:
    kind = "CustomResourceDefinition"
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": kind, "metadata": {"name": name}} | {
        "spec": {"group": "tiny.example", **spec}
    }


WIDGETS, GADGETS = crd("widgets.tiny.example"), crd("gadgets.tiny.example")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBEFLOW_CACHE", str(tmp_path))


class ApiException(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


@dataclass
class FakeApi:
    """The part of ``ApiextensionsV1Api`` that is used; it remembers what it was asked."""

    applied: dict[str, Any] = field(default_factory=dict[str, Any])
    paths: dict[str, str] = field(default_factory=dict[str, str])
    asked: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    connections: list[str] = field(default_factory=list[str])
    conditions: list[list[dict[str, str]]] = field(default_factory=list[list[dict[str, str]]])
    failures: list[int] = field(default_factory=list[int])

    @property
    def api_client(self) -> FakeApi:
        return self

    def call_api(self, path: str, method: str, *, body: Any, **options: Any) -> None:
        assert method == "PATCH"
        self.fail()
        name = body["metadata"]["name"]
        self.applied[name], self.paths[name] = body, path
        self.asked.append(options)

    def read_custom_resource_definition_status(self, name: str, **_: Any) -> Any:
        assert name in self.applied
        self.fail()
        conditions = self.conditions.pop(0) if self.conditions else ESTABLISHED
        return SimpleNamespace(data=json.dumps({"status": {"conditions": conditions}}))

    def fail(self) -> None:
        if self.failures and (status := self.failures.pop(0)):
            raise ApiException(status)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> FakeApi:
    fake = FakeApi()

    def connect(kubeconfig: str) -> FakeApi:
        fake.connections.append(kubeconfig)
        return fake

    monkeypatch.setattr(crds, "_connect", connect)
    return fake


def props(*given: Mapping[str, Any], **changed: Any) -> dict[str, Any]:
    """What the resource of these CRDs hands to its provider."""
    bundle = CrdBundle.of(given)
    return {
        "bundle": bundle.digest,
        "cluster": "arn:aws-cn:eks:cn-north-1:111122223333:cluster/kubeflow",
        "digests": dict(bundle.digests),
        "keep": True,
        "kubeconfig": KUBECONFIG,
        **changed,
    }


def outputs(*given: Mapping[str, Any]) -> dict[str, Any]:
    """What is in the state of the resource."""
    made = props(*given)
    return {**made, "applied": digest_of(made["digests"])}


def registered(given: Sequence[Mapping[str, Any]]) -> Registered:
    def program() -> None:
        # Made inside: an Output outside needs an event loop that an earlier test may have closed.
        cluster = pulumi.Output.from_input("arn:of:cluster")
        CustomResourceDefinitions("crds", crds=given, kubeconfig=KUBECONFIG, cluster=cluster)

    return run(program).only(TYPE)


# -- what is registered ---------------------------------------------------------------------------


def test_a_digest_changes_with_the_crd_and_not_with_the_order_of_its_keys() -> None:
    assert digest_of(WIDGETS) == digest_of(dict(reversed(WIDGETS.items())))
    assert digest_of(WIDGETS) != digest_of(crd("widgets.tiny.example", scope="Cluster"))
    assert len(digest_of(WIDGETS)) == 16


def test_a_cache_that_cannot_have_the_crds_ends_the_program_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KUBEFLOW_CACHE", "here")
    with pytest.raises(pulumi.RunError, match="KUBEFLOW_CACHE is here: write an absolute path"):
        registered([WIDGETS])


def test_crds_that_are_damaged_in_the_cache_are_not_applied(api: FakeApi) -> None:
    given = props(WIDGETS)
    crd_bundle_path(given["bundle"]).write_bytes(b'[{"metadata"')
    with pytest.raises(Refused, match="is damaged: run the command again"):
        CrdProvider().create(given)
    assert api.connections == []


def test_state_holds_a_digest_per_crd_and_no_body() -> None:
    inputs = registered([WIDGETS, GADGETS]).inputs
    assert inputs["digests"] == {
        "gadgets.tiny.example": digest_of(GADGETS),
        "widgets.tiny.example": digest_of(WIDGETS),
    }
    assert "tiny.example/v1" not in json.dumps(inputs)
    assert "spec" not in json.dumps(inputs)


def test_the_bodies_lie_in_a_file_named_by_its_content() -> None:
    named = registered([WIDGETS, GADGETS]).inputs["bundle"]
    assert json.loads(crd_bundle_path(named).read_text()) == [GADGETS, WIDGETS]
    assert registered([GADGETS, WIDGETS]).inputs["bundle"] == named


def test_the_kubeconfig_is_a_secret_and_nothing_else_is() -> None:
    visible = registered([WIDGETS]).visible
    assert [key for key, value in visible.items() if value == MASKED] == ["kubeconfig"]


def test_the_provider_of_an_earlier_version_keeps_the_crds_on_a_destroy_too() -> None:
    assert registered([WIDGETS]).inputs["keep"] is True


# -- diff -----------------------------------------------------------------------------------------


def test_unchanged_crds_are_no_change() -> None:
    assert CrdProvider().diff("id", props(WIDGETS), props(WIDGETS)).changes is False


def test_a_state_of_a_version_that_wrote_no_digest_of_all_is_no_change() -> None:
    assert CrdProvider().diff("id", outputs(WIDGETS), props(WIDGETS)).changes is False
    assert CrdProvider().diff("id", props(WIDGETS), props(WIDGETS)).changes is False


def test_the_digest_of_all_is_known_once_they_are_applied(api: FakeApi) -> None:
    assert "applied" not in registered([WIDGETS]).inputs
    before, after = props(WIDGETS), props(WIDGETS, GADGETS)
    made = [CrdProvider().create(before), CrdProvider().update("id", before, after)]
    first, second = (each.outs["applied"] for each in made if each.outs)
    assert first != second
    assert set(api.applied) == {"widgets.tiny.example", "gadgets.tiny.example"}


@pytest.mark.parametrize(
    "given",
    [[crd("widgets.tiny.example", scope="Cluster")], [WIDGETS, GADGETS], []],
    ids=["changed", "added", "removed"],
)
def test_another_crd_is_an_update(given: list[Any]) -> None:
    diff = CrdProvider().diff("id", props(WIDGETS), props(*given))
    assert diff.changes
    assert diff.replaces == []


def test_another_cluster_is_a_replacement() -> None:
    diff = CrdProvider().diff("id", props(WIDGETS), props(WIDGETS, cluster="arn:of:another"))
    assert diff.changes
    assert diff.replaces == ["cluster"]


def test_a_new_kubeconfig_for_the_same_cluster_is_no_change() -> None:
    renewed = props(WIDGETS, kubeconfig="{}")
    assert CrdProvider().diff("id", props(WIDGETS), renewed).changes is False


# -- create, update, delete -----------------------------------------------------------------------


def test_create_applies_every_crd_on_the_cluster_of_its_kubeconfig(api: FakeApi) -> None:
    made = CrdProvider().create(props(WIDGETS, GADGETS))
    assert api.applied == {"gadgets.tiny.example": GADGETS, "widgets.tiny.example": WIDGETS}
    assert api.connections == [KUBECONFIG]
    assert made.outs == outputs(WIDGETS, GADGETS)
    assert made.id == "arn:aws-cn:eks:cn-north-1:111122223333:cluster/kubeflow/crds"


def test_crds_are_applied_server_side_by_a_manager_of_their_own(api: FakeApi) -> None:
    CrdProvider().create(props(WIDGETS))
    (asked,) = api.asked
    assert dict(asked["query_params"]) == {"fieldManager": "kubeflow-crds", "force": "true"}
    assert asked["header_params"]["Content-Type"] == "application/apply-patch+yaml"


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_a_crd_is_applied_at_the_version_it_is_written_in(api: FakeApi, version: str) -> None:
    CrdProvider().create(props({**WIDGETS, "apiVersion": f"apiextensions.k8s.io/{version}"}))
    path = f"/apis/apiextensions.k8s.io/{version}/customresourcedefinitions/widgets.tiny.example"
    assert api.paths == {"widgets.tiny.example": path}


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def sleep(_seconds: float) -> None: ...

    monkeypatch.setattr("time.sleep", sleep)


@pytest.mark.usefixtures("at_once")
def test_create_waits_until_the_api_server_serves_the_kind(api: FakeApi) -> None:
    api.conditions = [[], [{"type": "Established", "status": "False"}], ESTABLISHED]
    CrdProvider().create(props(WIDGETS))
    assert api.conditions == []


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize("calm", [0, 1], ids=["the apply", "the look at it"])
def test_requests_to_a_busy_api_server_are_repeated(api: FakeApi, status: int, calm: int) -> None:
    api.failures = [*[0] * calm, status, status]
    CrdProvider().create(props(WIDGETS))
    assert api.failures == []
    assert api.applied == {"widgets.tiny.example": WIDGETS}


@pytest.mark.usefixtures("at_once")
def test_a_request_that_took_all_of_the_time_is_repeated(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An API server gives up a request after a minute, with 504."""
    monkeypatch.setattr(crds, "ESTABLISH_SECONDS", 0)
    api.failures = [504] * 9
    CrdProvider().create(props(WIDGETS))
    assert api.failures == []
    api.failures = [504] * 10
    with pytest.raises(ApiException, match="504"):
        CrdProvider().create(props(GADGETS))


@pytest.mark.parametrize("status", [401, 403, 422])
def test_other_errors_of_the_api_server_are_not_repeated(api: FakeApi, status: int) -> None:
    api.failures = [status]
    with pytest.raises(ApiException, match=str(status)):
        CrdProvider().create(props(WIDGETS))


@pytest.mark.usefixtures("at_once")
def test_a_refusal_names_the_crd_and_what_the_api_server_said(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A webhook with the scope * refuses CRDs too, whatever namespaces it selects."""
    monkeypatch.setattr(crds, "ESTABLISH_SECONDS", 0)
    said = 'failed calling webhook "no.example": connection refused.'
    monkeypatch.setattr(ApiException, "body", json.dumps({"message": said}), raising=False)
    for status, number in ((500, 10), (422, 1)):
        api.failures = [status] * number
        with pytest.raises(crds.CrdRefused) as refused:
            CrdProvider().create(props(WIDGETS))
        assert str(refused.value).startswith(
            f"CRD widgets.tiny.example is refused by the API server: {said} Remove what is in"
        )
        assert refused.value.__suppress_context__


@pytest.mark.parametrize("body", [None, b"", b"no JSON", b"[]", b"{}", b"null"])
def test_a_refusal_without_a_sentence_stays_as_it_is(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch, body: bytes | None
) -> None:
    monkeypatch.setattr(ApiException, "body", body, raising=False)
    api.failures = [403]
    with pytest.raises(ApiException, match="403"):
        CrdProvider().create(props(WIDGETS))


def test_a_crd_that_is_never_established_is_named(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crds, "ESTABLISH_SECONDS", 0)
    api.conditions = [[]]
    with pytest.raises(Refused, match=r"^CRD widgets\.tiny\.example is not Established after"):
        CrdProvider().create(props(WIDGETS))


def test_update_applies_only_what_changed_or_is_new(api: FakeApi) -> None:
    changed = crd("widgets.tiny.example", scope="Cluster")
    new = crd("gizmos.tiny.example")
    CrdProvider().update("id", props(WIDGETS, GADGETS), props(changed, GADGETS, new))
    assert api.applied == {"widgets.tiny.example": changed, "gizmos.tiny.example": new}


def test_a_crd_that_left_the_release_stays_on_the_cluster(api: FakeApi) -> None:
    made = CrdProvider().update("id", props(WIDGETS, GADGETS), props(WIDGETS))
    assert api.connections == []
    assert made.outs == outputs(WIDGETS)


def test_delete_keeps_the_crds_and_the_users_objects_with_them(api: FakeApi) -> None:
    CrdProvider().delete("id", props(WIDGETS))
    assert api.connections == []


def test_a_refresh_leaves_everything_as_it_is(api: FakeApi) -> None:
    state = {**outputs(WIDGETS), "applied": "of another version"}
    assert CrdProvider().read("id", state).outs == state
    assert CrdProvider().read("id", {}).outs == {}
    assert api.connections == []


def test_a_refresh_adds_the_digest_that_an_older_version_did_not_write(api: FakeApi) -> None:
    for state in (props(WIDGETS), {**props(WIDGETS), "applied": None}):
        assert CrdProvider().read("id", state).outs == outputs(WIDGETS)
    assert api.connections == []


# -- another release ------------------------------------------------------------------------------

WAYS = of_release(MANIFESTS / "26.03.1")
MARK = "inferencemodels.inference.networking.x-k8s.io"


def of(release: str | None, *names: str) -> dict[str, Any]:
    named = {"release": release, "confirmed": [], "database": {}} if release else {}
    return {"digests": dict.fromkeys(names, "1"), "kubeconfig": KUBECONFIG, **named}


@pytest.mark.parametrize(
    ("olds", "news", "refused"),
    [
        ({}, of("26.03.1", "a"), ""),
        (of("26.03.1", "a"), of("26.03.1", "a", "b"), ""),
        (of(None, "a"), of(None, "b"), ""),
        (of("26.03", "a"), of("26.03.1", "b"), "asked of 26.03"),
        (of(None, "a", MARK), of("26.03.1", "b"), "asked of 26.03"),
        (of(None, "a"), of("26.03.1", "b"), "the stack has another release"),
        (of("1.5.1-aws-b1.0.0", "a"), of("26.03.1", "b"), "the stack has 1.5.1-aws-b1.0.0"),
        (of("26.03.1", "a"), of("26.03", "a"), "there is a way to 26.03 from none"),
        (of(None, "a"), of(f"{KARPENTER}1.14.1", "a", "b"), ""),
        (of(f"{KARPENTER}1.15.0", "a"), of(f"{KARPENTER}1.14.1", "a"), "the stack has 1.15.0"),
    ],
)
def test_another_release_needs_a_way_and_its_conditions(
    monkeypatch: pytest.MonkeyPatch, olds: dict[str, Any], news: dict[str, Any], refused: str
) -> None:
    def unmet(_self: CrdProvider, way: Upgrade, given: dict[str, Any]) -> list[str]:
        assert given == news
        return [f"asked of {next(k for k, v in WAYS.ways.items() if v == way)}"]

    monkeypatch.setattr(CrdProvider, "unmet", unmet)
    failures = CrdProvider().check(olds, news).failures
    assert len(failures) == bool(refused)
    assert all(refused in each.reason for each in failures)


def test_what_is_confirmed_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    news = {**of("26.03.1", "a"), "confirmed": sorted(WAYS.conditions())}
    assert CrdProvider().check(of("26.03", "a"), news).failures == []


def test_a_version_of_karpenter_without_conditions_asks_nobody() -> None:
    """The kubeconfig and the database here would fail."""
    olds, news = (of(f"{KARPENTER}{version}", "a") for version in ("1.14.0", "1.14.1"))
    assert CrdProvider().check(olds, news).failures == []


def test_the_release_is_in_the_state_without_being_a_change() -> None:
    assert CrdProvider().diff("id", of(None, "a"), of("26.03", "a")).changes is False
