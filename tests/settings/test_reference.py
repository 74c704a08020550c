"""The pages of every setting: complete, in both languages, and with examples that are accepted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast, get_args

import pytest
import yaml

from advisories.table import of_release
from settings import from_mapping
from settings.errors import AWS, SettingsError
from settings.field_types import Whole
from settings.reference import PAGES, Setting, example, page, settings_of_models, type_name
from settings.release_files import default_release

ROOT = Path(__file__).resolve().parent.parent.parent
DATA = cast(
    dict[str, dict[str, Any]], yaml.safe_load((ROOT / "settings/reference.yaml").read_text("utf-8"))
)
SETTINGS = settings_of_models()
VALUES = [each for each in SETTINGS.values() if each.model is None]
CHINESE = re.compile("[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]")
"""Also punctuation, which may be all that is Chinese in the last line of a comment."""


def parts(annotation: object) -> Iterator[object]:
    """A type and all types in it, down to those with a name."""
    yield annotation
    if not type_name(annotation):
        for inner in get_args(annotation):
            yield from parts(inner)


@pytest.mark.parametrize("language", PAGES)
def test_a_page_is_what_the_models_say(language: Any) -> None:
    assert PAGES[language].read_text("utf-8") == page(language), (
        "run `python -m settings.reference`"
    )


def test_every_setting_has_its_place_on_the_pages_and_nothing_else_has() -> None:
    assert set(DATA["settings"]) == set(SETTINGS)
    anchors = [each.anchor for each in SETTINGS.values()]
    assert len(set(anchors)) == len(anchors) > 150
    for path in PAGES.values():
        assert re.findall('^<a id="(.+)"></a>$', path.read_text("utf-8"), re.MULTILINE) == [
            SETTINGS[each].anchor for each in DATA["settings"]
        ]


def test_sections_come_in_the_order_of_the_stack_file() -> None:
    text = (ROOT / "Pulumi.cn-north-1.yaml").read_text("utf-8")
    keys = re.findall(r"^  (?:# )?(kubeflow:\w+|aws:)", text, re.MULTILINE)
    order = list(dict.fromkeys(key.removeprefix("kubeflow:") for key in keys))
    assert [path for path in DATA["settings"] if SETTINGS[path].around is None] == order


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_a_setting_is_explained_in_both_languages(setting: Setting) -> None:
    texts = {"en": setting.row.get("en") or setting.text, "zh": setting.row["zh"]}
    for each in (texts, setting.row.get("change", texts)):
        assert each.keys() == {"en", "zh"}
        assert len(each["en"]) > 10
        assert not CHINESE.search(each["en"])
        assert CHINESE.search(each["zh"])
    assert not re.search("``|None|_", re.sub("`.+?`", "", texts["en"]))


def test_every_type_and_unit_has_a_name_in_both_languages_and_is_used() -> None:
    types = [part for setting in VALUES for part in parts(setting.annotation)]
    assert {name for part in types if (name := type_name(part))} == set(DATA["types"])
    assert all(row.keys() == {"en", "zh"} for row in DATA["types"].values())
    checks = [getattr(part, "func", None) for part in types]
    assert {check.unit for check in checks if isinstance(check, Whole)} == set(DATA["units"])


def test_the_example_of_an_accepted_advisory_is_open() -> None:
    """A closed one would be read as if the platform had the hole."""
    (named,) = example(SETTINGS["acceptedAdvisories"]).values()
    table = of_release(ROOT / "manifests" / default_release())
    assert {each.id for each in table.still_open()} >= set(named)


@pytest.mark.parametrize("setting", VALUES, ids=lambda setting: setting.path)
def test_an_example_is_accepted_as_it_stands_on_the_page(setting: Setting) -> None:
    shown = example(setting)
    for path in PAGES.values():
        (block,) = re.findall(
            f'id="{setting.anchor}".+?```yaml\n(.+?)```', path.read_text("utf-8"), re.DOTALL
        )[:1]
        assert yaml.safe_load(block) == shown
    raw: dict[str, Any] = {"region": setting.row.get("region", "cn-north-1")}
    provider = {key.removeprefix(AWS): value for key, value in shown.items() if key[:4] == AWS}
    raw |= {key.partition(":")[2]: value for key, value in shown.items() if key[:4] != AWS}
    raw |= {AWS: provider} if provider else {}
    if reason := setting.row.get("unchecked"):
        assert len(reason) > 20
        with pytest.raises(SettingsError):
            from_mapping(raw)
    else:
        from_mapping(raw)


# -- the stack file -------------------------------------------------------------------------------

EXAMPLES = {"steps", "shared", "many", "docker.io", "ghcr.io", "s3"}
KEYS = {each.key for each in SETTINGS.values()} | EXAMPLES


each_stack = pytest.mark.parametrize(
    ("stack", "at_least"),
    [("cn-north-1", 95), ("cn-northwest-1", 2), ("cn-north-1-kf151", 5)],
)


def is_code(comment: str) -> bool:
    """Whether a comment is a setting that is turned off, or the rest of one."""
    inner = comment.lstrip("# ")
    name = re.match(r"(?:- )?\{?(?:kubeflow:|aws:)?([\w.]+): ?", inner)
    return inner.startswith("- ") or bool(name and name[1] in KEYS)


def comments(stack: str) -> Iterator[list[str]]:
    """The explanations in a stack file: lines that stand together."""
    block: list[str] = []
    for line in [*(ROOT / f"Pulumi.{stack}.yaml").read_text("utf-8").splitlines(), ""]:
        if line.lstrip().startswith("#") and not is_code(line):
            block.append(line)
        elif block:
            yield block
            block = []


@each_stack
def test_every_comment_for_china_is_in_both_languages(stack: str, at_least: int) -> None:
    blocks = list(comments(stack))
    assert len(blocks) >= at_least
    for block in blocks:
        languages = "".join("c" if CHINESE.search(line) else "e" for line in block)
        assert re.fullmatch("e+c+", languages), block
        assert len({line.index("#") for line in block}) == 1, block
        assert all(line.lstrip().startswith("# ") for line in block)
    text = (ROOT / f"Pulumi.{stack}.yaml").read_text("utf-8")
    for inline in re.findall(r"\S  # (.+)$", text, re.MULTILINE):
        assert CHINESE.search(inline), inline


@each_stack
def test_a_comment_for_china_names_a_page_in_each_language(stack: str, at_least: int) -> None:
    del at_least
    for block in comments(stack):
        text = " ".join(block)
        english = set(re.findall(r"docs/([a-z-]+)\.md", text))
        assert english == set(re.findall(r"docs/([a-z-]+)\.zh-CN\.md", text)) - {"settings"}, block
