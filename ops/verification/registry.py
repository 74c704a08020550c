"""Every check, in the order in which they run and are reported."""

from __future__ import annotations

from ops.verification.check import Check
from ops.verification.checks import (
    bucket,
    bucket_access,
    bucket_content,
    database,
    database_instance,
    gpu,
    katib,
    keys,
    login,
    notebooks,
    pipelines,
    running,
    serving,
    shared_files,
)

CHECKS: tuple[Check, ...] = (
    *running.CHECKS,
    *database_instance.CHECKS,
    *database.CHECKS,
    *keys.CHECKS,
    *bucket.CHECKS,
    *bucket_content.CHECKS,
    *bucket_access.CHECKS,
    *shared_files.CHECKS,
    *login.CHECKS,
    *pipelines.CHECKS,
    *katib.CHECKS,
    *notebooks.CHECKS,
    *serving.CHECKS,
    *gpu.CHECKS,
)
