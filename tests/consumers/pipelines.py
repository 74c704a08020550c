"""Pods of Pipelines that reach S3 and RDS with the libraries of Pipelines, as they are rendered."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.api_server import built
from tests.consumers.judged_aws import ADMINISTRATOR, JudgedAws
from tests.consumers.programs import kfp_libraries
from tests.consumers.stack import PROFILES
from tests.releases import DEFAULT, version_of_pipelines
from tests.rendering.beijing import kubeflow

MINE, _ = PROFILES
API_SERVER = ("kubeflow", "ml-pipeline")
KEY = "pipeline/run-1/train/executor-logs"
METRICS = "wf-1/2026/01/02/wf-1-train/mlpipeline-metrics.tgz"


@dataclass(frozen=True)
class Launcher:
    """The launcher of a step, with the role of the first profile.

    Attributes:
        judged: S3 and STS.
        folder: for its files.
        profile: whose pipeline root the run has.
        release: whose launcher it is.
    """

    judged: JudgedAws
    folder: Path
    profile: str = MINE
    release: str = DEFAULT

    @property
    def config(self) -> dict[str, str]:
        """The ConfigMap of the launcher that a profile gets."""
        made = self.judged.stack.of_profile(self.release, self.profile)
        return made["ConfigMap kfp-launcher"]["data"]

    def run(self, command: str, text: str = "") -> subprocess.CompletedProcess[str]:
        """Runs one of the launcher's commands."""
        role = self.judged.stack.profiles[MINE]
        variables = self.judged.environment(self.folder, (MINE, "default-editor"), role)
        config = self.config
        arguments = [command, config["defaultPipelineRoot"], KEY]
        if not version_of_pipelines(self.release).startswith("2.16."):
            arguments.append(config["providers"])
        return run(arguments, variables, text, self.release)


def run(
    arguments: list[str], variables: dict[str, str], text: str = "", release: str = DEFAULT
) -> subprocess.CompletedProcess[str]:
    """Runs the libraries of Pipelines as a release has them."""
    return subprocess.run(
        [str(built(kfp_libraries(release), print)), *arguments],
        input=text,
        env=variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def put_artifact(judged: JudgedAws, profile: str, name: str) -> str:
    """Puts the text "an artifact" below the prefix of a profile; returns its key."""
    key = f"{judged.stack.values['bucket.prefix']}/{profile}/{name}"
    judged.aws.client("s3", ADMINISTRATOR).put_object(
        Bucket=judged.stack.bucket, Key=key, Body=b"an artifact"
    )
    return key


def api_server(
    judged: JudgedAws, folder: Path, *arguments: str, release: str = DEFAULT
) -> subprocess.CompletedProcess[str]:
    """Runs one of the API server's commands, with its variables and its role."""
    stack = judged.stack
    account = stack.bound(kubeflow(release).get("ServiceAccount", "ml-pipeline"))
    role = account["metadata"]["annotations"]["eks.amazonaws.com/role-arn"]
    variables = judged.environment(folder, API_SERVER, role)
    # The pod's SSL_CERT_DIR has folders of the image; the test's own authority is in a file.
    variables |= stack.variables(kubeflow(release), "ml-pipeline")
    return run([*arguments], variables, release=release)
