"""The benchmark of the image mirror's admission: duration of one, and number per second.

(a) is in process, with every copy in place; (b) is one server process (``webhook.server``) on one
core, called over HTTPS by connections that stay open; (c) is the import that a cold start of the
Lambda function waits for. (b) and (c) run in processes of their own.
"""

from __future__ import annotations

import io
import json
import logging
import os
import selectors
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, cast

from rich.console import Console
from rich.table import Table

from benchmarks.certificates import Certificate, self_signed
from webhook import service
from webhook.admission import Policy, review
from webhook.claims import Claims
from webhook.mirror import EcrMirror
from webhook.secret_path import SecretPaths
from webhook.server import AdmissionServer, log_to_standard_error, serve_until_signal
from webhook.serving_certificate import ServingCertificate

_ROOT = Path(__file__).resolve().parent.parent
P99_LIMIT_MS, PER_SECOND_GOAL, IMPORT_LIMIT_MS = 5.0, 1000, 400.0
_CONTAINERS, _USUAL_CONTAINERS, _CONNECTIONS = 20, 3, 8
_PATH = "/admit/0123456789abcdefghijABCDEFGHIJ0123456789"
_OWN = "111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn/kubeflow"


@dataclass(frozen=True)
class Cost:
    """Milliseconds by the clock and of the processor, which a busy machine does not disturb."""

    clock: float
    processor: float


@dataclass(frozen=True)
class Throughput:
    """One server's answers per second, and processor milliseconds per answer."""

    per_second: float
    processor: float


def admission_bench(console: Console, *, rounds: int) -> None:
    """Measures and prints.

    Raises:
        subprocess.CalledProcessError: a measured process failed; the reason is on its standard
            error.
    """
    half, most = one_admission()
    load = [throughput() for _ in range(rounds)]
    imported = cold_import(rounds * 3)
    table = Table(box=None, pad_edge=False)
    for heading in ("image mirror", "measured", "processor time", "goal"):
        table.add_column(heading, justify="left" if heading == "image mirror" else "right")
    for name, cost, goal in (("p50", half, ""), ("p99", most, f"< {P99_LIMIT_MS:.0f} ms")):
        what = f"one admission, {_CONTAINERS} containers, {name}"
        table.add_row(what, f"{cost.clock:.2f} ms", f"{cost.processor:.2f} ms", goal)
    table.add_row(
        f"HTTPS, {_USUAL_CONTAINERS} containers, one core",
        f"{statistics.median(each.per_second for each in load):,.0f} /s",
        f"{statistics.median(each.processor for each in load):.2f} ms each",
        f"> {PER_SECOND_GOAL:,} /s",
    )
    table.add_row(
        "import of webhook.lambda_handler",
        f"{imported.clock:.0f} ms",
        f"{imported.processor:.0f} ms",
        f"< {IMPORT_LIMIT_MS:.0f} ms",
    )
    console.print(table)


