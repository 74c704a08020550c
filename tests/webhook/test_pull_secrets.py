"""Images of pods with pull secrets: copied where a build can read them, else left as they are."""

from __future__ import annotations

from typing import Any

import pytest

from tests.webhook.reviews import OWN, FixedMirror, patched, pod, review_of
from webhook.admission import Copy, Policy, Presence, review
from webhook.copy_reasons import CopyReason
from webhook.rules import Action, Rule, WhenAbsent

PRIVATE = "harbor.company.cn/team/app:1"
HUB = "docker.io/company/app:1"
SECRETS = [{"name": "registry"}]
SPEC = pod(PRIVATE, imagePullSecrets=SECRETS)["spec"]
POLICY = Policy(
    registry=OWN,
    logins=frozenset({"reg.partner.com"}),
    public=frozenset({"docker.io", "quay.io"}),
)
PRIVATE_CODES = ["not-found", "needs-login", "refused", "unreachable", "private-address"]


def judged(
    image: str,
    mirror: FixedMirror,
    policy: Policy = POLICY,
    *,
    secrets: list[Any] = SECRETS,
    **request: Any,
) -> dict[str, Any]:
    obj = pod(image, imagePullSecrets=secrets)
    return review(review_of(obj, namespace="team", **request), policy, mirror)["response"]


def copied(image: str, presence: Presence, code: str = "") -> FixedMirror:
    mirror = FixedMirror(presence)
    mirror.copy = Copy(presence, "", code)
    return mirror


def test_a_name_that_only_secrets_open_is_not_told_abroad_and_stays() -> None:
    mirror = copied(PRIVATE, Presence.ABSENT)
    answer = judged(PRIVATE, mirror)
    assert (patched(answer), mirror.asked, mirror.started) == ({}, [PRIVATE], [])
    (warning,) = answer["warnings"]
    assert warning == (
        "harbor.company.cn/team/app:1 is not copied, for its pod has pull secrets and no build has "
        "a login to harbor.company.cn (imageMirror.sourceCredentials); the source stays in place"
    )


@pytest.mark.parametrize("secrets", [[], None])
def test_without_pull_secrets_it_is_copied_as_ever(secrets: Any) -> None:
    mirror = copied(PRIVATE, Presence.COPYING)
    assert patched(judged(PRIVATE, mirror, secrets=secrets))
    assert mirror.started == [PRIVATE]


def test_a_copy_that_is_there_is_used_whatever_the_secrets() -> None:
    mirror = copied(PRIVATE, Presence.PRESENT)
    assert patched(judged(PRIVATE, mirror))
    assert mirror.started == []


@pytest.mark.parametrize("image", ["reg.partner.com/a:1", HUB, "quay.io/a/b:1"])
@pytest.mark.parametrize("presence", [Presence.COPYING, Presence.UNKNOWN])
def test_where_builds_have_a_login_or_most_images_are_public_it_is_copied(
    image: str, presence: Presence
) -> None:
    mirror = copied(image, presence)
    assert patched(judged(image, mirror))
    assert mirror.started == [image]


def test_a_rule_that_names_the_registry_has_it_copied() -> None:
    named = Rule(action=Action.MIRROR, registries=("harbor.company.cn/team",))
    mirror = copied(PRIVATE, Presence.COPYING)
    assert patched(judged(PRIVATE, mirror, Policy(registry=OWN, rules=(named,))))
    everything = Policy(registry=OWN, rules=(Rule(action=Action.MIRROR, namespaces=("team",)),))
    assert not patched(judged(PRIVATE, mirror, everything))


@pytest.mark.parametrize("image", ["reg.partner.com/a:1", HUB])
@pytest.mark.parametrize("presence", [Presence.FAILED, Presence.COPYING])
@pytest.mark.parametrize("code", PRIVATE_CODES)
def test_what_a_build_could_not_read_stays_also_while_it_is_tried_again(
    image: str, presence: Presence, code: str
) -> None:
    answer = judged(image, copied(image, presence, code))
    assert patched(answer) == {}
    assert answer["warnings"][0].startswith(f"{image} could not be copied to this account's regis")
    assert answer["warnings"][0].endswith(
        ", and its pod has pull secrets; the source stays in place"
    )


@pytest.mark.parametrize("code", sorted(set(CopyReason) - set(map(CopyReason, PRIVATE_CODES))))
def test_other_failures_pass_by_themselves_and_the_pod_waits(code: str) -> None:
    assert patched(judged(HUB, copied(HUB, Presence.FAILED, code)))


def test_without_secrets_only_what_has_a_private_address_stays() -> None:
    for code in CopyReason:
        kept = not patched(judged(HUB, copied(HUB, Presence.FAILED, code), secrets=[]))
        assert kept == (code is CopyReason.PRIVATE_ADDRESS), code


@pytest.mark.parametrize("image", [PRIVATE, HUB])
def test_under_a_deny_rule_it_is_refused(image: str) -> None:
    denied = Policy(registry=OWN, rules=(Rule(action=Action.DENY),), public=POLICY.public)
    mirror = copied(image, Presence.FAILED, "needs-login")
    answer = judged(image, mirror, denied)
    assert (answer["allowed"], mirror.asked) == (False, [])


@pytest.mark.parametrize("image", [PRIVATE, HUB])
def test_where_only_copies_may_run_it_is_refused(image: str) -> None:
    strict = Policy(registry=OWN, when_absent=WhenAbsent.DENY, public=frozenset({"docker.io"}))
    presence = Presence.ABSENT if image == PRIVATE else Presence.FAILED
    assert judged(image, copied(image, presence, "needs-login"), strict)["allowed"] is False


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("Service", {"template": {"spec": SPEC}}),
        ("Configuration", {"template": {"spec": SPEC}}),
        ("Revision", SPEC),
    ],
)
def test_secrets_of_what_becomes_pods_count_too(kind: str, spec: Any) -> None:
    body = review_of(
        {"metadata": {"name": "x"}, "spec": spec},
        kind={"group": "serving.knative.dev", "kind": kind},
    )
    assert patched(review(body, POLICY, FixedMirror(Presence.ABSENT))["response"]) == {}


@pytest.mark.parametrize("kind", ["Workflow", "WorkflowTemplate", "CronWorkflow"])
def test_secrets_of_a_workflow_count_too(kind: str) -> None:
    spec: Any = {
        "imagePullSecrets": SECRETS,
        "templates": [{"name": "main", "container": {"image": PRIVATE}}],
    }
    if kind == "CronWorkflow":
        spec = {"workflowSpec": spec}
    body = review_of(
        {"metadata": {"name": "x"}, "spec": spec}, kind={"group": "argoproj.io", "kind": kind}
    )
    answer = review(body, POLICY, FixedMirror(Presence.ABSENT))["response"]
    assert (answer["allowed"], patched(answer)) == (True, {})
