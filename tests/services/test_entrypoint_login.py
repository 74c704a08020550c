"""Argo's and Katib's controllers log in to the account's registry by role, in every partition.

Both read entrypoints by go-containerregistry's k8schain, whose part for ECR is the real one here
(argo-workflows v3.7.3 and kubeflow/katib v0.19.0 go.mod: ecr-login v0.9.1); AWS is moto.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from regions.region import Region
from tests.harness import REGIONS
from tests.services.regional_aws import ACCOUNT, regional_aws
from tests.services.serving_programs import registry_user


@pytest.mark.parametrize("name", REGIONS)
def test_the_role_of_a_controller_logs_in_to_the_registry_of_its_region(
    name: str, tmp_path: Path
) -> None:
    region, token = Region.of(name), tmp_path / "token"
    token.write_text("of the service account")
    with regional_aws(region, tmp_path) as aws:
        # What EKS' webhook adds for an account with a role, beside the way to the simulated AWS.
        environment = {
            "AWS_ROLE_ARN": region.arn("iam", "role/image-reader", account=ACCOUNT, region=""),
            "AWS_WEB_IDENTITY_TOKEN_FILE": str(token),
            "AWS_REGION": name,
            "AWS_DEFAULT_REGION": name,
            "AWS_STS_REGIONAL_ENDPOINTS": "regional",
            "AWS_EC2_METADATA_DISABLED": "true",
            "HTTPS_PROXY": aws.proxy,
            "SSL_CERT_FILE": str(aws.authority),
            "HOME": str(tmp_path),
        }
        assert registry_user(region.ecr_registry(ACCOUNT), environment) == "AWS"
        assert set(aws.hosts) == {region.service_host("sts"), region.service_host("api.ecr")}
        (asked,) = [each for each in aws.requests if each.service == "ecr"]
        who = aws.client("sts", str(asked.key)).get_caller_identity()["Arn"]
    assumed = region.arn("sts", "assumed-role/image-reader/", account=ACCOUNT, region="")
    assert who.startswith(assumed)
