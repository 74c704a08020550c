"""What policy packs say, by the real engine: verdicts, remediations, and faults of a pack."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pulumi
import pulumi_aws as aws
import pytest

from rehearsal.engine import EngineFailure, Rehearsal
from rehearsal.findings import Finding, findings_json
from rehearsal.providers import Simulation

pytestmark = pytest.mark.engine

PACK = """
from pulumi_policy import (
    EnforcementLevel, PolicyPack, ResourceValidationPolicy, StackValidationPolicy, Severity,
)

QUEUE = "aws:sqs/queue:Queue"
KIND = "{kind}"

def small(args, report):
    if args.resource_type == QUEUE and KIND == "crash":
        raise KeyError("deep")
    if args.resource_type == QUEUE and args.props["visibilityTimeoutSeconds"] > 10:
        report("A queue hides a message for at most 10 seconds.")

def never(args, report):
    report("The stack has a queue.")

def enlarge(args):
    if args.resource_type == QUEUE:
        return {{**args.props, "delaySeconds": 5}}

PolicyPack("team", [
    ResourceValidationPolicy(
        "small-queues", "Queues are small.", small, EnforcementLevel.MANDATORY,
        severity=Severity.HIGH,
    ),
    StackValidationPolicy("no-queues", "No queue at all.", never, EnforcementLevel.ADVISORY),
    *([ResourceValidationPolicy(
        "delay", "Queues wait.", remediate=enlarge, enforcement_level=EnforcementLevel.REMEDIATE
    )]
      if KIND == "remediation" else []),
])
"""

With = Callable[[str], AbstractContextManager[Rehearsal]]


@pytest.fixture
def with_pack(cli: Path, project: Path, tmp_path: Path) -> With:
    """A rehearsal of one queue with a team's pack of the given kind."""

    def program() -> None:
        here = pulumi.ResourceOptions(provider=aws.Provider("beijing", region="cn-north-1"))
        aws.sqs.Queue("queue", visibility_timeout_seconds=30, opts=here)

    @contextmanager
    def start(kind: str) -> Generator[Rehearsal]:
        pack = tmp_path / "pack"
        pack.mkdir()
        (pack / "PulumiPolicy.yaml").write_text("runtime: python\nversion: 0.0.1\n")
        (pack / "__main__.py").write_text("no Python" if kind == "bad" else PACK.format(kind=kind))
        rehearsal = Rehearsal(
            project=project,
            stack="tiny",
            build=tmp_path / "build",
            pulumi=cli,
            simulation=Simulation(region="cn-north-1"),
            program=program,
            packs=[pack],
        )
        with rehearsal.started():
            yield rehearsal

    return start


URN = "urn:pulumi:tiny::tiny::aws:sqs/queue:Queue::queue"
SMALL = Finding(
    "team/small-queues",
    URN,
    "Queues are small. A queue hides a message for at most 10 seconds.",
    "high",
    "mandatory",
)


def test_a_mandatory_verdict_stops_a_preview_with_its_plan(with_pack: With) -> None:
    with with_pack("") as rehearsal, pytest.raises(EngineFailure) as failed:
        rehearsal.preview()
    assert failed.value.problems[0] == (
        "team/small-queues: Queues are small. A queue hides a message for at most 10 seconds."
    )
    assert failed.value.outcome is not None
    assert SMALL in failed.value.outcome.findings
    levels = {each.policy: each.level for each in failed.value.outcome.findings}
    assert levels == {"team/small-queues": "mandatory", "team/no-queues": "advisory"}
    assert "aws:sqs/queue:Queue" in {each.type for each in failed.value.outcome.resources}


def test_a_remediation_is_a_finding(with_pack: With) -> None:
    with with_pack("remediation") as rehearsal, pytest.raises(EngineFailure) as failed:
        rehearsal.preview()
    assert failed.value.outcome is not None
    (delay,) = (each for each in failed.value.outcome.findings if each.policy == "team/delay")
    sentence = "The policy itself changes delaySeconds of this resource."
    assert (delay.urn, delay.message, delay.level) == (URN, sentence, "advisory")


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("crash", "aws:sqs/queue:Queue queue: failed to run policy: .*'deep'"),
        (
            "bad",
            r"The policy pack /\S+/pack does not start: SyntaxError: .*; mend it, or take it out.",
        ),
    ],
)
def test_a_pack_that_fails_is_a_sentence(with_pack: With, kind: str, sentence: str) -> None:
    with pytest.raises(EngineFailure) as failed, with_pack(kind) as rehearsal:
        rehearsal.preview()
    assert re.fullmatch(sentence, failed.value.problems[0])
    assert "Traceback" not in str(failed.value)


def test_findings_are_sorted_and_each_is_there_once() -> None:
    two = [SMALL, Finding("a", "", "b"), SMALL]
    rows = json.loads(findings_json(two))
    assert [row["policy"] for row in rows] == ["a", "team/small-queues"]
    assert rows[1]["reason"] == ""
