"""Pods of an InferenceService that download a model: KServe's variables and its own downloader."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.consumers.judged_aws import ADMINISTRATOR, JudgedAws
from tests.consumers.stack import PROFILES
from tests.rendering.beijing import kubeflow
from tests.services.serving_programs import environment_by_kserve, storage_initializer

MODEL = b"a model" * 1000
MINE, _ = PROFILES
EDITOR = (MINE, "default-editor")
DOWNLOAD = "import sys; from kserve_storage import Storage; Storage.download(*sys.argv[1:])"
"""What the image's entry point does (kserve/kserve, python/storage-initializer/scripts)."""


def put_model(judged: JudgedAws, profile: str) -> str:
    """Puts a model below the prefix of a profile; returns the URI of its folder."""
    key = f"{judged.stack.values['bucket.prefix']}/{profile}/iris/model.joblib"
    judged.aws.client("s3", ADMINISTRATOR).put_object(
        Bucket=judged.stack.bucket, Key=key, Body=MODEL
    )
    return f"s3://{judged.stack.bucket}/{key.rpartition('/')[0]}"


def download(judged: JudgedAws, uri: str, folder: Path, home: Path) -> str:
    """Runs the storage initializer for a pod of the first profile; returns its last line."""
    config = kubeflow().get("ConfigMap", "inferenceservice-config")
    by_kserve = environment_by_kserve(judged.stack.bound(config))
    # The pod identity webhook keeps a region that KServe's, which comes first, has named.
    assert "AWS_DEFAULT_REGION" in by_kserve
    by_eks = judged.environment(home, EDITOR, judged.stack.profiles[MINE])
    done = subprocess.run(
        [str(storage_initializer(print)), "-c", DOWNLOAD, uri, str(folder)],
        env={**by_eks, **by_kserve},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.stderr.strip().splitlines()[-1] if done.returncode else ""
