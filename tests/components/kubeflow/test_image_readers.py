"""The role of the controllers that read images themselves, in every partition."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pytest

from components.aws.roles import OidcProvider
from components.kubeflow.image_readers import VALUE, image_reader_role
from regions.region import Region
from rehearsal.clouds import ACCOUNT
from settings import from_mapping
from settings.context import StackContext
from tests.harness import REGIONS, Recorded, run
from tests.releases import DEFAULT
from tests.rendering.beijing import rendered

OIDC = OidcProvider(arn="arn:of:oidc", issuer="https://oidc.example/id/1")
READERS = {"system:serviceaccount:kubeflow:argo", "system:serviceaccount:kubeflow:katib-controller"}


def made(region: str, release: str = DEFAULT, **sections: Any) -> Recorded:
    context = StackContext.of(from_mapping({"region": region, **sections}), ACCOUNT, {})
    objects = rendered(release)
    return run(
        lambda: dict(image_reader_role("r", context, objects, OIDC, pulumi.ResourceOptions()))
    )


def statements(recorded: Recorded) -> dict[str, Any]:
    """Action -> resource of what the role may do."""
    policy = json.loads(recorded.only("aws:iam/rolePolicy:RolePolicy").inputs["policy"])
    assert {each["Effect"] for each in policy["Statement"]} == {"Allow"}
    return {act: each["Resource"] for each in policy["Statement"] for act in each["Action"]}


@pytest.mark.parametrize("region", REGIONS)
def test_argo_and_katib_may_read_what_nodes_may_pull(region: str) -> None:
    recorded = made(region)
    role = recorded.only("aws:iam/role:Role")
    (trust,) = json.loads(role.inputs["assumeRolePolicy"])["Statement"]
    assert set(trust["Condition"]["StringEquals"]["oidc.example/id/1:sub"]) == READERS
    partition = Region.of(region).partition
    everything = f"arn:{partition}:ecr:*:*:repository/*"
    assert statements(recorded) == {
        "ecr:GetAuthorizationToken": "*",
        "ecr:BatchGetImage": everything,
        "ecr:GetDownloadUrlForLayer": everything,
    }
    assert set(recorded.exports) == {VALUE}


def test_where_ecr_pulls_images_through_they_may_be_the_first_to_pull() -> None:
    rights = statements(made("us-west-2", imageMirror={"enabled": True}))
    own = f"arn:aws:ecr:us-west-2:{ACCOUNT}:repository/kubeflow/*"
    assert rights["ecr:BatchImportUpstreamImage"] == rights["ecr:CreateRepository"] == own


def test_a_release_whose_controllers_read_no_images_gets_no_role() -> None:
    recorded = made("cn-north-1", "1.5.1-aws-b1.0.0")
    assert recorded.all == []
    assert recorded.exports == {}
