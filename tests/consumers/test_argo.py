"""Argo's S3 driver stores logs and artifacts of a profile by the profile's role, and no other's.

Two repositories are rendered: the controller's own, and that of each profile, which overrides it.
Argo is that of the release.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.consumers.argo import (
    LOG,
    MINE,
    OF_STEP,
    OTHERS,
    REPOSITORIES,
    Step,
    life_of_a_folder,
    life_of_a_log,
    of_controller,
    of_profile,
)
from tests.consumers.judged_aws import JudgedAws
from tests.releases import PIPELINES_2

each_release = pytest.mark.parametrize("release", PIPELINES_2)


@each_release
@pytest.mark.parametrize("repository", REPOSITORIES.values(), ids=REPOSITORIES)
def test_a_log_lives_below_the_prefix_of_its_profile(
    judged: JudgedAws, repository: Callable[[JudgedAws, str], str], release: str, tmp_path: Path
) -> None:
    judged.journal.clear()
    life_of_a_log(Step(judged, repository(judged, release), tmp_path, release=release))
    assert judged.denied() == []
    assert {each.role for each in judged.journal} == {judged.stack.profiles[MINE]}


@each_release
def test_a_folder_and_a_file_in_parts_come_back_as_they_were(
    judged: JudgedAws, release: str, tmp_path: Path
) -> None:
    judged.journal.clear()
    life_of_a_folder(Step(judged, of_profile(judged, release), tmp_path, release=release))
    assert judged.denied() == []
    assert "kms:GenerateDataKey" in {each.access.action for each in judged.journal}


@each_release
def test_a_step_reaches_nothing_of_another_profile(
    judged: JudgedAws, release: str, tmp_path: Path
) -> None:
    judged.journal.clear()
    text = of_profile(judged, release)
    step = Step(judged, text, tmp_path, namespace=OTHERS, release=release)
    log = tmp_path / LOG
    log.write_text("mine")
    for command in (["save", str(log), LOG], ["load", str(log), LOG], ["list", OF_STEP]):
        done = step.run(*command)
        assert done.returncode != 0
        assert "Access Denied" in done.stderr
    assert {"s3:PutObject", "s3:GetObject", "s3:ListBucket"} <= {*judged.denied()}


@each_release
def test_another_service_account_cannot_assume_the_role(
    judged: JudgedAws, release: str, tmp_path: Path
) -> None:
    judged.journal.clear()
    text = of_controller(judged, release)
    step = Step(judged, text, tmp_path, account=OTHERS, release=release)
    done = step.run("list", OF_STEP)
    assert done.returncode != 0
    assert "AccessDenied" in done.stderr
    assert {*judged.denied()} == {"sts:AssumeRoleWithWebIdentity"}
