"""upgrade.yaml of each release, held to what both releases render to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from components.objects.kubernetes_objects import type_token
from rehearsal.custom_resources import schemas_of, undeclared
from rehearsal.diff import changed_paths, replacing
from rendering import Rendered, render
from rendering.objects import WEBHOOK_KINDS, Object, ObjectKey, pod_template
from rendering.release import load
from settings.facts import karpenter_releases
from tests.rendering.beijing import MANIFESTS, REGISTRY
from upgrades.asking import KARPENTER
from upgrades.table import (
    NONE,
    Replaced,
    Stored,
    Upgrade,
    Upgrades,
    UpgradesInvalid,
    matches,
    of_release,
)

WAYS = [
    (old, file.parent.relative_to(MANIFESTS).as_posix())
    for file in sorted(MANIFESTS.rglob("upgrade.yaml"))
    for old in of_release(file.parent).ways
]
each_way = pytest.mark.parametrize(("old", "new"), WAYS)
_MUTABLE = frozenset({"ConfigMap", "Secret"})
"""The platform's provider changes them in place (components/cluster/eks_cluster.py)."""


def way(old: str, new: str) -> Upgrade:
    return of_release(MANIFESTS / new).ways[old]


def named(key: ObjectKey) -> str:
    kind = f"{key.kind}.{key.group}" if key.group else key.kind
    return f"{kind} {key.namespace}/{key.name}" if key.namespace else f"{kind} {key.name}"


@cache
def rendered(release: str) -> Rendered:
    """A release as a Beijing stack has it by default, without parts that a setting asks for."""
    return render(
        MANIFESTS / release,
        partition="aws-cn",
        dns_suffix="amazonaws.com.cn",
        registry=REGISTRY,
        optional_parts=(),
    )


@cache
def objects(release: str) -> Mapping[str, Object]:
    return {named(ObjectKey.of(obj)): obj for obj in rendered(release).objects}


@cache
def crds(release: str) -> Mapping[str, Object]:
    return {crd["metadata"]["name"]: crd for crd in rendered(release).crds}


def test_there_is_a_way_to_the_newest_release() -> None:
    assert ("26.03", "26.03.1") in WAYS


def test_from_each_version_of_karpenter_there_is_a_way_to_the_next_one_and_back() -> None:
    folders = [f"{KARPENTER}{version}" for version in karpenter_releases(MANIFESTS)]
    assert len(folders) > 1
    assert {*pairwise(folders), *pairwise(reversed(folders))} <= set(WAYS)


def test_a_way_that_stores_nothing_anew_is_no_danger_to_data() -> None:
    assert way("26.03", "26.03.1").changes_data
    assert not way(f"{KARPENTER}1.14.0", f"{KARPENTER}1.14.1").changes_data


@each_way
def test_every_object_that_goes_has_one_reason_and_no_reason_is_left(old: str, new: str) -> None:
    before, after = objects(old), objects(new)
    gone, come = before.keys() - after.keys(), after.keys() - before.keys()
    groups = way(old, new).gone
    assert {name: n for name in gone if (n := _count(name, groups)) != 1} == {}
    for group in groups:
        for pattern in group.objects:
            assert any(matches(name, [pattern]) for name in gone), pattern
        for pattern in group.to:
            assert any(matches(name, [pattern]) for name in come), pattern


def _count(name: str, groups: Any) -> int:
    return sum(matches(name, group.objects) for group in groups)


@each_way
def test_every_object_with_another_immutable_field_is_listed(old: str, new: str) -> None:
    before, after = objects(old), objects(new)
    fixed: set[tuple[str, str]] = set()
    for name in before.keys() & after.keys():
        changed = changed_paths(before[name], after[name])
        for path in replacing(type_token(after[name]), changed, mutable=_MUTABLE):
            fixed.add((name, path))
    listed = way(old, new).replaced
    assert [each.object for each in listed if not any(_is(each, *pair) for pair in fixed)] == []
    assert [pair for pair in fixed if not any(_is(each, *pair) for each in listed)] == []


def _is(each: Replaced, name: str, path: str) -> bool:
    return matches(name, [each.object]) and path.startswith(each.field)


