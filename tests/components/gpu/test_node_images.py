"""Images of machines are asked for in the stack's region before anything changes."""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from program import aws_provider, check_node_images
from rehearsal.clouds import SimulatedCloud
from settings import from_mapping
from settings.node_images import parameter_of
from settings.sections import Settings
from settings.support_ends import KUBERNETES
from tests.harness import REGIONS, run

TOKEN = "aws:ssm/getParameter:getParameter"


def settings(region: str, alias: str, version: str, pool: dict[str, Any] | None = None) -> Settings:
    return from_mapping(
        {
            "region": region,
            "cluster": {"version": version},
            "gpuPool": {"amiAlias": alias},
            "nodePools": {"more": pool} if pool else {},
        }
    )


def refused(given: Settings) -> str:
    def check() -> None:
        check_node_images(given, aws_provider(given, {}))

    try:
        run(check, given.region)
    except pulumi.RunError as refusal:
        return str(refusal)
    return ""


@pytest.mark.parametrize("region", REGIONS)
def test_an_alias_that_is_older_than_a_version_of_kubernetes_is_refused_with_it(
    region: str,
) -> None:
    alias = "al2023@v20260423"
    assert refused(settings(region, alias, "1.35")) == ""
    sentence = refused(settings(region, alias, "1.36"))
    assert sentence.startswith(f"kubeflow:gpuPool.amiAlias is {alias}: {region} has no such image")
    assert refused(settings(region, "al2023@v20260714", "1.36")) == ""


def test_a_further_pool_is_looked_up_by_its_own_kind_and_alias() -> None:
    steps = {"maxCpus": 64, "amiAlias": "bottlerocket@v1.60.0"}
    assert "nodePools.more.amiAlias" in refused(
        settings("cn-north-1", "al2023@v20260714", "1.36", steps)
    )
    assert refused(settings("cn-north-1", "al2023@v20260714", "1.35", steps)) == ""


def test_a_look_up_that_aws_refuses_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(**_: Any) -> Any:
        raise Exception("AccessDeniedException: ssm:GetParameter")

    warnings: list[str] = []
    monkeypatch.setattr(aws.ssm, "get_parameter", fails)
    monkeypatch.setattr(pulumi.log, "warn", warnings.append)
    check_node_images(settings("cn-north-1", "al2023@v20260714", "1.36"), None)  # pyright: ignore[reportArgumentType]
    assert warnings == [
        "kubeflow:gpuPool.amiAlias was not checked: AccessDeniedException: ssm:GetParameter"
    ]


@pytest.mark.parametrize(
    ("alias", "kubernetes", "gpus"),
    [
        ("al2023@v20260609", "1.35", True),  # no release of that day
        ("al2023@v20260529", "1.36", True),
        ("al2023@v20240917", "1.30", True),  # before there were any with drivers
        ("al2023@v20260714", "1.37", False),
        ("bottlerocket@v1.52.0", "1.35", True),
        ("bottlerocket@v1.61.0", "1.37", False),
    ],
)
def test_what_was_never_published_is_absent(alias: str, kubernetes: str, gpus: bool) -> None:
    name = parameter_of(alias, kubernetes, gpus=gpus)
    with pytest.raises(LookupError, match=r"reading SSM Parameter \(.*\): couldn't find resource"):
        SimulatedCloud("cn-north-1").invoke(TOKEN, {"name": name})


@pytest.mark.parametrize("kubernetes", KUBERNETES)
@pytest.mark.parametrize("alias", ["al2023@v20260714", "al2023@v20261101", "bottlerocket@v1.61.0"])
def test_what_was_published_has_an_image(alias: str, kubernetes: str) -> None:
    for gpus in (True, False):
        name = parameter_of(alias, kubernetes, gpus=gpus)
        answer = SimulatedCloud("cn-north-1").invoke(TOKEN, {"name": name})
        assert answer["value"].startswith("ami-")
        assert answer["arn"] == f"arn:aws-cn:ssm:cn-north-1::parameter{name}"


def test_an_image_of_another_kind_is_no_parameter() -> None:
    for name in ("/aws/service/eks/optimized-ami/1.36/amazon-linux-2/image_id", "own"):
        with pytest.raises(LookupError):
            SimulatedCloud("cn-north-1").invoke(TOKEN, {"name": name})
