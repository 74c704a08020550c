"""Runs a command with the AWS credentials that a job's identity gets, without any stored key.

``python -m docs.ci.aws_session --stack cn-north-1 -- pulumi preview``

The job's token of GitHub or GitLab is exchanged for a session of the role ``KF_AWS_ROLE_ARN`` by
the STS of the stack's region; with ``KF_AWS_BUILD_ROLE_ARN`` for a second one too, the profile of
``imageMirror.buildProfile``. Without a role the command runs with the credentials that the job has:
keys, or the machine's own role.

A token's audience must be one that the identity provider in IAM lists. Of GitHub's it is the STS of
the partition (aws-actions/configure-aws-credentials README.md, "OIDC Audience"), of GitLab's what
``id_tokens`` in the job says.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from regions.region import Region
from settings import SettingsError, from_stack_file

# The command needs none of them.
_SECRETS = {
    *("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_URL", "KF_AWS_TOKEN"),
    *("GITHUB_TOKEN", "KF_GITLAB_TOKEN"),
}
ROLE = "KF_AWS_ROLE_ARN"
BUILD_ROLE = "KF_AWS_BUILD_ROLE_ARN"


class NoSession(Exception):
    """There is no session; the message is one sentence."""


def token(region: Region) -> str:
    """The job's identity, as a JSON web token.

    Raises:
        NoSession: the job has none.
    """
    if given := os.environ.get("KF_AWS_TOKEN"):
        return given
    url = os.environ.get("ACTIONS_ID_TOKEN_REQUEST_URL")
    if not url:
        raise NoSession(
            f"{ROLE} is set and the job has no identity: give it `id-token: write` (GitHub) or "
            "`id_tokens` (GitLab)."
        )
    query = urllib.parse.urlencode({"audience": f"sts.{region.dns_suffix}"})
    request = urllib.request.Request(f"{url}&{query}")  # noqa: S310 - of the runner
    bearer = os.environ.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "")
    request.add_unredirected_header("Authorization", f"Bearer {bearer}")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - as above
            return str(json.load(answer)["value"])
    except (OSError, ValueError, KeyError) as error:
        raise NoSession(f"The runner gives no identity: {error}.") from None


def session(role: str, region: Region, variable: str) -> dict[str, str]:
    """Keys of a session of the role, by the names of AWS's variables.

    Raises:
        NoSession: AWS refuses it, or the role is of another partition.
    """
    partition = role.split(":")[1] if role.count(":") >= 5 else ""
    if partition != region.partition:
        raise NoSession(
            f"{variable} is {role} and {region.name} is in the partition {region.partition}: name "
            f"a role by its ARN, arn:{region.partition}:iam::..."
        )
    seconds = os.environ.get("KF_AWS_SESSION_SECONDS") or "3600"
    if not seconds.isdecimal():
        raise NoSession(f"KF_AWS_SESSION_SECONDS is {seconds}: write a number, such as 7200.")
    config = Config(signature_version=UNSIGNED)
    sts: Any = boto3.client("sts", region_name=region.name, config=config)
    try:
        made = sts.assume_role_with_web_identity(
            RoleArn=role,
            RoleSessionName="kubeflow-on-eks",
            WebIdentityToken=token(region),
            DurationSeconds=int(seconds),
        )["Credentials"]
    except (BotoCoreError, ClientError) as error:
        raise NoSession(f"{variable} gives no session: {error}") from None
    return {
        "AWS_ACCESS_KEY_ID": made["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": made["SecretAccessKey"],
        "AWS_SESSION_TOKEN": made["SessionToken"],
    }


def environment(stack_file: Path) -> dict[str, str]:
    """The variables for the command; a profile of builds is written into the job's own folder.

    Raises:
        NoSession: see ``session``.
        SettingsError: the stack file is wrong.
    """
    settings = from_stack_file(stack_file)
    region = Region.of(settings.region)
    variables = {**os.environ, "AWS_REGION": region.name}
    if role := os.environ.get(ROLE):
        variables |= session(role, region, ROLE)
    if role := os.environ.get(BUILD_ROLE):
        mirror = settings.image_mirror
        keys = session(role, Region.of(mirror.build_region or region.mirror_region), BUILD_ROLE)
        lines = [f"{name.lower()} = {value}" for name, value in keys.items()]
        folder = tempfile.mkdtemp(prefix="aws-", dir=os.environ.get("RUNNER_TEMP") or None)
        file = Path(folder) / "credentials"
        file.touch(0o600)
        file.write_text("\n".join([f"[{mirror.build_profile}]", *lines, ""]), "utf-8")
        variables["AWS_SHARED_CREDENTIALS_FILE"] = str(file)
    return {name: value for name, value in variables.items() if name not in _SECRETS}


def main(arguments: list[str] | None = None) -> None:
    """The command, in whose place the other one runs."""
    parser = argparse.ArgumentParser(prog="python -m docs.ci.aws_session", description=__doc__)
    parser.add_argument("--stack", required=True)
    parser.add_argument("run", nargs=argparse.REMAINDER)
    chosen = parser.parse_args(arguments)
    command: list[str] = chosen.run[1:] if chosen.run[:1] == ["--"] else chosen.run
    try:
        variables = environment(Path(f"Pulumi.{chosen.stack}.yaml"))
    except (NoSession, SettingsError) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
    os.execvpe(command[0], command, variables)  # noqa: S606 - the caller's own words


if __name__ == "__main__":
    main()
