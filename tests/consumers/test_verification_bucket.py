"""The probe of ``./kf verify --deep`` at S3 and STS that decide by the plan's own documents."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ops.findings import Finding, Level
from ops.verification.checks.bucket_access import bucket_access
from tests.consumers.judged_aws import ADMINISTRATOR, JudgedAws, judged_aws
from tests.consumers.stack import PROFILES, Role, stack
from tests.ops.verification.storage import Storage, found, passes, sentences, storage
from tests.releases import DEFAULT

MINE, OTHERS = PROFILES
USERS = [{"email": f"{name}@example.com", "namespace": name} for name in PROFILES]


@pytest.fixture(scope="module", params=["cn-north-1", "us-west-2"])
def judged(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[JudgedAws]:
    with judged_aws(stack(request.param), tmp_path_factory.mktemp("verified")) as running:
        yield running


def platform(judged: JudgedAws, folder: Path, **more: str) -> Storage:
    """A platform whose pods run as processes, with what EKS gives default-editor.

    Args:
        judged: S3 and STS.
        folder: of the process.
        more: variables in place of these.
    """
    role = judged.stack.profiles[MINE]
    variables = judged.environment(folder, (MINE, "default-editor"), role)
    made = judged.stack.of_profile(DEFAULT, MINE)
    root = made["ConfigMap kfp-launcher"]["data"]["defaultPipelineRoot"]

    def printing(job: Mapping[str, Any]) -> str:
        (container,) = job["spec"]["template"]["spec"]["containers"]
        (variable,) = container["env"]
        assert variable["valueFrom"]["configMapKeyRef"]["name"] == "kfp-launcher"
        done = subprocess.run(
            [sys.executable, *container["command"][1:], *container["args"]],
            env={"PATH": os.defpath, **variables, variable["name"]: root, **more},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    region = judged.stack.region.name
    return storage(
        region, printing=printing, users=USERS, artifacts={"bucket": judged.stack.bucket}
    )


def examined(judged: JudgedAws, folder: Path, **more: str) -> list[Finding]:
    return found(bucket_access, platform(judged, folder, **more).platform)


def keys(judged: JudgedAws) -> list[str]:
    client = judged.aws.client("s3", ADMINISTRATOR)
    listed = client.list_objects_v2(Bucket=judged.stack.bucket)
    return [each["Key"] for each in listed.get("Contents", [])]


@pytest.mark.check("bucket-access", broken=False)
def test_the_plans_own_role_reaches_its_folder_and_no_other(
    judged: JudgedAws, tmp_path: Path
) -> None:
    judged.aws.forget()
    findings = examined(judged, tmp_path)
    region, bucket = judged.stack.region, judged.stack.bucket
    hosts = {f"{bucket}.{region.service_host('s3')}", region.service_host("sts")}
    assert {*judged.aws.hosts} == hosts
    assert passes(findings), sentences(findings)
    own, other = sentences(findings, Level.GOOD)
    assert f"may put, get, list and delete below s3://{bucket}/" in own
    assert f"is refused below s3://{bucket}/private-artifacts/{OTHERS}/" in other
    assert keys(judged) == []


def as_role(judged: JudgedAws, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    """The stack's documents with another role for the profile."""
    arn = judged.stack.profiles[MINE]
    roles: dict[str, Role] = {**judged.stack.roles}
    roles[arn] = replace(roles[arn], **changes)
    monkeypatch.setitem(vars(judged.stack), "roles", roles)


@pytest.mark.check("bucket-access", broken=True)
def test_a_role_that_reaches_every_folder_is_told_and_nothing_stays(
    judged: JudgedAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": ["s3:*", "kms:*"], "Resource": "*"}],
    }
    as_role(judged, monkeypatch, documents=(everything,))
    (problem,) = sentences(examined(judged, tmp_path))
    assert "may put, get, list and delete below" in problem
    assert f"/{OTHERS}/, which is another profile's" in problem
    assert keys(judged) == []


@pytest.mark.check("bucket-access", broken=True)
def test_a_role_without_rights_or_trust_is_told(
    judged: JudgedAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_role(judged, monkeypatch, documents=())
    problems = sentences(examined(judged, tmp_path / "rights"))
    assert len(problems) == 3
    assert "AccessDenied by PutObject: its role lacks the right" in problems[0]
    trust: Any = {"Version": "2012-10-17", "Statement": []}
    as_role(judged, monkeypatch, trust=trust)
    problems = sentences(examined(judged, tmp_path / "trust"))
    assert "AccessDenied by AssumeRoleWithWebIdentity" in problems[0]


@pytest.mark.check("bucket-access", broken=True)
def test_a_pod_without_a_role_is_told(judged: JudgedAws, tmp_path: Path) -> None:
    without = {"AWS_ROLE_ARN": "", "AWS_WEB_IDENTITY_TOKEN_FILE": ""}
    problems = sentences(examined(judged, tmp_path, **without))
    assert "NoCredentialsError: ServiceAccount default-editor names no role" in problems[0]
