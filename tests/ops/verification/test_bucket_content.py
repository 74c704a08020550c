"""What is in the bucket, on moto: keys as Argo and Pipelines write them."""

from __future__ import annotations

from typing import Any

import boto3
import pytest

from ops.account_calls import CallFailed
from ops.cli_errors import Refused
from ops.findings import Finding, Level
from ops.verification.checks import bucket_content
from ops.verification.checks.bucket_content import (
    bucket_artifact,
    bucket_layout,
    bucket_log,
)
from tests.ops.verification.storage import ACCOUNT, Storage, found, passes, sentences, storage

pytestmark = pytest.mark.usefixtures("aws")
REGION = "cn-north-1"
NAME = f"kubeflow-{ACCOUNT}-{REGION}"
USERS = [
    {"email": "a@example.com", "namespace": "alice"},
    {"email": "b@example.com", "namespace": "bob"},
]
LOG = "private-artifacts/alice/line-x7/2026/11/29/line-x7-fit-123/main.log"
V1 = "private-artifacts/alice/line-x7/2026/11/29/line-x7-fit-123/mlpipeline-metrics.tgz"
V2 = "private-artifacts/alice/v2/artifacts/line/6b1f/fit/0a9c/slope"


def put(*keys: str, text: str = "epoch 1", sealed: bool = True) -> None:
    make: Any = boto3.client
    s3 = make("s3", region_name=REGION)
    if NAME not in [each["Name"] for each in s3.list_buckets()["Buckets"]]:
        place = {"LocationConstraint": REGION}
        s3.create_bucket(Bucket=NAME, CreateBucketConfiguration=place)
    kind = {"ServerSideEncryption": "aws:kms"} if sealed else {}
    for key in keys:
        s3.put_object(Bucket=NAME, Key=key, Body=text, **kind)


def made(**more: Any) -> Storage:
    sections: dict[str, Any] = {"users": USERS, **more}
    return storage(REGION, **sections)


def examined(check: Any, **more: Any) -> list[Finding]:
    return found(check, made(**more).platform)


@pytest.mark.check("bucket-layout", broken=False)
def test_logs_and_artifacts_of_every_profile_are_counted() -> None:
    put(LOG, V1, V2, "private-artifacts/bob/v2/artifacts/line/1/2/3/slope")
    findings = examined(bucket_layout)
    assert passes(findings)
    alice, bob = sentences(findings, Level.GOOD)
    assert alice.startswith(
        f"s3://{NAME}/private-artifacts/alice/: 1 log and 2 artifacts, the newest"
    )
    assert bob.startswith(f"s3://{NAME}/private-artifacts/bob/: 0 logs and 1 artifact")


@pytest.mark.check("bucket-layout", broken=False)
def test_an_empty_bucket_is_that_of_a_platform_on_which_nothing_has_run() -> None:
    put()
    findings = examined(bucket_layout)
    assert [each.sentence for each in findings] == ["is empty: nothing has run yet"] * 2


@pytest.mark.check("bucket-layout", broken=True)
@pytest.mark.parametrize(
    ("key", "note"),
    [
        ("artifacts/x/y", f"s3://{NAME}/artifacts/: is beside private-artifacts/, where no pod of"),
        ("pipelines/1", f"s3://{NAME}/pipelines/: is beside private-artifacts/, where no pod of a"),
        (
            "private-artifacts/carol/a",
            f"s3://{NAME}/private-artifacts/carol/: is of no user of the",
        ),
        (
            "private-artifacts/alice/mine/data.csv",
            "neither log nor artifact of a run, such as private-artifacts/alice/mine/data.csv",
        ),
        (
            "private-artifacts/alice/a/2026/11/main.log",
            "has 1 object that are neither log nor artifact",
        ),
    ],
)
def test_what_is_elsewhere_is_a_note(key: str, note: str) -> None:
    put(LOG, key)
    findings = examined(bucket_layout)
    assert sentences(findings) == []
    (told,) = sentences(findings, Level.NOTE)
    assert note in told


def test_of_many_places_some_are_named() -> None:
    put(LOG, *(f"place-{number}/x" for number in range(8)))
    *places, rest = sentences(examined(bucket_layout), Level.NOTE)
    assert [each.split(": ")[0] for each in places] == [f"s3://{NAME}/place-{n}/" for n in range(5)]
    assert rest == f"s3://{NAME}: has 3 more entries there"