@each_way
def test_every_object_with_a_field_that_the_old_crds_lack_is_listed(old: str, new: str) -> None:
    schemas = schemas_of(crds(old).values())
    refused = {name for name, obj in objects(new).items() if undeclared(obj, schemas)}
    patterns = way(old, new).awaits_crds
    assert {name for name in objects(new) if matches(name, patterns)} == refused
    assert [each for each in patterns if not any(matches(name, [each]) for name in refused)] == []


def test_a_program_awaits_what_any_way_awaits() -> None:
    ways = {old: {"known_by": "a", "awaits_crds": [f"Widget {old}"]} for old in ("1", "2")}
    assert Upgrades.model_validate({"from": ways}).awaits_crds == ("Widget 1", "Widget 2")


@each_way
def test_webhooks_that_go_are_behind_what_they_call(old: str, new: str) -> None:
    before, after = objects(old), objects(new)
    gone = {
        name for name, obj in before.items() if obj["kind"] in WEBHOOK_KINDS and name not in after
    }
    assert gone == set(way(old, new).webhooks)
    needs = rendered(old).prerequisites
    for name in gone:
        called = {named(each) for each in needs[ObjectKey.of(before[name])]}
        # Deleted after it, for it depends on them: the engine deletes in the reverse order.
        assert {each.partition(" ")[0] for each in called} >= {"Service", "Deployment.apps"}


@each_way
def test_crds_that_go_stay_and_those_stored_anew_are_listed(old: str, new: str) -> None:
    before, after, upgrade = crds(old), crds(new), way(old, new)
    prefix = "CustomResourceDefinition.apiextensions.k8s.io "
    stays = {each.what.removeprefix(prefix) for each in upgrade.stays if prefix in each.what}
    assert stays == before.keys() - after.keys()
    stored = {
        (name, _storage(after[name]), _storage(before[name]))
        for name in before.keys() & after.keys()
        if _storage(before[name]) != _storage(after[name])
    }
    assert {(each.name, each.storage, each.was) for each in upgrade.crds} == stored


def _storage(crd: Object) -> str:
    return next(each["name"] for each in crd["spec"]["versions"] if each["storage"])


@each_way
def test_a_state_without_a_release_is_recognised(old: str, new: str) -> None:
    known = of_release(MANIFESTS / new)
    if known.ways[old].known_by is None:  # Karpenter's, of which each version has the same
        assert crds(old).keys() <= crds(new).keys()
        return
    assert known.recognised(crds(old)) == old
    for other in {path.parent.name for path in MANIFESTS.glob("*/release.yaml")} - {old}:
        assert known.recognised(crds(other)) is None


@each_way
def test_databases_get_the_tables_that_the_release_names(old: str, new: str) -> None:
    before, after = (
        {user.database: set(user.tables) for user in load(MANIFESTS / name).databases.values()}
        for name in (old, new)
    )
    listed = {each.name: each for each in way(old, new).databases}
    unused = {each.what for each in way(old, new).stays}
    kept = {name for name in after if f"the database {name} with its user" not in unused}
    assert set(listed) == kept
    for name, each in listed.items():
        tables = {table for table in each.adds if "." not in table}
        assert tables == after[name] - before.get(name, set()), name


@each_way
def test_what_a_user_may_have_made_under_a_new_name_is_asked_for(old: str, new: str) -> None:
    """``up`` would write into it as into its own, and a Deployment's selector cannot change."""
    come = {name: obj for name, obj in objects(new).items() if name not in objects(old)}
    scopes = {crd["spec"]["names"]["kind"]: crd["spec"]["scope"] for crd in crds(new).values()}
    taken = {
        (f"{obj['apiVersion']} {obj['kind']}", name.partition(" ")[2])
        for name, obj in come.items()
        if scopes.get(obj["kind"]) == "Cluster" or pod_template(obj) is not None
    }
    asked = {
        (f"{stored.api} {stored.kind}", name)
        for condition in way(old, new).before
        for stored in condition.objects
        for name in stored.named
    }
    assert asked == taken


# -- fields of users' objects ----------------------------------------------------------------------

