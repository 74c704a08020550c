"""No way around the rules: each of ``bypasses.yaml`` is refused where enforced, else told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from images.reference import parse
from tests.webhook.bypasses import (
    ALLOWED,
    AWS,
    CACHES,
    OTHERS,
    OURS,
    PLACES,
    PLATFORM,
    REFUSED,
    REPOSITORIES,
    UNLISTED,
    account_of,
    placed,
    rules,
)
from tests.webhook.reviews import OWN, FixedMirror, patched, pod, review_of
from webhook.admission import Policy, Presence, review
from webhook.rules import Action, Rule, WhenAbsent

ENFORCED = Policy(registry=OWN, enforce=True, keeps_domestic=True, platform=PLATFORM)


def judged(obj: dict[str, Any], policy: Policy, **request: Any) -> tuple[dict[str, Any], list[str]]:
    """The response, and which images a copy was asked of."""
    mirror = FixedMirror()
    body = review_of(obj, namespace="team-a", **request)
    return review(body, policy, mirror)["response"], mirror.asked


@pytest.mark.parametrize("image", REFUSED)
@pytest.mark.parametrize("name", ["allow", "deny"])
def test_a_way_around_is_refused_where_enforced_and_told_elsewhere(name: str, image: str) -> None:
    policy = replace(ENFORCED, rules=rules(name))
    response, asked = judged(pod(image), policy)
    assert not response["allowed"]
    assert asked == []
    told, asked = judged(pod(image), replace(policy, enforce=False))
    assert told.get("warnings") or not told["allowed"]
    assert asked == []


@pytest.mark.parametrize("image", OTHERS)
def test_further_names_of_other_registries_are_refused_too(image: str) -> None:
    policy = replace(ENFORCED, rules=rules("others"))
    response, asked = judged(pod(image), policy)
    assert not response["allowed"]
    assert asked == []


@pytest.mark.parametrize(("name", "image"), CACHES)
def test_what_ecr_may_have_by_a_cache_is_refused(name: str, image: str) -> None:
    response, asked = judged(pod(image), replace(ENFORCED, registry=AWS, rules=rules(name)))
    assert not response["allowed"]
    assert asked == []


@pytest.mark.parametrize(("name", "image"), REPOSITORIES)
def test_the_repository_of_a_team_is_no_cache(name: str, image: str) -> None:
    registry = account_of(image)
    for enforce in (True, False):
        policy = replace(ENFORCED, registry=registry, rules=rules(name), enforce=enforce)
        response, _ = judged(pod(image), policy)
        assert response["allowed"], response
        assert not patched(response)


def test_who_meets_a_doubt_reads_what_is_denied_and_the_way_out() -> None:
    image = f"{AWS.partition('/')[0]}/quay/team/app:1"
    policy = replace(ENFORCED, registry=AWS, rules=rules("deny"))
    response, _ = judged(pod(image), policy)
    assert response["status"]["message"] == (
        "image-mirror: images of quay.io/team/app are not allowed in namespace team-a by a rule of "
        f"this cluster, and {image[:-2]} may be one of them: use another image, or ask an "
        "administrator for a rule (imageMirror.rules)"
    )


@pytest.mark.parametrize("image", UNLISTED)
def test_what_nobody_allowed_is_refused_by_a_last_rule_in_any_case(image: str) -> None:
    policy = replace(ENFORCED, rules=rules("allow"))
    for each in (policy, replace(policy, enforce=False)):
        response, asked = judged(pod(image), each)
        assert not response["allowed"]
        assert asked == []


@pytest.mark.parametrize(("image", "becomes"), OURS)
def test_what_is_allowed_comes(image: str, becomes: str) -> None:
    policy = replace(ENFORCED, rules=rules("allow"))
    response, _ = judged(pod(image), policy)
    assert response["allowed"], response
    stored = patched(response).get("/spec/containers/0/image", image)
    assert parse(stored) == parse(becomes)
    # The API server may ask again, and so does whoever makes a pod of a stored template.
    assert judged(pod(stored), policy)[0]["allowed"]


@pytest.mark.parametrize("name", ["allow", "deny"])
@pytest.mark.parametrize("image", ALLOWED)
def test_the_platforms_own_images_come(name: str, image: str) -> None:
    assert judged(pod(image), replace(ENFORCED, rules=rules(name)))[0]["allowed"]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", ["allow", "deny"])
@pytest.mark.parametrize("enforce", [True, False])
@pytest.mark.parametrize("dry_run", [True, False])
def test_no_place_in_a_pod_hides_an_image(
    name: str, place: str, enforce: bool, dry_run: bool
) -> None:
    policy = replace(ENFORCED, rules=rules(name), enforce=enforce)
    who = {"username": "jane", "groups": ["system:authenticated"]}
    for image in ("docker.io/evil/miner:1", f"{OWN}/docker.io/evil/miner:1"):
        response, _ = judged(placed(place, image), policy, userInfo=who, dryRun=dry_run)
        assert not response["allowed"]


@pytest.mark.parametrize("field", ["containers", "initContainers", "ephemeralContainers"])
def test_an_update_brings_in_no_image(field: str) -> None:
    policy = replace(ENFORCED, rules=rules("allow"))
    good, evil = f"{OWN}/quay.io/ours/app:1", "docker.io/evil/miner:1"
    before = pod(good, **({} if field == "containers" else {field: [{"name": "x", "image": good}]}))
    after = pod(good, **({} if field == "containers" else {field: [{"name": "x", "image": evil}]}))
    if field == "containers":
        after = pod(evil)
    response, _ = judged(after, policy, operation="UPDATE", oldObject=before)
    assert not response["allowed"]
    # What runs already is not ended by a rule that came later.
    response, _ = judged(after, policy, operation="UPDATE", oldObject=after)
    assert response["allowed"]


@pytest.mark.parametrize(
    ("kind", "obj"),
    [
        (("serving.knative.dev", "Service"), {"spec": {"template": pod("evil/m")}}),
        (("serving.knative.dev", "Revision"), pod("evil/m")),
        (("serving.knative.dev", "Configuration"), {"spec": {"template": pod("evil/m")}}),
        (
            ("serving.knative.dev", "Service"),
            {"spec": {"template": pod("quay.io/ours/a", initContainers=[{"image": "evil/m"}])}},
        ),
        (
            ("serving.knative.dev", "Service"),
            {"spec": {"template": pod(volumes=[{"name": "m", "image": {"reference": "evil/m"}}])}},
        ),
        (
            ("argoproj.io", "Workflow"),
            {"spec": {"templates": [{"name": "a", "script": {"image": "evil/m"}}]}},
        ),
        (
            ("argoproj.io", "Workflow"),
            {"spec": {"templates": [{"name": "a", "sidecars": [{"image": "evil/m"}]}]}},
        ),
        (
            ("argoproj.io", "WorkflowTemplate"),
            {"spec": {"templates": [{"containerSet": {"containers": [{"image": "evil/m"}]}}]}},
        ),
        (
            ("argoproj.io", "ClusterWorkflowTemplate"),
            {
                "spec": {
                    "templates": [{"steps": [[{"inline": {"container": {"image": "evil/m"}}}]]}]
                }
            },
        ),
        (
            ("argoproj.io", "CronWorkflow"),
            {"spec": {"workflowSpec": {"templates": [{"container": {"image": "evil/m"}}]}}},
        ),
    ],
)
def test_what_becomes_pods_is_refused_too(kind: tuple[str, str], obj: dict[str, Any]) -> None:
    group, name = kind
    for rule in ("allow", "deny"):
        response, _ = judged(
            {"metadata": {}, **obj},
            replace(ENFORCED, rules=rules(rule)),
            kind={"group": group, "version": "v1", "kind": name},
        )
        assert not response["allowed"]


def test_a_rule_of_one_namespace_is_no_rule_of_another() -> None:
    policy = replace(ENFORCED, rules=rules("allow"))
    only = (replace(policy.rules[0], namespaces=("team-b",)), *policy.rules[1:])
    assert not judged(pod("quay.io/ours/app"), replace(policy, rules=only))[0]["allowed"]


@pytest.mark.parametrize(
    ("presence", "when_absent"),
    [
        (Presence.NEVER, WhenAbsent.REWRITE),
        (Presence.COPYING, WhenAbsent.KEEP),
        (Presence.FAILED, WhenAbsent.KEEP),
        (Presence.UNKNOWN, WhenAbsent.KEEP),
    ],
)
def test_a_mirror_that_no_rule_names_does_not_stay(
    presence: Presence, when_absent: WhenAbsent
) -> None:
    policy = replace(ENFORCED, rules=rules("allow"), when_absent=when_absent)
    mirror = FixedMirror(presence)
    for image, allowed in (("quay.m.daocloud.io/ours/app", False), ("quay.io/ours/app", True)):
        body = review_of(pod(image), namespace="team-a")
        given = review(body, policy, mirror)["response"]["allowed"]
        assert given is (allowed and presence is not Presence.UNKNOWN)


@pytest.mark.parametrize("image", ["quay.m.daocloud.io/ours/app", "m.daocloud.io/quay.io/ours/app"])
def test_nor_does_one_that_is_said_to_be_on_the_node_already(image: str) -> None:
    policy = replace(ENFORCED, rules=rules("allow"))
    for name, allowed in ((image, False), ("quay.io/ours/app", True)):
        never = pod(name)
        never["spec"]["containers"][0]["imagePullPolicy"] = "Never"
        assert judged(never, policy)[0]["allowed"] is allowed


@pytest.mark.parametrize("image", ["nginx", "docker.m.daocloud.io/nginx", "x.io/docker.io/nginx"])
def test_an_official_image_is_denied_by_its_short_name(image: str) -> None:
    deny = (Rule(action=Action.DENY, registries=("docker.io/nginx",)),)
    assert not judged(pod(image), replace(ENFORCED, rules=deny))[0]["allowed"]
    assert judged(pod("docker.io/library/nginx-lb"), replace(ENFORCED, rules=deny))[0]["allowed"]


def test_a_name_too_long_for_a_copy_that_tells_it_is_refused_at_once() -> None:
    image = f"quay.io/ours/{'a' * 200}"
    policy = replace(ENFORCED, rules=rules("allow"))
    response, _ = judged(pod(image), policy)
    assert not response["allowed"]
    assert "whose name was too long to tell its source" in response["status"]["message"]
    assert judged(pod(image), replace(policy, rules=()))[0]["allowed"]
    assert patched(judged(pod(image), replace(policy, enforce=False))[0])


def test_a_copy_of_an_unknown_source_is_a_warning_where_nothing_is_enforced() -> None:
    policy = replace(ENFORCED, rules=rules("deny"), enforce=False)
    response, asked = judged(pod(f"{OWN}/hashed/x"), policy)
    assert response["allowed"]
    assert f"{OWN}/hashed/x is a copy whose name was too long" in response["warnings"][0]
    assert asked == []
