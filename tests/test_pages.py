"""The pages of docs/: found from the index, alike in both languages, with commands that exist."""

from __future__ import annotations

import re
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from ops.verification.registry import CHECKS
from ops.verification.selection import selected
from tests.documents import (
    ACCOUNT,
    CHINESE,
    ROOT,
    Block,
    anchors,
    blocks,
    broken,
    calls_of_kf,
    links,
    make_targets,
    prose,
    quoted,
    text_of,
    unknown_words,
)
from tests.releases import DEFAULT

DOCS = ROOT / "docs"
INDEX = DOCS / "README.md"
ARTICLE = DOCS / "article.md"
# Of the programs' rights, which a program writes.
TABLE_IN_ENGLISH_ONLY = {"consumers.md"}
PAGES = sorted([*DOCS.glob("*.md"), *ROOT.glob("README*.md"), *ROOT.glob("examples/README*.md")])
GUIDE = ROOT / "CONTRIBUTING.md"
ENGLISH = [page for page in PAGES if not page.name.endswith(CHINESE)]


def short(page: Path) -> str:
    return str(page.relative_to(ROOT))


each_page = pytest.mark.parametrize("page", [*PAGES, GUIDE], ids=short)
each_pair = pytest.mark.parametrize("page", ENGLISH, ids=short)
each_language = pytest.mark.parametrize("chinese", [False, True], ids=["en", "zh-CN"])


def in_chinese(page: Path) -> Path:
    return page.with_name(page.name.replace(".md", CHINESE))


def rows(page: Path, heading: int) -> list[str]:
    """The numbered rows of the table below the heading of that number."""
    text = prose(text_of(page))
    parts = re.split(r"^#+ .+$", text, flags=re.MULTILINE)[1:]
    return re.findall(r"^\| \d+ \| .+ \|$", parts[heading], flags=re.MULTILINE)


# -- found from the index -------------------------------------------------------------------------


@each_page
def test_every_link_of_a_page_leads_to_a_file_and_a_heading(page: Path) -> None:
    assert broken(page) == []


@each_language
def test_the_index_names_every_page(chinese: bool) -> None:
    index = in_chinese(INDEX) if chinese else INDEX
    present = {page.name for page in DOCS.glob("*.md") if page.name.endswith(CHINESE) == chinese}
    named = {file for file, _ in links(text_of(index))}
    assert sorted(present - named - {index.name}) == []


@each_language
def test_both_readmes_name_the_index(chinese: bool) -> None:
    readme = in_chinese(ROOT / "README.md") if chinese else ROOT / "README.md"
    assert ("docs/README.zh-CN.md" if chinese else "docs/README.md", "") in links(text_of(readme))


def test_the_questions_of_a_first_month_are_answered_in_two_clicks_in_both_languages() -> None:
    """The first click is the README's, the second the question's."""
    english, chinese = rows(INDEX, 2), rows(in_chinese(INDEX), 2)
    assert len(english) == len(chinese) >= 20
    for first, second in zip(english, chinese, strict=True):
        assert links(first), first
        assert [place(INDEX, *link) for link in links(first)] == [
            place(INDEX, *link) for link in links(second)
        ], second


def place(page: Path, file: str, anchor: str) -> tuple[str, int]:
    """The English page of a link, and which of its headings it leads to: 0 is the title."""
    target = page.parent / file
    return file.replace(CHINESE, ".md"), anchors(text_of(target)).index(anchor) if anchor else 0


def test_every_page_that_code_or_a_stack_file_names_exists() -> None:
    """Messages and comments have paths; tests play with some that nobody reads."""
    own = ROOT.glob("[a-z]*/**/*.py")
    files = [path for path in own if not path.is_relative_to(ROOT / "tests")]
    named = {
        name
        for path in (*files, *ROOT.glob("*.py"), *ROOT.glob("Pulumi*.yaml"), ROOT / "Makefile")
        for name in re.findall(r"(?<![\w/.-])docs/[a-z0-9-]+(?:\.zh-CN)?\.md", text_of(path))
    }
    assert len(named) > 8
    assert sorted(name for name in named if not (ROOT / name).exists()) == []


