"""The release of a stack, refused while a critical advisory of it is open and not accepted.

A dynamic resource, because the state alone distinguishes a new stack, or one that gets another
release, from one that exists: an advisory that is published later stops no change of that one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import pulumi
from pulumi.dynamic import CheckFailure, CheckResult, Resource

from components.dynamic.provider import DynamicProvider, refusals_as_sentences


class ReleaseAdvisoriesProvider(DynamicProvider):
    """Refuses a release that is new to the state; makes nothing."""

    updating = ("release", "accepted")
    identity = "{release}"

    @refusals_as_sentences()
    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Compare what is open with what the settings accept; previews do it too."""
        failures: list[CheckFailure] = []
        if _olds.get("release") != news.get("release"):
            sentences = cast("Mapping[str, str]", news["open"])
            failures = [
                CheckFailure("accepted", sentence)
                for name, sentence in sorted(sentences.items())
                if name not in news["accepted"]
            ]
        return CheckResult(news, failures)

    def outputs(self, news: dict[str, Any], _olds: dict[str, Any]) -> dict[str, Any]:
        """Record the release."""
        return news


class ReleaseAdvisories(Resource, name="ReleaseAdvisories"):
    """Makes: nothing; holds the release and its advisories in the state.

    Args:
        name: of the resource.
        release: of the stack.
        critical: identifier of each open critical advisory -> the sentence that refuses it.
        accepted: identifiers that the settings accept.
        opts: of the resource.
    """

    def __init__(
        self,
        name: str,
        *,
        release: str,
        critical: Mapping[str, str],
        accepted: Sequence[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        inputs = {"release": release, "open": dict(critical), "accepted": sorted(accepted)}
        super().__init__(ReleaseAdvisoriesProvider(), name, inputs, opts)
