"""Every check, in the order in which they run and are reported."""

from __future__ import annotations

from ops.verification.check import Check
from ops.verification.checks import (
    admission,
    cluster_state,
    people,
    running,
    stored_secrets,
    supply,
)

CHECKS: tuple[Check, ...] = (
    *running.CHECKS,
    *cluster_state.CHECKS,
    *admission.CHECKS,
    *supply.CHECKS,
    *stored_secrets.CHECKS,
    *people.CHECKS,
)
