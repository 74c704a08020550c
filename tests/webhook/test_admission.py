"""The admission handler: what a pod becomes, and the warnings of its author."""

from __future__ import annotations

import copy
import json
import time
from dataclasses import replace
from typing import Any

import pytest

from images.reference import Reference, parse
from tests.webhook.reviews import OWN, SHA, FixedMirror, patched, pod, review_of
from webhook.admission import Copy, Policy, Presence, review
from webhook.image_places import OPT_OUT
from webhook.rules import Action, Rule, WhenAbsent

EKS = "918309763551.dkr.ecr.cn-north-1.amazonaws.com.cn"
POLICY = Policy(registry=OWN)


def answer(body: Any, mirror: FixedMirror | None = None, policy: Policy = POLICY) -> dict[str, Any]:
    given = review(body, policy, mirror or FixedMirror())
    assert (given["apiVersion"], given["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    json.dumps(given)
    return given["response"]


def applied(obj: dict[str, Any], response: dict[str, Any]) -> dict[str, Any]:
    """The pod as the API server would store it."""
    result = copy.deepcopy(obj)
    for pointer, value in patched(response).items():
        *parents, last = pointer.strip("/").split("/")
        node: Any = result
        for step in parents:
            node = node[int(step) if step.isdigit() else step]
        node[last] = value
    return result


def test_every_place_that_pulls_an_image_is_rewritten() -> None:
    everything = pod(
        "python:3.9",
        initContainers=[{"name": "i", "image": "quay.io/a/init:1"}],
        ephemeralContainers=[{"name": "e", "image": f"ghcr.io/a/debug@{SHA}"}],
        volumes=[
            {"name": "none", "emptyDir": {}},
            {"name": "model", "image": {"reference": f"gcr.io/m/model:2@{SHA}"}},
        ],
    )
    assert patched(answer(review_of(everything))) == {
        "/spec/containers/0/image": f"{OWN}/docker.io/library/python:3.9",
        "/spec/initContainers/0/image": f"{OWN}/quay.io/a/init:1",
        "/spec/ephemeralContainers/0/image": f"{OWN}/ghcr.io/a/debug@{SHA}",
        "/spec/volumes/1/image/reference": f"{OWN}/gcr.io/m/model:2@{SHA}",
    }


@pytest.mark.parametrize(
    "image",
    [
        f"{OWN}/docker.io/library/python:3.9",
        f"{OWN}/my-own-app:1",
        f"{EKS}/eks/coredns:v1.12.4",
        f"{OWN.partition('/')[0]}/somebody-else:1",
        "444455556666.dkr.ecr.cn-northwest-1.amazonaws.com.cn/app:1",
        "444455556666.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn/app:1",
    ],
)
def test_what_needs_no_mirror_passes_through(image: str) -> None:
    assert answer(review_of(pod(image))) == {"uid": "u-1", "allowed": True}


def test_the_second_invocation_changes_nothing() -> None:
    first = pod("python:3.9", f"quay.io/x/y@{SHA}")
    second = applied(first, answer(review_of(first)))
    assert patched(answer(review_of(second))) == {}


def test_an_image_named_twice_is_asked_for_once() -> None:
    mirror = FixedMirror()
    answer(review_of(pod("python:3.9", "python:3.9", "python:3.9")), mirror)
    assert mirror.asked == ["docker.io/library/python:3.9"]


STATIC = {"kubernetes.io/config.mirror": "x"}


def test_a_static_pod_that_its_node_shows_is_left_alone() -> None:
    own = pod("python:3.9")
    own["metadata"]["annotations"] = STATIC
    mirror = FixedMirror(Presence.COPYING)
    node = {"username": "system:node:a", "groups": ["system:nodes", "system:authenticated"]}
    assert answer(review_of(own, userInfo=node), mirror) == {"uid": "u-1", "allowed": True}
    assert mirror.asked == []
    assert patched(answer(review_of(own, userInfo={"groups": ["system:authenticated"]}), mirror))


@pytest.mark.parametrize("where", ["annotations", "labels"])
def test_a_pod_leaves_itself_out_of_nothing_and_its_author_is_told(where: str) -> None:
    own = pod("python:3.9")
    own["metadata"][where] = {OPT_OUT: "true"}
    given = answer(review_of(own))
    assert patched(given) == {"/spec/containers/0/image": f"{OWN}/docker.io/library/python:3.9"}
    said = "image-mirror/skip has no effect on a pod: an administrator can set it as a label of"
    assert given["warnings"] == [f"{said} the namespace"]


@pytest.mark.parametrize(
    "image",
    ["10.0.3.7:8443/x:1", "localhost/x", "harbor.corp.internal/x", "r.a.svc.cluster.local:5000/x"],
)
def test_a_private_registry_is_given_to_no_builder(image: str) -> None:
    mirror = FixedMirror(Presence.ABSENT)
    # Neither by the name of a copy that nobody could have made.
    for each in (image, parse(image).mirrored(OWN)):
        assert answer(review_of(pod(each)), mirror) == {"uid": "u-1", "allowed": True}
    assert mirror.asked == []


def test_what_is_never_pulled_is_left_alone_and_its_namesake_is_not() -> None:
    given = pod("python:3.9", "python:3.9", volumes=[{"name": "v", "image": {"reference": "m:1"}}])
    given["spec"]["containers"][0]["imagePullPolicy"] = "Never"
    given["spec"]["volumes"][0]["image"]["pullPolicy"] = "Never"
    assert patched(answer(review_of(given))) == {
        "/spec/containers/1/image": f"{OWN}/docker.io/library/python:3.9"
    }


HANGZHOU = "registry.cn-hangzhou.aliyuncs.com"


def test_a_domestic_registry_stays_where_the_stack_has_it_so() -> None:
    body = review_of(pod(f"{HANGZHOU}/team/x:1"))
    assert patched(answer(body, policy=replace(POLICY, keeps_domestic=True))) == {}
    assert patched(answer(body)) == {"/spec/containers/0/image": f"{OWN}/{HANGZHOU}/team/x:1"}
    rules = (Rule(action=Action.MIRROR, registries=(HANGZHOU,)),)
    named = answer(body, policy=replace(POLICY, keeps_domestic=True, rules=rules))
    assert patched(named)
    rules = (Rule(action=Action.MIRROR, namespaces=("*",), when_absent=WhenAbsent.DENY),)
    any_image = answer(body, policy=replace(POLICY, keeps_domestic=True, rules=rules))
    assert patched(any_image) == {}


@pytest.mark.parametrize(
    ("image", "copy"),
    [
        ("m.daocloud.io/docker.io/library/python:3", "docker.io/library/python:3"),
        ("k8s.m.daocloud.io/pause:3.9", "registry.k8s.io/pause:3.9"),
        (f"{HANGZHOU}/google_containers/pause:3.9", "registry.k8s.io/pause:3.9"),
    ],
)
def test_a_mirror_in_china_is_one_copy_with_its_source(image: str, copy: str) -> None:
    mirror, policy = FixedMirror(), replace(POLICY, keeps_domestic=True)
    assert patched(answer(review_of(pod(image)), mirror, policy)) == {
        "/spec/containers/0/image": f"{OWN}/{copy}"
    }
    assert mirror.asked == [copy]


def test_a_rule_that_names_a_mirror_is_about_the_mirror() -> None:
    body = review_of(pod("docker.m.daocloud.io/library/python:3"))

    def with_rule(action: Action) -> dict[str, Any]:
        rule = Rule(action=action, registries=("docker.m.daocloud.io",))
        return answer(body, policy=replace(POLICY, rules=(rule,)))

    assert patched(with_rule(Action.KEEP)) == {}
    assert patched(with_rule(Action.MIRROR)) == {
        "/spec/containers/0/image": f"{OWN}/docker.m.daocloud.io/library/python:3"
    }
    assert not with_rule(Action.DENY)["allowed"]


ABROAD = "444455556666.dkr.ecr.us-west-2.amazonaws.com/app:1"


def test_an_image_that_no_node_of_the_partition_can_pull_is_told_or_refused() -> None:
    told = answer(review_of(pod(ABROAD)))
    assert told["allowed"]
    assert not patched(told)
    said = (
        f"{ABROAD.removesuffix(':1')} is in another partition of AWS, where the nodes of this "
        "cluster have no login: copy it into this account's registry"
    )
    assert told["warnings"] == [said]
    refused = answer(review_of(pod(ABROAD)), policy=replace(POLICY, enforce=True))
    assert refused["status"]["message"] == f"image-mirror: {said}"
    # A rule that names it knows of a login.
    rule = Rule(action=Action.KEEP, registries=("444455556666.dkr.ecr.us-west-2.amazonaws.com",))
    named = answer(review_of(pod(ABROAD)), policy=Policy(registry=OWN, enforce=True, rules=(rule,)))
    assert named == {"uid": "u-1", "allowed": True}


def test_what_the_registry_does_not_answer_is_refused_where_enforced() -> None:
    silent, policy = FixedMirror(Presence.UNKNOWN, "why"), replace(POLICY, enforce=True)
    given = answer(review_of(pod("python:3.9")), silent, policy)
    assert given["status"]["message"] == (
        "image-mirror: this account's registry could not be asked for "
        "docker.io/library/python:3.9: why; try again"
    )
    assert answer(review_of(pod(f"{OWN}/quay.io/a/b:1")), silent, policy)["allowed"]


def test_a_refusal_of_many_images_stays_short() -> None:
    rules = (Rule(action=Action.DENY),)
    images = [f"quay.io/a/b{number}:1" for number in range(2000)]
    given = answer(review_of(pod(*images)), policy=Policy(registry=OWN, rules=rules))
    message = given["status"]["message"]
    assert message.endswith("; and 1980 other images")
    assert len(message) < 10_000


def test_an_update_rewrites_only_what_it_changes() -> None:
    old = pod("python:3.9", "quay.io/a/b:1", volumes=[{"name": "v", "image": {"reference": "m:1"}}])
    new = pod("python:3.9", "quay.io/a/b:2", volumes=[{"name": "v", "image": {"reference": "m:1"}}])
    assert patched(answer(review_of(new, operation="UPDATE", oldObject=old))) == {
        "/spec/containers/1/image": f"{OWN}/quay.io/a/b:2"
    }


def test_a_debug_container_is_rewritten_and_its_elder_stays() -> None:
    elder, newer = ({"name": n, "image": "busybox:1.36"} for n in ("elder", "newer"))
    old = pod("python:3.9", ephemeralContainers=[elder])
    new = pod("python:3.9", ephemeralContainers=[elder, newer])
    given = answer(
        review_of(new, operation="UPDATE", oldObject=old, subResource="ephemeralcontainers")
    )
    assert patched(given) == {
        "/spec/ephemeralContainers/1/image": f"{OWN}/docker.io/library/busybox:1.36"
    }


def test_a_copy_under_way_is_a_warning_and_is_rewritten_to() -> None:
    given = answer(review_of(pod("python:3.9")), FixedMirror(Presence.COPYING))
    assert given["allowed"]
    assert patched(given)
    assert given["warnings"] == [
        "docker.io/library/python:3.9 is being copied to this account's registry"
    ]


@pytest.mark.parametrize(
    ("when_absent", "presence", "allowed", "rewritten"),
    [
        (WhenAbsent.REWRITE, Presence.COPYING, True, True),
        (WhenAbsent.REWRITE, Presence.FAILED, True, True),
        (WhenAbsent.REWRITE, Presence.UNKNOWN, True, True),
        (WhenAbsent.KEEP, Presence.PRESENT, True, True),
        (WhenAbsent.KEEP, Presence.COPYING, True, False),
        (WhenAbsent.KEEP, Presence.UNKNOWN, True, False),
        (WhenAbsent.DENY, Presence.PRESENT, True, True),
        (WhenAbsent.DENY, Presence.COPYING, False, False),
        (WhenAbsent.DENY, Presence.FAILED, False, False),
        (WhenAbsent.DENY, Presence.UNKNOWN, True, False),
    ],
)
def test_an_absent_copy_is_treated_by_policy(
    when_absent: WhenAbsent, presence: Presence, allowed: bool, rewritten: bool
) -> None:
    policy = Policy(registry=OWN, when_absent=when_absent)
    given = answer(review_of(pod("python:3.9")), FixedMirror(presence, "why"), policy)
    assert (given["allowed"], bool(patched(given))) == (allowed, rewritten)


def test_a_denial_names_the_image_and_the_reason() -> None:
    policy = Policy(registry=OWN, when_absent=WhenAbsent.DENY)
    given = answer(
        review_of(pod("python:3.9")), FixedMirror(Presence.FAILED, "429 from the hub"), policy
    )
    assert given["status"]["code"] == 403
    assert "docker.io/library/python:3.9" in given["status"]["message"]
    assert "429 from the hub" in given["status"]["message"]


def test_a_dry_run_starts_no_copy_but_shows_the_result() -> None:
    mirror = FixedMirror(Presence.ABSENT)
    given = answer(review_of(pod("python:3.9"), dryRun=True), mirror)
    assert mirror.started == []
    assert patched(given)


def test_an_image_rendered_for_our_registry_is_fetched_when_missing() -> None:
    mirror = FixedMirror(Presence.COPYING)
    given = answer(review_of(pod(f"{OWN}/quay.io/a/b@{SHA}")), mirror)
    assert mirror.started == [f"quay.io/a/b@{SHA}"]
    assert patched(given) == {}
    assert given["warnings"]


@pytest.mark.parametrize(
    ("source", "started"),
    [
        pytest.param(f"{HANGZHOU}/team/x:1", False, id="domestic"),
        pytest.param("registry.example.cn/team/x:1", False, id="kept by a rule"),
        pytest.param("registry.example.cn/platform/x:1", True, id="the platform's own"),
        pytest.param("quay.io/a/b:1", True, id="copied"),
    ],
)
def test_the_name_of_a_copy_has_nothing_copied_that_stays_in_place(
    source: str, started: bool
) -> None:
    mirror = FixedMirror(Presence.ABSENT)
    policy = replace(
        POLICY,
        keeps_domestic=True,
        rules=(Rule(action=Action.KEEP, registries=("registry.example.cn",)),),
        platform=frozenset({"registry.example.cn/platform/x:1"}),
    )
    given = answer(review_of(pod(f"{OWN}/{source}")), mirror, policy)
    assert mirror.started == ([source] if started else [])
    assert "is not in this account's registry yet" in given["warnings"][0]


def test_after_its_deadline_a_review_asks_for_no_image_and_tells_so() -> None:
    mirror = SlowMirror()
    deadline = time.monotonic() + 3600
    obj = pod(*(f"python:{minor}" for minor in range(5)))
    policy = Policy(registry=OWN, when_absent=WhenAbsent.KEEP)
    given = review(review_of(obj), policy, mirror, deadline)["response"]
    assert not given.get("warnings")
    assert set(mirror.deadlines) == {deadline}
    mirror.pause = 2
    late = review(review_of(obj), policy, mirror, time.monotonic() + 1)["response"]
    assert len(mirror.asked) == 6
    assert list(patched(late).values()) == [f"{OWN}/docker.io/library/python:0"]
    assert late["warnings"][-1] == (
        "this account's registry could not be asked for docker.io/library/python:4: the time of "
        "this review was over; the source stays in place"
    )


class SlowMirror(FixedMirror):
    """Answers after a pause, in seconds."""

    pause = 0.0

    def ask(self, source: Reference, **asked: Any) -> Copy:
        time.sleep(self.pause)
        return super().ask(source, **asked)


def test_an_unreadable_image_is_left_for_the_kubelet_to_refuse() -> None:
    given = answer(review_of(pod("Quay.io/UPPER/x", "python:3.9")))
    assert patched(given) == {"/spec/containers/1/image": f"{OWN}/docker.io/library/python:3.9"}
    assert "lower-case" in given["warnings"][0]


def test_warnings_stay_within_what_kubernetes_shows() -> None:
    images = [f"quay.io/{'a' * 200}/{number}:1" for number in range(40)]
    given = answer(review_of(pod(*images)), FixedMirror(Presence.COPYING))
    assert len(patched(given)) == 40
    assert len(given["warnings"]) <= 16
    assert max(map(len, given["warnings"])) <= 256


@pytest.mark.parametrize(
    "body",
    [None, 1, "x", [], {}, {"request": None}, {"request": {"uid": ""}}, {"request": {"uid": 7}}],
)
def test_what_is_no_review_gets_an_error_response(body: Any) -> None:
    given = answer(body)
    assert (given["uid"], given["allowed"], given["status"]["code"]) == ("", False, 400)


@pytest.mark.parametrize(
    "body",
    [
        {"apiVersion": "admission.k8s.io/v1beta1", "request": {"uid": "u-1"}},
        review_of(None),
        review_of("pod"),
        review_of({"metadata": {}}),
        review_of({"spec": []}),
    ],
)
def test_a_review_of_no_pod_is_answered_with_its_uid(body: Any) -> None:
    given = answer(body)
    assert (given["uid"], given["allowed"], given["status"]["code"]) == ("u-1", False, 400)


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"containers": None},
        {"containers": {"a": 1}},
        {"containers": [None, 1, "x", {}, {"image": None}, {"image": 3}, {"image": ""}]},
        {"volumes": [None, {"image": None}, {"image": {"reference": 1}}]},
        {"ephemeralContainers": "x"},
    ],
)
def test_an_odd_pod_is_allowed_unchanged(spec: dict[str, Any]) -> None:
    odd = {"metadata": {"annotations": None}, "spec": spec}
    assert answer(review_of(odd, oldObject=7)) == {"uid": "u-1", "allowed": True}


@pytest.mark.parametrize("operation", ["DELETE", "CONNECT", None])
def test_other_operations_are_none_of_our_business(operation: Any) -> None:
    assert answer(review_of(pod("python"), operation=operation)) == {"uid": "u-1", "allowed": True}


def test_what_users_bring_follows_its_source_and_what_the_platform_brought_does_not() -> None:
    mirror = FixedMirror()
    review(review_of(pod("quay.io/a/b:1", f"{OWN}/quay.io/c/d:1")), POLICY, mirror)
    assert sorted(mirror.started) == ["quay.io/a/b:1", "quay.io/c/d:1"]
    assert mirror.followed == ["quay.io/a/b:1"]
