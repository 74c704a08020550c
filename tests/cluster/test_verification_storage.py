"""The pods that ask database and bucket, submitted to the API server with the whole platform."""

from __future__ import annotations

from typing import Any

import pytest

from ops.verification.checks.bucket_access import access_job
from ops.verification.checks.database import questions
from ops.verification.database_rows import NAMESPACE, InitJob, job_of
from rendering import Object
from tests.cluster.conftest import CURRENT
from tests.cluster.installation import Installation
from tests.database_users import users
from tests.releases import DEFAULT

JOBS = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"


def accepted(installed: Installation, job: dict[str, Any], *left_out: str) -> Object:
    """The pod of a Job as it is admitted; both are accepted without a warning.

    Args:
        installed: the platform.
        job: of the verification.
        left_out: fields of the pod that name what does not run here.
    """
    metadata = job["metadata"]
    metadata["name"] = f"kf-verify-1a2b3c4d0a06-{metadata.pop('generateName')}x"
    assert installed.cluster.create(job, dry_run=True).warnings == ()
    template = job["spec"]["template"]
    spec = {key: value for key, value in template["spec"].items() if key not in left_out}
    pod: Object = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**template["metadata"], **metadata},
        "spec": spec,
    }
    made = installed.cluster.create(pod, dry_run=True)
    assert made.warnings == ()
    return made.body


def test_the_pod_that_asks_the_database_is_accepted_beside_the_job_that_made_its_users(
    installed: Installation,
) -> None:
    (live,) = installed.cluster.get(JOBS)["items"]
    asked = [*questions(users(DEFAULT, ()))]
    job = job_of(InitJob(1, failed=False, template=live["spec"]["template"]), asked)
    pod = accepted(installed, job)
    (before,) = live["spec"]["template"]["spec"]["containers"]
    (after,) = pod["spec"]["containers"]
    assert after["image"] == before["image"]
    assert after["image"].endswith("/docker.io/library/mysql:8.4.11")
    # Linux takes no longer argument than 128 KiB (execve(2), MAX_ARG_STRLEN).
    assert max(map(len, after["command"])) < 16 * 1024


@pytest.mark.parametrize("version", CURRENT, indirect=True, scope="session")
def test_the_pod_at_the_bucket_is_accepted_with_its_copied_image(installed: Installation) -> None:
    job = access_job("default", ["private-artifacts/default/"], "kf-verify-1a2b3c4d0a06")
    # The profile controller, which makes default-editor, does not run here.
    pod = accepted(installed, job, "serviceAccountName")
    (container,) = pod["spec"]["containers"]
    assert container["image"].endswith("kserve/storage-initializer:v0.18.0")
