"""The AWS half of the Beijing stack on slow simulated clouds, in processes that a test kills.

``python -m tests.faults.interrupted run FOLDER CLI VERB ROTATION``: one run, whose state and
account are in FOLDER; prints its processes by name.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any, cast

import pulumi

from components.backend import KubeflowRdsS3Backend, KubeflowRdsS3BackendArgs
from components.cluster import EksCluster, EksClusterArgs
from program import database_users, stack_context, stack_settings
from rehearsal.account import Account
from rehearsal.engine import EngineFailure, Outcome, Rehearsal
from rehearsal.providers import Simulation, serve
from tests.faults.attached import ChangedAws, attach

ROOT = Path(__file__).resolve().parents[2]
STACK = "cn-north-1"
_MOST_SECONDS = 0.06
"""That a change takes before it has happened, and after."""


def program(rotation: int) -> None:
    """Cluster and backend, as ``__main__.py`` makes them."""
    settings = stack_settings()
    database = settings.database.model_copy(update={"rotation": rotation})
    changed = {"tags": {"rotation": str(rotation)}, "deletion_protection": False}
    tagged = settings.model_copy(update=changed)
    context, aws = stack_context(tagged)
    cluster = EksCluster(
        "cluster",
        EksClusterArgs(
            context=context,
            cluster=settings.cluster,
            network=settings.network,
            node_group=settings.node_group,
            shared_files=settings.shared_files,
        ),
        pulumi.ResourceOptions(providers=[aws]),
    )
    KubeflowRdsS3Backend(
        "backend",
        KubeflowRdsS3BackendArgs(
            context=context,
            database=database,
            database_users=database_users(settings),
            model_catalog=settings.model_catalog,
            artifacts=settings.artifacts,
            shared_files=settings.shared_files,
            profiles=[user.namespace for user in settings.users],
            team_buckets={},
            vpc_id=cluster.vpc_id,
            subnet_ids=cluster.private_subnet_ids,
            client_security_group_ids=[cluster.node_security_group_id],
            oidc=cluster.oidc,
            mount_target_subnet_ids=cluster.mount_target_subnet_ids,
            cluster_name=cluster.cluster_name,
            kubernetes_version=settings.cluster.version,
            ready=cluster.ready,
        ),
        pulumi.ResourceOptions(providers=[aws, cluster.kubernetes_provider]),
    )


class SlowAws(ChangedAws):
    """AWS, which takes its time before a change has happened and before it answers.

    Attributes:
        steps: a file with a line per change that was begun.
    """

    steps: Path

    def change(self, method: str, request: Any, context: Any) -> Any:
        """A line in ``steps``, and the change between two pauses."""
        with self.steps.open("a") as steps:
            steps.write(f"{method} {request.urn}\n")
        time.sleep(random.uniform(0, _MOST_SECONDS))  # noqa: S311 - no secret
        answer = super().change(method, request, context)
        time.sleep(random.uniform(0, _MOST_SECONDS))  # noqa: S311 - no secret
        return answer


def _serve(journal: Path) -> None:
    provider = SlowAws(
        Simulation(region=STACK, journal=str(journal), unknowns=True), Account(journal)
    )
    provider.steps = journal.with_name("steps")
    server, port = serve(provider)
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    server.wait_for_termination()


def _created(outcome: Outcome) -> list[dict[str, Any]]:
    """As in the JSON of ``pulumi preview``, which lacks its language plugin here
    (pulumi/pulumi, pkg/backend/display/json.go, ``stateForJSONOutput``)."""
    return [
        {
            "urn": each.urn,
            "type": each.type,
            "custom": each.custom,
            "parent": each.request.parent,
            "provider": each.provider,
            "inputs": each.inputs,
            "dependencies": list(each.dependencies),
            # Without it, a destroy after `./kf resume` would delete what outlives the stack.
            "retainOnDelete": each.request.retainOnDelete,
            "protect": each.request.protect,
        }
        for each in outcome.resources
        if outcome.operations[each.urn] in ("create", "import")
    ]


def _run(folder: Path, cli: str, verb: str, rotation: int) -> None:
    journal = str(folder / "cloud.jsonl")
    clouds = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.interrupted", "serve", journal],
        stdout=subprocess.PIPE,
        text=True,
    )
    port = int(cast("IO[str]", clouds.stdout).readline())
    rehearsal = Rehearsal(
        project=ROOT,
        stack=STACK,
        build=folder,
        pulumi=Path(cli),
        simulation=Simulation(region=STACK, journal=journal, unknowns=True),
        program=lambda: program(rotation),
    )
    try:
        with rehearsal.started():
            attach(rehearsal, aws=port)
            sys.stdout.write(json.dumps({"program": os.getpid(), "providers": clouds.pid}) + "\n")
            sys.stdout.flush()
            outcome = getattr(rehearsal, verb)()
            sys.stdout.write(
                json.dumps(_created(outcome) if verb == "preview" else outcome.changes)
            )
    except EngineFailure as failure:
        sys.exit(str(failure))
    finally:
        clouds.kill()


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        _serve(Path(sys.argv[2]))
    else:
        _run(Path(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5]))
