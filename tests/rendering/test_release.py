"""What release.yaml can say, and the sentence for what it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from rendering.parts import Part, Parts
from rendering.release import ReleaseInvalid, VersionRange, folder_digest, load, stand_alone

REMOTE = f"{{repository: a/c, ref: v1, commit: {'a' * 40}, folder: c"
USER = (
    "user: a, database: a, deployment: a/b, tls: SSL, rights: [SELECT], "
    "login: mysql_native_password"
)
PATCHES = "version: 1.0.0, images: [a], source: a"
SOURCE = f"{{name: a, repository: a/b, ref: v1, commit: {'a' * 40}, digest: {'0' * 64}}}"


@pytest.mark.parametrize(
    ("low", "high", "inside", "outside"),
    [
        ("5.4.3", None, ["5.4.3", "5.10.0", "v5.8.1", "6.0.0"], ["5.4.2", "5.3.9"]),
        ("1.33", "1.36", ["1.33", "1.36", "1.36.9"], ["1.32.8", "1.37"]),
        (None, "5.7", ["3.2.0", "5.7.1"], ["5.8.0"]),
        (None, None, ["0.0.1", "99.0.0"], []),
    ],
)
def test_ranges_hold_both_ends(
    low: str | None, high: str | None, inside: list[str], outside: list[str]
) -> None:
    accepted = VersionRange(min=low, max=high)
    assert [version for version in inside + outside if accepted.holds(version)] == inside


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (None, "has no release.yaml"),
        ("name: [", "not readable as YAML"),
        ("{}", "name: Field required"),
        ("{name: x, colour: red}", "colour: Extra inputs are not permitted"),
        ("{name: x, kustomize: {min: five}}", r"kustomize.min: .*'five'"),
        (
            f"{{name: x, sources: [{SOURCE.replace('0' * 64, 'abc')}]}}",
            r"sources.0.digest: .*'abc'",
        ),
        (f"{{name: x, sources: [{SOURCE[:-1]}, paths: [../a]}}]}}", r"0.paths.0: .*'../a'"),
        (f"{{name: x, sources: [{SOURCE.replace('name: a', 'name: ../a')}]}}", r"0.name: "),
        ("{name: x, sources: [{name: a, repository: a/b}]}", r"0.commit: Field required"),
        ("{name: x, sources: [{name: a, repository: a/b, ref: --x}]}", r"0.ref: .*'--x'"),
        (
            f"{{name: x, sources: [{SOURCE[:-1]}, remotes: [{REMOTE}, base: x}}]}}]}}",
            "needs a base",
        ),
        (
            f"{{name: x, sources: [{SOURCE[:-1]}, remotes: [{REMOTE}/../x}}]}}]}}",
            r"folder: .*'c/../x'",
        ),
        ("{name: x, needed: {a: often}}", r"needed.a: .*'often'"),
        ("{name: x, parts: {colour: {}}}", "parts.colour: Extra inputs are not permitted"),
        ("{name: x, parts: {dex: {deployments: [dex]}}}", r"dex.deployments.0: .*'dex'"),
        ("{name: x, parts: {dex: {config: auth/Dex}}}", r"dex.config: .*'auth/Dex'"),
        (f"{{name: x, databases: {{a: {{{USER}, tls: X}}}}}}", r"a.tls: .*'X'"),
        (f"{{name: x, databases: {{a: {{{USER}, tls: SSL, user: A}}}}}}", r"a.user: .*'A'"),
        (f"{{name: x, databases: {{a: {{{USER}, user: a{'b' * 32}}}}}}}", r"a.user: .*'ab"),
        (f"{{name: x, databases: {{a: {{{USER}, database: a_b}}}}}}", r"a.database: .*'a_b'"),
        (
            f"{{name: x, databases: {{a: {{{USER}}}, b: {{{USER}}}}}}}",
            "databases.b: user a is that of a: give it another name, because components",
        ),
        (
            f"{{name: x, databases: {{a: {{{USER}}}, b: {{{USER}, user: b}}}}}}",
            "databases.b: database a is that of a: give it another name, because components",
        ),
        ("{name: x, optional: {a: {setting: b.c, objects: []}}}", "a.objects: .* at least 1 item"),
        ("{name: x, optional: {a: {setting: b.c, objects: [x/y]}}}", "a.objects.0: .*'x/y'"),
        (
            "{name: x, optional: {a: {setting: b, because: c, objects: [Pod d], databases: [z]}}}",
            "optional.a.databases: z is not in databases: add its user there, or remove",
        ),
        (f"{{name: x, patches: {{a: {{{PATCHES}, versions: []}}}}}}", "at least 1 item"),
        (f"{{name: x, patches: {{a: {{{PATCHES}, versions: [new]}}}}}}", "versions.0: .*'new'"),
    ],
)
def test_a_wrong_release_gives_its_sentence(
    text: str | None, complaint: str, tmp_path: Path
) -> None:
    if text is not None:
        (tmp_path / "release.yaml").write_text(text)
    with pytest.raises(ReleaseInvalid, match=complaint):
        load(tmp_path)


def test_the_digest_of_a_folder_is_its_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_text("1")
    before = folder_digest(tmp_path)
    (tmp_path / "a" / "b").write_text("2")
    changed = folder_digest(tmp_path)
    (tmp_path / "a" / "b").rename(tmp_path / "a" / "c")
    assert len({before, changed, folder_digest(tmp_path)}) == 3


def test_what_is_made_from_renders_is_no_part_of_them(tmp_path: Path) -> None:
    before = folder_digest(tmp_path)
    for name in ("images.lock", "images.explained.yaml"):
        (tmp_path / name).write_text("1")
    assert folder_digest(tmp_path) == before


def test_a_part_tells_its_workloads_and_its_log() -> None:
    one = Part(deployments=("a/b", "a/c"), stateful_sets=("d/e",), container="f")
    assert one.workloads == (("Deployment", "a/b"), ("Deployment", "a/c"), ("StatefulSet", "d/e"))
    assert one.log == "`kubectl --namespace a logs deployment/b --container f`"
    assert Part(stateful_sets=("d/e",)).log == "`kubectl --namespace d logs statefulset/e`"
    assert Parts(dex=one).present == {"dex": one}


def test_what_another_release_includes_is_not_rendered_by_itself(tmp_path: Path) -> None:
    for name, text in (
        ("one", "{name: one, includes: [addons/b]}"),
        ("addons/a", "{name: a}"),
        ("addons/b", "{name: b}"),
    ):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "release.yaml").write_text(text)
    assert list(stand_alone(tmp_path)) == ["one", "addons/a"]
