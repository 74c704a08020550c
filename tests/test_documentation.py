"""What the documents promise is there: commands, files, settings, outputs, the drawn components."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest
from pydantic import BaseModel

from rehearsal import plan
from rehearsal.architecture import diagram
from settings import Settings
from tests.documents import ROOT, make_targets
from tests.documents import quoted as quoted_in
from tests.harness import SHIPPED

# The heading of the first preview in each language.
READMES = {"README.md": "First preview", "README.zh-CN.md": "第一次演练"}
LABELS = {"Context", "Choice", "Reason", "Measured here", "Read", "Where", "Cost"}

_FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
_PICTURE = re.compile(r"<!-- architecture:begin -->\n(.*?)<!-- architecture:end -->", re.DOTALL)
_ENDINGS = (".py", ".md", ".yaml", ".txt", ".json", ".toml", ".sh", "/")

GUIDE = "CONTRIBUTING.md"

each_readme = pytest.mark.parametrize("name", READMES)
each_document = pytest.mark.parametrize("name", [*READMES, GUIDE])


def text_of(name: str) -> str:
    return (ROOT / name).read_text()


def section(name: str, heading: str) -> str:
    """What stands below a heading, up to the next one."""
    parts = re.split(r"^## (.+)$", text_of(name), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))[heading]


def code_blocks(text: str) -> list[str]:
    return _FENCE.findall(text)


def quoted(name: str) -> list[str]:
    """Everything in single backticks outside code blocks."""
    found = quoted_in(text_of(name))
    assert found
    return found


def composed() -> set[str]:
    """The components `__main__.py` makes: classes it imports with their Args, and calls."""
    tree = ast.parse(text_of("__main__.py"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    imported = {alias.name for node in imports for alias in node.names}
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    called = {function.id for function in calls if isinstance(function, ast.Name)}
    return {name for name in imported & called if f"{name}Args" in imported}


def imported_by(folder: str) -> set[str]:
    """The packages at the top that a folder's modules import, the folder itself left out."""
    texts = [path.read_text() for path in (ROOT / folder).rglob("*.py")]
    named = re.findall(r"^ *(?:from|import) (\w+)", "\n".join(texts), flags=re.MULTILINE)
    return set(named) - {folder}


def picture() -> str:
    (found,) = _PICTURE.findall(text_of(GUIDE))
    return found


# -- the first command -----------------------------------------------------------------------------


@each_readme
def test_the_first_preview_is_the_first_section_and_one_command(name: str) -> None:
    first, *_ = re.findall(r"^## (.+)$", text_of(name), flags=re.MULTILINE)
    assert first == READMES[name]
    assert code_blocks(section(name, first)) == ["```sh\nmake preview\n```"]


@each_document
def test_every_make_target_a_document_names_exists(name: str) -> None:
    code = [*code_blocks(text_of(name)), *quoted(name)]
    named = {target for part in code for target in re.findall(r"\bmake ([a-z-]+)", part)}
    assert named >= {"preview", "test"}
    assert named <= make_targets()


@each_readme
def test_a_readme_is_read_in_two_minutes(name: str) -> None:
    assert len(text_of(name).splitlines()) <= 110


# -- what it names is there -----------------------------------------------------------------------


@each_document
def test_every_file_and_folder_a_document_names_exists(name: str) -> None:
    made_later = ("build/", "./bundles", "~", "$")
    made_by_the_plan = {"plan.json", "kubernetes.yaml", "images.txt", "findings.json"}
    made_by_the_plan.add("architecture.md")
    links = re.findall(r"\]\(([^)]+)\)", text_of(name))
    paths = {
        token
        for token in (*quoted(name), *links)
        if token.endswith(_ENDINGS)
        and not re.search("[ <]", token)
        and not token.startswith(made_later)
    } - made_by_the_plan
    assert len(paths) > 10
    assert sorted(path for path in paths if not (ROOT / path).exists()) == []


@each_readme
def test_the_files_a_readme_promises_under_build_are_the_ones_written(
    name: str, tmp_path: Path
) -> None:
    promised = set(re.findall(r"`([a-z]+\.[a-z]+)`", section(name, READMES[name])))
    assert promised == {path.name for path in plan.write(tmp_path, [], {}, lambda _: "")}


