"""``./kf plan`` on this project itself: the real engine decides, and no credential is used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ops import sides, targets
from ops.__main__ import app
from ops.revisions import repository
from tests.ops.test_plan import git

ROOT = Path(__file__).resolve().parents[2]
STACK = "us-west-2"
SECRETS = ("v1:PLANTED-SALT", "v1:PLANTED-CIPHERTEXT", "planted-passphrase", "planted-key")

pytestmark = pytest.mark.engine


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with this project, in which the stack file has a secret of its own."""
    folder = tmp_path / "work" / "main"
    folder.mkdir(parents=True)
    with repository(ROOT).with_uncommitted() as (here, revision):
        here.export(revision.tree, folder)
    (folder.parent / "shared").symlink_to(ROOT.parent / "shared")
    with (folder / f"Pulumi.{STACK}.yaml").open("a") as file:
        file.write(f"  acme:token: {{secure: {SECRETS[1]}}}\nencryptionsalt: {SECRETS[0]}\n")
    git(folder, "init", "--quiet", "-b", "main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", "m")
    monkeypatch.setattr(targets, "PROJECT", folder)
    kept = tmp_path / "kept"
    kept.mkdir()
    monkeypatch.setattr(sides, "cache_folder", {"plan": kept}.__getitem__)
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", SECRETS[2])
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_REGION"):
        monkeypatch.setenv(name, SECRETS[3])
    return folder


def test_a_change_is_decided_by_the_engine_and_shown_without_secrets(project: Path) -> None:
    file = project / f"Pulumi.{STACK}.yaml"
    setting = "  kubeflow:database: {instanceClass: db.m6g.xlarge}\n"
    file.write_text(file.read_text().replace("  acme:", f"{setting}  acme:"))
    # The program of a Lambda function.
    webhook = project / "webhook" / "mirror.py"
    webhook.write_text(f"{webhook.read_text()}\n# Another digest.\n")
    arguments = ["plan", "--base", "main", "--stack", STACK, "--fail-on", "danger"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1, result.output
    assert result.stderr.splitlines()[-1] == "the plan has dangers."
    folder = project / "build" / "plan"
    rows: list[dict[str, Any]] = json.loads((folder / STACK / "plan.json").read_text())
    updated = {row["type"]: row for row in rows if row["operation"] == "update"}
    database = updated["aws:rds/instance:Instance"]
    classes = (database["before"]["instanceClass"], database["inputs"]["instanceClass"])
    assert classes == ("db.m6g.large", "db.m6g.xlarge")
    assert {row["operation"] for row in rows} <= {"same", "update", "create", "delete"}
    comment = (folder / "plan.md").read_text()
    assert "db.m6g.large` → `db.m6g.xlarge" in comment
    assert len(comment.encode()) < 60_000
    texts = [path.read_text() for path in folder.rglob("*") if path.is_file()]
    printed = "".join([result.output, *texts])
    assert [secret for secret in SECRETS if secret in printed] == []
    changed = ["M", f"Pulumi.{STACK}.yaml", "M", "webhook/mirror.py"]
    assert git(project, "status", "--short").split() == changed
