"""Sides read from what a rehearsal wrote."""

from __future__ import annotations

import json
from pathlib import Path

from review.resources import paired
from review.sides import SECRET, Finding, base_of, read_side
from tests.review.plans import row, sides, urn_of

CRDS = "pulumi-python:dynamic:CustomResourceDefinitions"


def test_a_side_is_read_from_its_files(tmp_path: Path) -> None:
    rows = [
        row(CRDS, "crds", "same", after={"digests": {"b.example.com": "2", "a.example.com": "1"}})
    ]
    (tmp_path / "plan.json").write_text(json.dumps(rows), "utf-8")
    (tmp_path / "images.txt").write_text("a:1 -> r/a:1\nb:2 -> r/b:2\n", "utf-8")
    finding = {"policy": "p", "severity": "high", "level": "advisory", "urn": "u", "message": "m"}
    stack = tmp_path / "Pulumi.test.yaml"
    stack.write_text("config:\n  kubeflow:region: r\n  kubeflow:x: {secure: v1:abc}\n", "utf-8")
    assert read_side(tmp_path, stack, "main").findings == ()
    (tmp_path / "findings.json").write_text(json.dumps([finding]), "utf-8")
    side = read_side(tmp_path, stack, "main")
    assert side.images == {"a:1": "r/a:1", "b:2": "r/b:2"}
    assert side.crds == {"a.example.com": "1", "b.example.com": "2"}
    assert side.findings == (Finding("p", "high", "advisory", "u", "m", ""),)
    assert side.settings == {"kubeflow:region": "r", "kubeflow:x": SECRET}
    assert not side.from_state


def test_the_side_before_a_preview_has_what_the_preview_names_as_before() -> None:
    rows = [
        row("t:a:A", "made", "create", after={"x": 1}),
        row("t:a:A", "kept", "same", after={"x": 1}),
        row("t:a:A", "changed", "update", {"x": 1}, {"x": 2}),
        row("t:a:A", "gone", "delete", {"x": 1}),
    ]
    crds = ({"digests": {"a.example.com": digest}} for digest in "12")
    side = base_of([*rows, row(CRDS, "crds", "update", *crds)])
    assert side.crds == {"a.example.com": "1"}
    assert {each["name"]: each["inputs"] for each in side.rows if each["type"] != CRDS} == {
        each: {"x": 1} for each in ("kept", "changed", "gone")
    }
    assert side.from_state


def test_a_side_without_rows_is_a_stack_that_does_not_exist_yet() -> None:
    _, head = sides([row("t:a:A", "made", "create", after={"x": 1})])
    assert [each.operation for each in paired(base_of(()), head).values()] == ["create"]


def test_names_that_the_engine_gave_are_no_difference_to_a_state() -> None:
    before = {"name": "queue-0a1b2c3", "__defaults": [], "version": "7.1", "delay": 1}
    _, head = sides([row("aws:sqs/queue:Queue", "queue", "update", before, {"delay": 2})])
    (resource,) = paired(base_of(head.rows), head).values()
    assert [each.path for each in resource.changes] == ["delay"]


def test_a_resource_with_another_urn_was_not_deleted() -> None:
    """An alias: the base has one name for it, the head another, and the engine deletes nothing."""
    base, head = sides([row("t:a:A", "new-name", "same", after={"x": 1})])
    from dataclasses import replace

    older = replace(base, rows=({**base.rows[0], "urn": urn_of("t:a:A", "old-name")},))
    assert [each.operation for each in paired(older, head).values()] == ["same"]


def test_a_plan_without_operations_counts_as_the_program_itself() -> None:
    base, _ = sides([row("t:a:A", "old", "same", after={"x": 1})])
    bare = {key: value for key, value in base.rows[0].items() if key != "operation"}
    from dataclasses import replace

    pair = paired(base, replace(base, rows=(bare,)))
    assert [each.operation for each in pair.values()] == ["same"]