@each_readme
def test_every_shipped_stack_file_is_named_in_a_readme_and_every_named_one_exists(
    name: str,
) -> None:
    named = set(re.findall(r"Pulumi\.[a-z0-9-]+\.yaml", text_of(name)))
    assert named == {f"Pulumi.{stack}.yaml" for stack in SHIPPED}
    assert [file for file in named if not (ROOT / file).exists()] == []


def test_the_guide_has_the_imports_between_folders_as_they_are() -> None:
    rows = dict(
        re.findall(r"^\| `([a-z]+)/` \| .* \| (.*) \|$", text_of(GUIDE), flags=re.MULTILINE)
    )
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert set(rows) == packages | {"docs", "examples", "manifests"}
    for folder in packages - {"tests"}:
        assert set(re.findall(r"`([a-z]+)`", rows[folder])) == imported_by(folder) & packages, (
            folder
        )


def test_every_setting_a_document_names_exists() -> None:
    sections = {field.alias: field.annotation for field in Settings.model_fields.values()}
    texts = [path.read_text("utf-8") for path in [*ROOT.glob("README*"), *ROOT.glob("docs/*.md")]]
    tokens = {token for text in texts for token in quoted_in(text)}
    found = [token.split(".") for token in tokens if re.fullmatch(r"[A-Za-z]+\.[A-Za-z]+", token)]
    named = [(part, key) for part, key in found if part in sections]
    assert len(named) > 30
    for part, key in named:
        model = sections[part]
        assert isinstance(model, type)
        assert issubclass(model, BaseModel)
        assert key in {field.alias for field in model.model_fields.values()}, (part, key)


@pytest.mark.parametrize("name", ["docs/first-experiment.md", "docs/first-experiment.zh-CN.md"])
def test_every_variable_of_ours_in_a_page_is_read_by_the_code(name: str) -> None:
    named = set(re.findall(r"KUBEFLOW_[A-Z_]+", text_of(name)))
    sources = "".join(path.read_text() for path in ROOT.glob("rendering/*.py"))
    assert {"KUBEFLOW_BUNDLES", "KUBEFLOW_GIT_PREFIX"} <= named
    assert {variable for variable in named if f'"{variable}"' not in sources} == set()


# -- one text in two languages --------------------------------------------------------------------


def test_both_readmes_name_the_same_things() -> None:
    first, second = ({*quoted(name)} for name in READMES)
    assert first == second


# -- the picture of the components ----------------------------------------------------------------


def test_the_picture_shows_exactly_the_components_the_program_composes() -> None:
    boxes = re.findall(r'^  (\w+)\["<b>(\w+)</b>', picture(), flags=re.MULTILINE)
    assert all(node == label for node, label in boxes)
    shown = {label for _, label in boxes} - {"stack"}
    assert len(shown) == 5
    assert shown == composed()
    arrows = re.findall(r"^  (\w+) -->\|\d+\| (\w+)$", picture(), flags=re.MULTILINE)
    assert arrows
    assert {end for arrow in arrows for end in arrow} <= shown


def test_the_numbers_in_the_picture_add_up_to_its_caption() -> None:
    boxes = re.findall(r"<br/>([^\"]+)\"", picture())
    kinds = [kind for box in boxes for kind in box.split(" · ")]
    total = sum(int(kind.split()[0]) for kind in kinds)
    assert total > 500
    assert f"\n{total} resources; " in picture()


def test_the_picture_has_the_form_the_generator_writes() -> None:
    empty, drawn = diagram([]).splitlines(), picture().splitlines()
    assert drawn[:2] == empty[:2]
    assert drawn[-1].partition(" ")[2] == empty[-1].partition(" ")[2]


# -- decisions ------------------------------------------------------------------------------------

DECISIONS = sorted((ROOT / "docs/decisions").glob("[0-9]*.md"))
INDEX = "docs/decisions/README.md"

each_decision = pytest.mark.parametrize("file", DECISIONS, ids=lambda file: file.name[:4])


