"""What lies between users: of a platform that is right, and broken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ops.findings import Level
from ops.verification.checks.isolation import Tenant, pairs
from settings.users import User
from tests.ops.verification.played.api_server import PlayedCluster
from tests.ops.verification.played.live import Change, Live, binding, user_subject
from tests.ops.verification.played.platforms import CN, examined, live_of, wrong
from tests.ops.verification.played.profiles import owner_policy
from tests.ops.verification.team import ANN, assert_broken, team


@pytest.mark.parametrize("live", [lambda: live_of(CN), team], ids=["one user", "a team"])
@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        pytest.param(
            "isolation",
            "profile",
            marks=pytest.mark.check("isolation", broken=False),
        ),
        pytest.param(
            "profile-policies",
            "profiles let in their owner and contributors alone",
            marks=pytest.mark.check("profile-policies", broken=False),
        ),
    ],
)
def test_a_right_platform_is_good_and_the_sentence_has_numbers(
    live: Callable[[], Live], name: str, sentence: str
) -> None:
    findings = examined(name, live())
    assert wrong(findings) == []
    assert sentence in findings[0].sentence


def opened(*subjects: dict[str, str], role: str = "kubeflow-view") -> Change:
    return lambda live: live.put(binding("RoleBinding", "team-a/opened", role, *subjects))


def everywhere(*subjects: dict[str, str]) -> Change:
    return lambda live: live.put(
        binding("ClusterRoleBinding", "everywhere", "kubeflow-view", *subjects)
    )


def account(namespace: str) -> dict[str, str]:
    return {"kind": "ServiceAccount", "name": "default-editor", "namespace": namespace}


def group(name: str) -> dict[str, str]:
    return {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": name}


def in_kubeflow(live: Live) -> None:
    live.put(binding("RoleBinding", "kubeflow/helper", "kubeflow-edit", account("team-b")))


def no_owner_policy(live: Live) -> None:
    live.delete("AuthorizationPolicy", "team-a/ns-owner-access-istio")


def policy_of_another(live: Live) -> None:
    stranger = User(email="mallory@example.org", namespace="team-a")
    policy = owner_policy(stranger)
    policy["metadata"]["name"] = "opened"
    live.put(policy)


def policy_for_all(live: Live) -> None:
    policy = owner_policy(ANN)
    policy["metadata"]["name"] = "opened"
    policy["spec"] = {"action": "ALLOW", "rules": [{}]}
    live.put(policy)


def policy_for_any(live: Live) -> None:
    policy_of_another(live)
    rules = [{"from": [{"source": {"principals": ["*"]}}]}]
    live.get("AuthorizationPolicy", "team-a/opened")["spec"]["rules"] = rules


def no_artifact_policy(kind: str) -> Change:
    return lambda live: live.delete(kind, "team-a/ml-pipeline-ui-artifact")


@pytest.mark.parametrize(
    ("name", "change", "level", "about", "sentence"),
    [
        pytest.param(
            "isolation",
            opened(user_subject("carl@example.org")),
            Level.PROBLEM,
            "RoleBinding team-a/opened",
            "lets carl@example.org into the profile of ann@example.org as ClusterRole "
            "kubeflow-view: "
            "`kubectl -n team-a delete rolebinding opened`",
            marks=pytest.mark.check("isolation", broken=True),
        ),
        (
            "isolation",
            opened(account("team-b")),
            Level.PROBLEM,
            "RoleBinding team-a/opened",
            "lets system:serviceaccount:team-b:default-editor into the profile of ann@example.org",
        ),
        (
            "isolation",
            opened(group("system:authenticated")),
            Level.PROBLEM,
            "RoleBinding team-a/opened",
            "lets system:authenticated into the profile",
        ),
        (
            "isolation",
            opened(group("system:serviceaccounts")),
            Level.PROBLEM,
            "RoleBinding team-a/opened",
            "lets system:serviceaccounts into the profile",
        ),
        (
            "isolation",
            opened(group("system:serviceaccounts:team-c")),
            Level.PROBLEM,
            "RoleBinding team-a/opened",
            "lets system:serviceaccounts:team-c into the profile",
        ),
        (
            "isolation",
            everywhere(user_subject("carl@example.org")),
            Level.PROBLEM,
            "ClusterRoleBinding everywhere",
            "list notebooks",
        ),
        (
            "isolation",
            everywhere(account("team-c")),
            Level.PROBLEM,
            "ClusterRoleBinding everywhere",
            "in every namespace, as ClusterRole kubeflow-view: `kubectl delete clusterrolebinding",
        ),
        (
            "isolation",
            opened(group("company:auditors")),
            Level.NOTE,
            "RoleBinding team-a/opened",
            "lets company:auditors into the profile",
        ),
        (
            "isolation",
            in_kubeflow,
            Level.PROBLEM,
            "RoleBinding kubeflow/helper",
            "in kubeflow, as ClusterRole kubeflow-edit: `kubectl -n kubeflow delete rolebinding",
        ),
        pytest.param(
            "profile-policies",
            policy_of_another,
            Level.PROBLEM,
            "AuthorizationPolicy team-a/opened",
            "lets mallory@example.org in, who is neither owner nor contributor: `kubectl -n team-a "
            "delete authorizationpolicy opened`",
            marks=pytest.mark.check("profile-policies", broken=True),
        ),
        (
            "profile-policies",
            policy_for_any,
            Level.NOTE,
            "AuthorizationPolicy team-a/opened",
            "lets everybody in the mesh reach everything in team-a",
        ),
        (
            "profile-policies",
            policy_for_all,
            Level.NOTE,
            "AuthorizationPolicy team-a/opened",
            "lets everybody in the mesh reach everything in team-a",
        ),
        (
            "profile-policies",
            no_owner_policy,
            Level.PROBLEM,
            "AuthorizationPolicy team-a/ns-owner-access-istio",
            "reaches nothing in team-a",
        ),
        (
            "profile-policies",
            no_artifact_policy("AuthorizationPolicy"),
            Level.PROBLEM,
            "AuthorizationPolicy team-a/ml-pipeline-ui-artifact",
            "reach the artifacts of this profile",
        ),
        (
            "profile-policies",
            no_artifact_policy("NetworkPolicy"),
            Level.PROBLEM,
            "NetworkPolicy team-a/ml-pipeline-ui-artifact",
            "reach the artifacts of this profile",
        ),
    ],
)
def test_a_broken_platform_gets_the_true_reason(
    name: str, change: Change, level: Level, about: str, sentence: str
) -> None:
    assert_broken(name, change, level, about, sentence)


def test_isolation_asks_about_every_pair_of_a_team() -> None:
    cluster = PlayedCluster(team())
    (found,) = examined("isolation", team(), cluster)
    asked = [path for path in cluster.asked if path.endswith("subjectaccessreviews")]
    # Six pairs, of which one owner is a contributor: two or three identities, ten things each.
    assert len(asked) == (6 * 3 - 1) * 10
    assert found.sentence == (
        "3 profiles: the API server refused all 170 questions about 6 pairs of them, and no "
        "binding "
        "names a stranger"
    )
    (alone,) = examined("isolation", live_of(CN))
    assert alone.sentence.startswith("1 profile, so that there is no second one to keep apart")


def test_what_no_binding_shows_is_answered_by_the_api_server() -> None:
    """An authorizer of its own, as EKS has one for access entries."""

    class Generous(PlayedCluster):
        def answer(self, method: str, path: str, query: dict[str, str], body: Any = None) -> Any:
            if path.endswith("subjectaccessreviews"):
                asked = body["spec"]
                allowed = (
                    asked["user"] == "carl@example.org"
                    and asked["resourceAttributes"]["namespace"] == "team-a"
                    and asked["resourceAttributes"]["resource"] in ("secrets", "notebooks")
                )
                return {"status": {"allowed": allowed, "reason": "access entry of carl"}}
            return super().answer(method, path, query, body)

    ((about, sentence),) = wrong(examined("isolation", team(), Generous(team())))
    assert about == "carl@example.org in team-a"
    assert sentence == (
        "the API server lets carl@example.org get secrets, list notebooks and list secrets in "
        "team-a (access entry of carl): delete what it names"
    )


def test_of_many_profiles_each_is_asked_about_once() -> None:
    tenants = [Tenant(f"team-{at}", f"u{at}@example.org", frozenset()) for at in range(20)]
    made = pairs(tenants)
    assert len(made) == 20
    assert {of.namespace for of, _ in made} == {about.namespace for _, about in made}
    assert len(pairs(tenants[:3])) == 6
    assert pairs(tenants[:1]) == []


def test_an_administrator_of_the_cluster_is_a_note_and_asked_about_no_more() -> None:
    live = team().changed()
    subject = user_subject("carl@example.org")
    live.put(binding("ClusterRoleBinding", "admins", "cluster-admin", subject))
    told, right = examined("isolation", live)
    assert (told.level, right.level) == (Level.NOTE, Level.GOOD)
    assert "carl@example.org an administrator of the cluster" in told.sentence
    assert "delete" not in told.sentence


@pytest.mark.parametrize(("resource", "verb"), [("secrets", "get"), ("pods/exec", "create")])
def test_a_right_that_is_as_good_as_a_list_is_noticed(resource: str, verb: str) -> None:
    live = team().changed()
    rule = {"apiGroups": [""], "resources": [resource], "verbs": [verb]}
    role: dict[str, Any] = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole"}
    live.put({**role, "metadata": {"name": "helper"}, "rules": [rule]})
    live.put(binding("ClusterRoleBinding", "helper", "helper", account("team-c")))
    said = [about for about, sentence in wrong(examined("isolation", live)) if verb in sentence]
    assert "ClusterRoleBinding helper" in said