def test_definitions_of_pipelines_1_are_known() -> None:
    put("pipelines/0a9c")
    (told,) = sentences(examined(bucket_layout), Level.NOTE)
    assert told.endswith(": definitions of Pipelines 1")


def test_with_a_static_key_profiles_share_the_folder() -> None:
    put("private-artifacts/line-x7/2026/11/29/line-x7-fit-123/main.log")
    section = {"credentials": "static-key"}
    more: dict[str, Any] = {"artifacts": section, "release": "1.5.1-aws-b1.0.0"}
    more |= {"cluster": {"version": "1.21"}, "gpuPool": {"enabled": False}, "users": USERS[:1]}
    (finding,) = examined(bucket_layout, **more)
    assert finding.about == f"s3://{NAME}/private-artifacts/"
    assert finding.sentence.startswith("1 log and 0 artifacts")


def test_a_large_folder_is_listed_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket_content, "_PAGES", 1)
    folder = "private-artifacts/alice/line-x7/2026/11/29"
    put(*(f"{folder}/{number:04}/main.log" for number in range(1001)), text="x")
    text = sentences(examined(bucket_layout), Level.GOOD)[0]
    assert "1,000 logs and 0 artifacts, among the first 1,000 objects, the newest of" in text


@pytest.mark.check("bucket-log", broken=False)
@pytest.mark.check("bucket-artifact", broken=False)
@pytest.mark.parametrize(
    ("check", "key", "one"), [(bucket_log, LOG, "log"), (bucket_artifact, V2, "artifact")]
)
def test_the_newest_one_is_read(check: Any, key: str, one: str) -> None:
    put(key)
    (finding,) = examined(check)
    assert (finding.level, finding.about) == (Level.GOOD, f"s3://{NAME}/{key}")
    assert finding.sentence.startswith(f"the newest {one}, 7 bytes of 20")
    assert "epoch" not in finding.sentence


def test_an_empty_log_beside_others_is_no_problem() -> None:
    put(LOG)
    put(LOG.replace("fit", "say"), text="")
    assert passes(examined(bucket_log))


@pytest.mark.parametrize(
    ("check", "key", "many"), [(bucket_log, LOG, "logs"), (bucket_artifact, V1, "artifacts")]
)
def test_none_and_empty_ones_are_notes_with_the_way_out(check: Any, key: str, many: str) -> None:
    put()
    (note,) = sentences(examined(check), Level.NOTE)
    assert note == (
        f"{many}: there are none yet: `./kf verify --stack {REGION} --deep` runs a pipeline, which "
        "has some"
    )
    put(key, text="")
    (note,) = sentences(examined(check), Level.NOTE)
    assert note.startswith(f"{many}: all 1 are empty: where the steps do print")


@pytest.mark.check("bucket-log", broken=True)
@pytest.mark.check("bucket-artifact", broken=True)
@pytest.mark.parametrize(("check", "key"), [(bucket_log, LOG), (bucket_artifact, V1)])
def test_an_object_without_the_stacks_encryption_is_a_problem(check: Any, key: str) -> None:
    put(key, sealed=False)
    (problem,) = sentences(examined(check))
    assert "is encrypted by" in problem
    assert "and not with the stack's key" in problem


@pytest.mark.parametrize(
    ("check", "call", "right"),
    [
        (bucket_layout, "s3.ListObjectsV2", "s3:ListBucket"),
        (bucket_log, "s3.GetObject", "s3:GetObject"),
        (bucket_artifact, "s3.GetObject", "s3:GetObject"),
    ],
)
def test_a_missing_right_is_named(check: Any, call: str, right: str) -> None:
    put(LOG, V2)
    with pytest.raises(CallFailed, match=f"the right {right} is missing"):
        examined(check, answers={call: "AccessDenied"})


def test_without_a_bucket_another_check_has_the_reason() -> None:
    with pytest.raises(Refused, match=f"there is no bucket {NAME}: see bucket-settings"):
        examined(bucket_layout)


def test_three_checks_list_the_bucket_once() -> None:
    put(LOG, V2)
    listings: list[Any] = []

    def counted(params: Any) -> Any:
        listings.append(params)
        return {"CommonPrefixes": [], "Contents": []}

    platform = made(answers={"s3.ListObjectsV2": counted}).platform
    for check in (bucket_layout, bucket_log, bucket_artifact):
        found(check, platform)
    # The root, the prefix, and the folder of each profile.
    assert len(listings) == 4