def one_admission(times: int = 2000) -> tuple[Cost, Cost]:
    """p50 and p99 of one warm admission, from the bytes of a request to those of its answer."""
    body, decide = _body(_CONTAINERS), _warm_decision()
    clock: list[float] = []
    processor: list[float] = []
    with _quiet():
        for _ in range(times):
            start, used = time.perf_counter(), time.thread_time()
            json.dumps(service.reply(body, decide)[1]).encode()
            processor.append((time.thread_time() - used) * 1000)
            clock.append((time.perf_counter() - start) * 1000)
    clocks, processors = (
        statistics.quantiles(spent[times // 10 :], n=100) for spent in (clock, processor)
    )
    return Cost(clocks[49], processors[49]), Cost(clocks[98], processors[98])


def calls(containers: int) -> int:
    """Python functions that one warm admission calls: a number that no machine changes."""
    body, decide = _body(containers), _warm_decision()
    called = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal called
        called += event == "call"

    with _quiet():
        service.reply(body, decide)
        before = sys.getprofile()
        sys.setprofile(count)
        try:
            service.reply(body, decide)
        finally:
            sys.setprofile(before)
    return called


def throughput(seconds: float = 5.0) -> Throughput:
    """Asks one server, which has one core to itself, over several connections at once."""
    with tempfile.TemporaryDirectory() as folder:
        pair = self_signed(Path(folder))
        with _server(Path(folder)) as (process, port), _connections(port, pair) as connections:
            _load(connections, seconds / 5)  # everything is imported and remembered
            before, start = _cpu_seconds(process), time.monotonic()
            answers = _load(connections, seconds)
            spent, used = time.monotonic() - start, _cpu_seconds(process) - before
            return Throughput(answers / spent, used * 1000 / answers)


def cold_import(times: int = 9) -> Cost:
    """What ``import webhook.lambda_handler`` takes in a fresh interpreter; medians."""
    code = (
        "import time; start, used = time.perf_counter(), time.process_time(); "
        "import webhook.lambda_handler; "
        "print(time.perf_counter() - start, time.process_time() - used)"
    )
    clock: list[float] = []
    processor: list[float] = []
    for _ in range(times):
        command = [sys.executable, "-c", code]
        done = subprocess.run(
            command, cwd=_ROOT, check=True, stdout=subprocess.PIPE, encoding="utf-8"
        )
        spent, used = done.stdout.split()
        clock.append(float(spent) * 1000)
        processor.append(float(used) * 1000)
    return Cost(statistics.median(clock), statistics.median(processor))


# -- the request ----------------------------------------------------------------------------------


def _body(containers: int) -> bytes:
    """An AdmissionReview as the API server sends it for a pod of a Deployment."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": "ml-pipeline-7c9d8b6f5-",
            "labels": {"app": "ml-pipeline", "pod-template-hash": "7c9d8b6f5"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "ml-pipeline-7c9d8b6f5"}],
        },
        "spec": {
            "serviceAccountName": "ml-pipeline",
            "volumes": [{"name": "token", "projected": {"sources": []}}],
            "containers": [
                {
                    "name": f"container-{number}",
                    "image": f"ghcr.io/kubeflow/kfp-api-server-{number}:2.16.0",
                    "env": [{"name": f"VARIABLE_{each}", "value": "value"} for each in range(10)],
                    "resources": {"requests": {"cpu": "250m", "memory": "500Mi"}},
                    "volumeMounts": [{"name": "token", "mountPath": "/var/run/secrets"}],
                }
                for number in range(containers)
            ],
        },
    }
    request = {
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "namespace": "kubeflow",
        "operation": "CREATE",
        "userInfo": {"username": "system:serviceaccount:kube-system:replicaset-controller"},
        "object": pod,
        "oldObject": None,
        "dryRun": False,
    }
    body = {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request}
    return json.dumps(body).encode()


class _Everything:
    """ECR and DynamoDB, with every copy in place."""

    def describe_images(self, **_: Any) -> dict[str, Any]:
        return {}

    def update_item(self, **_: Any) -> dict[str, Any]:
        return {}


def _warm_decision() -> service.Decide:
    """The decision with its real cache; AWS alone is simulated."""
    aws = _Everything()
    prefix = _OWN.partition("/")[2]
    known = EcrMirror(aws, Claims(aws, "table", 3600), lambda _: None, prefix=prefix)
    policy = Policy(registry=_OWN)
    return lambda body, deadline: review(body, policy, known, deadline)


@contextmanager
def _quiet() -> Generator[None]:
    """Writes the log line of each admission to memory instead of the terminal."""
    log, written = logging.getLogger("webhook"), io.StringIO()
    handler = logging.StreamHandler(written)
    log.addHandler(handler)
    before = (log.level, log.propagate)
    log.propagate = False
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.level, log.propagate = before


# -- a server, and its clients --------------------------------------------------------------------


@contextmanager
def _server(folder: Path) -> Generator[tuple[subprocess.Popen[str], int]]:
    """A server process on one core, with its port."""
    command = [sys.executable, "-m", "benchmarks.admissions", str(folder)]
    with subprocess.Popen(
        command, cwd=_ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8"
    ) as process:
        try:
            yield process, int((process.stdout or io.StringIO()).readline())
        finally:
            process.terminate()


def _serve(folder: Path) -> None:
    log_to_standard_error()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    certificate = ServingCertificate(folder / "tls.crt", folder / "tls.key")
    paths = folder / "paths"
    paths.write_text(_PATH, "utf-8")
    server = AdmissionServer(("127.0.0.1", 0), certificate, SecretPaths(paths), _warm_decision())
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    serve_until_signal(server)


@contextmanager
def _connections(port: int, pair: Certificate) -> Generator[list[ssl.SSLSocket]]:
    trusted = ssl.create_default_context(cafile=pair.certificate)
    with ExitStack() as opened:
        yield [
            opened.enter_context(
                trusted.wrap_socket(
                    opened.enter_context(socket.create_connection(("127.0.0.1", port))),
                    server_hostname="127.0.0.1",
                )
            )
            for _ in range(_CONNECTIONS)
        ]


def _load(connections: list[ssl.SSLSocket], seconds: float) -> int:
    """Keeps every connection busy, and returns the number of answers. A refusal raises."""
    body = _body(_USUAL_CONTAINERS)
    head = f"POST {_PATH}?timeout=5s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json"
    request = f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    answers, until = 0, time.monotonic() + seconds
    with selectors.DefaultSelector() as waiting:
        for each in connections:
            waiting.register(each, selectors.EVENT_READ)
            each.sendall(request)
        due = len(connections)
        while due:
            for ready, _ in waiting.select():
                connection = cast("ssl.SSLSocket", ready.fileobj)
                _read_answer(connection)
                answers += 1
                if time.monotonic() < until:
                    connection.sendall(request)
                else:
                    due -= 1
    return answers


def _read_answer(connection: ssl.SSLSocket) -> None:
    received = connection.recv(1 << 16)
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(1 << 16)
    if not head.startswith(b"HTTP/1.1 200") or b'"patch"' not in body:
        raise RuntimeError(f"the server did not rewrite a pod: {head.decode()}")


def _cpu_seconds(process: subprocess.Popen[str]) -> float:
    """Processor time of a process so far (proc(5): utime and stime, behind the name)."""
    fields = Path(f"/proc/{process.pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