def number_and_title(file: Path) -> tuple[int, str]:
    heading = re.fullmatch(r"# (\d+)\. (.+)", file.read_text().splitlines()[0])
    assert heading, f"{file.name} begins with no numbered title"
    return int(heading[1]), heading[2]


def tracked_texts() -> dict[str, str]:
    """Path -> text of every tracked file."""
    listed = subprocess.run(
        ["git", "ls-files", ":!.ci", ":!*.png"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert len(listed) > 500
    return {name: text_of(name) for name in listed}


def test_decisions_are_numbered_without_a_gap() -> None:
    numbers = [int(file.name[:4]) for file in DECISIONS]
    assert len(numbers) >= 54
    assert numbers == list(range(1, len(numbers) + 1))
    assert [number_and_title(file)[0] for file in DECISIONS] == numbers


def test_the_folder_of_decisions_holds_nothing_but_decisions_and_their_index() -> None:
    present = {path.name for path in (ROOT / INDEX).parent.iterdir()}
    assert {name for name in present if not re.fullmatch(r"\d{4}(-[a-z0-9]+)+\.md", name)} == {
        "README.md"
    }


def test_the_index_of_decisions_has_every_decision_in_order() -> None:
    rows = re.findall(r"^\| \[(\d+)\]\((.+?)\) \| (.+?) \| (.+) \|$", text_of(INDEX), re.MULTILINE)
    assert [(int(number), file, title) for number, file, title, _ in rows] == [
        (number, file.name, title)
        for file in DECISIONS
        for number, title in [number_and_title(file)]
    ]


@each_decision
def test_a_decision_is_at_most_five_lines_below_title_and_status(file: Path) -> None:
    _, *below = filter(None, file.read_text().splitlines())
    if below[0].startswith("Status: "):
        linked = re.match(r"Status: (?:superseded|amended) by \[\d+\]\((.+?)\)", below.pop(0))
        assert linked
        assert (file.parent / linked[1]) in set(DECISIONS) - {file}
    lines = [re.fullmatch(r"- \*\*([A-Z][a-z ]+)\*\*: (.+\.)", line) for line in below]
    labels = [line[1] for line in lines if line]
    assert len(lines) == len(labels) <= 5
    assert labels[:3] == ["Context", "Choice", "Reason"]
    assert "Cost" in labels
    assert set(labels) <= LABELS


def test_files_that_decisions_name_exist() -> None:
    folders = "|".join(path.parent.name for path in ROOT.glob("*/__init__.py"))
    texts = "\n".join(file.read_text() for file in DECISIONS)
    named = set(re.findall(rf"`((?:{folders})/[\w./]*)`", texts))
    assert len(named) > 5
    assert sorted(path for path in named if not (ROOT / path).exists()) == []


def test_every_reference_to_a_decision_leads_to_its_file() -> None:
    """By path from the root anywhere, by link inside `docs/`; a bare number leads nowhere."""
    texts = tracked_texts()
    paths = {
        (name, path)
        for name, text in texts.items()
        for path in re.findall(r"docs/decisions[\w./-]*[\w/]", text)
    }
    links = {
        (name, str((Path(name).parent / link).relative_to(".")))
        for name, text in texts.items()
        if name.startswith("docs/")
        for link in re.findall(r"\]\(([^):]*\d{4}-[a-z0-9-]+\.md)\)", text)
    }
    assert len(paths) > 20
    assert len(links) > len(DECISIONS)
    assert sorted((name, path) for name, path in paths | links if not (ROOT / path).exists()) == []
    bare = re.compile(r"(?<!\[)\bdecisions? \d+|decisions/?,? \d+")
    assert sorted(name for name, text in texts.items() if bare.search(text)) == []


# -- sources --------------------------------------------------------------------------------------


def test_nothing_refers_to_what_a_reader_cannot_open() -> None:
    """Notes and issues from where this was written are no source: no reader has them."""
    unreadable = re.compile(r"(?<![\w-])fac[t]s/|desig[n]\.md|(?<![\w/])issue \d+, part \d")
    assert [
        f"{name}:{number}"
        for name, text in tracked_texts().items()
        for number, line in enumerate(text.splitlines(), start=1)
        if unreadable.search(line)
    ] == []
