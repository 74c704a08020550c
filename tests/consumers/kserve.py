"""Pods of an InferenceService that download a model: KServe's variables and its own downloader."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.consumers.judged_aws import ADMINISTRATOR, JudgedAws
from tests.consumers.stack import PROFILES, TEAM_BUCKET
from tests.rendering.beijing import kubeflow
from tests.services.serving_programs import environment_by_kserve, storage_initializer

MODEL = b"a model" * 1000
RELEASE = "26.03"
"""With the KServe that is built here."""
MINE, _ = PROFILES
DOWNLOAD = "import sys; from kserve_storage import Storage; Storage.download(*sys.argv[1:])"
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


def download(judged: JudgedAws, uri: str, folder: Path, home: Path, profile: str = MINE) -> str:
    """Runs the storage initializer for a pod of a profile; returns its last line, if it fails."""
    config = kubeflow(RELEASE).get("ConfigMap", "inferenceservice-config")
    by_kserve = environment_by_kserve(judged.stack.bound(config))
    # The pod identity webhook keeps a region that KServe's, which comes first, has named.
    assert "AWS_DEFAULT_REGION" in by_kserve
    by_eks = judged.environment(home, (profile, "default-editor"), judged.stack.profiles[profile])
    done = subprocess.run(
        [str(storage_initializer(print)), "-c", DOWNLOAD, uri, str(folder)],
        env={**by_eks, **by_kserve},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.stderr.strip().splitlines()[-1] if done.returncode else ""
