"""One run of a stack that ``make bench`` measures: ``python -m tests.live.stack_life SIDE``.

Each is a process of its own and prints its numbers as one line of JSON. The cluster is that of this
tier: a real API server, controllers, scheduler and Kubernetes provider; nodes, pods and AWS are
simulated.
"""

from __future__ import annotations

import base64
import json
import logging
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pulumi
from pulumi import automation as auto

from benchmarks.life_table import STEPS, Numbers
from rehearsal import engine
from rehearsal.engine import Outcome, Rehearsal
from rehearsal.plan import CRD_RESOURCE, in_dependency_order, kubernetes_yaml
from rehearsal.providers import Simulation
from rendering.crd_bundle import crd_documents
from terminal.output import messages
from tests.cluster.api_server import built
from tests.elasticity.programs import of_kubernetes
from tests.faults.attached import attach
from tests.live.engine import LiveRehearsal
from tests.live.stack import ROOT, STACK, LiveStack, live_stack
from toolchain import tools

_VERBS = ("preview", "up", "preview", "refresh", "up", "destroy")
_EMPTY_TYPE = "aws:bench/empty:Empty"
_KUBECTL = of_kubernetes("kubectl", "about a minute on two cores")
_APPLY_AGAIN_SECONDS = 10
_MOST_APPLIES = 20


def _say(line: str) -> None:
    messages.print(line)


# -- the stack ------------------------------------------------------------------------------------


def ours() -> Numbers:
    """Seconds of each step and of the CRDs in ``up``, resources, and bytes of the state."""
    numbers: Numbers = {}
    with (
        _folder() as folder,
        _seconds_of(CRD_RESOURCE) as crds,
        live_stack(folder, _say, _into(numbers)) as stack,
    ):
        stack.set(lambda config: config.update({"kubeflow:deletionProtection": False}))
        for step, verb in zip(STEPS, _VERBS, strict=True):
            if step == "one value changed":
                stack.set(lambda config: config["kubeflow:nodeGroup"].update(max=9))
            before = _written_blocks()
            stack.run(verb)
            if step == "up":
                numbers["bytes written, file"] = (_written_blocks() - before) * 512
                numbers["CRDs"] = sum(crds)
                numbers["bytes of the state"] = state_file(stack.build).stat().st_size
    return numbers


def _into(numbers: Numbers) -> Callable[[str, float, Outcome], None]:
    """Keeps the seconds of each run by its step, and the resources of the first."""
    steps = iter(STEPS)

    def report(_verb: str, seconds: float, outcome: Outcome) -> None:
        numbers[next(steps)] = seconds
        numbers.setdefault("resources", sum(outcome.changes.values()))

    return report


def state_file(build: Path) -> Path:
    """The checkpoint of the stack, compressed or not; beside it lies the one before (``.bak``)."""
    folder = build / "state/.pulumi/stacks"
    (file,) = (found for end in ("json", "json.zst") for found in folder.rglob(f"{STACK}.{end}"))
    return file


def _written_blocks() -> int:
    """Blocks of 512 bytes that ended child processes, the CLI and its plugins, sent to disks."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_oublock


@contextmanager
def _seconds_of(type_: str) -> Generator[list[float]]:
    """The seconds of each resource of a type, between the engine's two events of its step."""
    seconds: list[float] = []
    begun: dict[str, float] = {}
    original = engine._watch  # pyright: ignore[reportPrivateUsage]

    def watch(run: Any, event: Any) -> None:
        if event.resource_pre_event:
            begun[event.resource_pre_event.metadata.urn] = time.monotonic()
        elif event.res_outputs_event:
            metadata = event.res_outputs_event.metadata
            if metadata.type == type_ and metadata.urn in begun:
                seconds.append(time.monotonic() - begun[metadata.urn])
        original(run, event)

    engine._watch = watch  # pyright: ignore[reportPrivateUsage]
    try:
        yield seconds
    finally:
        engine._watch = original  # pyright: ignore[reportPrivateUsage]


