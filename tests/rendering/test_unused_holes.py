"""Why a published hole is `unused`: what it takes is not in what is rendered.

`manifests/<release>/advisories.yaml` says so in words. Each row has its check here, by what a hole
takes, or is about a program's code, which no object shows.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from advisories.table import of_release
from settings import MANIFESTS
from tests.releases import RELEASES
from tests.rendering.beijing import Release, kubeflow

OF_CODE = {"CVE-2026-33186"}
"""What it takes is in the source of Pipelines, or is not."""


def login(release: Release) -> tuple[dict[str, Any], str]:
    """The file of oauth2-proxy, and its arguments and variables as a text."""
    deployment = release.get("Deployment", "oauth2-proxy", "oauth2-proxy")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    (text,) = (
        each["data"]["oauth2_proxy.cfg"]
        for each in release.all("ConfigMap")
        if "oauth2_proxy.cfg" in each.get("data", {})
    )
    given = json.dumps([container["args"], container["env"]]).lower().replace("-", "_")
    return tomllib.loads(text), given


def believes_no_forwarded_path(release: Release) -> None:
    config, given = login(release)
    assert not config.get("reverse_proxy")
    assert "reverse_proxy" not in given
    provider = yaml.safe_load(release.text("istio", "mesh", "istio-system"))["extensionProviders"]
    (asked,) = (each["envoyExtAuthzHttp"] for each in provider)
    assert asked["includeRequestHeadersInCheck"] == ["authorization", "cookie"]


def skips_no_login_but_dexs_own_pages(release: Release) -> None:
    config, given = login(release)
    assert config["skip_auth_routes"] == ["^/dex/"]
    assert "skip_auth_regex" not in config
    assert "skip_auth" not in given
    policy = release.get("AuthorizationPolicy", "istio-ingressgateway-oauth2-proxy", "istio-system")
    (rule,) = policy["spec"]["rules"]
    (to,) = rule["to"]
    assert "/dex/*" in to["operation"]["notPaths"]


def answers_no_health_check_by_its_name(release: Release) -> None:
    config, given = login(release)
    assert not {"ping_user_agent", "gcp_healthchecks"} & {*config}
    assert "ping_user_agent" not in given
    assert "gcp_healthchecks" not in given


def admits_every_domain(release: Release) -> None:
    assert login(release)[0]["email_domains"] == ["*"]


def restricts_no_workflow(release: Release) -> None:
    config = release.get("ConfigMap", "workflow-controller-configmap")["data"]
    assert "workflowRestrictions" not in json.dumps(config)


def has_no_filter_of_its_own(release: Release) -> None:
    """Of Envoy; nor ambient mode, StatsD or capture of DNS."""
    kinds = {each["kind"] for each in release.rendered.objects}
    assert not kinds & {"EnvoyFilter", "WasmPlugin", "BackendTLSPolicy", "ProxyConfig"}
    mesh = yaml.safe_load(release.text("istio", "mesh", "istio-system"))
    assert mesh["defaultConfig"]["proxyMetadata"] == {}
    assert not {"statsdUdpAddress", "gatewayTopology"} & {*mesh["defaultConfig"]}
    labels = [each["metadata"].get("labels") or {} for each in release.rendered.objects]
    assert {each.get("istio.io/dataplane-mode", "none") for each in labels} == {"none"}


def policies(release: Release) -> str:
    """The rules of all policies as a text."""
    return json.dumps([each["spec"] for each in release.all("AuthorizationPolicy")])


def compares_no_header_by_an_expression(release: Release) -> None:
    """A value is a whole one, or has its * at one end; braces are templates of paths."""
    for spec in json.loads(policies(release)):
        for rule in spec.get("rules") or []:
            for each in rule.get("when") or []:
                values = [*each.get("values", ()), *each.get("notValues", ())]
                assert not [text for text in values if "*" in text[1:-1] or "{" in text]


def names_no_service_account(release: Release) -> None:
    assert "erviceAccounts" not in policies(release)


def compares_methods_to_allow_get_alone(release: Release) -> None:
    for spec in json.loads(policies(release)):
        operations = [
            to["operation"] for rule in spec.get("rules") or [] for to in rule.get("to") or []
        ]
        if methods := [each["methods"] for each in operations if "methods" in each]:
            assert spec.get("action", "ALLOW") == "ALLOW"
            assert {name for each in methods for name in each} == {"GET"}
        assert not [each for each in operations if "notMethods" in each]


def lets_no_profile_write_a_request_authentication(release: Release) -> None:
    for role in release.all("ClusterRole"):
        if not any("aggregate-to-kubeflow" in key for key in role["metadata"].get("labels", {})):
            continue
        for rule in role.get("rules") or []:
            if {"security.istio.io", "*"} & {*rule.get("apiGroups", ())}:
                assert {*rule["verbs"]} <= {"get", "list", "watch"}, role["metadata"]["name"]


def gives_no_client_a_list_of_connectors(release: Release) -> None:
    (config,) = (
        yaml.safe_load(each["data"]["config.yaml"])
        for each in release.all("ConfigMap")
        if each["metadata"]["namespace"] == "auth" and "config.yaml" in each.get("data", {})
    )
    assert config["staticClients"]
    assert "onnectors" not in json.dumps(config["staticClients"])


TAKES: dict[str, tuple[Callable[[Release], None], ...]] = {
    "CVE-2026-76835": (believes_no_forwarded_path, skips_no_login_but_dexs_own_pages),
    "CVE-2026-40575": (believes_no_forwarded_path, skips_no_login_but_dexs_own_pages),
    "CVE-2026-41059": (skips_no_login_but_dexs_own_pages,),
    "CVE-2026-34457": (answers_no_health_check_by_its_name,),
    "CVE-2026-40574": (admits_every_domain,),
    "CVE-2026-54526": (restricts_no_workflow,),
    "CVE-2026-42296": (restricts_no_workflow,),
    "CVE-2026-31892": (restricts_no_workflow,),
    "CVE-2026-26310": (has_no_filter_of_its_own,),
    "CVE-2026-48044": (has_no_filter_of_its_own,),
    "CVE-2026-73513": (has_no_filter_of_its_own,),
    "CVE-2026-73553": (has_no_filter_of_its_own,),
    "GHSA-7p2q-4xvg-vxc6": (has_no_filter_of_its_own,),
    "CVE-2026-73552": (compares_no_header_by_an_expression,),
    "CVE-2026-39350": (names_no_service_account,),
    "CVE-2026-41413": (lets_no_profile_write_a_request_authentication,),
    "GHSA-w44g-8m76-8gc5": (compares_methods_to_allow_get_alone,),
    "GHSA-7qjx-gp9h-65qj": (gives_no_client_a_list_of_connectors,),
}


@pytest.mark.parametrize("name", RELEASES)
def test_what_an_unused_hole_takes_is_not_rendered(name: str) -> None:
    unused = {each.id for each in of_release(MANIFESTS / name).advisories if each.here == "unused"}
    assert unused - OF_CODE <= {*TAKES}
    for each in sorted(unused - OF_CODE):
        for not_there in TAKES[each]:
            not_there(kubeflow(name))


def test_every_check_is_of_an_unused_hole() -> None:
    rows = [row for name in RELEASES for row in of_release(MANIFESTS / name).advisories]
    assert {row.id for row in rows if row.here == "unused"} == {*TAKES, *OF_CODE}
