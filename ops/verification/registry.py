"""Every check, in the order in which they run and are reported."""

from __future__ import annotations

from ops.verification.check import Check
from ops.verification.checks import running

CHECKS: tuple[Check, ...] = (*running.CHECKS,)
