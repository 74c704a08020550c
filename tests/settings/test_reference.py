"""The pages of every setting: complete, in both languages, and with examples that are accepted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast, get_args

import pytest
import yaml

from settings import from_mapping
from settings.errors import AWS, SettingsError
from settings.field_types import Whole
from settings.reference import PAGES, Setting, example, page, settings_of_models, type_name

ROOT = Path(__file__).resolve().parent.parent.parent
DATA = cast(
    dict[str, dict[str, Any]], yaml.safe_load((ROOT / "settings/reference.yaml").read_text("utf-8"))
)
SETTINGS = settings_of_models()
VALUES = [each for each in SETTINGS.values() if each.model is None]
CHINESE = re.compile("[\u4e00-\u9fff]")


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
