"""Secrets on both sides of a platform that is right, and broken; Secrets Manager is moto's."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from datetime import UTC, datetime, timedelta
from typing import Any

import bcrypt
import pytest
from moto import mock_aws

from ops.cli_errors import Refused
from ops.findings import Finding, Level
from ops.verification.checks import stored_secrets
from ops.verification.checks.stored_secrets import CHECKS
from tests.ops.verification.played.live import Live, condition, next_rotation
from tests.ops.verification.played.platforms import live_of, platform, secrets_manager, wrong
from tests.ops.verification.played.stored_secrets import PASSWORD

CN, KF151 = "cn-north-1", "cn-north-1-kf151"
BY_NAME = {check.name: check for check in CHECKS}
Change = Callable[[Live], object]
PIPELINES = "ExternalSecret kubeflow/ml-pipeline-database-1"


@pytest.fixture(autouse=True)
def _account(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield


def _always(client: Any) -> Callable[[str], Any]:
    def of(_service: str) -> Any:
        return client

    return of


def examined(name: str, live: Live, after: Callable[[Any], object] | None = None) -> list[Finding]:
    client = secrets_manager(live)
    if after:
        after(client)
    return list(BY_NAME[name].examine(platform(live, client=_always(client))))


@pytest.mark.parametrize("stack", [CN, KF151])
@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        pytest.param(
            "secrets-synced",
            " are ",
            marks=pytest.mark.check("secrets-synced", broken=False),
        ),
        pytest.param(
            "secrets-equal",
            "have on both sides the same values, of",
            marks=pytest.mark.check("secrets-equal", broken=False),
        ),
    ],
)
def test_a_right_platform_is_good_and_the_sentence_has_numbers(
    stack: str, name: str, sentence: str
) -> None:
    findings = examined(name, live_of(stack))
    assert wrong(findings) == []
    assert sentence in findings[0].sentence


def test_what_was_seen_is_counted() -> None:
    assert [each.sentence for each in examined("secrets-equal", live_of(CN))] == [
        "7 have on both sides the same values, of 7 secrets",
        "the same secret in auth/dex-oidc-client and oauth2-proxy/oauth2-proxy-tg4m9982d4",
        "1 of 1 in Secrets Manager open Dex's logins",
    ]


def not_ready(live: Live) -> None:
    message = "could not get secret data from provider"
    state = condition("Ready", "False", reason="SecretSyncedError", message=message)
    live.get(*PIPELINES.split(" "))["status"]["conditions"] = [state]


def not_written(live: Live) -> None:
    live.delete("Secret", "kubeflow/ml-pipeline-database-1")


def read_long_ago(live: Live) -> None:
    live.get(*PIPELINES.split(" "))["status"]["refreshTime"] = "2026-11-02T10:00:00Z"


def no_store(live: Live) -> None:
    state = condition("Ready", "False", reason="InvalidProviderConfig", message="unable to assume")
    live.get("SecretStore", "kubeflow/secrets-manager")["status"]["conditions"] = [state]


@pytest.mark.parametrize(
    ("change", "about", "sentence"),
    [
        pytest.param(
            not_ready,
            PIPELINES,
            "is not read from Secrets Manager (SecretSyncedError: could not get secret data from "
            "provider): read `kubectl -n kubeflow describe externalsecret ml-pipeline-database-1`",
            marks=pytest.mark.check("secrets-synced", broken=True),
        ),
        (
            not_written,
            PIPELINES,
            "is read, but Secret kubeflow/ml-pipeline-database-1 is not there",
        ),
        (
            read_long_ago,
            PIPELINES,
            (
                "was read last at 2026-11-02 10:00Z, and should be every 1h, so that a rotation "
                "does "
                "not"
            ),
        ),
        (
            no_store,
            "SecretStore kubeflow/secrets-manager",
            "does not reach Secrets Manager (InvalidProviderConfig: unable to assume)",
        ),
        (
            next_rotation,
            "ExternalSecret kubeflow/ml-pipeline-database",
            (
                "has the rotation 1, and kubeflow:database.rotation is 2: the cluster's side is "
                "old, "
                "run"
            ),
        ),
    ],
)
def test_a_broken_copy_gets_the_true_reason(change: Change, about: str, sentence: str) -> None:
    live = live_of(CN).changed()
    change(live)
    assert sentence in dict(wrong(examined("secrets-synced", live)))[about]


def test_a_class_that_no_pod_mounts_has_no_secrets() -> None:
    live = live_of(KF151).changed()
    for kind in ("Deployment", "StatefulSet", "Job"):
        for obj in live.all(kind):
            spec = obj["spec"]["template"]["spec"]
            volumes = spec.get("volumes") or []
            spec["volumes"] = [each for each in volumes if "csi" not in each]
    ((about, sentence), *_) = wrong(examined("secrets-synced", live))
    assert about.startswith("SecretProviderClass ")
    assert "no pod mounts it, so that its Secrets do not exist" in sentence


# -- both sides ------------------------------------------------------------------------------------


def name_of_pipelines(live: Live) -> str:
    spec = live.get(*PIPELINES.split(" "))["spec"]
    return spec["dataFrom"][0]["extract"]["key"]


def rotated(live: Live, client: Any) -> None:
    """Secrets Manager has another password than when the cluster read it."""
    name = name_of_pipelines(live)
    values = {**live.remote[name], "password": "a newer password"}
    client.put_secret_value(SecretId=name, SecretString=json.dumps(values))


@pytest.mark.parametrize(
    ("ago", "level"),
    [
        pytest.param(
            timedelta(minutes=5), Level.NOTE, marks=pytest.mark.check("secrets-equal", broken=True)
        ),
        (timedelta(hours=3), Level.PROBLEM),
    ],
)
def test_after_a_rotation_the_older_side_is_named(
    monkeypatch: pytest.MonkeyPatch, ago: timedelta, level: Level
) -> None:
    live = live_of(CN).changed()
    read = datetime.now(UTC) - timedelta(days=1)
    for obj in live.all("ExternalSecret"):
        obj["status"]["refreshTime"] = read.strftime("%Y-%m-%dT%H:%M:%SZ")
    later = datetime.now(UTC) + ago
    monkeypatch.setattr(stored_secrets, "now", lambda: later)
    findings = examined("secrets-equal", live, lambda client: rotated(live, client))
    (found,) = [each for each in findings if each.about == PIPELINES]
    assert found.level is level
    assert (
        "password differ between Secrets Manager and Secret kubeflow/ml-pipeline-database-1: the "
        "cluster's side is old, read at "
    ) in found.sentence
    assert "annotate externalsecret ml-pipeline-database-1 force-sync=" in found.sentence
    (job,) = [each for each in findings if "database-init-1" in each.about]
    assert f"password of {name_of_pipelines(live)} differ" in job.sentence
    assert "a newer password" not in str(findings)


def test_a_secret_that_somebody_edited_is_the_wrong_side() -> None:
    live = live_of(CN).changed()
    name = name_of_pipelines(live)
    edited = {**live.remote[name], "password": "edited"}
    live.secret("kubeflow/ml-pipeline-database-1", edited)
    later = (datetime.now(UTC) + timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    live.get(*PIPELINES.split(" "))["status"]["refreshTime"] = later
    ((about, sentence),) = wrong(examined("secrets-equal", live))
    assert about == PIPELINES
    assert "somebody changed the cluster's side after" in sentence
    assert "delete secret ml-pipeline-database-1" in sentence
    assert "edited" not in sentence


def test_a_class_is_compared_key_by_key() -> None:
    live = live_of(KF151).changed()
    secret = "kubeflow/katib-database-1"
    live.secret(secret, {"username": "edited", "password": "edited"})
    ((about, sentence),) = wrong(examined("secrets-equal", live))
    assert about == "SecretProviderClass kubeflow/rds-secret-1"
    assert "database, host, password, port and username differ" in sentence


def test_a_secret_that_aws_has_not_is_named() -> None:
    live = live_of(CN).changed()
    name = name_of_pipelines(live)
    del live.remote[name]
    sentence = f"Secrets Manager has no {name}: run `pulumi up`"
    readers = PIPELINES, "ExternalSecret kubeflow-database/database-init-1"
    assert dict(wrong(examined("secrets-equal", live))) == dict.fromkeys(readers, sentence)


def test_a_secret_that_is_scheduled_for_deletion_is_saved_and_not_a_missing_right() -> None:
    live = live_of(CN).changed()
    name = name_of_pipelines(live)
    findings = examined(
        "secrets-equal",
        live,
        lambda client: client.delete_secret(SecretId=name, RecoveryWindowInDays=7),
    )
    assert dict(wrong(findings))[PIPELINES] == (
        f"{name} in Secrets Manager is scheduled for deletion: `aws secretsmanager restore-secret "
        f"--secret-id {name}` keeps it"
    )


@pytest.mark.parametrize("stack", [CN, KF151])
def test_dex_and_its_client_must_share_a_secret(stack: str) -> None:
    live = live_of(stack).changed()
    live.secret("auth/dex-oidc-client", {"OIDC_CLIENT_ID": "id", "OIDC_CLIENT_SECRET": "another"})
    ((about, sentence),) = wrong(examined("secrets-equal", live))
    assert about == "OIDC client"
    assert "have different secrets, so that every login ends with invalid_client" in sentence


def test_a_password_that_opens_nothing_is_named_by_its_user() -> None:
    live = live_of(CN).changed()
    (key,) = live.get("Secret", "auth/dex-passwords")["data"]
    other = bcrypt.hashpw(b"another", bcrypt.gensalt(4)).decode()
    live.secret("auth/dex-passwords", {key: other})
    findings = examined("secrets-equal", live)
    ((about, sentence),) = wrong(findings)
    assert about == "user@example.com"
    assert "does not open the login, whose hash in Secret auth/dex-passwords" in sentence
    assert PASSWORD not in str(findings)


def test_without_credentials_it_is_not_checked() -> None:
    with pytest.raises(Refused, match="there are no AWS credentials"):
        list(BY_NAME["secrets-equal"].examine(platform(live_of(CN))))
