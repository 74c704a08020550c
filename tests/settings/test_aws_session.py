"""The session of a stack file: its profile, its role, renewed while a run waits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from botocore.exceptions import NoCredentialsError, ProfileNotFound
from moto import mock_aws

from settings.aws_session import aws_session

ROLE = "arn:aws-cn:iam::111122223333:role/up"


@pytest.fixture(autouse=True)
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "credentials"
    file.write_text("[ops]\naws_access_key_id = OPS\naws_secret_access_key = x\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)


def test_a_profile_of_the_stack_file_wins_over_keys_in_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ENVIRONMENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    assert aws_session({}).get_credentials().access_key == "ENVIRONMENT"
    assert aws_session({"profile": "ops"}).get_credentials().access_key == "OPS"


def test_a_role_is_assumed_with_its_session_and_again_before_its_end() -> None:
    role = {"roleArn": ROLE, "sessionName": "kubeflow", "duration": "1h30m"}
    with mock_aws():
        session = aws_session({"profile": "ops", "assumeRoles": [role]}, "cn-north-1")
        arn = session.client("sts").get_caller_identity()["Arn"]
        credentials = session.get_credentials()
        credentials.get_frozen_credentials()
        left = credentials._expiry_time - datetime.now(UTC)
        # botocore renews a session in its last quarter of an hour.
        short = aws_session({"profile": "ops", "assumeRoles": [{**role, "duration": "15m"}]})
        first, second = (short.get_credentials().get_frozen_credentials() for _ in range(2))
    assert arn.endswith(":assumed-role/up/kubeflow")
    assert timedelta(hours=1, minutes=29) < left < timedelta(hours=1, minutes=31)
    assert first.access_key != second.access_key


def test_what_is_missing_is_an_error_of_botocore() -> None:
    with pytest.raises(ProfileNotFound):
        aws_session({"profile": "other"})
    with mock_aws(), pytest.MonkeyPatch.context() as changed:
        changed.delenv("AWS_ACCESS_KEY_ID", raising=False)
        changed.delenv("AWS_SECRET_ACCESS_KEY", raising=False)
        with pytest.raises(NoCredentialsError):
            aws_session({"assumeRoles": [{"roleArn": ROLE}]})
