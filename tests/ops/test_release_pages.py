"""The page of each release is what its folder has, in both languages."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from advisories.table import of_release
from ops.release_pages import (
    COMPONENTS,
    FOLDER,
    LANGUAGES,
    Language,
    components,
    counted,
    file_of,
    page,
    parts_that_open,
    releases,
)
from program import advisories_of, patches_that_close
from rendering import lock as locks
from rendering.database_users import users_of
from rendering.installed import installed
from rendering.reasons import load_reasons
from rendering.release import load
from settings import MANIFESTS, Settings, from_mapping
from settings.support_ends import EKS
from tests.documents import ROOT, broken, links, text_of
from upgrades.table import of_release as ways_to

each_release = pytest.mark.parametrize("release", releases())
each_language = pytest.mark.parametrize("language", LANGUAGES)


def code(text: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", text))


def plain_stack(release: str) -> Settings:
    """Settings that choose nothing of a release but itself."""
    settings = from_mapping({"region": "us-west-2"})
    return settings.model_copy(update={"release": release})


@each_language
@each_release
def test_a_page_is_as_its_release(release: str, language: Language) -> None:
    assert text_of(file_of(release, language)) == page(release, language), (
        "run `python -m ops.release_pages`"
    )
    assert broken(file_of(release, language)) == []
    index = ROOT / f"docs/README{'' if language == 'en' else '.zh-CN'}.md"
    assert (f"releases/{file_of(release, language).name}", "") in links(text_of(index))


def test_every_page_is_of_a_release() -> None:
    pages = {file_of(release, language) for release in releases() for language in LANGUAGES}
    assert set(FOLDER.iterdir()) == pages
    assert len(releases()) >= 3


@each_release
def test_nothing_of_a_release_is_left_out(release: str) -> None:
    folder, text = MANIFESTS / release, page(release, "en")
    known = load(folder)
    for advisory in of_release(folder).advisories:
        assert f"[{advisory.id}]({advisory.source})" in text
    assert {each.id for each in load_reasons(folder)} <= code(text)
    assert {each.user for each in known.databases.values()} <= code(text)
    assert {each.setting for each in known.optional.values()} <= code(text)
    for source in known.sources:
        assert source.commit in text
    for image in locks.load(folder, release).images:
        name = image.source.partition("@")[0]
        assert f"`{name}" in text
    for version, ends in EKS.items():
        row = f"| {version} | {ends.standard} | {ends.extended} |"
        assert (row in text) is known.kubernetes.holds(version)


@each_release
def test_a_page_counts_what_a_stack_of_defaults_has(release: str) -> None:
    settings = plain_stack(release)
    counted_by_preview = advisories_of(settings).still_open()
    text, every = page(release, "en"), of_release(MANIFESTS / release)
    assert f"{len(counted_by_preview)} of {len(every.advisories)} advisories are open" in text
    assert len(re.findall(r"^\| \[.* \| open \| ", text, re.M)) == len(counted_by_preview)
    more = len(every.still_open()) - len(counted_by_preview)
    assert (f", and {more} more with a part that is off" in text) is bool(more)
    assert len(re.findall(r" \| open with `[\w.]+` \| ", text)) == more


@each_release
def test_a_database_of_a_part_that_is_off_has_its_setting(release: str) -> None:
    known, text = load(MANIFESTS / release), page(release, "en")
    always = users_of(known, ())
    for name, user in known.databases.items():
        (row,) = re.findall(rf"^\| {name} \| `{user.user}` .*$", text, re.M)
        settings = [each.setting for each in known.optional.values() if name in each.databases]
        assert (name in always) is not bool(settings)
        assert row.endswith(f"| `{settings[0]}` |" if settings else " |")
        assert bool(settings) is ("`" in row.rpartition(" | ")[2])


@each_release
def test_images_are_counted_as_a_stack_of_defaults_has_them(release: str) -> None:
    known, text = load(MANIFESTS / release), page(release, "en")
    images = locks.load(MANIFESTS / release, release).images
    of_defaults = installed(known, images, (), {})
    needed = Counter(each.needed for each in of_defaults)
    assert f"\n{len(of_defaults)} images of this release in a stack of defaults, beside" in text
    assert (
        f": {needed['install']} run after the installation, {needed['feature']} when a feature is "
        f"used, {needed['example']} are named"
    ) in text
    table = text.partition("| image | used by |")[2].partition("\n\n")[0]
    used = re.findall(r"^\| `\S+` \| (.+?) \|", table, re.M)
    chosen = [each for each in used if each.startswith("`")]
    assert (len(used), len(chosen)) == (len(images), len(images) - len(of_defaults))
    assert (f"; {len(chosen)} more with a setting" in text) is bool(chosen)
    settings = {each.setting for each in known.optional.values()}
    assert {each.strip("`") for each in chosen} <= {*settings, "patches"}


def test_an_image_of_a_setting_names_it() -> None:
    text = page("26.03.1", "zh")
    assert "| `ghcr.io/kubeflow/kfp-cache-server:2.17.0` | `pipelines.v1` |" in text
    assert "| `registry.istio.io/release/proxyv2:1.30.7` | `patches` |" in text
    assert "| `registry.istio.io/release/proxyv2:1.30.1` | 安装 |" in text


def test_settings_that_open_or_close_an_advisory_are_told() -> None:
    folder = MANIFESTS / "26.03.1"
    assert parts_that_open(folder) == {"CVE-2026-88982": "pipelines.v1"}
    found = of_release(folder)
    by_istio = {
        each.id for each in found.still_open() if each.way_out in ("Istio 1.30.4", "Istio 1.30.7")
    }
    assert patches_that_close(folder) == dict.fromkeys(by_istio, "patches: {istio: 1.30.7}")
    assert "| Istio 1.30.4 (`patches: {istio: 1.30.7}`) |" in page("26.03.1", "zh")


@each_release
def test_a_setting_that_closes_an_advisory_is_taken_and_closes_it(release: str) -> None:
    for id_, setting in patches_that_close(MANIFESTS / release).items():
        chosen = yaml.safe_load(setting)
        settings = from_mapping({"region": "us-west-2", "release": release, **chosen})
        assert not advisories_of(settings).named(id_)


@each_release
def test_ways_are_told_at_both_ends(release: str) -> None:
    text = page(release, "en")
    for old, way in ways_to(MANIFESTS / release).ways.items():
        assert {each.name for each in way.before} <= code(text)
        assert {name for each in way.gone for name in each.objects} <= code(text)
        anchor = f"from-{old.replace('.', '')}"
        assert (f"{release}.md", anchor) in links(page(old, "en"))
        assert way.not_undone[0] in text


@each_release
def test_differences_are_counted_whole(release: str) -> None:
    golden = MANIFESTS / release / "golden.yaml"
    if not golden.exists():
        assert "It is compared with nothing." in page(release, "en")
        return
    content: dict[str, Any] = yaml.load(golden.read_bytes(), Loader=yaml.CSafeLoader)
    removed, changed = content["removed"], content["changed"]
    assert counted(removed).total() == len(removed)
    assert counted(changed).total() == sum(map(len, changed.values()))
    added, values = len(content["added"]), sum(map(len, changed.values()))
    sentence = f"{len(removed)} objects are removed, {added} are added, and {values} values are"
    assert sentence in page(release, "en")


def test_every_component_is_one_of_a_release() -> None:
    found = {name: list(components(MANIFESTS / name)) for name in releases()}
    assert {name for rows in found.values() for name, _, _ in rows} == set(COMPONENTS)
    for rows in found.values():
        assert len(rows) > 12
        assert all(version for _, _, version in rows)


@each_release
def test_both_languages_have_the_same_rows(release: str) -> None:
    shape = re.compile(r"^(?:#+ |- |\| )", re.MULTILINE)
    english, chinese = (page(release, language) for language in LANGUAGES)
    assert shape.findall(english) == shape.findall(chinese)
    first, second = (re.findall(r"^\| .*$", text, re.MULTILINE) for text in (english, chinese))
    for one, other in zip(first, second, strict=True):
        assert one.count(" | ") == other.count(" | "), one


def test_a_size_that_is_known_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    lock = locks.load(MANIFESTS / "26.03", "26.03")
    first, *others = lock.images
    sized = first.model_copy(update={"bytes": 3 << 20, "needed": "example"})
    known = lock.model_copy(update={"images": (sized, *others)})

    def load_known(folder: Path, name: str) -> locks.Lock:
        del folder, name
        return known

    monkeypatch.setattr(locks, "load", load_known)
    text = page("26.03", "en")
    assert "The size of 1 is known, 3 MiB together." in text
    assert "| image | used by | MiB |" in text
    assert f"| `{sized.source}` | an example | 3 |" in text