def to_s3() -> Numbers:
    """Bytes that a whole ``up`` writes to S3 (moto), compressed as the README sets it."""
    import boto3
    from moto.server import ThreadedMotoServer

    bucket = "states"
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line per request
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    try:
        address = "http://{}:{}".format(*server.get_host_and_port())
        access = {"aws_access_key_id": "simulated", "aws_secret_access_key": "simulated"}
        make = cast("Any", boto3).client
        s3 = make("s3", endpoint_url=address, region_name="us-east-1", **access)
        s3.create_bucket(Bucket=bucket)
        # Every object that was ever written stays as a version.
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        url = f"s3://{bucket}?endpoint={address}&region=us-east-1&s3ForcePathStyle=true"
        kind = _with_state_in(url)
        with (
            _folder() as folder,
            live_stack(folder, _say, _unreported) as stack,
            stack.rehearsal(kind).started() as rehearsal,
        ):
            rehearsal.up()
        pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket)
        # A backup is a copy inside S3, of which no byte is sent.
        versions = [
            each["Size"]
            for page in pages
            for each in page.get("Versions", [])
            if not each["Key"].endswith(".bak")
        ]
    finally:
        server.stop()
    return {"bytes written, S3": sum(versions), "objects written, S3": len(versions)}


def _unreported(_verb: str, _seconds: float, _outcome: Outcome) -> None:
    """Only sizes count."""


def _with_state_in(url: str) -> type[LiveRehearsal]:
    class ElsewhereStored(LiveRehearsal):
        def _opened(self) -> auto.Stack:
            opened = super()._opened()
            workspace = opened.workspace
            workspace.env_vars = {
                **workspace.env_vars,
                "PULUMI_BACKEND_URL": url,
                "PULUMI_DIY_BACKEND_ZSTD": "true",
                "AWS_ACCESS_KEY_ID": "simulated",
                "AWS_SECRET_ACCESS_KEY": "simulated",
            }
            workspace.create_stack(STACK)
            return opened

    return ElsewhereStored


# -- the engine's floor: as many empty resources --------------------------------------------------


def floor(count: int) -> Numbers:
    """Seconds of each step for as many resources without content, with the same checkpoints."""
    numbers: Numbers = {"resources": count}
    with _folder() as folder:
        for step, verb in zip(STEPS, _VERBS, strict=True):
            changed = step in STEPS[STEPS.index("one value changed") :]
            rehearsal = Rehearsal(
                project=ROOT,
                stack=STACK,
                build=folder,
                pulumi=tools.pulumi(_say).path,
                simulation=Simulation(region=STACK),
                program=_empties(count, first="changed" if changed else "new"),
            )
            with rehearsal.started():
                attach(rehearsal)
                start = time.monotonic()
                getattr(rehearsal, verb)()
                numbers[step] = time.monotonic() - start
    return numbers


def _empties(count: int, first: str) -> Callable[[], None]:
    def program() -> None:
        for number in range(count):
            props = {"value": first if number == 0 else "new"}
            pulumi.CustomResource(_EMPTY_TYPE, f"empty-{number}", props)

    return program


# -- the reference's way: kubectl apply until it passes -------------------------------------------


def applied() -> Numbers:
    """Seconds, tries and errors of ``kubectl apply --server-side`` of the stack's objects.

    The loop of awslabs/kubeflow-manifests (README, "while ! kustomize build ... | kubectl apply").
    Neither AWS nor Karpenter's chart is part of it.
    """
    kubectl = built(_KUBECTL, _say)
    with _folder() as folder, live_stack(folder, _say, _unreported) as stack:
        objects = folder / "objects.yaml"
        objects.write_text(_objects(stack, folder / "plan"), "utf-8")
        kubeconfig = stack.cluster.folder / "kubeconfig.json"
        command = [str(kubectl), f"--kubeconfig={kubeconfig}", "apply", "--server-side"]
        start = time.monotonic()
        errors = list(_errors_until_applied([*command, "--force-conflicts", f"-f={objects}"]))
        seconds = time.monotonic() - start
    return {"up": seconds, "tries": len(errors) + 1, "errors": sum(errors)}