@each_language
def test_versions_of_components_are_those_of_the_locks(chinese: bool) -> None:
    page = DOCS / "components.md"
    text = text_of(in_chinese(page) if chinese else page)
    named = re.findall(r"^\| [^|]+ \| `([^`]+)` \|", text, flags=re.MULTILINE)
    folders = [ROOT / "manifests" / DEFAULT, *(ROOT / "manifests/addons").iterdir()]
    locks = [path for folder in folders if (path := folder / "images.lock").exists()]
    images = {
        image["source"].partition("@")[0].partition("/")[2]
        for path in locks
        for image in yaml.safe_load(text_of(path))["images"]
    }
    assert len(named) > 15
    assert sorted(set(named) - images) == []


# -- one page in two languages --------------------------------------------------------------------


@each_pair
def test_a_page_has_the_same_parts_and_the_same_code_in_both_languages(page: Path) -> None:
    english, chinese = text_of(page), text_of(in_chinese(page))
    rows_too = page.name not in TABLE_IN_ENGLISH_ONLY
    shape = re.compile(r"^(?:#+ |\d+\. |\| )" if rows_too else r"^(?:#+ )", re.MULTILINE)
    assert shape.findall(prose(english)) == shape.findall(prose(chinese))
    first, second = ([code(each) for each in blocks(text)] for text in (english, chinese))
    assert first == second


def code(block: Block) -> tuple[str, list[str], bool]:
    lines = [re.sub(r"\s*#.*$", "", line) for line in block.text.splitlines()]
    return block.language, lines if block.language != "text" else [], block.marked


# -- commands -------------------------------------------------------------------------------------


@each_page
def test_every_shell_block_parses_and_says_whether_it_needs_an_account(page: Path) -> None:
    for block in blocks(text_of(page)):
        if block.language not in ("sh", "bash"):
            assert not block.marked, block.text
            continue
        parsed = subprocess.run(
            ["bash", "-n"], input=block.text, capture_output=True, text=True, check=False
        )
        assert parsed.returncode == 0, parsed.stderr
        where = f"{ACCOUNT} on the line before" if block.calls else "no such line before"
        assert block.marked == block.calls, f"{where}:\n{block.text}"


@each_page
def test_every_command_and_target_of_a_page_exists(page: Path) -> None:
    text = text_of(page)
    shell = [block.text for block in blocks(text) if block.language in ("sh", "bash")]
    code = "\n".join([*shell, *quoted(text)])
    calls = calls_of_kf(code)
    assert [(call, unknown) for call in calls if (unknown := unknown_words(call))] == []
    assert set(re.findall(r"\bmake ([a-z][a-z-]+)", code)) <= make_targets()
    for call in calls:
        if call[0] == "verify":
            names = [name for option, name in pairwise(call) if option == "--only"]
            assert selected(CHECKS, names, deep="--deep" in call)


@each_page
def test_settings_of_a_page_can_be_pasted_below_config(page: Path) -> None:
    """One at the margin would be outside of it. The page of every setting says so itself."""
    if page.name.startswith("settings."):
        return
    for block in blocks(text_of(page)):
        if block.language == "yaml" and "config:\n" not in block.text:
            assert not re.findall(r"^(?:kubeflow|aws):\w+:", block.text, flags=re.MULTILINE)


# -- the article ----------------------------------------------------------------------------------


def test_every_step_of_the_article_has_a_row_with_something_to_run_or_to_read() -> None:
    steps = yaml.safe_load((ROOT / "tests/article.yaml").read_text("utf-8"))
    english, chinese = rows(ARTICLE, 0), rows(in_chinese(ARTICLE), 0)
    cells = [re.split(r"(?<!\\) \| ", row.strip("| ")) for row in english]
    assert [(int(number), step) for number, step, *_ in cells] == list(enumerate(steps, start=1))
    assert len(chinese) == len(steps)
    for ours, theirs in zip(english, chinese, strict=True):
        assert calls_of_kf(ours) or links(ours) or "`make " in ours, ours
        assert quoted(ours) == quoted(theirs)
        assert [place(ARTICLE, *link) for link in links(ours)] == [
            place(ARTICLE, *link) for link in links(theirs)
        ]
