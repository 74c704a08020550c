"""The pack as the real engine runs it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest
from pulumi_kubernetes.core.v1 import Secret

from rehearsal import engine, policy_packs, workspace
from rehearsal.engine import EngineFailure
from tests.policies.test_verdicts import EXAMPLE
from tests.rehearsal.conftest import Started, cli, project, started

__all__ = ["cli", "project", "started"]
pytestmark = pytest.mark.engine

Attach = Callable[..., list[Any]]


def program() -> None:
    aws.ec2.SecurityGroup(
        "open",
        vpc_id="vpc-0123456789abcdef0",
        tags={"team": "ml"},
        ingress=[{"protocol": "tcp", "from_port": 22, "to_port": 22, "cidr_blocks": ["0.0.0.0/0"]}],
    )
    aws.cloudwatch.LogGroup("log", name="log", retention_in_days=30)
    aws.kms.Key("held", opts=pulumi.ResourceOptions(protect=True))
    aws.kms.Key("free")
    aws.secretsmanager.SecretVersion(
        "hidden", secret_id="s", secret_string=pulumi.Output.secret("mine, minio123")
    )
    # The SDK makes its data secret as a whole.
    Secret("login", string_data={"password": "12341234"})


@pytest.fixture
def attached(monkeypatch: pytest.MonkeyPatch) -> Attach:
    """Attaches the project's pack to every preview; the policy events of the engine."""

    def attach(environment: Mapping[str, str], **more: Any) -> list[Any]:
        events: list[Any] = []
        watch = engine._watch  # pyright: ignore[reportPrivateUsage]
        preview: Callable[..., Any] = workspace.EngineStack.preview

        def with_pack(stack: Any, **options: Any) -> Any:
            stack.workspace.env_vars = {**stack.workspace.env_vars, **environment}
            packs = {"policy_packs": [str(policy_packs.OWN_PACK)]}
            return preview(stack, **{**options, **packs, **more})

        def watched(run: Any, event: Any) -> None:
            events.extend([event.policy_event] if event.policy_event else [])
            watch(run, event)

        monkeypatch.setattr(workspace.EngineStack, "preview", with_pack)
        monkeypatch.setattr(engine, "_watch", watched)
        return events

    return attach


def test_the_engine_hands_on_every_finding_of_the_pack_and_of_a_team(
    started: Started, attached: Attach
) -> None:
    places = {"KUBEFLOW_POLICIES": str(EXAMPLE)}
    events = attached({**policy_packs.environment(), **places})
    with started(program) as rehearsal:
        assert rehearsal.preview().changes == {"create": 6}
    rows = [policy_packs.row_of(event.message) for event in events]
    found = {(row["policy"], row["severity"], row["level"]): row for row in rows if row}
    assert found.keys() == {
        ("open-ingress", "high", "mandatory"),
        ("customer-key", "low", "exempt"),
        ("default-credentials", "critical", "mandatory"),
        ("team-cost-centre", "low", "advisory"),
        ("unprotected-data", "high", "advisory"),
    }
    assert len(rows) == len(found) + 1
    assert found["unprotected-data", "high", "advisory"]["urn"].endswith("::free")
    words, password = sorted(
        row["message"] for row in rows if row and row["policy"] == "default-credentials"
    )
    assert 'Version hidden: a secret value is "minio123"' in words
    assert "mine" not in words
    assert 'Secret login: a secret value is "12341234"' in password
    assert {event.enforcement_level for event in events} == {"advisory"}
    assert {event.policy_pack_name for event in events} == {"kubeflow-on-eks"}
    ingress = found["open-ingress", "high", "mandatory"]
    assert ingress["urn"].endswith("::aws:ec2/securityGroup:SecurityGroup::open")
    assert ingress["message"].startswith(
        'aws:ec2/securityGroup:SecurityGroup open: ingress.0.cidrBlocks is ["0.0.0.0/0"]: the whole'
    )
    assert found["customer-key", "low", "exempt"]["reason"].startswith("CloudWatch Logs encrypts")


def test_a_preview_of_a_user_is_refused_by_a_mandatory_policy_and_hears_of_no_exemption(
    started: Started, attached: Attach
) -> None:
    environment = policy_packs.environment()
    events = attached({**environment, "KUBEFLOW_FINDINGS": "", "KUBEFLOW_POLICIES": ""})
    with started(program) as rehearsal, pytest.raises(EngineFailure):
        rehearsal.preview()
    levels = {each.policy_name: each.enforcement_level for each in events}
    assert levels == {
        "default-credentials": "mandatory",
        "open-ingress": "mandatory",
        "unprotected-data": "advisory",
    }
    assert [each for each in events if policy_packs.row_of(each.message)] == []
    (ingress,) = [each.message for each in events if each.policy_name == "open-ingress"]
    assert ingress.strip().endswith("name the range or the security group that needs it.")


def test_a_user_switches_a_policy_off_or_makes_it_advisory(
    started: Started, attached: Attach, tmp_path: Path
) -> None:
    levels = tmp_path / "levels.json"
    levels.write_text('{"open-ingress": "advisory", "team-cost-centre": "disabled"}')
    environment = {**policy_packs.environment(), "KUBEFLOW_POLICIES": str(EXAMPLE)}
    events = attached(environment, policy_pack_configs=[str(levels)])
    with started(program) as rehearsal:
        rehearsal.preview()
    rows = [policy_packs.row_of(event.message) for event in events]
    found = {(row["policy"], row["level"]) for row in rows if row}
    assert ("open-ingress", "advisory") in found
    assert "team-cost-centre" not in {name for name, _ in found}


def test_a_file_of_a_team_that_does_not_parse_is_one_sentence_and_one_may_print(
    started: Started, attached: Attach, tmp_path: Path
) -> None:
    file = tmp_path / "rules.py"
    file.write_text("def cost_centre(:\n")
    (tmp_path / "talks.py").write_text((EXAMPLE / "own_policies.py").read_text() + "print(1)\n")
    events = attached({**policy_packs.environment(), "KUBEFLOW_POLICIES": str(tmp_path)})
    with started(program) as rehearsal:
        rehearsal.preview()
    rows = [policy_packs.row_of(event.message) for event in events]
    (fault,) = [row["message"] for row in rows if row and row["policy"] == "policies-run"]
    assert "team-cost-centre" in {row["policy"] for row in rows if row}
    assert fault == (
        f"{file}, line 1 cannot be loaded (SyntaxError: invalid syntax): "
        "mend it, or take it out of the pack."
    )


@pytest.mark.parametrize("message", ["It is open.", "Open.\n[1]", 'Open.\n{"policy": "p"}\n'])
def test_only_a_message_of_the_own_pack_has_a_row(message: str) -> None:
    assert policy_packs.row_of(message) is None
    row = {"policy": "p", "level": "exempt", "reason": "r"}
    assert policy_packs.row_of(f"{message}\n{json.dumps(row)}\n") == row
