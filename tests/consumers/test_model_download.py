"""A model in S3 reaches its InferenceService by the role of the namespace, in every partition.

KServe makes the variables of its storage initializer from our ConfigMap, EKS' webhook adds the
role, the storage initializer downloads. KServe's code is the real one, AWS is moto behind a judge
that reads the plan's own policies.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.consumers.judged_aws import judged_aws
from tests.consumers.kserve import ENTRY_POINT, MODEL, Downloader, put_model, put_team_model
from tests.consumers.stack import PROFILES, TEAM_BUCKET, TEAM_PREFIX, stack
from tests.documents import FENCE, ROOT, text_of
from tests.harness import REGIONS
from tests.releases import DEFAULT, PIPELINES_2
from tests.rendering.beijing import kubeflow

MINE, OTHERS = PROFILES
ACCESS_DENIED = re.compile("AccessDenied|Access denied to S3 resource")
"""In the words of S3, and in those of kserve-storage since 0.17."""
each_release = pytest.mark.parametrize("release", PIPELINES_2)


PAGES = [ROOT / "docs/serving.md", ROOT / "docs/serving.zh-CN.md"]


def downloading(page: Path) -> Any:
    """The container that the template of a page brings in place of KServe's."""
    blocks = [yaml.safe_load(block[2]) for block in FENCE.findall(text_of(page))]
    (template,) = (each for each in blocks if each["kind"] == "LLMInferenceServiceConfig")
    assert template["spec"]["storageInitializer"] == {"enabled": False}
    (container,) = template["spec"]["template"]["initContainers"]
    return container


@each_release
@pytest.mark.parametrize("name", REGIONS)
def test_a_model_is_downloaded_by_the_role_of_its_namespace(
    name: str, release: str, tmp_path: Path
) -> None:
    planned, folder = stack(name), tmp_path / "models"
    with judged_aws(planned, tmp_path) as judged:
        uri = put_model(judged, MINE)
        judged.aws.forget()
        assert Downloader(judged, tmp_path / "home", release).run(uri, folder) == ""
        assert (folder / "model.joblib").read_bytes() == MODEL
        region = planned.region
        assert set(judged.aws.hosts) == {
            region.service_host("sts"),
            f"{planned.bucket}.{region.service_host('s3')}",
        }
    assert judged.denied() == []
    assert {each.role for each in judged.journal} == {planned.profiles[MINE]}


@each_release
def test_a_model_of_another_profile_is_refused(release: str, tmp_path: Path) -> None:
    with judged_aws(stack(), tmp_path) as judged:
        uri = put_model(judged, OTHERS)
        last = Downloader(judged, tmp_path / "home", release).run(uri, tmp_path / "models")
    assert ACCESS_DENIED.search(last)
    assert judged.denied() == ["s3:ListBucket"]


@each_release
@pytest.mark.parametrize("name", REGIONS)
def test_a_model_of_a_team_bucket_is_downloaded_by_the_profile_of_the_team(
    name: str, release: str, tmp_path: Path
) -> None:
    """`users[].buckets`: a prefix of a bucket in the stack's account, with a key of its own."""
    folder = tmp_path / "models"
    with judged_aws(stack(name), tmp_path) as judged:
        uri = put_team_model(judged, TEAM_PREFIX)
        assert Downloader(judged, tmp_path / "home", release).run(uri, folder) == ""
    assert (folder / "model.joblib").read_bytes() == MODEL
    assert judged.denied() == []
    taken = {(each.access.action, each.access.resource) for each in judged.journal}
    assert ("kms:Decrypt", judged.stack.buckets[TEAM_BUCKET].key_arn) in taken


@each_release
@pytest.mark.parametrize(
    ("prefix", "profile"), [(TEAM_PREFIX, OTHERS), (f"{TEAM_PREFIX}-of-others", MINE)]
)
def test_a_model_of_a_team_bucket_is_refused_to_others_and_elsewhere(
    prefix: str, profile: str, release: str, tmp_path: Path
) -> None:
    with judged_aws(stack(), tmp_path) as judged:
        uri = put_team_model(judged, prefix)
        downloader = Downloader(judged, tmp_path / "home", release, profile)
        last = downloader.run(uri, tmp_path / "models")
    assert ACCESS_DENIED.search(last)
    assert judged.denied() == ["s3:ListBucket"]


def test_upstreams_own_entry_point_asks_for_the_whole_bucket(tmp_path: Path) -> None:
    """Why 26.03.1 has a command of its own; where this fails, upstream needs none any more."""
    with judged_aws(stack(), tmp_path) as judged:
        uri = put_model(judged, MINE)
        downloader = Downloader(judged, tmp_path / "home", "26.03.1")
        last = downloader.run(uri, tmp_path / "models", ["python3", "-c", ENTRY_POINT])
    assert "403" in last
    assert judged.denied() == ["s3:ListBucket"]


def test_the_template_for_language_models_has_the_command_of_the_release() -> None:
    container = kubeflow(DEFAULT).get("ClusterStorageContainer", "default")["spec"]["container"]
    for page in PAGES:
        template = downloading(page)
        assert template["command"] == container["command"], page
        assert template["resources"] == container["resources"], page
        assert container["image"].endswith(f"/docker.io/{template['image']}"), page


@pytest.mark.parametrize("name", REGIONS)
def test_a_language_model_is_downloaded_by_the_role_of_its_namespace(
    name: str, tmp_path: Path
) -> None:
    """By the template of docs/serving.md, whose container has no variable of KServe's."""
    container, folder = downloading(PAGES[0]), tmp_path / "models"
    uri_of_the_object, _ = container["args"]
    assert uri_of_the_object == "{{ .Spec.Model.URI }}"
    with judged_aws(stack(name), tmp_path) as judged:
        uri = put_model(judged, MINE)
        downloader = Downloader(judged, tmp_path / "home", of_kserve=False)
        assert downloader.run(uri, folder, container["command"]) == ""
    assert (folder / "model.joblib").read_bytes() == MODEL
    assert judged.denied() == []
