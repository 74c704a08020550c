"""Values that a stack file may not have, by kind, and their neighbours that it may."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import pulumi_aws as aws
import pytest
import yaml
from pulumi.runtime.config import set_all_config

from program import endpoints
from regions.endpoints import endpoint_names
from rehearsal.report import BAD_INPUT
from settings import SettingsError, from_stack_file
from settings import load as load_settings
from tests.harness import stack_file
from tests.settings.test_settings import ROOT
from tests.settings.test_settings import WRONG as WRONG_STACK_FILES

HERE = Path(__file__).parent
WRONG: dict[str, dict[str, list[str]]] = yaml.safe_load(
    (HERE / "wrong_values.yaml").read_text("utf-8")
)
ROWS = [(given, sentences) for rows in WRONG.values() for given, sentences in rows.items()]
RIGHT = cast(list[str], yaml.safe_load((HERE / "right_values.yaml").read_text("utf-8")))


def places(folder: Path) -> Path:
    """A folder with what a path may name: a pipe, a file without end, certificates, an archive."""
    os.mkfifo(folder / "pipe")
    with (folder / "huge").open("wb") as huge:
        huge.truncate(3 * 2**30)  # sparse
    header = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    (folder / "header").write_text(header)
    (folder / "sources").mkdir()
    with tarfile.open(folder / "sources" / "a.tar.gz", "w:gz") as tar:
        tar.add(folder / "header", "header")
    archive = (folder / "sources" / "a.tar.gz").read_bytes()
    (folder / "cut.tar.gz").write_bytes(archive[: len(archive) // 2])
    return folder


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    with TemporaryDirectory(dir="/tmp") as folder:  # short, for sentences
        yield places(Path(folder))


def whole(given: str, place: Path) -> str:
    """The text of a stack file with these lines."""
    repeated = re.sub(r"<(.+?)\*([0-9]+)>", lambda m: m[1] * int(m[2]), given)
    lines = repeated.replace("TMP", str(place)).split("\n")
    region = "" if "kubeflow:region:" in given else "  kubeflow:region: cn-north-1\n"
    return f"config:\n{region}" + "".join(f"  {line}\n" for line in lines)


def problems_of(given: str, place: Path) -> list[str]:
    """The sentences that refuse these lines; none where nothing does."""
    file = place / "Pulumi.wrong.yaml"
    file.write_text(whole(given, place), "utf-8")
    try:
        from_stack_file(file)
    except SettingsError as refusal:
        return [problem.replace(str(place), "TMP") for problem in refusal.problems]
    return []


@pytest.mark.parametrize(("given", "sentences"), ROWS, ids=[given[:60] for given, _ in ROWS])
def test_a_wrong_value_gives_its_sentence(given: str, sentences: list[str], place: Path) -> None:
    assert problems_of(given, place) == sentences


@pytest.mark.parametrize("given", RIGHT)
def test_a_value_beside_wrong_ones_passes(given: str, place: Path) -> None:
    text = whole(given, place)
    region = re.search(r"kubeflow:region: (\S+)", text)
    assert region
    access = "" if "kubeflow:cluster:" in text else stack_file(region[1]).split("\n")[3]
    file = place / "Pulumi.right.yaml"
    file.write_text(f"{text}{access}\n", "utf-8")
    assert from_stack_file(file)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"config:\n  kubeflow:region: \xff\n", "cannot be read (line 2 is not UTF-8): save it"),
        (
            "config: {} # 北京\n".encode("utf-16"),
            "cannot be read (line 1 is not UTF-8): save it",
        ),
        (
            "config: {} # 北京\n".encode("gb18030"),
            "cannot be read (line 1 is not UTF-8): save it",
        ),
        (b"config:\n  a: b\x07\n", "(line 2: invisible character U+0007)"),
        (
            "config:\r  a:b: {}\x85  c：d\r\n  e:f: {}\r\n".encode(),
            "(line 3: ： in it",
        ),
        ("config:\n  a:b: 一，二\n  a:b: 一\n".encode(), "(line 3: a:b occurs twice)"),
        (b"config: {}\n---\nconfig: {}\n", "but found another document"),
        (b"config:\n\tkubeflow:region: a\n", "(line 2: a tab, where YAML has spaces only)"),
        (b"config:\n  a:b:\tc\n", "(line 2: a tab, where YAML has spaces only)"),
        (b"config:\n  a:b: {}\n  \ta:c: {}\n", "(line 3: a tab, where YAML has spaces only)"),
        (b"config:\n  foo:bar: 2026-13-45\n", "is not valid YAML (month must be in 1..12)"),
        (b"#" * 300_000, "it has more than 256 KiB"),
        (b"config: [" + b"a, " * 11_000 + b"]", "far more values than settings"),
    ],
)
def test_a_file_that_is_no_stack_file_is_one_sentence(
    content: bytes, sentence: str, tmp_path: Path
) -> None:
    file = tmp_path / "Pulumi.x.yaml"
    file.write_bytes(content)
    with pytest.raises(SettingsError) as refusal:
        from_stack_file(file)
    (problem,) = refusal.value.problems
    assert problem.startswith("Pulumi.x.yaml ")
    assert sentence in problem
    assert "\n" not in problem


def test_marks_and_ends_of_lines_of_other_systems_are_no_fault(tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.x.yaml"
    text = stack_file("us-west-2").replace("\n", "\r\n")
    file.write_bytes(text.encode("utf-8-sig"))
    assert from_stack_file(file)


LIMITED = """
import resource, sys
from pathlib import Path
from rehearsal import __main__ as rehearsal
resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))
rehearsal.ROOT = Path(sys.argv[1])
for stack in sys.argv[2:]:
    try:
        rehearsal.app(["preview", "--stack", stack])
    except SystemExit as end:
        print(end.code)
