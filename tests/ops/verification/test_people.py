"""Users, what lies between them, and the way in: of a platform that is right, and broken."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from ops.findings import Finding, Level
from ops.verification.checks.people import CHECKS
from settings.sections import User
from tests.ops.verification.played import (
    Live,
    PlayedCluster,
    binding,
    live_of,
    live_with,
    owner_policy,
    platform,
    user_subject,
    wrong,
)

CN = "cn-north-1"
BY_NAME = {check.name: check for check in CHECKS}
Change = Callable[[Live], object]
ANN = User.model_validate(
    {
        "email": "ann@example.org",
        "namespace": "team-a",
        "quota": {"gpus": 2, "memoryGib": 1024},
    }
)
BEA = User(email="bea@example.org", namespace="team-b", contributors=["ann@example.org"])
CARL = User(email="carl@example.org", namespace="team-c")


@cache
def team() -> Live:
    """Three users, of whom the first may work with the second; not to be changed."""
    return live_with(CN, ANN, BEA, CARL)


def examined(name: str, live: Live, cluster: PlayedCluster | None = None) -> list[Finding]:
    return list(BY_NAME[name].examine(platform(live, cluster)))


@pytest.mark.parametrize("live", [live_of, team], ids=["one user", "a team"])
@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        pytest.param(
            "users",
            "have what the stack file says",
            marks=pytest.mark.check("users", broken=False),
        ),
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
        pytest.param(
            "gateway",
            "has ready pods, inside the cluster alone (ClusterIP)",
            marks=pytest.mark.check("gateway", broken=False),
        ),
        pytest.param(
            "login-services",
            "has 2 ready pods and all of its configuration",
            marks=pytest.mark.check("login-services", broken=False),
        ),
        pytest.param(
            "mesh",
            "have a sidecar; istio-system/global-deny-all denies the rest",
            marks=pytest.mark.check("mesh", broken=False),
        ),
        pytest.param(
            "network-policies",
            "of the platform; the VPC CNI keeps them",
            marks=pytest.mark.check("network-policies", broken=False),
        ),
    ],
)
def test_a_right_platform_is_good_and_the_sentence_has_numbers(
    live: Callable[..., Live], name: str, sentence: str
) -> None:
    made = live(CN) if live is live_of else live()
    findings = examined(name, made)
    assert wrong(findings) == []
    assert sentence in findings[0].sentence


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


# -- broken ----------------------------------------------------------------------------------------


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


def gateway_down(live: Live) -> None:
    live.get("EndpointSlice", "istio-system/istio-ingressgateway-abcde")["endpoints"] = []


def no_address(live: Live) -> None:
    live.get("Service", "istio-system/istio-ingressgateway")["spec"]["type"] = "LoadBalancer"


def no_login_secret(live: Live) -> None:
    live.delete("Secret", "auth/dex-oidc-client")


def dex_down(live: Live) -> None:
    live.get("Deployment", "auth/dex")["status"]["readyReplicas"] = 0


def no_dex(live: Live) -> None:
    live.delete("Deployment", "auth/dex")


def no_denial(live: Live) -> None:
    live.delete("AuthorizationPolicy", "istio-system/global-deny-all")


def no_login_at_the_gateway(live: Live) -> None:
    live.delete("AuthorizationPolicy", "istio-system/istio-ingressgateway-oauth2-proxy")


def no_sidecar(live: Live) -> None:
    spec: dict[str, Any] = live.get("Pod", "kubeflow/ml-pipeline-0")["spec"]
    spec["containers"] = [each for each in spec["containers"] if each["name"] != "istio-proxy"]


def plain_text(live: Live) -> None:
    live.put(
        {
            "apiVersion": "security.istio.io/v1beta1",
            "kind": "PeerAuthentication",
            "metadata": {"name": "off", "namespace": "istio-system"},
            "spec": {"mtls": {"mode": "DISABLE"}},
        }
    )


def policies_not_kept(live: Live) -> None:
    containers = live.get("DaemonSet", "kube-system/aws-node")["spec"]["template"]["spec"][
        "containers"
    ]
    containers[0]["args"] = ["--enable-network-policy=false"]


A = "ann@example.org (team-a)"


@pytest.mark.parametrize(
    ("name", "change", "level", "about", "sentence"),
    [
        pytest.param(
            "users",
            no_profile,
            Level.PROBLEM,
            A,
            "has no Profile team-a: run `pulumi up`",
            marks=pytest.mark.check("users", broken=True),
        ),
        (
            "users",
            another_owner,
            Level.PROBLEM,
            A,
            "Profile team-a belongs to former@example.org: a namespace keeps its first owner",
        ),
        (
            "users",
            extra_profile,
            Level.NOTE,
            "Profile by-hand",
            "belongs to dan@example.org, and kubeflow:users has no such namespace",
        ),
        (
            "users",
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
            "users",
            label("pipelines.kubeflow.org/enabled", "false"),
            Level.PROBLEM,
            A,
            "the label pipelines.kubeflow.org/enabled of namespace team-a is false",
        ),
        ("users", being_deleted, Level.PROBLEM, A, "namespace team-a is being deleted"),
        (
            "users",
            another_role,
            Level.PROBLEM,
            A,
            "ServiceAccount team-a/default-editor has the role arn:aws-cn:iam::1:role/x, and its",
        ),
        ("users", no_role, Level.PROBLEM, A, "Profile team-a names no IAM role for S3"),
        (
            "users",
            smaller_quota,
            Level.PROBLEM,
            A,
            "its quota of requests.nvidia.com/gpu is 1, and kubeflow:users says 2",
        ),
        (
            "users",
            no_contributor,
            Level.PROBLEM,
            "bea@example.org (team-b)",
            (
                "its contributor ann@example.org has no RoleBinding "
                "team-b/user-ann-example-org-clusterrole"
            ),
        ),
        (
            "users",
            let_in_by_hand,
            Level.NOTE,
            A,
            "carl@example.org was let in by the dashboard (role view)",
        ),
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
        pytest.param(
            "gateway",
            gateway_down,
            Level.PROBLEM,
            "Service istio-system/istio-ingressgateway",
            "has no ready pod, so that nobody reaches the dashboard",
            marks=pytest.mark.check("gateway", broken=True),
        ),
        (
            "gateway",
            no_address,
            Level.PROBLEM,
            "Service istio-system/istio-ingressgateway",
            "asks for a load balancer and has no address",
        ),
        pytest.param(
            "login-services",
            no_login_secret,
            Level.PROBLEM,
            "Deployment auth/dex",
            "names Secret auth/dex-oidc-client, which does not exist, so that its next pod does "
            "not",
            marks=pytest.mark.check("login-services", broken=True),
        ),
        (
            "login-services",
            dex_down,
            Level.PROBLEM,
            "Deployment auth/dex",
            "has no ready pod, so that nobody can log in",
        ),
        (
            "login-services",
            no_dex,
            Level.PROBLEM,
            "login",
            "it takes Dex and its client, and there is oauth2-proxy/oauth2-proxy",
        ),
        pytest.param(
            "mesh",
            no_sidecar,
            Level.PROBLEM,
            "kubeflow/ml-pipeline-0",
            "1 pods run without the sidecar istio-proxy, so that no AuthorizationPolicy judges",
            marks=pytest.mark.check("mesh", broken=True),
        ),
        ("mesh", no_denial, Level.PROBLEM, "mesh", "denies what no other one allows"),
        (
            "mesh",
            no_login_at_the_gateway,
            Level.PROBLEM,
            "mesh",
            "so that the gateway lets everybody in without a login",
        ),
        (
            "mesh",
            plain_text,
            Level.PROBLEM,
            "PeerAuthentication istio-system/off",
            "turns mutual TLS off",
        ),
        pytest.param(
            "network-policies",
            policies_not_kept,
            Level.PROBLEM,
            "NetworkPolicies",
            "aws-eks-nodeagent runs without --enable-network-policy=true",
            marks=pytest.mark.check("network-policies", broken=True),
        ),
    ],
)
def test_a_broken_platform_gets_the_true_reason(
    name: str, change: Change, level: Level, about: str, sentence: str
) -> None:
    live = team().changed()
    change(live)
    found = [
        each
        for each in examined(name, live)
        if each.level is not Level.GOOD and each.about == about
    ]
    assert any(sentence in each.sentence for each in found), found
    assert {each.level for each in found} == {level}


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
    from ops.verification.checks.people import Tenant, _pairs  # pyright: ignore[reportPrivateUsage]

    tenants = [Tenant(f"team-{at}", f"u{at}@example.org", frozenset()) for at in range(20)]
    pairs = _pairs(tenants)
    assert len(pairs) == 20
    assert {of.namespace for of, _ in pairs} == {about.namespace for _, about in pairs}
    assert len(_pairs(tenants[:3])) == 6
    assert _pairs(tenants[:1]) == []


def test_a_platform_without_users_is_good() -> None:
    (found,) = examined("users", live_with(CN))
    assert found.level is Level.GOOD


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


def other_software(live: Live) -> None:
    plain_text(live)
    policy = live.get("PeerAuthentication", "istio-system/off")
    live.delete("PeerAuthentication", "istio-system/off")
    policy["metadata"]["namespace"] = "monitoring"
    live.put(policy)


def test_a_peer_authentication_of_other_software_is_left_alone() -> None:
    live = team().changed()
    other_software(live)
    assert wrong(examined("mesh", live)) == []


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


def test_a_login_policy_that_selects_nothing_is_none() -> None:
    live = team().changed()
    policy = live.get("AuthorizationPolicy", "istio-system/istio-ingressgateway-oauth2-proxy")
    policy["spec"]["selector"] = {"matchLabels": {"app": "another"}}
    ((_, said),) = wrong(examined("mesh", live))
    assert "lets everybody in without a login" in said


def test_a_policy_of_the_platform_that_admits_everybody_is_a_problem() -> None:
    live = team().changed()
    policy = owner_policy(ANN)
    policy["metadata"] = {"name": "open", "namespace": "kubeflow"}
    policy["spec"] = {"rules": [{}]}
    live.put(policy)
    ((about, said),) = wrong(examined("mesh", live))
    assert about == "AuthorizationPolicy kubeflow/open"
    assert "reach every pod of kubeflow" in said
