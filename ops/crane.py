"""The program ``crane``, which copies images from registry to registry without a container daemon.

crane is the command line of go-containerregistry, github.com/google/go-containerregistry/cmd/crane.
It is taken from PATH, else built once with Go from the module in ``ops/crane/``. Its standard error
is parsed: the lines per blob (pkg/v1/remote/write.go, pusher.go), and the last line,
``Error: ...``, which has the registry's error codes, or the HTTP status where there are none
(pkg/v1/remote/transport/error.go), or an error of Go's net package.

crane repeats a request that broke or got 5xx three times within seconds (pkg/v1/remote/options.go).
Longer disturbances and 429 are retried here with a growing wait; crane prints no ``Retry-After``.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO

from tenacity import (
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_after_attempt,
    wait_random_exponential,
)

from components.mirror.buildspec import CRANE_VERSION
from terminal.output import messages
from toolchain.go_programs import GoProgram, obtain
from toolchain.tools import ToolMissing

ATTEMPTS = 6
LONGEST_WAIT_SECONDS = 60.0
QUERY_SECONDS = 120.0
COPY_SECONDS = 6 * 3600.0
"""A layer of 10 GB at 1 MB/s takes three hours, during which crane prints nothing."""

_BLOB = re.compile(r"(?:existing|mounted|pushed) blob: (?P<digest>\S+)")
_QUERY = re.compile(r"(https?://[^\s?\"]+)\?[^\s\"]*")
_HOST = re.compile(r"https?://([^/\s]+)/")
_WRITING = re.compile(r"\b(?:POST|PUT|PATCH) https?://")
_STATUS = re.compile(r"unexpected status code (\d{3})")
_CODE = re.compile(r"(?<=: )[A-Z][A-Z_]{3,}(?=: )")

_ABSENT = {"MANIFEST_UNKNOWN", "NAME_UNKNOWN", "404"}
_DENIED = {"UNAUTHORIZED", "DENIED", "401", "403"}
_BUSY = {"TOOMANYREQUESTS", "429"}
# Codes that every attempt gets again (distribution-spec, "Error Codes"). An unknown code counts as
# a disturbance: a needless attempt costs a minute, a missing one a failed image.
_FINAL = {
    *("BLOB_UNKNOWN", "MANIFEST_BLOB_UNKNOWN", "MANIFEST_INVALID", "NAME_INVALID", "TAG_INVALID"),
    *("UNSUPPORTED", "400", "405"),
}
_NETWORK = {
    "connection reset": "the connection was reset",
    "broken pipe": "the connection broke",
    "connection refused": "the connection is refused",
    "no such host": "the host name is not known",
    "timeout": "there was no answer in time",
    "EOF": "the connection broke",
    "certificate": "its certificate is not trusted",
}


class CraneFailed(Exception):
    """A failure of crane; the message is the end of a sentence about an image."""


class Absent(CraneFailed):
    """The registry has no such image."""


class Disturbed(CraneFailed):
    """Another attempt may succeed: rate limit (429), 5xx, or a broken connection."""


class Stopped(Exception):
    """The whole run is being stopped; the image did not fail."""


def _ignore(_: str) -> None: ...


def find() -> Path:
    """Find crane on PATH, else from the cache, else built with Go.

    Raises:
        ToolMissing: none of these.
    """
    on_path = shutil.which("crane")
    if on_path:
        return Path(on_path)
    package = "github.com/google/go-containerregistry/cmd/crane"
    program = GoProgram(
        name="crane",
        version=CRANE_VERSION,
        module=Path(__file__).parent / "crane",
        package=package,
        variables={f"{package}/cmd.Version": f"v{CRANE_VERSION}"},
        takes="about a minute on two cores",
    )
    built = obtain(program, messages.print)
    if built is None:
        raise ToolMissing(
            "There is no crane: put it on PATH, or install Go so that it can be built."
        )
    return built


class Crane:
    """Runs crane, in any number of threads; as a context manager, until the end of the block.

    Args:
        program: from ``find``.
        config: the folder with Docker's configuration; None: the user's own.
    """

    def __init__(self, program: Path, config: Path | None = None) -> None:
        self._program = str(program)
        self._environment = os.environ | ({"DOCKER_CONFIG": str(config)} if config else {})
        self._stopping = threading.Event()
        self._running: set[subprocess.Popen[str]] = set()
        self._guard = threading.Lock()

    def __enter__(self) -> Crane:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def digest(
        self,
        image: str,
        platform: str | None = None,
        on_retry: Callable[[str], None] = _ignore,
    ) -> str:
        """The digest of an image, of its whole index where it has one.

        Args:
            image: by tag or digest.
            platform: of an index, that of the image for this platform.
            on_retry: gets the reason of each failed attempt that another one follows.

        Raises:
            CraneFailed: ``Absent`` where there is none.
        """
        selected = ["--platform", platform] if platform else []
        answer = self._with_retries("digest", *selected, image, on_retry=on_retry)
        return answer.decode().strip()

    def manifest(self, image: str) -> bytes:
        """The manifest, byte by byte. Raises as ``digest``."""
        return self._with_retries("manifest", image)

    def copy(
        self,
        source: str,
        target: str,
        on_blob: Callable[[str], None],
        on_retry: Callable[[str], None] = _ignore,
    ) -> None:
        """Copy an image or any other artifact, all its platforms; the manifest goes last.

        Args:
            source: by digest.
            target: by tag.
            on_blob: gets the digest of each blob that the target has from then on, also repeatedly.
            on_retry: gets the reason of each failed attempt that another one follows.

        Raises:
            CraneFailed: blobs already copied remain, and are not copied again.
        """

        def on_line(text: str) -> None:
            match = _BLOB.search(text)
            if match:
                on_blob(match["digest"])

        self._with_retries("copy", source, target, on_line=on_line, on_retry=on_retry)

    def stop(self) -> None:
        """End running processes and refuse new ones; only half-copied blobs are lost."""
        self._stopping.set()
        with self._guard:
            for process in self._running:
                process.terminate()

    def _with_retries(
        self,
        *arguments: str,
        on_line: Callable[[str], None] = _ignore,
        on_retry: Callable[[str], None] = _ignore,
    ) -> bytes:
        attempts = Retrying(
            retry=retry_if_exception_type(Disturbed),
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_random_exponential(multiplier=1, max=LONGEST_WAIT_SECONDS),
            sleep=sleep_using_event(self._stopping),
            before_sleep=lambda at: on_retry(str(at.outcome and at.outcome.exception())),
            reraise=True,
        )
        try:
            return attempts(self._run, arguments, on_line)
        except Disturbed as disturbed:
            raise CraneFailed(f"{disturbed}, also after {ATTEMPTS} attempts") from None

    def _run(self, arguments: tuple[str, ...], on_line: Callable[[str], None]) -> bytes:
        seconds = COPY_SECONDS if arguments[0] == "copy" else QUERY_SECONDS
        last_line = ""
        # Output goes to a file: with two pipes, the one not read at the moment could fill up.
        with tempfile.TemporaryFile() as output, self._start(arguments, output) as process:
            limit = threading.Timer(seconds, process.kill)
            limit.daemon = True
            limit.start()
            try:
                for line in process.stderr or ():
                    last_line = line.strip()
                    on_line(last_line)
                code = process.wait()
            finally:
                expired = limit.finished.is_set()
                limit.cancel()
                with self._guard:
                    self._running.discard(process)
            if code == 0:
                output.seek(0)
                return output.read()
        if self._stopping.is_set():
            raise Stopped
        if expired:
            raise Disturbed(f"takes longer than {seconds:.0f} s")
        raise meaning(last_line) if code > 0 else Disturbed("fails: crane was killed")

    def _start(self, arguments: tuple[str, ...], output: IO[bytes]) -> subprocess.Popen[str]:
        with self._guard:
            if self._stopping.is_set():
                raise Stopped
            process = subprocess.Popen(
                [self._program, *arguments],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
            )
            self._running.add(process)
            return process


def meaning(last_line: str) -> CraneFailed:
    """The meaning of crane's last line, without queries of URLs, which may contain signatures."""
    text = _QUERY.sub(r"\1", last_line.removeprefix("Error: ").strip())
    codes = {*_CODE.findall(text), *_STATUS.findall(text)}
    match = _HOST.search(text)
    host = match[1] if match else "the registry"
    if codes & _ABSENT:
        if _WRITING.search(text):
            return CraneFailed(f"cannot be written: {host} has no such repository")
        return Absent("is not there")
    if codes & _DENIED:
        # Docker Hub and Quay give this answer also for images that do not exist.
        return CraneFailed(f"is refused by {host}: log in there with the right to it, if it exists")
    if "error getting credentials" in text:
        return CraneFailed("gets no login: the credential helper of your Docker config fails")
    if codes & _FINAL or "could not parse reference" in text:
        return CraneFailed(f"is refused: {text}")
    return Disturbed(_disturbance(text, codes))


def _disturbance(text: str, codes: set[str]) -> str:
    if codes & _BUSY:
        return "is asked for too often (429; a `docker login` may allow more)"
    for status in sorted(filter(str.isdigit, codes)):
        return f"gets the answer {status}"
    for part, sentence in _NETWORK.items():
        if part in text:
            return f"cannot be reached: {sentence}"
    return f"fails: {text or 'crane printed nothing'}"