OF_RUNS = {("workflowtasksets.argoproj.io", "spec"), ("workflowtasksets.argoproj.io", "status")}
"""Argo's controller writes them for a run, and 4.0 has a schema; by the condition ``runs`` all have
ended."""


@each_way
def test_every_field_that_users_lose_is_asked_for(old: str, new: str) -> None:
    asked = {
        (f"{stored.resource}.{stored.api.partition('/')[0]}", path)
        for condition in way(old, new).before
        for stored in condition.objects
        for path in (*stored.having, *stored.texts)
    }
    lost = {
        (name, path)
        for name in crds(old).keys() & crds(new).keys()
        for path in _lost(crds(old)[name], crds(new)[name])
    }
    told = {pair for pair in asked if not _open(crds(new)[pair[0]], pair[1])}
    assert told - lost == set()
    assert lost - asked == {pair for pair in OF_RUNS if pair[0] in crds(new)}


def _open(crd: Object, path: str) -> bool:
    """Whether a field is below one in which anything is stored: only a program has it or not."""
    versions = [each["schema"]["openAPIV3Schema"] for each in crd["spec"]["versions"]]
    for part in path.split("."):
        if any(each.get("x-kubernetes-preserve-unknown-fields") for each in versions):
            return True
        versions = [
            found for each in versions if (found := (each.get("properties") or {}).get(part))
        ]
    return False


def _lost(before: Object, after: Object) -> Iterator[str]:
    """Fields that a version has no more, or whose texts it no longer takes; the outermost ones."""
    versions = {each["name"]: each["schema"] for each in after["spec"]["versions"]}
    for version in before["spec"]["versions"]:
        if (schema := versions.get(version["name"])) is not None:
            yield from _less(version["schema"]["openAPIV3Schema"], schema["openAPIV3Schema"], "")


def _less(before: Any, after: Any, at: str) -> Iterator[str]:
    if before.get("type") != after.get("type") and "type" in after:
        yield at
    if after.get("x-kubernetes-preserve-unknown-fields"):
        return
    if before.get("x-kubernetes-preserve-unknown-fields"):
        yield at
    for name, inner in (before.get("properties") or {}).items():
        place = f"{at}.{name}" if at else name
        other = (after.get("properties") or {}).get(name)
        if other is None:
            yield place
        else:
            yield from _less(inner, other, place)
    for key in ("items", "additionalProperties"):
        inner, other = before.get(key), after.get(key)
        if isinstance(inner, dict) and isinstance(other, dict):
            yield from _less(inner, other, at)


@each_way
def test_what_is_filled_in_is_the_default_of_the_old_release(old: str, new: str) -> None:
    for condition in way(old, new).before:
        for stored in condition.objects:
            assert stored.filled.keys() <= {*stored.having}
            if not stored.filled:
                continue
            crd = crds(old)[f"{stored.resource}.{stored.api.partition('/')[0]}"]
            for path, value in stored.filled.items():
                for version in crd["spec"]["versions"]:
                    schema = version["schema"]["openAPIV3Schema"]
                    for part in path.split("."):
                        schema = schema["properties"][part]
                    assert schema["default"] == value


@each_way
def test_no_object_of_users_becomes_one_that_is_refused_unasked(old: str, new: str) -> None:
    """Patterns, lengths and rules may get stricter: a value that stays is accepted (KEP-4008)."""
    asked = {
        f"{stored.resource}.{stored.api.partition('/')[0]}"
        for condition in way(old, new).before
        for stored in condition.objects
        if not stored.named
    }
    refused = {
        (name, reason)
        for name in crds(old).keys() & crds(new).keys() - asked
        for reason in _refused(crds(old)[name]["spec"], crds(new)[name]["spec"])
    }
    assert refused == set()


def _refused(before: Object, after: Object) -> Iterator[str]:
    """Why an object of a user is refused: a version or scope that is gone, a missing field."""
    if before["scope"] != after["scope"]:
        yield "scope"
    versions = {each["name"]: each for each in after["versions"] if each["served"]}
    for version in before["versions"]:
        now = versions.get(version["name"])
        if now is None and version["served"]:
            yield f"{version['name']} is served no more"
        elif now is not None:
            schema, other = (each["schema"]["openAPIV3Schema"] for each in (version, now))
            yield from _stricter(schema, other, version["name"])