"""


def test_what_has_no_end_ends_the_command_with_one_sentence(tmp_path: Path) -> None:
    laughs = "".join(f"  a:{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9))
    (tmp_path / "Pulumi.laughs.yaml").write_text(f"config:\n  a:0: &a0 [lol]\n{laughs}")
    (tmp_path / "Pulumi.nested.yaml").write_text(f"config: {'[' * 100_000}")
    (tmp_path / "Pulumi.itself.yaml").write_text("config:\n  a:b: &a {c: *a}\n")
    (tmp_path / "Pulumi.zero.yaml").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "Pulumi.pipe.yaml")
    stacks = ("laughs", "nested", "itself", "zero", "pipe")
    run = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path), *stacks],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.stdout.split() == [str(BAD_INPUT)] * len(stacks), run.stderr
    assert [line.split(" (")[0] for line in run.stderr.splitlines()] == [
        "Pulumi.laughs.yaml is not valid YAML",
        "Pulumi.nested.yaml is not valid YAML",
        "Pulumi.itself.yaml is not valid YAML",
        "Pulumi.zero.yaml cannot be read",
        "Pulumi.pipe.yaml cannot be read",
    ]


@pytest.fixture
def engine_config() -> Iterator[None]:
    yield
    set_all_config({}, [])


@pytest.mark.usefixtures("engine_config")
@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("[" * 100_000, "it has 100000 characters"),
        ("[" * 900 + "]" * 900, "kubeflow:tags[0] has more than 10 levels"),
        ("[" * 11 + "]" * 11, "kubeflow:tags[0] has more than 10 levels"),
        ("[" * 10 + "]" * 10, "it must be a mapping of names to values"),
        ('{"a": ' + "9" * 5000 + "}", "it has 5007 characters"),
        ('{"a": "b\\u0007"}', 'kubeflow:tags.a is "b\\x07": it contains the invisible'),
        ('{"a": NaN}', "kubeflow:tags.a is nan: it is no number"),
    ],
)
def test_the_engine_refuses_values_without_end_too(value: str, sentence: str) -> None:
    set_all_config({"kubeflow:region": "us-west-2", "kubeflow:tags": value})
    with pytest.raises(SettingsError) as refusal:
        load_settings()
    (problem,) = refusal.value.problems
    assert sentence in problem


def test_no_sentence_has_a_value_of_a_key_that_is_no_setting() -> None:
    for given, sentences in ROWS:
        if "hunter2" in given:
            assert "hunter2" not in "".join(sentences)
            assert "1234567" not in "".join(sentences)


def test_the_names_of_endpoints_are_those_of_the_provider() -> None:
    _, *names = inspect.signature(aws.ProviderEndpointArgs.__init__).parameters
    assert sorted(name.rstrip("_") for name in names) == sorted(endpoint_names())


def test_the_provider_takes_the_url_of_every_service() -> None:
    assert endpoints(dict.fromkeys(endpoint_names(), "http://127.0.0.1:5000"))


def test_more_than_160_stack_files_are_refused() -> None:
    assert len(WRONG_STACK_FILES) + len(ROWS) >= 160
