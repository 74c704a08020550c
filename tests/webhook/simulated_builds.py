"""CodeBuild of an account, as far as copies meet its limits; time passes by calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from webhook.claims import BEGUN, COPIED, FAILED, RETRY_SECONDS

TOKEN_SECONDS = 300
"""StartBuild answers a token of the last five minutes with the build that it started then
(docs.aws.amazon.com/codebuild/latest/APIReference/API_StartBuild.html)."""


class Clock:
    """Epoch seconds that pass by hand."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@dataclass
class Build:
    """One build: its image, and when it was started, got a machine and ended.

    ``dropped``: it ended without a machine.
    """

    identifier: str
    image: str
    started: float
    began: float | None = None
    ended: float | None = None
    dropped: bool = False


@dataclass
class CodeBuild:
    """Builds run up to the quota of the account, five times as many wait, and others are refused.

    Attributes:
        table: DynamoDB, where a build writes how it went.
        clock: epoch seconds.
        quota: builds that run at once in the account.
        queue_seconds: after which a build without a machine is dropped.
        seconds: how long the copy of an image takes; None: it never has a result.
        failing: images whose copy fails.
        refusals: codes of the next answers of StartBuild.
    """

    table: Any
    clock: Clock
    quota: int = 60
    queue_seconds: float = 900
    seconds: Callable[[str], float | None] = lambda _: 60.0
    failing: set[str] = field(default_factory=set[str])
    refusals: list[str] = field(default_factory=list[str])
    builds: list[Build] = field(default_factory=list[Build])
    _tokens: dict[str, Build] = field(default_factory=dict[str, Build])

    def start_build(self, **request: Any) -> dict[str, Any]:
        """``StartBuild``."""
        if self.refusals:
            raise ClientError({"Error": {"Code": self.refusals.pop(0)}}, "StartBuild")
        token = str(request["idempotencyToken"])
        former = self._tokens.get(token)
        if former and self.clock.now - former.started < TOKEN_SECONDS:
            return {"build": {"id": former.identifier}}
        if len(self.open) >= 6 * self.quota:
            code = {"Code": "AccountLimitExceededException"}
            raise ClientError({"Error": code}, "StartBuild")
        image = str(request["environmentVariablesOverride"][0]["value"]).split()[0]
        build = Build(f"copier:{len(self.builds)}", image, self.clock.now)
        self.builds.append(build)
        self._tokens[token] = build
        self._give_machines()
        return {"build": {"id": build.identifier}}

    @property
    def open(self) -> list[Build]:
        """The builds that have not ended."""
        return [build for build in self.builds if build.ended is None]

    def of(self, start: str) -> list[Build]:
        """The builds of images whose name begins so."""
        return [build for build in self.builds if build.image.startswith(start)]

    def pass_time(self, seconds: float) -> None:
        """Lets time pass; builds that are done by then have written their results."""
        self.clock.now += seconds
        for build in self.open:
            if build.began is None and self.clock.now - build.started > self.queue_seconds:
                build.ended, build.dropped = self.clock.now, True
        for build in self.open:
            needed = self.seconds(build.image)
            if build.began is None or needed is None or self.clock.now - build.began < needed:
                continue
            build.ended = self.clock.now
            self._write(build.image)
        self._give_machines()

    def _give_machines(self) -> None:
        running = sum(build.began is not None for build in self.open)
        for build in self.open:
            if build.began is None and running < self.quota:
                build.began = self.clock.now
                running += 1
                half = {"N": str(RETRY_SECONDS // 2)}
                now = {"N": str(int(self.clock.now))}
                self._update(build.image, BEGUN, {":now": now, ":half": half, ":one": {"N": "1"}})

    def _write(self, image: str) -> None:
        now = int(self.clock.now)
        if image in self.failing:
            expression = FAILED
            values = {
                ":reason": {"S": "not-found"},
                ":now": {"N": str(now)},
                ":first": {"N": str(RETRY_SECONDS)},
            }
        else:
            expression = COPIED
            digest = {"S": "sha256:0"}
            end = {"N": str(now + 86400)}
            values = {":digest": digest, ":source": digest, ":end": end}
        self._update(image, expression, values)

    def _update(self, image: str, expression: str, values: dict[str, Any]) -> None:
        self.table.update_item(
            TableName="copies",
            Key={"image": {"S": image}},
            UpdateExpression=expression,
            ExpressionAttributeValues=values,
        )
