"""Pods of an InferenceService that download a model: KServe's variables and its own downloader."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.consumers.judged_aws import ADMINISTRATOR, JudgedAws
from tests.consumers.programs import version_of_kserve
from tests.consumers.stack import PROFILES, TEAM_BUCKET
from tests.releases import DEFAULT
from tests.rendering.beijing import kubeflow
from tests.services.serving_programs import environment_by_kserve, storage_initializer

MODEL = b"a model" * 1000
MINE, _ = PROFILES
ENTRY_POINT = "import sys; from kserve_storage import Storage; Storage.download(*sys.argv[1:])"
"""What the image's entry point does (kserve/kserve, python/storage-initializer/scripts)."""


def put_model(judged: JudgedAws, profile: str) -> str:
    """Puts a model below the prefix of a profile; returns the URI of its folder."""
    return _put(
        judged, judged.stack.bucket, f"{judged.stack.values['bucket.prefix']}/{profile}/iris"
    )


def put_team_model(judged: JudgedAws, prefix: str) -> str:
    """Puts a model below a prefix of the team's bucket; returns the URI of its folder."""
    return _put(judged, TEAM_BUCKET, f"{prefix}/iris")


def _put(judged: JudgedAws, bucket: str, folder: str) -> str:
    judged.aws.client("s3", ADMINISTRATOR).put_object(
        Bucket=bucket, Key=f"{folder}/model.joblib", Body=MODEL
    )
    return f"s3://{bucket}/{folder}"


@dataclass(frozen=True)
class Downloader:
    """The storage initializer of pods.

    Attributes:
        judged: S3 and STS.
        home: for files of the pod.
        release: whose KServe makes the pod; its variables are made by the one that is built here.
        profile: of the pod.
        of_kserve: whether KServe makes the container, and with it its variables.
    """

    judged: JudgedAws
    home: Path
    release: str = DEFAULT
    profile: str = MINE
    of_kserve: bool = True

    @property
    def command(self) -> list[str]:
        """What the container runs, of which the first part is a Python."""
        container = kubeflow(self.release).get("ClusterStorageContainer", "default")
        return container["spec"]["container"].get("command") or ["python3", "-c", ENTRY_POINT]

    def run(self, uri: str, folder: Path, command: Sequence[str] | None = None) -> str:
        """Downloads a model into a folder; returns the last line, if that fails.

        Args:
            uri: of the model.
            folder: where it will be.
            command: in place of the rendered one.
        """
        stack, account = self.judged.stack, (self.profile, "default-editor")
        by_kserve = self._by_kserve() if self.of_kserve else {}
        by_eks = self.judged.environment(self.home, account, stack.profiles[self.profile])
        python = storage_initializer(version_of_kserve(self.release), print)
        _, *arguments = command or self.command
        done = subprocess.run(
            [str(python), *arguments, uri, str(folder)],
            env={**by_eks, **by_kserve},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return done.stderr.strip().splitlines()[-1] if done.returncode else ""

    def _by_kserve(self) -> dict[str, str]:
        config = kubeflow(self.release).get("ConfigMap", "inferenceservice-config")
        variables = environment_by_kserve(self.judged.stack.bound(config))
        # The pod identity webhook keeps a region that KServe's, which comes first, has named.
        assert "AWS_DEFAULT_REGION" in variables
        return variables
