"""Objects that a verification makes, and their end, whatever becomes of the verification.

Every object is owned by one Job per namespace, the anchor: its deadline is near and is moved on
while the verification runs; when the verification ends or is killed, Kubernetes ends the Job at its
deadline, deletes it, and collects what the Job owns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol


class Workspace(Protocol):
    """One namespace, as long as the verification runs.

    Attributes:
        namespace: of every object.
        run: identifies this verification, ``kf-verify-1a2b3c``: prefix of every name.
    """

    namespace: str
    run: str

    def create(self, obj: Mapping[str, Any]) -> dict[str, Any]:
        """Creates an object, labelled and owned; its name gets the prefix."""
        ...

    def wait(
        self,
        what: str,
        done: Callable[[], str | None],
        seconds: float,
    ) -> str | None:
        """Asks until there is an answer; None after these seconds.

        Args:
            what: is waited for, for the progress line.
            done: the answer, or None.
            seconds: at most; the time counts as waited, and is no overhead.
        """
        ...

    def logs(self, job: str) -> str:
        """What the first pod of a Job of this workspace printed."""
        ...
