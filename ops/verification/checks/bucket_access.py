"""Check of the rights on the bucket: IAM's own answers to a pod of a profile."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from ops.cli_errors import Refused
from ops.findings import Finding, good, note, problem
from ops.targets import PROJECT
from ops.verification.check import Check
from ops.verification.examples import unsupported
from ops.verification.finished_jobs import JobFailed, output_of
from ops.verification.platform import Platform
from ops.verification.profile import user_of
from settings.errors import listed

_EXAMPLE = PROJECT / "examples" / "logs-in-bucket.yaml"
_PROBE = Path(__file__).with_name("bucket_probe.py")
_REFUSED = ("AccessDenied", "403")
_CODES = {
    "AccessDenied": "its role lacks the right, or its trust or the key's policy refuses it",
    "NoCredentialsError": "ServiceAccount default-editor names no role, or EKS's webhook gave the "
    "pod no token: `pulumi up --refresh`",
    "InvalidIdentityToken": "the account lacks the cluster's OIDC provider: `pulumi up --refresh`",
    "NoSuchBucket": "ConfigMap kfp-launcher names a bucket that is gone: `pulumi up --refresh`",
    "EndpointConnectionError": "no way to S3: look at the VPC's endpoint and its route tables",
    "ConnectTimeoutError": "no way to S3: look at the VPC's endpoint and its route tables",
}


def access_job(own: str, folders: Sequence[str], name: str) -> dict[str, Any]:
    """The Job of ``examples/logs-in-bucket.yaml`` with the probe as its program.

    Args:
        own: the namespace.
        folders: prefixes with a slash at the end, the profile's own first.
        name: of the object that it puts there.
    """
    job = yaml.safe_load(_EXAMPLE.read_text("utf-8"))
    job["metadata"] = {"generateName": "bucket-access-", "namespace": own}
    job["spec"].pop("ttlSecondsAfterFinished", None)
    job["spec"] |= {"backoffLimit": 0, "activeDeadlineSeconds": 300}
    (container,) = job["spec"]["template"]["spec"]["containers"]
    container["command"] = ["python3", "-c", _PROBE.read_text("utf-8")]
    container["args"] = [name, *folders]
    return job


def bucket_access(platform: Platform) -> Iterator[Finding]:
    """IAM's own answers to a pod of a profile, in its folder and in that of another one."""
    settings = platform.settings
    if settings.artifacts.credentials == "static-key":
        yield good(
            "default-editor",
            "kubeflow:artifacts.credentials is static-key: pods of profiles have no role to check",
        )
        return
    if not settings.users:
        yield good("default-editor", "kubeflow:users is empty: there is no profile to check")
        return
    if reason := unsupported(platform):
        yield good(f"{user_of(platform).namespace}/default-editor", reason)
        return
    own = user_of(platform).namespace
    others = [user.namespace for user in settings.users if user.namespace != own]
    about, root = f"{own}/default-editor", f"{settings.artifacts.prefix}/"
    foreign = [f"{root}{each}/" for each in others[:1]]
    pipelines = [f"{each}v2/artifacts/" for each in foreign]
    run = platform.workspace(own).run
    job = access_job(own, [f"{root}{own}/", *foreign, *pipelines], run)
    try:
        printed = output_of(platform, own, job, f"a pod of {own} at the bucket")
    except JobFailed as failed:
        yield problem(about, str(failed).rstrip("."))
        return
    attempts = attempts_in(printed)
    bucket = platform.context.bucket(settings.artifacts)
    yield from _own(about, bucket, [a for a in attempts if a["prefix"] == f"{root}{own}/"])
    for folder in foreign:
        there = [each for each in attempts if each["prefix"].startswith(folder)]
        yield from _foreign(about, f"s3://{bucket}/{folder}", there)
    if not foreign:
        yield good(about, "has no other profile beside it, whose folder it must not reach")


def attempts_in(printed: str) -> list[dict[str, str]]:
    """The attempts that the probe has printed.

    Raises:
        Refused: there is none.
    """
    # Between them stand warnings of the image's libraries.
    attempts = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    if not attempts:
        raise Refused("the pod at the bucket has printed no attempt: run the command again.")
    return attempts


def _own(about: str, bucket: str, attempts: Sequence[Mapping[str, str]]) -> Iterator[Finding]:
    refused = [each for each in attempts if each["code"]]
    if not refused:
        actions = listed([each["action"] for each in attempts], "and")
        yield good(about, f"may {actions} below s3://{bucket}/{attempts[0]['prefix']}")
    for each in refused:
        why = _CODES.get(each["code"], "try again later")
        call = f" by {each['call']}" if each["call"] else ""
        what = f"cannot {each['action']} below s3://{bucket}/{each['prefix']}"
        yield problem(about, f"{what}: {each['code']}{call}: {why}")


def _foreign(about: str, place: str, attempts: Sequence[Mapping[str, str]]) -> Iterator[Finding]:
    # An object that is not there is NoSuchKey only to whoever may list the place.
    through = {each["action"]: "" for each in attempts if each["code"] in ("", "NoSuchKey")}
    if through:
        reason = f"may {listed([*through], 'and')} below {place}, which is another profile's"
        yield problem(about, f"{reason}: `pulumi up --refresh` limits its role again")
        return
    others = sorted({each["code"] for each in attempts if each["code"] not in _REFUSED})
    if others:
        yield note(about, f"not known whether it reaches {place}: {listed(others, 'and')}")
    else:
        yield good(about, f"is refused below {place}")


CHECKS: tuple[Check, ...] = (
    Check(
        "bucket-access",
        "what a pod of a profile may do in its own folder and in another's",
        bucket_access,
        creates=True,
    ),
)
