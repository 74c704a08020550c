"""What a check reads and runs on: the stack's settings, its cluster, its AWS account."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ops.live_cluster import LiveCluster
from ops.verification.workspace import Workspace
from rendering.parts import Parts
from rendering.release import Release, load
from settings import MANIFESTS, Settings
from settings.context import StackContext


@dataclass(frozen=True)
class Platform:
    """A live platform.

    Attributes:
        stack: name of the stack.
        settings: of its stack file.
        context: names, account and region of the stack.
        cluster: its API server.
        client: makes the boto3 client of an AWS service in the stack's region; raises ``Refused``
            with the way out where there are no credentials, or those of another account.
        workspace: makes objects in a namespace, for checks with ``creates``.
        user: e-mail address of the user in whose profile they run; None: the first of the stack.
    """

    stack: str
    settings: Settings
    context: StackContext
    cluster: LiveCluster
    client: Callable[[str], Any]
    workspace: Callable[[str], Workspace]
    user: str | None = None

    @cached_property
    def release(self) -> Release:
        """The release of the stack."""
        return load(MANIFESTS / self.settings.release)

    @property
    def parts(self) -> Parts:
        """The objects of the release, by what they do."""
        return self.release.parts
