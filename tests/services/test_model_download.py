"""A model in S3 reaches its InferenceService by the role of the namespace, in every partition.

KServe makes the variables of its storage initializer from our ConfigMap, EKS' webhook adds the
role, the storage initializer downloads. KServe's code is the real one, AWS is moto.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from components.objects.kubernetes_objects import bind
from program import static_values
from regions.region import Region
from rendering import Object
from settings import from_mapping
from settings.context import StackContext
from tests.harness import REGIONS
from tests.rendering.beijing import kubeflow
from tests.services.regional_aws import ACCOUNT, RegionalAws, regional_aws
from tests.services.serving_programs import environment_by_kserve, storage_initializer

MODEL = b"a model" * 1000
KEY = "private-artifacts/team-a/iris/model.joblib"
DOWNLOAD = "import sys; from kserve_storage import Storage; Storage.download(*sys.argv[1:])"
"""What the image's entry point does (kserve/kserve, python/storage-initializer/scripts)."""


@pytest.fixture(scope="session")
def python() -> Path:
    return storage_initializer(print)


@pytest.fixture(autouse=True)
def nobodys_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_PROFILE", raising=False)


def inference_service_config(region: Region) -> Object:
    settings = from_mapping({"region": region.name})
    values = static_values(StackContext.of(settings, ACCOUNT, {}), settings)
    return bind(kubeflow().get("ConfigMap", "inferenceservice-config"), values)


def with_role(variables: dict[str, str], role: str, token: Path) -> dict[str, str]:
    """What EKS' webhook adds to a container that names its region already.

    aws/amazon-eks-pod-identity-webhook, pkg/handler/handler.go, addEnvToContainer; it comes after
    KServe's webhook, since the API server calls them in the order of their names.
    """
    assert "AWS_DEFAULT_REGION" in variables
    return {
        **variables,
        "AWS_ROLE_ARN": role,
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(token),
        "AWS_STS_REGIONAL_ENDPOINTS": "regional",
    }


def download(python: Path, uri: str, folder: Path, environment: dict[str, str]) -> str:
    """Runs the storage initializer; returns the last line of what went wrong."""
    command = [str(python), "-c", DOWNLOAD, uri, str(folder)]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    return done.stderr.strip().splitlines()[-1] if done.returncode else ""


def reached(aws: RegionalAws, tmp_path: Path) -> dict[str, str]:
    """How a process of this test finds the simulated AWS, and no credentials of a person's."""
    return {
        "HTTPS_PROXY": aws.proxy,
        "AWS_CA_BUNDLE": str(aws.authority),
        "AWS_EC2_METADATA_DISABLED": "true",
        "HOME": str(tmp_path),
    }


@pytest.mark.parametrize("name", REGIONS)
def test_a_model_is_downloaded_by_the_role_of_its_namespace(
    name: str, python: Path, tmp_path: Path
) -> None:
    region, bucket, folder = Region.of(name), f"models-{name}", tmp_path / "models"
    role = region.arn("iam", "role/kubeflow-profile-team-a", account=ACCOUNT, region="")
    token = tmp_path / "token"
    token.write_text("of the service account")
    made_by_kserve = environment_by_kserve(inference_service_config(region))
    environment = with_role(made_by_kserve, role, token)
    with regional_aws(region, tmp_path) as aws:
        s3 = aws.client("s3")
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": name})
        s3.put_object(Bucket=bucket, Key=KEY, Body=MODEL)
        aws.forget()
        wrong = download(
            python,
            f"s3://{bucket}/{KEY.rpartition('/')[0]}",
            folder,
            environment | reached(aws, tmp_path),
        )
        assert wrong == ""
        assert (folder / "model.joblib").read_bytes() == MODEL
        assert set(aws.hosts) == {
            region.service_host("sts"),
            f"{bucket}.{region.service_host('s3')}",
        }
        keys = {each.key for each in aws.requests if each.service == "s3"}
        who = [aws.client("sts", str(key)).get_caller_identity()["Arn"] for key in keys]
    assumed = region.arn("sts", "assumed-role/kubeflow-profile-team-a/", account=ACCOUNT, region="")
    assert len(who) == 1
    assert who[0].startswith(assumed)
