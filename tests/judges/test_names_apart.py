"""What two stacks make has different names wherever AWS, or an account, has room for one.

Judged by the simulated account, which refuses a name by its type. Names and ids that AWS or the
provider chooses are other ones in the second stack; all else comes from the stack file.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import pytest

from regions.region import Region
from rehearsal.account import Account, Outputs, RefusedByAws
from rehearsal.clouds import ACCOUNT, SimulatedCloud
from rehearsal.sample_outputs.resource import SimulatedResource
from tests.judges.plans import REPOSITORIES, recorded, resources

OTHER = "444455556666"
ADMIN = f"arn:aws-cn:iam::{OTHER}:role/platform-admin"
LONG = "machine-learning-platform-of-the-team-"
DEV = {"name": "kubeflow-dev"}
MIRRORED = {"enabled": True, "transport": "api-gateway"}
STACKS: dict[str, dict[str, Any]] = {
    "shipped": {"stack": "cn-north-1"},
    "another cluster": {"stack": "cn-north-1", "cluster": DEV},
    "the earlier release": {"stack": "cn-north-1-kf151"},
    "another account": {
        "stack": "cn-north-1",
        "accountId": OTHER,
        "cluster": {"admins": [ADMIN], "publicAccessCidrs": ["203.0.114.7/32"]},
    },
    "pulled by ECR": {
        "stack": "us-west-2",
        "imageMirror": MIRRORED,
        "cluster": {"name": f"{LONG}a"},
    },
    "pulled by ECR, another cluster": {
        "stack": "us-west-2",
        "imageMirror": MIRRORED,
        "cluster": {"name": f"{LONG}b"},
    },
    "copied in the account": {"stack": "us-gov-west-1", "imageMirror": MIRRORED},
    "copied in the account, another cluster": {
        "stack": "us-gov-west-1",
        "imageMirror": MIRRORED,
        "cluster": DEV,
    },
}
"""Name -> a shipped stack, and sections that replace keys of its file. The account of builds is one
for all."""
PAIRS = [
    *(("shipped", each) for each in ("another cluster", "the earlier release", "another account")),
    ("pulled by ECR", "pulled by ECR, another cluster"),
    ("copied in the account", "copied in the account, another cluster"),
]


@dataclass(frozen=True)
class Made:
    """What a stack makes: type, account, region, id and properties."""

    type: str
    account: str
    region: str
    outputs: Outputs


@cache
def made(name: str, number: int) -> tuple[Made, ...]:
    """What one of ``STACKS`` makes as the first (0) or the second (1) of two."""
    plan = dict(STACKS[name])
    account = plan.pop("accountId", ACCOUNT)
    own = Region.of(plan["stack"].removesuffix("-kf151")).partition
    original = SimulatedCloud.resource

    def account_in(region: str) -> str:
        return account if Region.of(region).partition == own else ACCOUNT

    def resource(self: SimulatedCloud, *about: Any) -> SimulatedResource:
        simulated = original(self, *about)
        return replace(simulated, account=account_in(simulated.region.name), attempt=number)

    def things() -> Iterator[Made]:
        for type_, pulumi_name, region, inputs in resources(recorded_plan):
            outputs = SimulatedCloud(region).outputs(type_, pulumi_name, inputs)
            yield Made(type_, account_in(region), region, outputs)
        for each in recorded_plan.of(REPOSITORIES):
            for repository in each.inputs["repositories"]:
                region = each.inputs["region"]
                yield Made("aws:ecr/repository:Repository", account, region, (repository, {}))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SimulatedCloud, "resource", resource)
        recorded_plan = recorded(plan)
        return tuple(things())


def clashes(stacks: Iterable[tuple[Made, ...]]) -> list[str]:
    """What AWS would refuse to make, or would make one thing of."""
    accounts: dict[str, Account] = defaultdict(Account)
    found: list[str] = []
    for each in (each for stack in stacks for each in stack):
        account, outputs = accounts[each.account], each.outputs
        before = len(account.existing)
        try:
            account.create(each.type, each.region, lambda _, outputs=outputs: outputs)
        except RefusedByAws as refused:
            found.append(f"{each.type}: {refused}")
        else:
            if len(account.existing) == before:
                found.append(f"{each.type} {each.outputs[0]}: one thing of two stacks")
    return found


@pytest.mark.parametrize(("one", "another"), PAIRS)
def test_two_stacks_share_no_name(one: str, another: str) -> None:
    assert clashes([made(one, 0), made(another, 1)]) == []


def test_a_stack_beside_itself_would_be_refused() -> None:
    found = clashes([made("copied in the account", 0)] * 2)
    kinds = {each.split(":", 2)[1] for each in found}
    assert {"dynamodb/table", "eks/cluster", "codebuild/project", "rds/instance"} <= kinds
