"""Users and their profiles: of a platform that is right, and broken."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest

from ops.findings import Level
from tests.ops.verification.played.live import Change, Live, binding, user_subject
from tests.ops.verification.played.platforms import CN, examined, live_of, live_with, wrong
from tests.ops.verification.team import assert_broken, team

A = "ann@example.org (team-a)"


@pytest.mark.parametrize(
    "live",
    [
        pytest.param(lambda: live_of(CN), marks=pytest.mark.check("users", broken=False)),
        team,
    ],
    ids=["one user", "a team"],
)
def test_a_right_platform_is_good_and_the_sentence_has_numbers(live: Callable[[], Live]) -> None:
    findings = examined("users", live())
    assert wrong(findings) == []
    assert "have what the stack file says" in findings[0].sentence


def no_profile(live: Live) -> None:
    live.delete("Profile", "team-a")


def another_owner(live: Live) -> None:
    live.get("Profile", "team-a")["spec"]["owner"]["name"] = "former@example.org"


def extra_profile(live: Live) -> None:
    live.put(
        {
            "apiVersion": "kubeflow.org/v1",
            "kind": "Profile",
            "metadata": {"name": "by-hand"},
            "spec": {"owner": {"kind": "User", "name": "dan@example.org"}},
        }
    )


def label(key: str, value: str | None) -> Change:
    def change(live: Live) -> None:
        labels = live.get("Namespace", "team-a")["metadata"]["labels"]
        labels.pop(key)
        if value is not None:
            labels[key] = value

    return change


def being_deleted(live: Live) -> None:
    live.get("Namespace", "team-a")["status"]["phase"] = "Terminating"


def another_role(live: Live) -> None:
    account = live.get("ServiceAccount", "team-a/default-editor")
    account["metadata"]["annotations"] = {"eks.amazonaws.com/role-arn": "arn:aws-cn:iam::1:role/x"}


def no_role(live: Live) -> None:
    live.get("Profile", "team-a")["spec"]["plugins"] = []


def smaller_quota(live: Live) -> None:
    live.get("ResourceQuota", "team-a/profile-quota")["spec"]["hard"]["requests.nvidia.com/gpu"] = (
        "1"
    )


def no_contributor(live: Live) -> None:
    live.delete("RoleBinding", "team-b/user-ann-example-org-clusterrole-edit")


def let_in_by_hand(live: Live) -> None:
    live.put(
        binding(
            "RoleBinding",
            "team-a/user-carl-example-org-clusterrole-view",
            "kubeflow-view",
            user_subject("carl@example.org"),
            user="carl@example.org",
            role="view",
        )
    )


def account(namespace: str) -> dict[str, str]:
    return {"kind": "ServiceAccount", "name": "default-editor", "namespace": namespace}


@pytest.mark.parametrize(
    ("change", "level", "about", "sentence"),
    [
        pytest.param(
            no_profile,
            Level.PROBLEM,
            A,
            "has no Profile team-a: run `pulumi up`",
            marks=pytest.mark.check("users", broken=True),
        ),
        (
            another_owner,
            Level.PROBLEM,
            A,
            "Profile team-a belongs to former@example.org: a namespace keeps its first owner",
        ),
        (
            extra_profile,
            Level.NOTE,
            "Profile by-hand",
            "belongs to dan@example.org, and kubeflow:users has no such namespace",
        ),
        (
            label("istio-injection", None),
            Level.PROBLEM,
            A,
            (
                "the label istio-injection of namespace team-a is missing: `kubectl label "
                "namespace "
                "team-a "
                "istio-injection=enabled --overwrite`"
            ),
        ),
        (
            label("pipelines.kubeflow.org/enabled", "false"),
            Level.PROBLEM,
            A,
            "the label pipelines.kubeflow.org/enabled of namespace team-a is false",
        ),
        (being_deleted, Level.PROBLEM, A, "namespace team-a is being deleted"),
        (
            another_role,
            Level.PROBLEM,
            A,
            "ServiceAccount team-a/default-editor has the role arn:aws-cn:iam::1:role/x, and its",
        ),
        (no_role, Level.PROBLEM, A, "Profile team-a names no IAM role for S3"),
        (
            smaller_quota,
            Level.PROBLEM,
            A,
            "its quota of requests.nvidia.com/gpu is 1, and kubeflow:users says 2",
        ),
        (
            no_contributor,
            Level.PROBLEM,
            "bea@example.org (team-b)",
            (
                "its contributor ann@example.org has no RoleBinding "
                "team-b/user-ann-example-org-clusterrole"
            ),
        ),
        (
            let_in_by_hand,
            Level.NOTE,
            A,
            "carl@example.org was let in by the dashboard (role view)",
        ),
    ],
)
def test_a_broken_platform_gets_the_true_reason(
    change: Change, level: Level, about: str, sentence: str
) -> None:
    assert_broken("users", change, level, about, sentence)


def failed_before(*kinds: str) -> Change:
    states = [{"type": kind, "message": "no role"} for kind in kinds]
    return lambda live: live.get("Profile", "team-a").update(status={"conditions": states})


@pytest.mark.parametrize(
    ("kinds", "sentences"),
    [
        (("Failed", "Successful"), []),
        (("Successful", "Failed", "Failed"), ["its profile failed: no role"]),
    ],
)
def test_the_last_state_of_a_profile_counts(kinds: tuple[str, ...], sentences: list[str]) -> None:
    live = team().changed()
    failed_before(*kinds)(live)
    assert [said for _, said in wrong(examined("users", live))] == sentences


def test_labels_of_a_former_configuration_are_not_asked_for() -> None:
    live = team().changed()
    (name,) = [name for kind, name in live.objects if kind == "ConfigMap" and "labels-data" in name]
    former = copy.deepcopy(live.get("ConfigMap", name))
    former["metadata"]["name"] = "namespace-labels-data-aaaaaaaaaa"
    former["data"] = {"namespace-labels.yaml": "former: enabled"}
    live.put(former)
    assert wrong(examined("users", live)) == []


def test_a_stack_without_users_is_good_and_says_so() -> None:
    (found,) = examined("users", live_with(CN))
    assert (found.level, found.sentence) == (
        Level.GOOD,
        "kubeflow:users is empty: there are none to check",
    )
