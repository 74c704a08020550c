"""The way in, and the policies of mesh and network: of a platform that is right, and broken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ops.findings import Level
from tests.ops.verification.played.live import Change, Live
from tests.ops.verification.played.platforms import CN, examined, live_of, wrong
from tests.ops.verification.played.profiles import owner_policy
from tests.ops.verification.team import ANN, assert_broken, team


@pytest.mark.parametrize("live", [lambda: live_of(CN), team], ids=["one user", "a team"])
@pytest.mark.parametrize(
    ("name", "sentence"),
    [
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
            "of the platform; the VPC CNI enforces them",
            marks=pytest.mark.check("network-policies", broken=False),
        ),
    ],
)
def test_a_right_platform_is_good_and_the_sentence_has_numbers(
    live: Callable[[], Live], name: str, sentence: str
) -> None:
    findings = examined(name, live())
    assert wrong(findings) == []
    assert sentence in findings[0].sentence


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


def policies_not_enforced(live: Live) -> None:
    containers = live.get("DaemonSet", "kube-system/aws-node")["spec"]["template"]["spec"][
        "containers"
    ]
    containers[0]["args"] = ["--enable-network-policy=false"]


@pytest.mark.parametrize(
    ("name", "change", "level", "about", "sentence"),
    [
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
            policies_not_enforced,
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
    assert_broken(name, change, level, about, sentence)


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