def _stricter(before: Any, after: Any, at: str) -> Iterator[str]:
    for field in {*after.get("required", ())} - {*before.get("required", ())}:
        yield f"{at}.{field} is required"
    if "enum" in after and (
        "enum" not in before or [each for each in before["enum"] if each not in after["enum"]]
    ):
        yield f"{at} takes {after['enum']} only"
    for name, inner in (before.get("properties") or {}).items():
        if other := (after.get("properties") or {}).get(name):
            yield from _stricter(inner, other, f"{at}.{name}")
    for key in ("items", "additionalProperties"):
        inner, other = before.get(key), after.get(key)
        if isinstance(inner, dict) and isinstance(other, dict):
            yield from _stricter(inner, other, f"{at}[]")


def _crd(**changes: Any) -> Object:
    schema = {
        "required": ["a"],
        "properties": {"a": {"enum": [1, 2]}, "b": {"items": {"properties": {"c": {}}}}},
        **changes,
    }
    return {
        "scope": "Namespaced",
        "versions": [{"name": "v1", "served": True, "schema": {"openAPIV3Schema": schema}}],
    }


@pytest.mark.parametrize(
    ("after", "reasons"),
    [
        (_crd(), []),
        (_crd(required=["a", "b"]), ["v1.b is required"]),
        (_crd(properties={"a": {"enum": [1]}}), ["v1.a takes [1] only"]),
        (_crd(properties={"a": {"enum": [1, 2, 3]}}), []),
        (_crd(properties={"b": {"items": {"required": ["c"]}}}), ["v1.b[].c is required"]),
        ({**_crd(), "scope": "Cluster"}, ["scope"]),
        ({**_crd(), "versions": []}, ["v1 is served no more"]),
    ],
)
def test_what_refuses_an_object_is_found(after: Object, reasons: list[str]) -> None:
    assert list(_refused(_crd(), after)) == reasons


@each_way
def test_what_is_asked_is_served_by_the_old_release(old: str, new: str) -> None:
    served = {
        (f"{crd['spec']['group']}/{version['name']}", names["plural"], names["kind"])
        for crd in crds(old).values()
        for names in (crd["spec"]["names"],)
        for version in crd["spec"]["versions"]
        if version["served"]
    }
    # Those of Kubernetes itself have a group without a dot.
    asked: list[Stored] = [
        each for one in way(old, new).before for each in one.objects if "." in each.api
    ]
    assert {(each.api, each.resource, each.kind) for each in asked} <= served


# -- the file --------------------------------------------------------------------------------------


def test_a_release_without_the_file_has_no_way() -> None:
    assert of_release(MANIFESTS / "1.5.1-aws-b1.0.0") is NONE


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("from: [", "is no YAML"),
        ('from: {"1": {known_by: 1}}', r"from\.1\.known_by: Input should be a valid string"),
        ('from: {"1": {known_by: a, before: [{name: a, what: b, why: c, way_out: d}]}}', "asks no"),
        ('from: {"1": {known_by: a, gone: [{objects: [a b c], why: d}]}}', "should match pattern"),
        ('from: {"1": {known_by: a, databases: [{name: a, by: b}]}}', "or neither"),
        ("to: 1", "Extra inputs are not permitted"),
    ],
)
def test_a_wrong_file_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "upgrade.yaml").write_text(text)
    with pytest.raises(UpgradesInvalid, match=sentence):
        of_release(tmp_path)


@pytest.mark.parametrize("page", ["upgrade.md", "upgrade.zh-CN.md"])
def test_the_page_has_a_row_for_each_condition_of_the_way_that_it_describes(page: str) -> None:
    """Other ways are on the pages of their releases, so that a new one changes no page by hand."""
    text = (MANIFESTS.parent / "docs" / page).read_text()
    (heading,) = re.findall(r"^## Kubeflow.*", text, re.M)
    old, new = re.findall(r"\d+(?:\.\d+)+", heading)
    rows = re.findall(r"^\| `([a-z-]+)` \|", text, re.M)
    assert rows == [each.name for each in way(old, new).before]
