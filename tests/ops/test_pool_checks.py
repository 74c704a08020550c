"""What an account can launch, asked of moto's EC2; quotas, which moto has none of, are stubbed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from ops.account_calls import CallFailed
from ops.checks import Subject
from ops.findings import Finding, Level
from ops.pool_checks import pool_findings
from regions.region import Region
from settings import from_mapping

REGION = "us-west-2"
G, G_SPOT, P = "L-DB2E81BA", "L-3819A6DF", "L-417A185B"


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with mock_aws():
        yield


class Session:
    """A boto3 session whose Service Quotas answer these values, in this order."""

    def __init__(self, quotas: dict[str, float]) -> None:
        self.boto3 = boto3.Session()
        self.quotas = quotas
        self.asked: list[str] = []

    def client(self, service: str, **more: Any) -> Any:
        client: Any = self.boto3.client(service, **more)
        if service == "service-quotas" and self.quotas:
            code = next(iter(self.quotas))
            self.asked.append(code)
            stubber = Stubber(client)
            stubber.add_response(
                "get_service_quota",
                {"Quota": {"QuotaCode": code, "Value": self.quotas.pop(code)}},
                {"ServiceCode": "ec2", "QuotaCode": code},
            )
            stubber.activate()
        return client


def findings(quotas: dict[str, float] | None = None, **sections: Any) -> list[Finding]:
    settings = from_mapping({"region": REGION, **sections})
    return list(
        pool_findings(Subject(settings, Region.of(REGION)), Session(dict(quotas or {G: 768.0})))
    )


def told(level: Level, found: list[Finding]) -> list[str]:
    return [one.sentence for one in found if one.level is level]


def test_a_pool_is_told_where_its_families_are() -> None:
    first, *_ = findings(gpuPool={"instanceFamilies": ["g4dn", "g6"]})
    assert first.level is Level.GOOD
    assert first.sentence == (
        "the pool gpu has g4dn in us-west-2a, us-west-2b and us-west-2c; "
        "g6 in us-west-2a, us-west-2b, us-west-2c and us-west-2d"
    )


def test_a_pool_of_machines_the_region_does_not_have_is_a_problem_with_the_setting() -> None:
    found = findings(gpuPool={"instanceFamilies": ["p2"]})
    (sentence,) = told(Level.PROBLEM, found)
    assert sentence == (
        "us-west-2 has no machine for the pool gpu, which asks for p2: name other families in "
        "kubeflow:gpuPool.instanceFamilies"
    )


def test_a_family_the_region_does_not_have_is_a_note_where_others_remain() -> None:
    found = findings(gpuPool={"instanceFamilies": ["g4dn", "p2"]})
    assert told(Level.NOTE, found) == [
        "us-west-2 has no machine of p2 for the pool gpu, which uses its other families"
    ]


@pytest.mark.parametrize(
    ("gpus", "level"),
    [
        ({"gpu_names": ["a10g"]}, Level.GOOD),
        ({"gpu_names": ["t4"]}, Level.PROBLEM),
        ({"gpu_counts": [8], "min_gpu_memory_gb": 24}, Level.GOOD),
        ({"gpu_counts": [2]}, Level.PROBLEM),
        ({"min_gpu_memory_gb": 48}, Level.PROBLEM),
    ],
)
def test_a_pool_that_chooses_gpus_is_told_of_those_only(gpus: dict[str, Any], level: Level) -> None:
    settings = from_mapping({"region": REGION, "gpuPool": {"instanceFamilies": ["g5"]}})
    # Settings refuse what no machine of their table has; here AWS describes the machines.
    pool = settings.gpu_pool.model_copy(update=gpus)
    settings = settings.model_copy(update={"gpu_pool": pool})
    first, *_ = pool_findings(Subject(settings, Region.of(REGION)), Session({G: 768.0}))
    assert first.level is level


def test_a_quota_of_nothing_is_a_problem_with_what_to_ask_for() -> None:
    found = findings({G: 0.0}, gpuPool={"instanceFamilies": ["g4dn"], "maxGpus": 8})
    (sentence,) = told(Level.PROBLEM, found)
    assert sentence == (
        "the quota Running On-Demand G and VT instances (L-DB2E81BA) is 0 vCPUs, and the smallest "
        "machine of the pool gpu, g4dn.xlarge, has 4: ask for 32 in Service Quotas"
    )


@pytest.mark.parametrize(("value", "level"), [(31.0, Level.NOTE), (32.0, Level.GOOD)])
def test_a_quota_below_the_limit_of_the_pool_is_a_note(value: float, level: Level) -> None:
    *_, last = findings({G: value}, gpuPool={"instanceFamilies": ["g4dn"], "maxGpus": 8})
    assert last.level is level
    if level is Level.NOTE:
        assert "31 vCPUs, and 8 GPUs of the pool gpu take at least 32" in last.sentence


@pytest.mark.parametrize(
    ("families", "kinds", "codes"),
    [
        (["g4dn", "g5"], ["on-demand"], [G]),
        (["g4dn"], ["spot"], [G_SPOT]),
        (["g4dn"], ["spot", "on-demand"], [G_SPOT, G]),
        (["p4d"], ["on-demand"], [P]),
        (["p4d"], ["spot"], ["L-7212CCBC"]),
        (["p5"], ["on-demand"], [P]),
        (["p5"], ["spot"], ["L-C4BD4855"]),
        (["g4dn", "p5"], ["on-demand"], [G, P]),
        (["g4dn"], ["reserved"], []),
    ],
)
def test_each_family_and_kind_of_capacity_has_its_quota(
    families: list[str], kinds: list[str], codes: list[str]
) -> None:
    session = Session(dict.fromkeys(codes, 10000.0))
    pool = {"instanceFamilies": families, "capacityTypes": kinds}
    settings = from_mapping({"region": REGION, "gpuPool": pool})
    found = list(pool_findings(Subject(settings, Region.of(REGION)), session))
    assert session.asked == codes
    assert told(Level.NOTE, found) == told(Level.PROBLEM, found) == []


def test_a_quota_two_pools_share_is_asked_for_once() -> None:
    session = Session({G: 768.0})
    more = {"small": {"maxGpus": 1, "instanceFamilies": ["g5"]}, "steps": {"maxCpus": 8}}
    settings = from_mapping(
        {"region": REGION, "gpuPool": {"instanceFamilies": ["g4dn"]}, "nodePools": more}
    )
    found = list(pool_findings(Subject(settings, Region.of(REGION)), session))
    assert session.asked == [G]
    assert [one.sentence.split(" has ")[0] for one in found[::2]] == [
        "the pool gpu",
        "the pool small",
    ]


STEPS = {"maxCpus": 64, "instanceFamilies": ["m5"]}


@pytest.mark.parametrize(
    ("kind", "code", "value", "level"),
    [
        ("on-demand", "L-1216C47A", 64.0, Level.GOOD),
        ("on-demand", "L-1216C47A", 63.0, Level.NOTE),
        ("spot", "L-34B43A08", 64.0, Level.GOOD),
        ("spot", "L-34B43A08", 1.0, Level.PROBLEM),
    ],
)
def test_a_pool_without_gpus_is_looked_at_likewise(
    kind: str, code: str, value: float, level: Level
) -> None:
    *_, offered, quota = findings(
        {G: 768.0, code: value},
        gpuPool={"instanceFamilies": ["g4dn"]},
        nodePools={"steps": {**STEPS, "capacityTypes": [kind]}},
    )
    assert offered.level is Level.GOOD
    assert offered.sentence.startswith("the pool steps has m5 in us-west-2a")
    assert quota.level is level
    assert f"({code}) is {value:g} vCPUs" in quota.sentence


def test_a_pool_of_any_family_has_nothing_to_ask_for() -> None:
    found = findings(gpuPool={"instanceFamilies": ["g4dn"]}, nodePools={"steps": {"maxCpus": 64}})
    assert [one for one in found if "steps" in one.sentence] == []


def test_what_aws_does_not_answer_is_a_note_with_its_short_code() -> None:
    settings = from_mapping({"region": REGION, "gpuPool": {"instanceFamilies": ["g4dn"]}})
    found = list(pool_findings(Subject(settings, Region.of(REGION)), Session({})))
    (sentence,) = told(Level.NOTE, found)
    assert sentence == (
        "a quota was not checked: servicequotas:GetServiceQuota of L-DB2E81BA fails "
        "(NoSuchResourceException): check AWS_PROFILE, the network and the permissions of the "
        "credentials."
    )


def test_where_machines_cannot_be_asked_for_nothing_is_made_up() -> None:
    class Forbidden(Session):
        def client(self, service: str, **more: Any) -> Any:
            client = super().client(service, **more)
            stubber = Stubber(client)
            stubber.add_client_error("describe_instance_types", "UnauthorizedOperation")
            stubber.activate()
            return client

    settings = from_mapping({"region": REGION})
    refused = r"the right ec2:DescribeInstanceTypes is missing \(UnauthorizedOperation\)"
    with pytest.raises(CallFailed, match=refused):
        list(pool_findings(Subject(settings, Region.of(REGION)), Forbidden({})))


@pytest.mark.parametrize("region", ["cn-north-1", "cn-northwest-1", "us-gov-west-1"])
def test_every_partition_is_asked_in_its_own_region(region: str) -> None:
    # moto knows no offerings there: an account without any machine.
    settings = from_mapping({"region": region})
    (problem,) = pool_findings(Subject(settings, Region.of(region)), Session({}))
    assert problem.level is Level.PROBLEM
    assert problem.sentence.startswith(f"{region} has no machine for the pool gpu")


def test_without_karpenter_nobody_is_asked() -> None:
    assert findings(gpuPool={"enabled": False}) == []
