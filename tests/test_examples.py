"""examples/: images that every mirror has copied, and the lines of text beside them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.examples import FOLDER, OBJECTS, containers, object_of
from tests.releases import DEFAULT
from tests.rendering.beijing import kubeflow

READMES = [FOLDER / "README.md", FOLDER / "README.zh-CN.md"]
PIPELINE = FOLDER / "pipeline/line.yaml"
each_file = pytest.mark.parametrize("file", [*OBJECTS, PIPELINE], ids=lambda file: file.name)


def test_the_articles_exercises_are_all_there() -> None:
    assert {file.stem for file in OBJECTS} == {
        *("katib-random", "katib-random-gpu", "iris-model", "inference-service"),
        *("ask-model", "sql-check", "logs-in-bucket"),
    }


@each_file
def test_every_image_is_in_the_inventory(file: Path) -> None:
    copied = {image.source for image in kubeflow(DEFAULT).rendered.images}
    used = [each["image"] for each in containers(object_of(file))]
    assert used or file == FOLDER / "inference-service.yaml"
    assert [image for image in used if image not in copied] == []


@each_file
def test_nothing_is_installed_or_downloaded_from_abroad(file: Path) -> None:
    text = file.read_text()
    assert not re.search(r"pip install|https?://|download=|gs://|install_kfp", text)


def test_every_program_in_an_example_is_python_that_parses() -> None:
    for file in [*OBJECTS, PIPELINE]:
        for each in containers(object_of(file)):
            command = each.get("command", [])
            if command[:1] in (["python"], ["python3"]):
                ast.parse(command[2])


def test_the_trial_on_a_gpu_asks_for_one_and_keeps_its_node() -> None:
    template = object_of(FOLDER / "katib-random-gpu.yaml")["spec"]["trialTemplate"]
    pod = template["trialSpec"]["spec"]["template"]
    (trial,) = pod["spec"]["containers"]
    assert trial["name"] == template["primaryContainerName"]
    assert trial["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert trial["command"][-1] == "cuda"
    assert pod["metadata"]["annotations"] == {"karpenter.sh/do-not-disrupt": "true"}


@pytest.mark.parametrize("readme", READMES, ids=lambda file: file.name)
def test_each_example_has_its_lines_in_both_languages(readme: Path) -> None:
    text = readme.read_text()
    sections = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    named = {name for section in sections for name in re.findall(r"[\w/-]+\.(?:yaml|py)", section)}
    assert {file.name for file in OBJECTS} | {"pipeline/line.py", "pipeline/line.yaml"} <= named
    links: list[str] = re.findall(r"\]\(([^)]+)\)", text)
    assert [link for link in links if not (FOLDER / link).exists()] == []


def test_both_readmes_have_the_same_commands() -> None:
    fence = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
    english, chinese = (fence.findall(readme.read_text()) for readme in READMES)
    assert english == chinese
    assert len(english) == 5


def test_the_commands_name_what_the_files_make() -> None:
    text = READMES[0].read_text()
    for file in OBJECTS:
        made = object_of(file)
        kind, name = made["kind"].lower(), made["metadata"]["name"]
        waited = f"{kind}/{name}" in text
        assert waited or file.stem in ("inference-service", "katib-random-gpu"), file.name
