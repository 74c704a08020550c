"""Where ECR has pull-through caches, they are the whole mirror: no build, no copier, no copies."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from components.registry.pull_through_cache import node_pull_policy
from images.reference import parse
from regions.region import Feature, Region, known_regions
from regions.upstream_registries import LONGEST_RULE_PREFIX, OPEN, WITH_LOGIN
from rehearsal.clouds import ACCOUNT
from settings import from_mapping
from settings.context import StackContext
from settings.image_mirror import ImageMirrorSettings
from settings.mirror_mode import MirrorMode
from tests.components.mirror.simulated_image_mirror import CACHED, NODES, stack
from tests.harness import REGIONS, Recorded, Registered
from webhook.service import Environment

RULE = "aws:ecr/pullThroughCacheRule:PullThroughCacheRule"
TEMPLATE = "aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate"
LAMBDA = "aws:lambda/function:Function"
ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
LOGINS = (("docker.io", "ecr-pullthroughcache/docker-hub"), ("ghcr.io", "ecr-pullthroughcache/gh"))
TRANSPORTS = ("api-gateway", "in-cluster")
COPYING = (
    *("aws:codebuild/project:Project", "aws:dynamodb/table:Table"),
    "pulumi-python:dynamic:ImageRepositories",
    *("aws:iam/user:User", "aws:iam/accessKey:AccessKey", "aws:secretsmanager/secret:Secret"),
    "pulumi-python:dynamic:MirroredImages",
)
# botocore ecr PullThroughCacheRuleRepositoryPrefix.
RULE_PREFIX = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*")

every_cached = pytest.mark.parametrize("region", CACHED)
every_transport = pytest.mark.parametrize("transport", TRANSPORTS)


def with_logins(region: str, transport: str = "api-gateway") -> Recorded:
    return stack(region, None, transport, LOGINS)


def rules(recorded: Recorded) -> dict[str, Registered]:
    """Upstream host -> its rule."""
    return {rule.inputs["upstreamRegistryUrl"]: rule for rule in recorded.of(RULE)}


def settings_of(region: str, **mirror: Any) -> Any:
    return from_mapping({"region": region, "imageMirror": mirror})


# -- where ----------------------------------------------------------------------------------------


def test_caches_are_used_in_the_commercial_partition_and_nowhere_else() -> None:
    with_caches = {
        name
        for name in known_regions()
        if MirrorMode(ImageMirrorSettings(enabled=True), Region.of(name)).cached is not None
    }
    assert with_caches == {n for n in known_regions() if Region.of(n).partition == "aws"}
    assert with_caches & set(REGIONS) == set(CACHED)


@pytest.mark.parametrize("region", REGIONS)
def test_a_stack_that_mirrors_nothing_has_no_cache(region: str) -> None:
    if Region.of(region).has(Feature.INTERNET_REGISTRIES):
        assert MirrorMode(settings_of(region).image_mirror, Region.of(region)).cached is None


# -- rules ----------------------------------------------------------------------------------------


@every_cached
def test_registries_that_take_no_login_always_have_a_rule(region: str) -> None:
    assert set(rules(stack(region, None))) == {"public.ecr.aws", "quay.io", "registry.k8s.io"}
    assert all("credentialArn" not in rule.inputs for rule in stack(region, None).of(RULE))


@every_cached
def test_a_registry_with_a_secret_has_a_rule_that_reads_it(region: str) -> None:
    by_upstream = rules(with_logins(region))
    assert set(by_upstream) == {*OPEN, "registry-1.docker.io", "ghcr.io"}
    secret = Region.of(region).arn(
        "secretsmanager", "secret:ecr-pullthroughcache/docker-hub", account=ACCOUNT
    )
    assert by_upstream["registry-1.docker.io"].inputs["credentialArn"].startswith(secret)
    assert "credentialArn" not in by_upstream["quay.io"].inputs


@every_cached
@pytest.mark.parametrize("image", ["quay.io/a/b:1", "python:3.9", "registry.k8s.io/pause:3.10"])
def test_a_rule_pulls_through_exactly_what_an_image_is_rewritten_to(
    region: str, image: str
) -> None:
    recorded, source = with_logins(region), parse(image)
    host = Region.of(region).ecr_registry(ACCOUNT)
    path = source.mirrored(recorded.exports["registry"]).removeprefix(f"{host}/")
    (rule,) = [
        r for r in recorded.of(RULE) if path.startswith(f"{r.inputs['ecrRepositoryPrefix']}/")
    ]
    upstream = path.removeprefix(f"{rule.inputs['ecrRepositoryPrefix']}/")
    assert upstream == str(source).removeprefix(f"{source.registry}/")
    assert rule.inputs["upstreamRegistryUrl"].endswith(source.registry)


@every_cached
def test_prefixes_are_as_ecr_takes_them(region: str) -> None:
    for rule in with_logins(region).of(RULE):
        prefix = rule.inputs["ecrRepositoryPrefix"]
        assert RULE_PREFIX.fullmatch(prefix)
        assert len(prefix) <= LONGEST_RULE_PREFIX


@every_cached
def test_the_repositories_that_ecr_makes_are_like_those_of_copies(region: str) -> None:
    recorded = with_logins(region)
    for rule in recorded.of(RULE):
        template = recorded.only(TEMPLATE, rule.name)
        assert template.inputs["prefix"] == rule.inputs["ecrRepositoryPrefix"]
        assert template.inputs["appliedFors"] == ["PULL_THROUGH_CACHE"]
        assert template.inputs["encryptionConfigurations"] == [{"encryptionType": "AES256"}]
        assert template.inputs["imageTagMutability"] == "MUTABLE"
        assert template.inputs["resourceTags"]["project"] == "kubeflow"
        assert json.loads(template.inputs["lifecyclePolicy"])["rules"][0]["action"]
        assert (TEMPLATE, rule.name) in recorded.dependencies_of(rule)


@every_cached
def test_ecr_makes_and_tags_repositories_below_the_prefix_only(region: str) -> None:
    recorded = with_logins(region)
    role = recorded.only("aws:iam/role:Role", "image-mirror-cache-role")
    assert "ecr.amazonaws.com" in role.inputs["assumeRolePolicy"]
    (statement,) = json.loads(recorded.only(ROLE_POLICY, role.name).inputs["policy"])["Statement"]
    assert statement["Resource"] == Region.of(region).arn(
        "ecr", "repository/kubeflow/*", account=ACCOUNT
    )
    arns = {template.inputs["customRoleArn"] for template in recorded.of(TEMPLATE)}
    assert arns == {role.outputs["arn"]}


# -- nothing else ---------------------------------------------------------------------------------


@every_cached
@every_transport
def test_nothing_copies(region: str, transport: str) -> None:
    recorded = with_logins(region, transport)
    assert [kind for kind in COPYING if not recorded.none(kind)] == []
    functions = [r.name.rpartition("-")[2] for r in recorded.of(LAMBDA)]
    assert functions == (["events", "admission"] if transport == "api-gateway" else [])
    # The simulation's own provider; none of another region.
    assert {r.provider_name for r in recorded.all if r.package == "aws"} == {"aws"}


@every_cached
@every_transport
def test_the_handler_knows_the_caches_and_asks_aws_for_nothing(region: str, transport: str) -> None:
    recorded = with_logins(region, transport)
    variables = variables_of(recorded, transport)
    assert "" not in variables.values()
    assert {"MIRROR_TABLE", "MIRROR_COPIER"}.isdisjoint(variables)
    read = Environment.read(variables)
    assert read.registry == recorded.exports["registry"]
    assert read.cached == (*OPEN, *WITH_LOGIN)
    for policy in recorded.of(ROLE_POLICY):
        if "cache" not in policy.name:
            assert "ecr:" not in policy.inputs["policy"]
            assert "dynamodb:" not in policy.inputs["policy"]
            admits = policy.name.endswith("-admission-role")
            assert ("lambda:InvokeFunction" in policy.inputs["policy"]) == admits


def variables_of(recorded: Recorded, transport: str) -> dict[str, str]:
    if transport == "api-gateway":
        (admission,) = [r for r in recorded.of(LAMBDA) if r.name.endswith("-admission")]
        return admission.inputs["environment"]["variables"]
    (container,) = recorded.only("kubernetes:apps/v1:Deployment").inputs["spec"]["template"][
        "spec"
    ]["containers"]
    return {each["name"]: each["value"] for each in container["env"]}


@every_cached
def test_the_handlers_own_pods_wait_for_the_rules(region: str) -> None:
    recorded = with_logins(region, "in-cluster")
    waiting = recorded.dependencies_of(recorded.only("kubernetes:core/v1:Namespace"))
    assert {(RULE, rule.name) for rule in recorded.of(RULE)} | {NODES} <= waiting


# -- the nodes ------------------------------------------------------------------------------------


def policy_of(region: str, **mirror: Any) -> dict[str, Any] | None:
    """What nodes of such a stack may do besides."""
    policy = node_pull_policy(StackContext.of(settings_of(region, **mirror), ACCOUNT, {}))
    return None if policy is None else json.loads(policy)


@pytest.mark.parametrize("region", REGIONS)
def test_nodes_may_make_ecr_pull_only_where_it_does(region: str) -> None:
    policy = policy_of(region, enabled=True, repositoryPrefix="own")
    if region not in CACHED:
        assert policy is None
        return
    assert policy is not None
    (statement,) = policy["Statement"]
    assert statement["Action"] == [
        "ecr:BatchImportUpstreamImage",
        "ecr:CreateRepository",
        "ecr:TagResource",
    ]
    assert statement["Resource"] == Region.of(region).arn(
        "ecr", "repository/own/*", account=ACCOUNT
    )


@every_cached
def test_nodes_may_no_more_than_before_without_a_mirror(region: str) -> None:
    assert policy_of(region) is None


# -- what the settings accept; what they refuse: tests/settings/wrong_stack_files.yaml ------------


@pytest.mark.parametrize("region", REGIONS)
def test_settings_that_matter_to_a_cache_are_free_where_there_is_none(region: str) -> None:
    assert settings_of(region, enabled=True, repositoryPrefix="fourteen-chars")
    if region in CACHED:
        assert settings_of(region, buildRegion="us-east-1")  # nothing is mirrored at all
    else:
        assert settings_of(region, enabled=True, repositoryPrefix="fifteen-letters")


@every_cached
def test_pods_that_ask_nothing_of_aws_have_no_role(region: str) -> None:
    recorded = with_logins(region, "in-cluster")
    assert [r.name for r in recorded.of("aws:iam/role:Role") if "pods" in r.name] == []
    account = recorded.only("kubernetes:core/v1:ServiceAccount").inputs
    assert not [key for key in account["metadata"]["annotations"] if "role-arn" in key]
