"""Every check, in the order in which they run and are reported."""

from __future__ import annotations

from ops.verification.check import Check
from ops.verification.checks import (
    admission,
    bucket,
    bucket_access,
    bucket_content,
    cluster_state,
    database,
    database_instance,
    gpu,
    isolation,
    katib,
    keys,
    login,
    mesh,
    notebooks,
    pipelines,
    profile_policies,
    running,
    serving,
    shared_files,
    stored_secrets,
    supply,
    users,
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
    *cluster_state.CHECKS,
    *admission.CHECKS,
    *supply.CHECKS,
    *stored_secrets.CHECKS,
    *users.CHECKS,
    *isolation.CHECKS,
    *profile_policies.CHECKS,
    *mesh.CHECKS,
    *login.CHECKS,
    *pipelines.CHECKS,
    *katib.CHECKS,
    *notebooks.CHECKS,
    *serving.CHECKS,
    *gpu.CHECKS,
)
