"""The program ``crane``, which copies images from registry to registry without a container daemon.

crane is the command line of go-containerregistry, github.com/google/go-containerregistry/cmd/crane.
It is taken from PATH, else built once with Go from the module in ``ops/crane/``. What it says on
standard error is read: the lines per blob here (pkg/v1/remote/write.go, pusher.go), its last line
in ``ops.crane_failures``.

crane tries a request that broke or got 5xx three times within seconds. What outlasts that, and 429,
is tried again here with a growing wait; a ``Retry-After`` is not among the things crane tells.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_after_attempt,
    stop_when_event_set,
    wait_random_exponential,
)

from components.mirror.buildspec import CRANE_VERSION
from ops.crane_failures import CraneFailed, Disturbed, Stopped, failure
from toolchain.go_tools import GoProgram, Say, obtain
from toolchain.tools import ToolMissing

ATTEMPTS = 6
LONGEST_WAIT_SECONDS = 60.0
QUESTION_SECONDS = 120.0
COPY_SECONDS = 6 * 3600.0
"""A layer of 10 GB at 1 MB/s takes three hours, and crane is silent meanwhile."""

_BLOB = re.compile(r"(?:existing|mounted|pushed) blob: (?P<digest>\S+)")


def find(say: Say) -> Path:
    """crane from PATH, else from the cache, else built with Go.

    Raises:
        ToolMissing: none of these.
    """
    on_path = shutil.which("crane")
    if on_path:
        return Path(on_path)
    built = obtain(_program(), say)
    if built is None:
        raise ToolMissing(
            "There is no crane: put it on PATH, or install Go so that it can be built."
        )
    return built


def _program() -> GoProgram:
    package = "github.com/google/go-containerregistry/cmd/crane"
    return GoProgram(
        name="crane",
        version=CRANE_VERSION,
        module=Path(__file__).parent / "crane",
        package=package,
        variables={f"{package}/cmd.Version": f"v{CRANE_VERSION}"},
        takes="about a minute on two cores",
    )


@contextmanager
def running(say: Say, config: Path | None = None) -> Generator[Crane]:
    """crane, which is stopped at the end of the block.

    Args:
        say: gets what ``find`` does.
        config: the folder with Docker's configuration; None: the person's own.

    Raises:
        ToolMissing: from ``find``.
    """
    crane = Crane(find(say), {"DOCKER_CONFIG": str(config)} if config else {})
    try:
        yield crane
    finally:
        crane.stop()


class Crane:
    """Runs crane, for any number of threads.

    Args:
        program: from ``find``.
        environment: variables that differ from this process's own (``DOCKER_CONFIG``).
        attempts: of each question and copy, at most.
        longest_wait: between two attempts, in seconds.
    """

    def __init__(
        self,
        program: Path,
        environment: Mapping[str, str] | None = None,
        *,
        attempts: int | None = None,
        longest_wait: float | None = None,
    ) -> None:
        self._program = program
        self._environment = {**os.environ, **(environment or {})}
        self._attempts = attempts or ATTEMPTS
        self._longest_wait = LONGEST_WAIT_SECONDS if longest_wait is None else longest_wait
        self._stopping = threading.Event()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._guard = threading.Lock()

    def digest(
        self,
        image: str,
        platform: str | None = None,
        retried: Callable[[str], None] | None = None,
    ) -> str:
        """The digest of an image, of its whole index where it has one.

        Args:
            platform: of an index, that of the image for this platform.
            retried: gets the reason of each attempt that failed and is followed by another.

        Raises:
            CraneFailed: ``Absent`` where there is none.
        """
        chosen = ["--platform", platform] if platform else []
        answer = self._patiently(lambda: self._run("digest", *chosen, image), retried)
        return answer.decode().strip()

    def manifest(self, image: str, retried: Callable[[str], None] | None = None) -> bytes:
        """The manifest, byte by byte. Raises as ``digest``."""
        return self._patiently(lambda: self._run("manifest", image), retried)

    def copy(
        self,
        source: str,
        target: str,
        arrived: Callable[[str], None],
        retried: Callable[[str], None] | None = None,
    ) -> None:
        """Copies an image or any other artifact, all its platforms; the manifest goes last.

        Args:
            arrived: gets the digest of each blob that the target holds from then on, also again.
            retried: as for ``digest``.

        Raises:
            CraneFailed: what has arrived stays, and is not sent again.
        """

        def line(text: str) -> None:
            found = _BLOB.search(text)
            if found:
                arrived(found["digest"])

        self._patiently(
            lambda: self._run("copy", source, target, line=line, seconds=COPY_SECONDS), retried
        )

    def login(self, host: str, user: str, password: str) -> None:
        """Writes a login into the folder ``DOCKER_CONFIG``; the password goes through a pipe."""
        self._run("auth", "login", host, "--username", user, "--password-stdin", given=password)

    def stop(self) -> None:
        """Ends what runs and refuses what would start: nothing is lost but blobs half sent."""
        self._stopping.set()
        with self._guard:
            running = list(self._running)
        for process in running:
            process.terminate()

    def _patiently(self, do: Callable[[], bytes], retried: Callable[[str], None] | None) -> bytes:
        def again(state: RetryCallState) -> None:
            if retried and state.outcome:
                retried(str(state.outcome.exception()))

        attempts = Retrying(
            retry=retry_if_exception_type(Disturbed),
            stop=stop_after_attempt(self._attempts) | stop_when_event_set(self._stopping),
            wait=wait_random_exponential(multiplier=1, max=self._longest_wait),
            sleep=sleep_using_event(self._stopping),
            before_sleep=again,
            reraise=True,
        )
        try:
            return attempts(do)
        except Disturbed as disturbed:
            if self._stopping.is_set():
                raise Stopped from None
            raise CraneFailed(f"{disturbed}, also after {self._attempts} attempts") from None

    def _run(
        self,
        *arguments: str,
        line: Callable[[str], None] | None = None,
        given: str = "",
        seconds: float | None = None,
    ) -> bytes:
        seconds = QUESTION_SECONDS if seconds is None else seconds
        last: deque[str] = deque([""], maxlen=1)
        # Answers go to a file: with two pipes, the one not read just then could fill up.
        with tempfile.TemporaryFile() as answer, self._start(arguments, answer) as process:
            expired = threading.Event()

            def expire(process: subprocess.Popen[bytes] = process) -> None:
                expired.set()
                process.kill()

            limit = threading.Timer(seconds, expire)
            limit.daemon = True
            limit.start()
            assert process.stdin is not None  # noqa: S101 - it is a pipe
            assert process.stderr is not None  # noqa: S101 - likewise
            try:
                process.stdin.write(given.encode())
                process.stdin.close()
                for raw in process.stderr:
                    text = raw.decode(errors="replace").strip()
                    last.append(text)
                    if line:
                        line(text)
                code = process.wait()
            finally:
                limit.cancel()
                with self._guard:
                    self._running.discard(process)
            if code == 0:
                answer.seek(0)
                return answer.read()
        if self._stopping.is_set():
            raise Stopped
        if expired.is_set():
            raise Disturbed(f"takes longer than {seconds:.0f} s")
        raise failure(last[0]) if code > 0 else Disturbed("fails: crane was killed")

    def _start(self, arguments: tuple[str, ...], answer: IO[bytes]) -> subprocess.Popen[bytes]:
        with self._guard:
            if self._stopping.is_set():
                raise Stopped
            process = subprocess.Popen(
                [str(self._program), *arguments],
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=answer,
                stderr=subprocess.PIPE,
            )
            self._running.add(process)
            return process
