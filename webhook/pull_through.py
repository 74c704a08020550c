"""Pull-through caches: ECR itself fetches every image of a cached registry at the first pull.

No AWS call, so no right and no time; a pull that fails shows in the events of its pod, as it would
at the source.
"""

from __future__ import annotations

import math
from collections.abc import Collection

from images.reference import Reference
from webhook.admission import Copy, Presence
from webhook.budgets import Review


class PullThroughMirror:
    """Answers ``admission.Mirror`` for a registry whose pull-through caches fill it.

    Args:
        registries: the hosts that have a cache; images of all others stay at their source.
    """

    def __init__(self, registries: Collection[str]) -> None:
        self._registries = frozenset(registries)

    def ask(
        self,
        source: Reference,
        *,
        start: bool,  # noqa: ARG002 - nothing to start
        follow: bool = False,  # noqa: ARG002 - ECR compares by itself
        deadline: float = math.inf,  # noqa: ARG002 - nothing waits
        review: Review | None = None,  # noqa: ARG002 - nothing costs
    ) -> Copy:
        """See ``admission.Mirror.ask``: PRESENT or NEVER."""
        served = source.pulled_through(self._registries)
        return Copy(Presence.PRESENT if served else Presence.NEVER)
