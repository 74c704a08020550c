"""What a pod at the bucket prints; the real decisions are in
tests/consumers/test_verification_bucket.py."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from ops.cli_errors import Refused
from ops.findings import Finding, Level
from ops.verification.checks.bucket_access import access_job, bucket_access
from ops.verification.profile import QuotaUsedUp
from tests.examples import container
from tests.ops.verification.storage import ACCOUNT, Storage, found, passes, sentences, storage

REGION = "us-west-2"
NAME = f"kubeflow-{ACCOUNT}-{REGION}"
USERS = [
    {"email": "a@example.com", "namespace": "alice"},
    {"email": "b@example.com", "namespace": "bob"},
    {"email": "c@example.com", "namespace": "carol"},
]
OWN, OTHER = "private-artifacts/alice/", "private-artifacts/bob/"
PLACE = f"s3://{NAME}/{OWN}"


def printed(own: Mapping[str, str] | None = None, other: Mapping[str, str] | None = None) -> str:
    """The lines of the probe, with these codes in place of the usual ones."""
    attempts = [(OWN, action, "") for action in ("put", "get", "list", "delete")]
    for folder in (OTHER, f"{OTHER}v2/artifacts/"):
        attempts += [(folder, action, "AccessDenied") for action in ("put", "get", "list")]
    changed = {OWN: own or {}, OTHER: other or {}}
    lines = [
        json.dumps(
            {
                "action": action,
                "prefix": prefix,
                "code": changed.get(prefix, {}).get(action, code),
                "call": "",
            }
        )
        for prefix, action, code in attempts
    ]
    warning = "/usr/lib/boto3/compat.py: PythonDeprecationWarning: Boto3 will no longer support"
    return "\n".join([warning, *lines, ""])


def made(text: str, **sections: Any) -> Storage:
    more: dict[str, Any] = {"users": USERS, **sections}
    return storage(REGION, printing=text, **more)


def examined(text: str, **sections: Any) -> list[Finding]:
    return found(bucket_access, made(text, **sections).platform)


@pytest.mark.check("bucket-access", broken=False)
def test_a_profile_that_has_its_own_folder_and_no_other_passes() -> None:
    platform = made(printed())
    findings = found(bucket_access, platform.platform)
    assert passes(findings)
    assert sentences(findings, Level.GOOD) == [
        f"alice/default-editor: may put, get, list and delete below {PLACE}",
        f"alice/default-editor: is refused below s3://{NAME}/{OTHER}",
    ]
    (job,) = platform.created
    assert job["metadata"]["namespace"] == "alice"
    (pod,) = job["spec"]["template"]["spec"]["containers"]
    assert pod["args"] == ["kf-verify-1a2b3c4d0a06", OWN, OTHER, f"{OTHER}v2/artifacts/"]


@pytest.mark.check("bucket-access", broken=False)
def test_a_quota_that_is_used_up_ends_the_check_at_once() -> None:
    platform = made(printed())
    platform.cluster.end = ""
    message = 'pods "a" is forbidden: exceeded quota: profile-quota, requested: cpu=1'
    about = {"kind": "Job", "name": "kf-verify-1a2b3c4d0a06-bucket-access-1"}
    events: list[Mapping[str, Any]] = [
        {"reason": "FailedCreate", "message": message, "involvedObject": about}
    ]
    for user in platform.platform.settings.users:
        platform.cluster.lists[f"/api/v1/namespaces/{user.namespace}/events"] = events
    with pytest.raises(QuotaUsedUp, match=r"is used up \(exceeded quota: profile-quota, req"):
        found(bucket_access, platform.platform)


def test_the_named_user_is_asked_and_the_others_are_left_alone() -> None:
    given = made("")
    platform = replace(given.platform, user="b@example.com")
    with pytest.raises(Refused, match="has printed no attempt"):
        found(bucket_access, platform)
    (job,) = given.created
    assert job["metadata"]["namespace"] == "bob"
    (pod,) = job["spec"]["template"]["spec"]["containers"]
    assert pod["args"][1:3] == ["private-artifacts/bob/", "private-artifacts/alice/"]


def test_a_release_without_pipelines_2_runs_nothing() -> None:
    given = made("")
    older = given.platform.settings.model_copy(update={"release": "1.5.1-aws-b1.0.0"})
    (told,) = found(bucket_access, replace(given.platform, settings=older))
    assert told.level is Level.GOOD
    assert "not run" in told.sentence
    assert given.created == []


def test_a_stack_with_one_user_has_its_own_part_alone() -> None:
    platform = made(printed(), users=USERS[:1])
    findings = found(bucket_access, platform.platform)
    assert passes(findings)
    assert "has no other profile beside it" in findings[-1].sentence
    (pod,) = platform.created[0]["spec"]["template"]["spec"]["containers"]
    assert pod["args"][1:] == [OWN]


@pytest.mark.check("bucket-access", broken=False)
def test_with_a_static_key_no_pod_is_made() -> None:
    sections: dict[str, Any] = {
        "artifacts": {"credentials": "static-key"},
        "release": "1.5.1-aws-b1.0.0",
        "cluster": {"version": "1.21"},
        "gpuPool": {"enabled": False},
        "users": USERS[:1],
    }
    platform = made("", **sections)
    (finding,) = found(bucket_access, platform.platform)
    assert "is static-key: pods of profiles have no role to check" in finding.sentence
    assert platform.created == []


@pytest.mark.check("bucket-access", broken=True)
@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("AccessDenied", "its role lacks the right, or its trust or the key's policy refuses it"),
        ("NoCredentialsError", "ServiceAccount default-editor names no role"),
        ("NoSuchBucket", "ConfigMap kfp-launcher names a bucket that is gone"),
        ("EndpointConnectionError", "no way to S3"),
        ("SlowDown", "try again later"),
    ],
)
def test_a_refusal_in_its_own_folder_has_its_reason(code: str, reason: str) -> None:
    (problem,) = sentences(examined(printed(own={"put": code})))
    assert problem.startswith(f"alice/default-editor: cannot put below {PLACE}: {code}: {reason}")


@pytest.mark.check("bucket-access", broken=True)
@pytest.mark.parametrize(
    ("other", "may"),
    [
        ({"list": ""}, "may list below"),
        # To whoever may list a place, an object that is missing is no refusal.
        ({"get": "NoSuchKey"}, "may get below"),
        ({"put": "", "get": ""}, "may put and get below"),
    ],
)
def test_a_profile_that_reaches_another_one_is_a_problem(other: dict[str, str], may: str) -> None:
    (problem,) = sentences(examined(printed(other=other)))
    assert f"alice/default-editor: {may} s3://{NAME}/{OTHER}, which is another profile's" in problem


def test_an_answer_that_is_no_refusal_is_a_note() -> None:
    (note,) = sentences(examined(printed(other={"list": "SlowDown"})), Level.NOTE)
    assert note.endswith(f"not known whether it reaches s3://{NAME}/{OTHER}: SlowDown")


@pytest.mark.check("bucket-access", broken=True)
def test_a_pod_that_fails_is_a_problem_and_one_that_is_silent_no_answer() -> None:
    platform = made(printed())
    platform.cluster.end = "Failed"
    (problem,) = sentences(found(bucket_access, platform.platform))
    assert "Job alice/kf-verify-1a2b3c4d0a06-bucket-access-1 failed" in problem
    with pytest.raises(Refused, match="has printed no attempt"):
        examined("nothing\n")


def test_the_pod_is_that_of_the_example_with_another_program() -> None:
    (pod,) = access_job("alice", [OWN], "name")["spec"]["template"]["spec"]["containers"]
    example = container("logs-in-bucket.yaml", "storage-initializer")
    assert {**pod, "command": example["command"]} == {**example, "args": ["name", OWN]}