def _errors_until_applied(command: list[str]) -> Generator[int]:
    """The number of errors of each try that fails."""
    for _ in range(_MOST_APPLIES):
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
        lines = [
            line
            for line in done.stderr.splitlines()
            if line and not line.startswith(("Warning", "ensure CRDs"))
        ]
        if not done.returncode:
            return
        _say(f"{len(lines)} errors, the last: {lines[-1][:300]}")
        yield len(lines)
        time.sleep(_APPLY_AGAIN_SECONDS)
    raise RuntimeError(f"{_MOST_APPLIES} tries of kubectl apply failed")


def _objects(stack: LiveStack, folder: Path) -> str:
    """The stack's objects in order, CRDs too, as an ``up`` on simulated clouds makes them.

    A plan has no secrets: others stand there.
    """
    rehearsal = Rehearsal(
        project=stack.project,
        stack=STACK,
        build=folder,
        pulumi=tools.pulumi(_say).path,
        simulation=Simulation(region=STACK),
    )
    with rehearsal.started():
        resources = rehearsal.up().resources
    authority = base64.b64encode(stack.cluster.network.authority.file.read_bytes()).decode()
    for planned in resources:
        for hook in planned.inputs.get("webhooks") or ():
            hook["clientConfig"]["caBundle"] = authority
    text = kubernetes_yaml(in_dependency_order(resources), crd_documents)
    return text.replace("[secret]", base64.b64encode(b"secret").decode())


# -- growth ---------------------------------------------------------------------------------------


def growth(count: int) -> Numbers:
    """Seconds of first preview and ``up`` of so many ConfigMaps of a kilobyte."""
    numbers: Numbers = {"resources": count}
    with _folder() as folder, live_stack(folder, _say, _into(numbers)) as stack:
        stack.program = _config_maps(count, json.dumps(stack.cluster.cluster.kubeconfig))
        for verb in _VERBS[:2]:
            stack.run(verb)
    return numbers


def _config_maps(count: int, kubeconfig: str) -> Callable[[], None]:
    def program() -> None:
        import pulumi_kubernetes as k8s

        from components.objects.kubernetes_objects import register

        provider = k8s.Provider("cluster", kubeconfig=kubeconfig)
        options = pulumi.ResourceOptions(provider=provider)
        for number in range(count):
            register(
                {
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "metadata": {"name": f"of-the-bench-{number}", "namespace": "default"},
                    "data": {"text": f"{number:01000}"},
                },
                opts=options,
            )

    return program


# -- imports --------------------------------------------------------------------------------------


def imports() -> Numbers:
    """Seconds to import the program, and the packages of Pulumi that it is written with."""
    imported = {
        "program": "program, components.gpu, components.kubeflow",
        "packages": "pulumi, pulumi_aws, pulumi_eks, pulumi_kubernetes",
    }
    numbers: Numbers = {}
    for name, modules in imported.items():
        start = time.monotonic()
        subprocess.run([sys.executable, "-c", f"import {modules}"], cwd=ROOT, check=True)
        numbers[name] = time.monotonic() - start
    return numbers


@contextmanager
def _folder() -> Generator[Path]:
    with tempfile.TemporaryDirectory(prefix="kubeflow-bench-") as folder:
        yield Path(folder)


_SIDES: dict[str, Callable[..., Numbers]] = {
    each.__name__: each for each in (ours, to_s3, floor, applied, growth, imports)
}


if __name__ == "__main__":
    name, *counts = sys.argv[1:]
    sys.stdout.write(json.dumps(_SIDES[name](*map(int, counts))) + "\n")
